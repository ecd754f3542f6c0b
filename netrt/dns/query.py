"""A question as it comes over the wire, taken apart. What is wrong with it is found here, and nothing that it says of its own
lengths, counts and pointers is believed (RFC 9267)."""

from __future__ import annotations

import struct

import dns.exception
import dns.name
import dns.wire
import msgspec
from dns.rdatatype import OPT

HEADER = struct.Struct("!6H")
QR, AA, TC, RD, RA, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010

SIZE = 1232
"""The largest datagram that is sent or asked for: it passes every network whole (RFC 9715)."""

LONGEST = 4096
"""Bytes of a question, by TCP too. A name has 255, and nobody has that much to add."""

MOST_RECORDS = 4
"""How many records may stand beside a question: OPT, and a signature that we do not look at."""


class Edns(msgspec.Struct, frozen=True):
    """The OPT record of a question: the size of datagrams that its sender takes, and whether it wants DNSSEC records."""

    version: int
    size: int
    dnssec: bool


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """`question` are the bytes of name, type and class as they came; `name` is its name in lower case without the last dot, with
    what is not plain text escaped, so that a dot inside of a label is never taken for one between labels."""

    id: int
    flags: int
    qname: dns.name.Name
    name: str
    type: int
    rdclass: int
    question: bytes
    edns: Edns | None = None

    def limit(self, tcp: bool) -> int:
        """How long an answer may be."""
        if tcp:
            return 65535
        return min(max(512, self.edns.size), SIZE) if self.edns else 512


def read_query(message: bytes) -> Query:
    """The one question of a message with opcode QUERY. Raises dns.exception.DNSException or struct.error for anything else."""
    parser = dns.wire.Parser(message)
    id_, flags, questions, answers, authorities, additionals = parser.get_struct("!6H")
    if len(message) > LONGEST or questions != 1 or answers or authorities or additionals > MOST_RECORDS:
        raise dns.exception.FormError
    qname = parser.get_name()
    type_, rdclass = parser.get_struct("!HH")
    question = message[HEADER.size : parser.current]
    edns = None
    for _ in range(additionals):
        found = _record(parser)
        if found and edns:
            raise dns.exception.FormError
        edns = found or edns
    if parser.remaining():
        raise dns.exception.FormError
    return Query(
        id=id_,
        flags=flags,
        qname=qname,
        name=plain(qname),
        type=type_,
        rdclass=rdclass,
        question=question,
        edns=edns,
    )


def plain(name: dns.name.Name) -> str:
    """A name as `Query.name` has it."""
    return ".".join(
        label.decode("ascii", "backslashreplace").replace(".", "\\046").lower() for label in name.labels[:-1]
    )


def _record(parser: dns.wire.Parser) -> Edns | None:
    """Read over one record; what it says if it is an OPT."""
    owner = parser.get_name(decompress=True)
    type_, size, ttl, length = parser.get_struct("!HHIH")
    with parser.restrict_to(length):
        if type_ != OPT:
            parser.get_remaining()
            return None
        if owner != dns.name.root:
            raise dns.exception.FormError
        while parser.remaining():
            _, option = parser.get_struct("!HH")
            parser.get_bytes(option)
    return Edns(version=ttl >> 16 & 0xFF, size=size, dnssec=bool(ttl & 0x8000))
