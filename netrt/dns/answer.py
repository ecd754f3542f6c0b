"""The answer to a message from a container: bytes in, bytes out, or a question for somebody else, or silence. Pure.

Rule 1: no message raises an exception, and each takes bounded time. Rule 2: what answers is only what the view's networks hold.
Rule 3: a name that a network's domain is the end of is never asked of anybody else."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import dns.exception
import dns.name
import dns.rdataset
import dns.renderer
import msgspec
from dns.rdata import Rdata
from dns.rdataclass import IN
from dns.rdatatype import AAAA, ANY, AXFR, HINFO, IXFR, OPT, PTR, SOA, SRV, TKEY, TSIG, A
from dns.rdtypes.ANY.HINFO import HINFO as HinfoData
from dns.rdtypes.ANY.PTR import PTR as PtrData
from dns.rdtypes.ANY.SOA import SOA as SoaData
from dns.rdtypes.IN.A import A as AData
from dns.rdtypes.IN.AAAA import AAAA as AaaaData
from dns.rdtypes.IN.SRV import SRV as SrvData
from dns.renderer import ADDITIONAL, ANSWER, AUTHORITY

from netrt.dns.forward import Forward, forward
from netrt.dns.lookup import Entry, Found, look_up
from netrt.dns.query import AA, CD, HEADER, QR, RA, RD, SIZE, TC, Query, read_query
from netrt.dns.zone import Names, View

NOERROR, FORMERR, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 3, 4, 5, 16

NEVER = frozenset({OPT, TKEY, TSIG, IXFR, AXFR})
"""Types that are no questions about a name: refused, and asked of nobody."""

OPT_SIZE = 11


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """`wire` is the answer. A `reusable` one is right for every message that has the same `cache_key`, but for the id, as long
    as none of `entries` changes, and the view stays. `turns` is how many orders its addresses have: one for each `spread`."""

    wire: bytes
    reusable: bool = False
    entries: tuple[Entry, ...] = ()
    turns: int = 1


def cache_key(message: bytes) -> bytes | None:
    """By what a ready answer is found: all of the message after its id, which it is given anew. Answers by UDP and by TCP differ.
    None for a message that is never answered from ready ones."""
    return message[2:] if HEADER.size < len(message) <= 512 else None


def answer(names: Names, view: View, message: bytes, *, tcp: bool = False, spread: int = 0) -> Reply | Forward | None:
    """What becomes of a message from the sandbox of `view`. `spread` turns the order of several addresses."""
    if len(message) < HEADER.size or message[2] & 0x80:
        return None
    id_, flags, *_ = HEADER.unpack_from(message)
    if flags >> 11 & 15:
        return Reply(wire=_bare(id_, flags, NOTIMP))
    try:
        query = read_query(message)
    except (dns.exception.DNSException, struct.error):
        return Reply(wire=_bare(id_, flags, FORMERR))
    page = _Page(query, view, tcp)
    if query.edns and query.edns.version > 0:
        return Reply(wire=page.wire(BADVERS))
    if query.rdclass != IN or query.type in NEVER:
        return Reply(wire=page.wire(REFUSED))
    found = look_up(names, view, query.name)
    if found.ours:
        return _reply(found, page, spread)
    if view.upstreams:
        return forward(query, view.upstreams, tcp=tcp)
    return Reply(wire=page.wire(REFUSED), reusable=True, entries=found.entries)


def _bare(id_: int, flags: int, rcode: int) -> bytes:
    """A header alone, for what could not be read."""
    return HEADER.pack(id_, QR | flags & (0x7800 | RD | CD) | rcode, 0, 0, 0, 0)


def _reply(found: Found, page: _Page, spread: int) -> Reply:
    query = page.query
    records = tuple(_records(found, query.type, query.name))
    turn = spread % len(records) if records else 0
    for record in records[turn:] + records[:turn]:
        page.add(ANSWER, query.qname, record, found.ttl)
    if not records:
        owner = _name(found.domain) if found.domain else query.qname
        page.add(AUTHORITY, owner, _soa(owner, found.ttl), found.ttl)
    if query.type == SRV:
        for target in found.targets:
            for address in target.addresses:
                page.add(ADDITIONAL, _name(target.name), _address(address), found.ttl)
    wire = page.wire(AA | (NOERROR if found.exists else NXDOMAIN))
    return Reply(wire=wire, reusable=True, entries=found.entries, turns=max(1, len(records)))


def _records(found: Found, rdtype: int, name: str) -> Iterator[Rdata]:
    """The data that a name has of one type."""
    if rdtype == A:
        yield from (_address(address) for address in found.addresses if ":" not in address)
    elif rdtype == AAAA:
        yield from (_address(address) for address in found.addresses if ":" in address)
    elif rdtype == PTR:
        yield from (PtrData(IN, PTR, _name(name)) for name in found.pointers)
    elif rdtype == SRV:
        yield from (SrvData(IN, SRV, 0, 0, target.port, _name(target.name)) for target in found.targets)
    elif rdtype == SOA and name == found.domain:
        yield _soa(_name(name), found.ttl)
    elif rdtype == ANY and found.exists:
        yield HinfoData(IN, HINFO, b"RFC8482", b"")


def _address(address: str) -> Rdata:
    return AaaaData(IN, AAAA, address) if ":" in address else AData(IN, A, address)


def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(text)


def _soa(owner: dns.name.Name, ttl: int) -> Rdata:
    """Says for how long a client may believe that there is nothing."""
    return SoaData(IN, SOA, owner, owner, 1, 3600, 600, 86400, ttl)


class _Page:
    """A message that is written until it is full."""

    def __init__(self, query: Query, view: View, tcp: bool) -> None:
        self.query = query
        self._flags = QR | query.flags & (RD | CD) | (RA if view.upstreams else 0)
        self._out = dns.renderer.Renderer(query.id, 0, query.limit(tcp))
        self._out.add_question(query.qname, query.type, query.rdclass)
        if query.edns:
            self._out.reserve(OPT_SIZE)
        self._full = False

    def add(self, section: int, owner: dns.name.Name, data: Rdata, ttl: int) -> None:
        """One record more, if there is room. Where an answer has none, the client is told to come by TCP."""
        if self._full:
            return
        try:
            self._out.add_rdataset(section, owner, dns.rdataset.from_rdata(ttl, data))
        except dns.exception.TooBig:
            self._full = True
            self._flags |= TC if section != ADDITIONAL else 0

    def wire(self, rcode: int) -> bytes:
        """The message, with a code that may be an extended one and carry AA."""
        if self.query.edns:
            self._out.release_reserved()
            dnssec = 0x8000 if self.query.edns.dnssec else 0
            self._out.add_edns(0, dnssec | (rcode & 0x3F0) << 20, SIZE)
        self._out.flags = self._flags | rcode & (AA | 0xF)
        self._out.write_header()
        return bytes(self._out.get_wire())
