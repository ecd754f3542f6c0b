"""A question that somebody else answers: what is sent to an upstream, and what of its reply goes back to the client. Pure."""

from __future__ import annotations

import struct

import msgspec

from netrt.dns.query import AD, CD, HEADER, QR, RA, RD, SIZE, TC, Query
from netrt.dns.zone import Upstream

_OPT = struct.Struct("!BHHIH")


class Forward(msgspec.Struct, frozen=True, kw_only=True):
    """Ask `upstreams`, in this order. `id` is the client's; `message` is what is sent, with an id of 0 that the sender replaces
    by one of its own; `limit` is how long the answer to the client may be, `flags` and `edns` are what it asked with."""

    id: int
    question: bytes
    message: bytes
    upstreams: tuple[Upstream, ...]
    flags: int
    edns: bool
    limit: int


def forward(query: Query, upstreams: tuple[Upstream, ...], *, tcp: bool) -> Forward:
    """What is asked instead of the client: its question, and of its wishes RD, AD, CD, DO and the size of datagrams."""
    header = HEADER.pack(0, query.flags & (RD | AD | CD), 1, 0, 0, 1 if query.edns else 0)
    size = SIZE if tcp else query.limit(tcp)
    opt = _OPT.pack(0, 41, size, 0x8000 if query.edns.dnssec else 0, 0) if query.edns else b""
    return Forward(
        id=query.id,
        question=query.question,
        message=header + query.question + opt,
        upstreams=upstreams,
        flags=query.flags,
        edns=query.edns is not None,
        limit=query.limit(tcp),
    )


def is_reply(asked: Forward, id: int, wire: bytes) -> bool:
    """Whether `wire` is an upstream's reply to what was asked under this id: a response, to this id and this question. Letters
    may differ in case. An upstream that could not read the question may leave it out."""
    if len(wire) < HEADER.size:
        return False
    found, flags, questions, answers, *_ = HEADER.unpack_from(wire)
    if found != id or not flags & QR or flags >> 11 & 15:
        return False
    if questions == 0:
        return not answers and flags & 15 in (1, 2, 4, 5)
    echoed = wire[HEADER.size : HEADER.size + len(asked.question)]
    return questions == 1 and echoed[-4:] == asked.question[-4:] and echoed.lower() == asked.question.lower()


def truncated(wire: bytes) -> bool:
    """Whether a reply says that there is more by TCP."""
    return bool(wire[2] & TC >> 8)


def relay(asked: Forward, wire: bytes) -> bytes:
    """What the client gets of an upstream's reply (`is_reply` was asked): its own id and question, and not more than it takes."""
    flags, questions, *counts = HEADER.unpack_from(wire)[1:]
    body = asked.question + wire[HEADER.size + (len(asked.question) if questions else 0) :]
    if HEADER.size + len(body) > asked.limit:
        return _without_records(asked, flags | TC)
    return HEADER.pack(asked.id, flags, 1, *counts) + body


def failure(asked: Forward, rcode: int = 2) -> bytes:
    """What the client gets when no upstream answered: SERVFAIL."""
    return _without_records(asked, QR | RA | asked.flags & (RD | CD) | rcode)


def _without_records(asked: Forward, flags: int) -> bytes:
    """Our own answer to the client's question: with EDNS if it was asked so (RFC 6891 section 6.1.1)."""
    opt = _OPT.pack(0, 41, SIZE, 0, 0) if asked.edns else b""
    return HEADER.pack(asked.id, flags, 1, 0, 0, int(asked.edns)) + asked.question + opt
