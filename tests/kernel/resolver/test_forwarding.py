"""What we do not know is asked of upstreams: from inside the sandbox, patiently but not too much so, and nothing is believed
that was not asked for."""

from __future__ import annotations

import contextlib
import socket
import statistics
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import dns.flags
import dns.message
import dns.rdatatype
import pytest
from dns.message import Message

from netrt.dns import zone
from tests.host import Host
from tests.kernel.resolver.conftest import Site
from tests.kernel.resolver.lab import APP, Box, Lab
from tests.kernel.resolver.upstream import ANSWER, Upstream, failing, good, reply, silent
from tests.traffic import Place, Wire
from tests.waiting import wait_until

pytestmark = pytest.mark.root

GLIBC, MUSL = 5.0, 2.5
"""Seconds after which clients ask somebody else."""


def timed(box: Box, name: str, patience: float = GLIBC) -> tuple[float, list[str]]:
    began = time.monotonic()
    found = box.looked_up(name, patience=patience)
    return time.monotonic() - began, found


@pytest.mark.parametrize("tcp", [False, True])
def test_unknown_names_are_asked_from_inside(site: Site, tcp: bool) -> None:
    upstream = site.upstream(1)
    site.use(upstream)
    assert site.box.looked_up("example.com", tcp=tcp) == [ANSWER]
    assert site.box.looked_up("web", tcp=tcp) == ["10.1.0.2"]
    assert site.box.looked_up("nobody.app", tcp=tcp) == ["NXDOMAIN"]
    assert [(str(asked.question[0].name), peer[0]) for asked, peer in upstream.seen] == [
        ("example.com.", "198.51.100.100")
    ]


def test_a_resolver_of_the_host_is_asked_from_there(lab: Lab, host: Host) -> None:
    box = lab.box("box", [APP], [zone.Upstream("127.0.0.53", from_host=True), zone.Upstream("::1", from_host=True)])
    with contextlib.closing(Upstream(Place(host), "127.0.0.53")) as first:
        assert box.looked_up("one.example") == [ANSWER]
        assert first.asked_for("one.example") == 1
    with contextlib.closing(Upstream(Place(host), "::1")):
        assert box.looked_up("two.example") == [ANSWER]


def test_what_upstreams_say_is_passed_on(site: Site) -> None:
    def nothing(asked: Message, tcp: bool) -> list[bytes]:
        return [reply(asked, rcode=3).to_wire()]

    upstream = site.upstream(1, nothing)
    site.use(upstream)
    assert site.box.looked_up("no.example") == ["NXDOMAIN"]
    upstream.behaviour = failing
    assert site.box.looked_up("broken.example") == ["SERVFAIL"]
    asked = site.box.ask("MiXeD.Example", use_edns=0, want_dnssec=True)
    assert str(asked.question[0].name) == "MiXeD.Example."
    assert upstream.seen[-1][0].ednsflags & dns.flags.DO


