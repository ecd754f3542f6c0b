"""Whatever comes from a sandbox: a correct error or silence, bounded memory, and the others are served meanwhile."""

from __future__ import annotations

import contextlib
import socket
import statistics
import sys
import time

import dns.message
import dns.query
import pytest

from netrt.resolver.streams import PATIENCE
from tests.host import Host
from tests.kernel.resolver.lab import BACK, Box, Lab
from tests.waiting import wait_until

pytestmark = pytest.mark.root

HEADER = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
MALFORMED = {
    "nothing": b"",
    "half a header": HEADER[:7],
    "a header alone": HEADER,
    "a pointer to itself": HEADER + b"\xc0\x0c\x00\x01\x00\x01",
    "pointers in a circle": HEADER + b"\xc0\x0e\xc0\x0c\x00\x01\x00\x01",
    "a label without end": HEADER + b"\x3fabc",
    "a name that is too long": HEADER + (b"\x3f" + b"a" * 63) * 5 + b"\0\0\1\0\1",
    "a thousand questions": HEADER[:4] + b"\x03\xe8" + HEADER[6:] + b"\x03web\0\0\1\0\1",
    "another opcode": b"\x12\x34\x28\x00" + HEADER[4:] + b"\x03web\0\0\1\0\1",
    "a response": b"\x12\x34\x81\x80" + HEADER[4:] + b"\x03web\0\0\1\0\1",
    "too long": HEADER + b"\x03web\0\0\1\0\1" + b"x" * 30_000,
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_malformed_gets_an_error_or_nothing(lab: Lab, what: str) -> None:
    box = lab.box("box")
    with box.socket() as asking:
        asking.send(MALFORMED[what])
        asking.send(dns.message.make_query("web", "A", id=7).to_wire())
        answer = asking.recv(4096)
        if int.from_bytes(answer[:2], "big") != 7:
            assert answer[:2] == MALFORMED[what][:2]
            assert answer[2] & 0x80
            assert answer[3] & 15 in (1, 4)
            answer = asking.recv(4096)
    assert dns.message.from_wire(answer).answer
    with box.socket(socket.SOCK_STREAM) as asking:
        asking.sendall(len(MALFORMED[what]).to_bytes(2, "big") + MALFORMED[what])
        if len(MALFORMED[what]) > 4096:
            with contextlib.suppress(ConnectionResetError):
                assert asking.recv(1) == b""
            return
        dns.query.send_tcp(asking, dns.message.make_query("web", "A", id=7))
        answer = dns.query.receive_tcp(asking)[0]
        if answer.id != 7:
            answer = dns.query.receive_tcp(asking)[0]
        assert answer.answer


FLOOD = """\
import socket, sys
kind, message = sys.argv[1], bytes.fromhex(sys.argv[2])
flooding = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
flooding.connect(("127.0.0.11", 20053))
number = 0
print("begins", flush=True)
while True:
    number += 1
    if kind == "unknown":
        name = b"n%015d" % number
        message = number.to_bytes(4, "big")[2:] + message[2:12] + bytes([len(name)]) + name + b"\\x03app\\0\\0\\1\\0\\1"
    try:
        flooding.send(message)
    except OSError:
        pass
"""


def flood(lab: Lab, host: Host, box: Box, kind: str, message: bytes) -> None:
    """Datagrams as fast as one process can send them, until the end of the test."""
    name = box.path.rpartition("/")[2]
    flooding = host.spawn("ip", "netns", "exec", name, sys.executable, "-c", FLOOD, kind, message.hex())
    assert flooding.stdout
    assert flooding.stdout.readline() == "begins\n"


def took(box: Box) -> float:
    """Seconds until a name is known."""
    began = time.monotonic()
    assert box.looked_up("store") == ["10.2.0.2"]
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("ready", dns.message.make_query("web", "A").to_wire()),
        ("unknown", HEADER),
        ("malformed", MALFORMED["pointers in a circle"]),
    ],
    ids=["ready", "unknown", "malformed"],
)
def test_a_flood_disturbs_nobody_else(lab: Lab, host: Host, kind: str, message: bytes) -> None:
    bad, good = lab.box("bad"), lab.box("good", [BACK])
    good.looked_up("store")
    before = lab.memory()
    calm = [took(good) for _ in range(100)]  # a busy machine takes its time for this, too
    flood(lab, host, bad, kind, message)
    times = []
    for number in range(300):
        times.append(took(good))
        if number % 100 == 0:
            lab.host_names(BACK, other=(f"10.2.0.{number + 1}",))
            assert good.looked_up("other", tcp=True) == [f"10.2.0.{number + 1}"]
    assert statistics.median(times) < 0.02 + 2 * statistics.median(calm)
    assert max(times) < 0.5 + 2 * max(calm)
    assert lab.memory() - before < 40


