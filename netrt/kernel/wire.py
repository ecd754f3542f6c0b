"""Netlink messages as bytes, with pyroute2's names and numbers.

Theory: a message is a header (`struct nlmsghdr`), a fixed struct of its kind, and attributes: length, number, payload, padded to
four bytes; a payload may be attributes again. pyroute2's own message classes do the same, at 0.25 to 0.5 ms a message; that is
more than the kernel's work on it, and an attach sends a dozen. https://docs.kernel.org/userspace-api/netlink/intro.html
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from pyroute2.netlink import NLA_F_NESTED, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_DONE, NLMSG_ERROR

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER_MASK = 0x3FFF  # NLA_TYPE_MASK: without the flags `nested` and `byte order`
_ERROR_TEXT = 1  # NLMSGERR_ATTR_MSG


def numbers(message: Any) -> dict[str, int]:
    """The attributes of one of pyroute2's message classes: number by name. Its tables stand in the kernel's order."""
    return {row[0]: number for number, row in enumerate(message.nla_map)}


class Request(NamedTuple):
    """What is asked of the kernel: message type, flags, fixed struct and attributes."""

    type: int
    flags: int
    body: bytes

    def pack(self, sequence: int, flags: int) -> bytes:
        """The whole message, with these flags besides its own."""
        return _HEADER.pack(16 + len(self.body), self.type, self.flags | flags, sequence, 0) + self.body


class Message(NamedTuple):
    """What the kernel says."""

    type: int
    flags: int
    sequence: int
    body: bytes


class Answer(NamedTuple):
    """The answer to one request: `errno` is 0 for yes; `text` is what the kernel added in words; `message` is the object that
    was asked for."""

    errno: int
    text: str
    message: Message | None = None


# pack


def attribute(number: int, payload: bytes) -> bytes:
    """One attribute."""
    return _ATTRIBUTE.pack(4 + len(payload), number) + payload + b"\0" * (-len(payload) % 4)


def u8(number: int, value: int) -> bytes:
    return attribute(number, bytes((value,)))


def u32(number: int, value: int) -> bytes:
    return attribute(number, struct.pack("=I", value))


def text(number: int, value: str) -> bytes:
    """A string with its NUL."""
    return attribute(number, value.encode() + b"\0")


def nested(number: int, *attributes: bytes) -> bytes:
    return attribute(number | NLA_F_NESTED, b"".join(attributes))


def mac(number: int, value: str) -> bytes:
    return attribute(number, bytes.fromhex(value.replace(":", "")))


# unpack


def messages(data: bytes) -> Iterator[Message]:
    """The messages in what one recv(2) gave."""
    at = 0
    while at < len(data):
        size, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
        assert 16 <= size <= len(data) - at, "a netlink message that is cut off"
        yield Message(kind, flags, sequence, data[at + 16 : at + size])
        at += (size + 3) & ~3


def attributes(data: bytes, at: int = 0) -> dict[int, bytes]:
    """The attributes from this place on: payload by number (the last one where a number comes twice)."""
    found = {}
    end = len(data)
    while at + 4 <= end:
        size, number = _ATTRIBUTE.unpack_from(data, at)
        found[number & _NUMBER_MASK] = data[at + 4 : at + size]
        at += (size + 3) & ~3
    return found


def answer(message: Message) -> Answer:
    """An error, an acknowledgement, the end of a dump, or an object, as an Answer."""
    if message.type not in (NLMSG_ERROR, NLMSG_DONE):
        return Answer(0, "", message)
    number = -struct.unpack_from("=i", message.body)[0]
    words = ""
    if message.flags & NLM_F_ACK_TLVS:
        at = 4
        if message.type == NLMSG_ERROR:  # the request's header stands between, and all of the request unless capped
            asked = struct.unpack_from("=I", message.body, 4)[0]
            at = 20 if message.flags & NLM_F_CAPPED else 4 + (asked + 3 & ~3)
        words = string(attributes(message.body, at).get(_ERROR_TEXT, b""))
    return Answer(number, words)


def string(payload: bytes) -> str:
    return payload.rstrip(b"\0").decode(errors="replace")


def number(payload: bytes) -> int:
    """An unsigned number of any width, in the machine's byte order."""
    return int.from_bytes(payload, sys.byteorder)


def address(payload: bytes) -> str:
    """An IPv4 or IPv6 address as canonical text."""
    return socket.inet_ntop(socket.AF_INET6 if len(payload) == 16 else socket.AF_INET, payload)
