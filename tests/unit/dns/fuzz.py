"""Messages that were right once, mutated, and what must hold for every answer. `python -m tests.unit.dns.fuzz SECONDS` goes on
for that long with another beginning each time, and says with which one something broke."""

from __future__ import annotations

import random
import secrets
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import dns.message

from netrt.dns.answer import Reply, answer
from netrt.dns.forward import Forward, failure, is_reply, relay, truncated
from tests.unit.dns.asking import BOTH, INSIDE, NAMES, query

SLOWEST = 0.1
"""Seconds of CPU that one message may take, each time."""

NAMES_ASKED = (
    *("web", "WeB.aPp", "nobody.app", "www.app", "crowd", "2.0.1.10.in-addr.arpa", "_http._tcp.www"),
    *(".", "example.com", "nobody", "a.Much.longer.name.example", ".".join(["a" * 63] * 3 + ["b" * 57, "app"])),
)
TYPES = ("A", "AAAA", "PTR", "SRV", "ANY", "SOA", "TXT", "AXFR", "TYPE65")
SEEDS = tuple(
    query(name, rdtype, size=size, id=0x1234, options=options).to_wire()
    for name in NAMES_ASKED
    for rdtype in TYPES
    for size, options in ((None, None), (512, None), (4096, [dns.edns.GenericOption(10, b"cookie88")]))
)
EDGES = (0, 1, 2, 0x0C, 0x3F, 0x40, 0x41, 0x7F, 0x80, 0xBF, 0xC0, 0xC1, 0xFE, 0xFF)

T = TypeVar("T")
Mutation = Callable[[random.Random, bytearray], None]


def _bit(rng: random.Random, wire: bytearray) -> None:
    wire[rng.randrange(len(wire))] ^= 1 << rng.randrange(8)


def _edge(rng: random.Random, wire: bytearray) -> None:
    wire[rng.randrange(len(wire))] = rng.choice(EDGES)


def _flags(rng: random.Random, wire: bytearray) -> None:
    wire[2:4] = struct.pack("!H", rng.choice((0, 0x8000, 0x7800, 0x0100)) ^ rng.randrange(0x400))


def _letter(rng: random.Random, wire: bytearray) -> None:
    wire[12 + rng.randrange(len(wire) - 12)] ^= 0x20


def _cut(rng: random.Random, wire: bytearray) -> None:
    del wire[rng.randrange(len(wire)) :]


def _pointer(rng: random.Random, wire: bytearray) -> None:
    place = rng.randrange(len(wire))
    wire[place : place + 2] = struct.pack("!H", 0xC000 | rng.randrange(len(wire) + 3))


def _count(rng: random.Random, wire: bytearray) -> None:
    place = rng.randrange(4, 12, 2)
    wire[place : place + 2] = struct.pack("!H", rng.choice((0, 1, 2, 3, 4, 5, 255, 65535)))


def _insert(rng: random.Random, wire: bytearray) -> None:
    place = rng.randrange(len(wire) + 1)
    wire[place:place] = rng.randbytes(rng.randrange(1, 40))


def _double(rng: random.Random, wire: bytearray) -> None:
    place = rng.randrange(len(wire))
    wire.extend(wire[place:] * rng.randrange(1, 5))