def test_a_flood_of_connections_disturbs_nobody_else(lab: Lab) -> None:
    bad, good = lab.box("bad"), lab.box("good")
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(good.socket(socket.SOCK_STREAM))
        for _ in range(300):
            stack.enter_context(bad.socket(socket.SOCK_STREAM))
        assert bad.looked_up("web", tcp=True) == ["10.1.0.2"], "the newest is served, older ones make room"
        dns.query.send_tcp(kept, dns.message.make_query("web", "A"))
        assert dns.query.receive_tcp(kept)[0].answer


def test_a_connection_that_says_nothing_whole_is_ended(lab: Lab) -> None:
    box = lab.box("box")
    with contextlib.ExitStack() as stack:
        asking = [stack.enter_context(box.socket(socket.SOCK_STREAM)) for _ in range(3)]
        for connection, said in zip(asking, (b"", b"\0", b"\0\x20half a message"), strict=True):
            connection.settimeout(3 * PATIENCE)
            connection.sendall(said)
        assert [connection.recv(1) for connection in asking] == [b"", b"", b""]


def test_one_byte_after_the_other_is_a_question(lab: Lab) -> None:
    box = lab.box("box")
    wire = dns.message.make_query("web", "A").to_wire()
    with box.socket(socket.SOCK_STREAM) as asking:
        asking.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in len(wire).to_bytes(2, "big") + wire:
            asking.send(bytes([byte]))
        assert dns.query.receive_tcp(asking)[0].answer


def test_many_questions_in_a_row_are_answered(lab: Lab) -> None:
    box = lab.box("box")
    with box.socket(socket.SOCK_STREAM) as asking:
        wires = [dns.message.make_query("web", "A", id=number).to_wire() for number in range(500)]
        asking.sendall(b"".join(len(wire).to_bytes(2, "big") + wire for wire in wires))
        asking.shutdown(socket.SHUT_WR)
        answers = [dns.query.receive_tcp(asking)[0] for _ in wires]
        assert {answer.id for answer in answers} == set(range(500))
        assert asking.recv(1) == b""


def test_who_does_not_read_is_not_read_from(lab: Lab) -> None:
    """Endless questions with long answers, by many connections, none of which is read."""
    bad, good = lab.box("bad"), lab.box("good")
    wire = dns.message.make_query("crowd", "A").to_wire()
    questions = (len(wire).to_bytes(2, "big") + wire) * 2000
    before = lab.memory()
    with contextlib.ExitStack() as stack:
        flooding = [stack.enter_context(bad.socket(socket.SOCK_STREAM)) for _ in range(60)]
        full = 0
        for connection in flooding:
            connection.setblocking(False)

        def all_full() -> bool:
            nonlocal full
            assert good.looked_up("web") == ["10.1.0.2"]
            full = sum(not _sent(connection, questions) for connection in flooding)
            return full == len(flooding)

        wait_until(all_full, 20, "every buffer to be full")
        assert lab.memory() - before < 40
        assert good.looked_up("web", tcp=True) == ["10.1.0.2"]


def _sent(connection: socket.socket, questions: bytes) -> int:
    """How much was taken. None of it need be whole questions."""
    try:
        return connection.send(questions)
    except (BlockingIOError, ConnectionError):
        return 0


def test_memory_is_bounded_whatever_is_asked(lab: Lab) -> None:
    """Each question is another one that could be kept ready."""
    box = lab.box("box")
    before = lab.memory()
    with box.socket() as asking:
        for number in range(60_000):
            name = "".join(
                letter.upper() if number >> bit & 1 else letter for bit, letter in enumerate("nobody-has-this-name")
            )
            asking.send(HEADER + bytes([len(name)]) + name.encode() + b"\x03app\0\0\1\0\1")
            if number % 50 == 49:
                assert all(asking.recv(512)[3] & 15 == 3 for _ in range(50))
    assert lab.memory() - before < 60
    assert box.looked_up("web") == ["10.1.0.2"]