def test_without_upstreams_no_packet_leaves(site: Site) -> None:
    wire = Wire(site.outside, "eth0")
    try:
        for number in range(20):
            began = time.monotonic()
            assert site.box.looked_up(f"secret{number}.example", tcp=bool(number % 2)) == ["REFUSED"]
            assert time.monotonic() - began < 1
        mark = b"the end of the capture"
        with site.box.open(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(mark, ("198.51.100.1", 9))
        frames = wire.heard_until(lambda frame: mark in frame)
        assert not [frame for frame in frames if b"secret" in frame]
    finally:
        wire.close()


def test_two_of_three_upstreams_are_dead(site: Site) -> None:
    site.use(site.upstream(1, silent), site.upstream(2, silent), site.upstream(3))
    took, found = timed(site.box, "first.example", MUSL)
    assert found == [ANSWER]
    assert took < 2.0
    times, own = [], []
    for number in range(200):
        took, found = timed(site.box, f"n{number}.example", MUSL)
        assert found == [ANSWER]
        times.append(took)
        own.append(timed(site.box, "web", MUSL)[0])
    # a busy machine lets each of four wait for its turn here, and each of two for a name that nobody else is asked for
    assert statistics.quantiles(times, n=100)[98] < 0.05 + 2 * statistics.quantiles(own, n=100)[98]


def test_many_ask_at_once_while_two_of_three_are_dead(site: Site) -> None:
    site.use(site.upstream(1, silent), site.upstream(2, silent), site.upstream(3))
    with contextlib.ExitStack() as stack:
        asking = [stack.enter_context(site.box.socket()) for _ in range(100)]
        began = time.monotonic()
        for number, socket_ in enumerate(asking):
            socket_.send(dns.message.make_query(f"n{number}.example", "A").to_wire())
        for socket_ in asking:
            assert dns.message.from_wire(socket_.recv(512)).answer
        assert time.monotonic() - began < MUSL


def test_an_upstream_that_comes_back_is_used_again(site: Site) -> None:
    first, second = site.upstream(1, silent), site.upstream(2)
    site.use(first, second)
    assert site.box.looked_up("a.example") == [ANSWER]
    first.behaviour = good

    def used_again() -> bool:
        assert timed(site.box, "b.example")[0] < 0.5
        before = second.asked_for("c.example")
        site.box.looked_up("c.example")
        return second.asked_for("c.example") == before

    wait_until(used_again, 20, "the first upstream to be tried")


def test_a_dead_upstream_gets_few_questions(site: Site) -> None:
    dead = site.upstream(1, silent)
    site.use(dead, site.upstream(2))
    for number in range(200):
        site.box.looked_up(f"n{number}.example")
    assert len(dead.seen) <= 3


def test_where_nobody_answers_the_client_is_told_in_time(site: Site) -> None:
    dead = site.upstream(1, silent)
    site.use(dead)
    took, found = timed(site.box, "gone.example")
    assert found == ["SERVFAIL"]
    assert 2 < took < GLIBC
    assert dead.asked_for("gone.example") >= 3, "a question may be lost, so it is asked again"


def test_where_nobody_can_be_reached_the_client_is_told_at_once(site: Site, host: Host) -> None:
    for address in ("203.0.113.1", "198.51.100.5"):  # no way leads there; nobody has the port
        site.lab.show(site.box.path, [APP], [zone.Upstream(address)])
        took, found = timed(site.box, f"name-{address}.example")
        assert found == ["SERVFAIL"]
        assert took < 1
    site.lab.show(site.box.path, [APP], [zone.Upstream("203.0.113.1"), zone.Upstream(site.upstream(1).address)])
    assert site.box.looked_up("other.example") == [ANSWER]


def test_another_upstream_may_know_better(site: Site) -> None:
    bad = site.upstream(1, failing)
    site.use(bad, site.upstream(2))
    for number in range(3):
        took, found = timed(site.box, f"n{number}.example")
        assert found == [ANSWER]
        assert took < 0.5


def forged(asked: Message, tcp: bool) -> list[bytes]:
    """Replies that are none to this question, and then the right one."""
    right = reply(asked, ANSWER).to_wire()
    number = (int.from_bytes(right[:2], "big") + 1) & 0xFFFF
    other = reply(dns.message.make_query("other.example", "A", id=asked.id), "203.0.113.66").to_wire()
    return [number.to_bytes(2, "big") + right[2:], other, asked.to_wire(), b"", b"\0", right]


def test_what_was_not_asked_for_is_not_believed(site: Site) -> None:
    site.use(site.upstream(1, forged))
    assert site.box.looked_up("example.com") == [ANSWER]


def test_somebody_else_is_not_believed(site: Site) -> None:
    """A reply with everything right, sent to the right port, from another address, and from another port of the right one."""
    liars = [site.outside.udp(0, address) for address in ("198.51.100.2", "198.51.100.1")]

    def undermined(asked: Message, tcp: bool) -> list[bytes]:
        _, asker = upstream.seen[-1]
        for liar in liars:
            liar.sendto(reply(asked, "203.0.113.66").to_wire(), asker)
        return [reply(asked, ANSWER).to_wire()]

    upstream = site.upstream(1, undermined)
    site.use(upstream)
    for number in range(10):
        assert site.box.looked_up(f"n{number}.example") == [ANSWER]
    assert len({peer[1] for _, peer in upstream.seen}) > 5, "each question has a port of its own"
    assert len({asked.id for asked, _ in upstream.seen}) > 5
    for liar in liars:
        liar.close()


LONG = tuple(f'"{"x" * 200}{number}"' for number in range(30))


def large(asked: Message, tcp: bool) -> Iterable[bytes]:
    whole = reply(asked, *LONG, rdtype="TXT")
    return [whole.to_wire() if tcp else reply(asked, flags=dns.flags.TC).to_wire()]


def test_what_an_upstream_cannot_say_in_a_datagram_is_asked_by_tcp(site: Site) -> None:
    upstream = site.upstream(1, large)
    site.use(upstream)
    assert len(site.box.looked_up("long.example", "TXT", tcp=True)) == len(LONG)
    cut = site.box.ask("long.example", "TXT")
    assert cut.flags & dns.flags.TC
    assert not cut.answer


def test_an_upstream_without_tcp_gives_what_it_can(site: Site) -> None:
    def partial(asked: Message, tcp: bool) -> list[bytes]:
        return [] if tcp else [reply(asked, ANSWER, flags=dns.flags.TC).to_wire()]

    site.use(site.upstream(1, partial))
    took, found = timed(site.box, "example.com")
    assert found == [ANSWER]
    assert took < 3


def unread(box: Box) -> int:
    """How many bytes of datagrams wait in the namespace of this sandbox to be read."""
    _, *lines = box.call(Path("/proc/thread-self/net/udp").read_text).splitlines()
    return sum(int(line.split()[4].partition(":")[2], 16) for line in lines)


def test_the_same_question_is_asked_once(site: Site) -> None:
    waiting = threading.Event()

    def slow(asked: Message, tcp: bool) -> list[bytes]:
        waiting.wait(5)
        return good(asked, tcp)

    upstream = site.upstream(1, slow)
    site.use(upstream)
    with contextlib.ExitStack() as stack:
        asking = [stack.enter_context(site.box.socket()) for _ in range(40)]
        for number, socket_ in enumerate(asking):
            socket_.send(dns.message.make_query("same.example", "A", id=number).to_wire())
        wait_until(lambda: upstream.seen and not unread(site.box), what="all questions to be taken in")
        waiting.set()
        for number, socket_ in enumerate(asking):
            answer = dns.message.from_wire(socket_.recv(512))
            assert answer.id == number
            assert answer.answer
    assert upstream.asked_for("same.example") == 1


def test_who_waits_is_told_when_the_way_out_is_closed(site: Site) -> None:
    dead = site.upstream(1, silent)
    site.use(dead)
    with site.box.socket() as asking, site.box.socket() as other:
        asking.send(dns.message.make_query("a.example", "A").to_wire())
        wait_until(lambda: dead.seen, what="the question")
        site.use(site.upstream(2))
        assert dns.message.from_wire(asking.recv(512)).answer, "it goes to the new upstream"
        site.use(dead)
        other.send(dns.message.make_query("b.example", "A").to_wire())
        wait_until(lambda: dead.asked_for("b.example"), what="the question")
        site.use()
        assert dns.message.from_wire(other.recv(512)).rcode() == 5


def test_who_floods_a_dead_upstream_waits_alone(site: Site, host: Host) -> None:
    other = Box(host, host.namespace("other"))
    with contextlib.closing(Upstream(other, "127.0.0.53")) as upstream:
        site.lab.show(other.path, [APP], [zone.Upstream(upstream.address)])
        site.use(site.upstream(1, silent))
        before = site.lab.memory()
        with site.box.socket() as flooding:
            for number in range(5_000):
                with contextlib.suppress(BlockingIOError):
                    flooding.send(dns.message.make_query(f"n{number}.example", "A").to_wire(), socket.MSG_DONTWAIT)
                if number % 100 == 0:
                    assert timed(other, f"n{number}.example")[1] == [ANSWER]
        assert site.lab.memory() - before < 20
