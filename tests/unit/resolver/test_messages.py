"""What netrtd and netrt-dns say to each other comes over whole, in whatever pieces it arrives."""

from __future__ import annotations

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netrt.dns.difference import Change, changes
from netrt.dns.zone import Names
from netrt.resolver.messages import MOST, All, Frames, Some, Taken, framed, read_message, read_taken
from tests.unit.dns.asking import NAMES

MESSAGES = (All(NAMES), Some(changes(Names(), NAMES)), Some(Change()))


@given(st.lists(st.integers(1, 60), max_size=200))
def test_messages_arrive_in_pieces(pieces: list[int]) -> None:
    stream, frames, found = b"".join(map(framed, MESSAGES)), Frames(), []
    for size in [*pieces, len(stream)]:
        frames.add(stream[:size])
        stream = stream[size:]
        while (body := frames.next()) is not None:
            found.append(read_message(body))
    assert tuple(found) == MESSAGES


def test_acknowledgements_arrive() -> None:
    taken = Taken(mark="m", version="1", errors={"/run/netns/a": "is not there"})
    frames = Frames()
    frames.add(framed(taken))
    body = frames.next()
    assert body is not None
    assert read_taken(body) == taken


def test_a_message_without_end_is_refused() -> None:
    frames = Frames()
    frames.add(struct.pack("!I", MOST + 1))
    with pytest.raises(ValueError, match=str(MOST + 1)):
        frames.next()


def test_anything_else_is_refused() -> None:
    for body in (b"", b"\x80", msgspec.msgpack.encode({"type": "Nobody"}), framed(All(NAMES))):
        with pytest.raises(msgspec.MsgspecError):
            read_message(body)
