"""What netrtd and netrt-dns say to each other: over a unix socket, each message behind its length, in msgpack.

netrtd speaks first, and each of its messages is answered by one `Taken`. A `Change` fits the names with the mark that it names
and no others, so that it does not matter who was restarted in between: what does not fit is refused, and all names are sent."""

from __future__ import annotations

import struct

import msgspec

from netrt.dns.difference import Change
from netrt.dns.zone import Names, plain

MOST = 256 * 1024 * 1024
"""Bytes that a message may have."""

_LENGTH = struct.Struct("!I")


class All(msgspec.Struct, frozen=True, tag=True):
    """Serve these names."""

    names: Names


class Some(msgspec.Struct, frozen=True, tag=True):
    """Serve the present names with a change."""

    change: Change


class Taken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`mark` is that of the names that are served now, by the program of this version. Where `refused` is not empty, these are
    the same as before, and it tells why. `errors` tells of sandboxes (paths) of this message that cannot be served, and why; it
    is tried again without being asked for."""

    mark: str
    version: str
    refused: str = ""
    errors: dict[str, str] = {}


Message = All | Some

_encoder = msgspec.msgpack.Encoder(enc_hook=plain)
_message: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(All | Some)
_taken = msgspec.msgpack.Decoder(Taken)


def framed(message: Message | Taken) -> bytes:
    """A message as it is sent."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


def read_message(body: bytes) -> Message:
    """Raises msgspec.MsgspecError."""
    return _message.decode(body)


def read_taken(body: bytes) -> Taken:
    """Raises msgspec.MsgspecError."""
    return _taken.decode(body)


class Frames:
    """Messages out of what arrives in pieces."""

    def __init__(self) -> None:
        self._pieces = bytearray()

    def add(self, piece: bytes) -> None:
        self._pieces += piece

    def next(self) -> bytes | None:
        """The next message without its length, None while it is not whole. Raises ValueError for one that is too long."""
        if len(self._pieces) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._pieces)
        if length > MOST:
            raise ValueError(f"a message of {length} bytes")
        end = _LENGTH.size + length
        if len(self._pieces) < end:
            return None
        body = bytes(self._pieces[_LENGTH.size : end])
        del self._pieces[:end]
        return body