def _swell(rng: random.Random, wire: bytearray) -> None:
    wire.extend(
        rng.choice((b"\xc0\x0c", b"\x01a", b"\x00", b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"))
        * rng.randrange(600)
    )


GENTLE: tuple[Mutation, ...] = (_flags, _letter)
ROUGH: tuple[Mutation, ...] = (_bit, _bit, _bit, _edge, _edge, _cut, _pointer, _count, _insert, _double, _swell)


def mutated(rng: random.Random) -> bytes:
    """A message that is a little unusual, or went wrong in one to four places."""
    wire = bytearray(rng.choice(SEEDS))
    for mutation in rng.sample(GENTLE, rng.randrange(len(GENTLE) + 1)):
        mutation(rng, wire)
    for _ in range(rng.choice((0, 0, 1, 1, 1, 2, 3, 4))):
        rng.choice(ROUGH)(rng, wire)
        if not wire:
            break
    return bytes(wire[:65535])


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds of this thread, and the result."""
    began = time.thread_time()
    result = work()
    return time.thread_time() - began, result


def check(message: bytes, *, tcp: bool, spread: int) -> str:
    """What became of a message, in a word. AssertionError, or whatever exception there was, where it is not as it must be."""
    view = INSIDE if spread % 2 else BOTH
    took, found = _timed(lambda: answer(NAMES, view, message, tcp=tcp, spread=spread))
    if took >= SLOWEST:  # or Python looked for garbage just then: what a message costs, it costs each time
        took = min(_timed(lambda: answer(NAMES, view, message, tcp=tcp, spread=spread))[0] for _ in range(3))
    assert took < SLOWEST, "too slow"
    if found is None:
        assert len(message) < 12 or message[2] & 0x80, "silence for a question"
        return "silence"
    if isinstance(found, Forward):
        _check_reply(message, failure(found), found.limit)
        sent = dns.message.from_wire(found.message)
        assert len(sent.question) == 1
        assert message[12:].startswith(found.question)
        echo = b"\x01\x02" + bytes([found.message[2] | 0x80]) + found.message[3:]
        assert is_reply(found, 0x102, echo)
        _check_reply(message, relay(found, echo), found.limit)
        _check_upstream(found, message)
        return "forwarded"
    assert isinstance(found, Reply)
    _check_reply(message, found.wire, 65535 if tcp else 1232)
    return "answer" if found.entries else "error"


def _check_upstream(asked: Forward, message: bytes) -> None:
    """What an upstream sends may be anything: what the client gets is its own id and question, and not too long."""
    rng = random.Random(message)
    wire = bytearray(b"\x01\x02\x81\x80" + asked.message[4:] + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04abcd")
    for _ in range(3):
        rng.choice(ROUGH)(rng, wire)
        if not wire:
            break
        reply = b"\x01\x02" + bytes(wire[2:])
        if is_reply(asked, 0x102, reply):
            truncated(reply)
            got = relay(asked, reply)
            assert got[:2] == message[:2]
            assert got[12:].startswith(asked.question)
            assert len(got) <= asked.limit


def _check_reply(message: bytes, wire: bytes, limit: int) -> None:
    assert len(wire) <= limit
    reply = dns.message.from_wire(wire)
    assert wire[:2] == message[:2], "another id"
    assert wire[2] & 0xF8 == message[2] & 0x78 | 0x80, "no response, or to another kind of question"
    assert len(reply.question) <= 1
    if reply.question:
        end = len(reply.question[0].name.to_wire()) + 4
        assert wire[12 : 12 + end] == message[12 : 12 + end], "another question"
    else:
        assert reply.rcode() in (1, 4), "an answer without a question"
        assert len(wire) == 12, "records without a question"


def run(seed: int, count: int) -> Counter[str]:
    """Check so many messages; how many came to what."""
    rng = random.Random(seed)
    outcomes: Counter[str] = Counter()
    for number in range(count):
        message = mutated(rng)
        try:
            outcomes[check(message, tcp=number % 4 == 0, spread=number)] += 1
        except Exception as error:
            raise AssertionError(f"{error!r} (seed {seed}, message {number}: {message.hex()})") from error
    return outcomes


def main(seconds: float) -> None:
    """Go on until the time is over."""
    end, total = time.monotonic() + seconds, Counter[str]()
    while time.monotonic() < end:
        total += run(secrets.randbits(32), 2000)
    print(f"{total.total()} messages: " + ", ".join(f"{count} {word}" for word, count in sorted(total.items())))


if __name__ == "__main__":
    main(float(sys.argv[1]))
