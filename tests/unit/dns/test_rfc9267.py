"""RFC 9267, "Common Implementation Anti-Patterns Related to Domain Name System (DNS) Resource Record (RR) Processing": its list,
by the sections' names. Each message is answered by an error or by silence, at once."""

from __future__ import annotations

import struct
import time

import dns.message
import dns.rcode
import pytest

from netrt.dns.answer import Reply
from tests.unit.dns.asking import APP_ONLY, outcome, query

HEADER = struct.Struct("!6H")
IN_A = b"\x00\x01\x00\x01"


def message(name: bytes, *, questions: int = 1, additional: int = 0, more: bytes = b"") -> bytes:
    return HEADER.pack(0x1234, 0x0100, questions, 0, 0, additional) + name + IN_A + more


def refused(wire: bytes) -> None:
    """The answer is FORMERR, under the id of the question, and took no time."""
    start = time.process_time()
    found = outcome(wire)
    assert time.process_time() - start < 0.1
    assert isinstance(found, Reply), found
    assert found.wire[:2] == wire[:2]
    assert dns.message.from_wire(found.wire).rcode() == dns.rcode.FORMERR
    assert not found.reusable


@pytest.mark.parametrize(
    "name",
    [
        b"\xc0\x0c",  # to itself
        b"\xc0\x0d",  # into itself
        b"\x03web\xc0\x0c",  # round and round
        b"\xc0\x0e\xc0\x0c",  # to each other
        b"\xc0\x00",  # into the header
        b"\xc0\x04\x00",
        b"\xc0\xff",  # beyond the end
        b"\xff\xff",
        b"\x03web\xc0\x40",  # forward
        b"\xc0",  # half a pointer
    ],
)
def test_section_2_compression_pointers_and_offsets(name: bytes) -> None:
    refused(message(name))


def test_section_2_chains_of_pointers_in_other_records() -> None:
    steps = b"".join(struct.pack("!H", 0xC000 | 12 + 2 * number) for number in range(900))
    refused(message(b"\x00", additional=1, more=steps + bytes(10)))
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 0)
    refused(message(b"\x03web\x00", additional=300, more=record * 300))
    refused(message(b"\x03web\x00", additional=1, more=b"\xc0\x19" + struct.pack("!HHIH", 1, 1, 0, 0)))


@pytest.mark.parametrize(
    "name",
    [
        b"\x40" + b"a" * 64 + b"\x00",  # 64 bytes, which is another kind of label
        b"\x80web\x00",  # a reserved kind
        b"\x41\x00",  # a binary label, as once there was
        b"\x3fshort\x00",  # less than it says
        b"".join(b"\x3f" + b"a" * 63 for _ in range(4)) + b"\x00",  # 257 bytes
        b"\x01a" * 128 + b"\x00",
    ],
)
def test_section_3_lengths_of_labels_and_names(name: bytes) -> None:
    refused(message(name))


def test_section_4_where_a_name_ends() -> None:
    refused(HEADER.pack(0x1234, 0x0100, 1, 0, 0, 0) + b"\x03web")
    refused(HEADER.pack(0x1234, 0x0100, 1, 0, 0, 0) + b"\x03web\x03app")
    refused(HEADER.pack(0x1234, 0x0100, 1, 0, 0, 0))
    inside = query("we\\000b").to_wire()
    found = outcome(inside)
    assert found is not None, "a NUL inside of a label ends nothing"
    assert not isinstance(found, Reply), "and it is not the name before the NUL"


@pytest.mark.parametrize("length", [1, 11, 4096, 65535])
def test_section_5_lengths_of_data(length: int) -> None:
    opt = b"\x00" + struct.pack("!HHIH", 41, 1232, 0, length)
    refused(message(b"\x03web\x00", additional=1, more=opt))
    other = b"\x00" + struct.pack("!HHIH", 16, 1, 0, length) + b"\x20text"
    refused(message(b"\x03web\x00", additional=1, more=other))


@pytest.mark.parametrize("option", [b"\x00", b"\x00\x0a\x00", b"\x00\x0a\x00\x01", b"\x00\x0a\xff\xff1"])
def test_section_5_lengths_inside_of_data(option: bytes) -> None:
    opt = b"\x00" + struct.pack("!HHIH", 41, 1232, 0, len(option)) + option
    refused(message(b"\x03web\x00", additional=1, more=opt))


@pytest.mark.parametrize(
    "counts",
    [
        (0, 0, 0, 0),
        (2, 0, 0, 0),
        (65535, 0, 0, 0),
        (1, 1, 0, 0),
        (1, 0, 1, 0),
        (1, 0, 0, 1),
        (1, 0, 0, 65535),
        (65535,) * 4,
    ],
)
def test_section_6_counts_of_records(counts: tuple[int, int, int, int]) -> None:
    refused(HEADER.pack(0x1234, 0x0100, *counts) + b"\x03web\x00" + IN_A)


def test_section_6_more_than_the_counts_say() -> None:
    refused(query("web").to_wire() + b"\x00")
    refused(query("web").to_wire() + query("web").to_wire())
    opt = b"\x00" + struct.pack("!HHIH", 41, 1232, 0, 0)
    refused(message(b"\x03web\x00", additional=2, more=opt + opt))
    refused(message(b"\x03web\x00", additional=1, more=b"\x01a" + opt))


def test_section_7_what_is_longer_than_any_question() -> None:
    text = b"\x00" + struct.pack("!HHIH", 16, 1, 0, 60000) + bytes(60000)
    refused(message(b"\x03web\x00", additional=1, more=text))
    found = outcome(message(b"\x03web\x00", additional=1, more=text), APP_ONLY, tcp=True)
    assert isinstance(found, Reply)
    assert len(found.wire) == 12
