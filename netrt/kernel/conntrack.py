"""Connection tracking entries of what was withdrawn, deleted: exactly those.

Theory: an entry has two tuples. The original one says what was asked for: a port of the host. The reply one says who answers: its
source is whom the connection was led to. So a port, and the container that it led to, name an entry by both its ends, and nobody
else's connection to that container or to that port number is among them.

Two ways, the first that the kernel can: delete by a filter (CTA_FILTER, since Linux 6.11; 0.2 ms, for it passes over the table's
empty buckets), or dump by the same filter (since 5.8; 10 ms) and delete entry by entry, which also knows wide ranges of ports.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from socket import AF_INET, AF_INET6, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, inet_ntop, inet_pton

from pyroute2.netlink import NETLINK_NETFILTER, NLA_F_NESTED, NLM_F_ACK
from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_CTNETLINK
from pyroute2.netlink.nfnetlink.nfctsocket import (
    FILTER_FLAG_CTA_IP_DST,
    FILTER_FLAG_CTA_IP_SRC,
    FILTER_FLAG_CTA_PROTO_DST_PORT,
    FILTER_FLAG_CTA_PROTO_NUM,
    IPCTNL_MSG_CT_DELETE,
    IPCTNL_MSG_CT_GET,
    IPS_DST_NAT,
    IPS_SRC_NAT,
    nfct_msg,
)
from pyroute2.netlink.rtnl import rt_type

from netrt.kernel import routes
from netrt.kernel.netlink import Netlink
from netrt.kernel.nfnetlink import request, told
from netrt.kernel.wire import Message, Request, attribute, attributes, nested, numbers, u8, u32
from netrt.model.address import host_of

_PROTOCOLS = {"tcp": IPPROTO_TCP, "udp": IPPROTO_UDP, "sctp": IPPROTO_SCTP}
_CTA, _TUPLE = numbers(nfct_msg), numbers(nfct_msg.cta_tuple)
_IP, _PROTO, _FILTER = map(numbers, (nfct_msg.cta_tuple.cta_ip, nfct_msg.cta_tuple.cta_proto, nfct_msg.cta_filter))
_NAMING = tuple(_CTA[name] for name in ("CTA_TUPLE_ORIG", "CTA_ID", "CTA_ZONE"))
"""What names one entry, even if another of the same tuple has taken its place."""
_SOURCE, _DESTINATION = (("CTA_IP_V4_SRC", "CTA_IP_V6_SRC"), ("CTA_IP_V4_DST", "CTA_IP_V6_DST"))
_FEW = 32
"""So many filters, one by one, cost less than one dump."""
_ANYWHERE = ("", "0.0.0.0", "::")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pattern:
    """What an entry must be like; 0, None and empty mean any. `source`, `destination`, and ports from `first` to `last`: of the
    original direction; `answering`: whom it was led to; `led`: whether its destination was translated."""

    family: int
    protocol: int = 0
    first: int = 0
    last: int = 0
    source: bytes = b""
    destination: bytes = b""
    answering: bytes = b""
    led: bool | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry, and the attributes that name it."""

    family: int
    protocol: int
    port: int
    source: bytes
    destination: bytes
    answering: bytes
    led: bool
    naming: bytes
    translated: bool


def forget_address(address: str, netlink: Netlink | None = None) -> None:
    """Delete the entries from or to a container's address.

    `netlink`: a socket of protocol NETLINK_NETFILTER, if one is at hand (to close one waits for what nftables has still to clear
    away). Raises OSError, KernelRefused."""
    family, raw = _packed(address)
    with _socket(netlink) as given:
        _forget(given, [_Pattern(family=family, source=raw), _Pattern(family=family, answering=raw)])


def forget_untranslated(addresses: Iterable[str], netlink: Netlink | None = None) -> None:
    """Delete the entries from or to these addresses that were translated at neither end. `netlink` as above. Raises OSError,
    KernelRefused."""
    meant = {_packed(address) for address in addresses}
    with _socket(netlink) as given:
        for family in {family for family, _ in meant}:
            status = _be32("CTA_STATUS", 0) + _be32("CTA_STATUS_MASK", IPS_SRC_NAT | IPS_DST_NAT)
            dump = request(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, family, status)
            entries = (_entry(message) for message in given.dump(dump))
            _delete(
                given, [e for e in entries if {(family, e.source), (family, e.answering)} & meant and not e.translated]
            )


def forget_port(
    protocol: str, host_ip: str, port: int, last: int, address: str, netlink: Netlink | None = None
) -> None:
    """Delete the entries to these ports of the host that were led to a container's address; with `address` empty, those to them
    that were led nowhere. `host_ip` empty, `0.0.0.0` or `::`: of all addresses of the host.

    `netlink` as above. Raises OSError, KernelRefused."""
    versions = [_packed(ip) for ip in ([address] if address else [host_ip] if host_ip else ["0.0.0.0", "::"])]
    host = _packed(host_ip)[1] if host_ip not in _ANYWHERE else b""
    wanted = [
        _Pattern(
            family=family,
            protocol=_PROTOCOLS[protocol],
            first=port,
            last=last,
            destination=host,
            answering=raw if address else b"",
            led=bool(address),
        )
        for family, raw in versions
    ]
    with _socket(netlink) as given:
        if address or host:
            _forget(given, wanted)
        else:
            _forget_local(given, wanted)


def _forget_local(netlink: Netlink, wanted: list[_Pattern]) -> None:
    """Delete what matches and is for one of the host's own addresses."""
    with Netlink() as rtnetlink:
        own = {_packed(host_of(routes.read_address(m).address)) for m in rtnetlink.dump(routes.get_addresses())}
        for pattern in wanted:
            placed = [replace(pattern, destination=raw) for family, raw in own if family == pattern.family]
            if not _flush(netlink, placed):
                found = list(_matching(netlink, [pattern]))
                local = {to for to in {entry.destination for entry in found} if _is_local(rtnetlink, to)}
                _delete(netlink, (entry for entry in found if entry.destination in local))


def _forget(netlink: Netlink, wanted: list[_Pattern]) -> None:
    if not _flush(netlink, wanted):
        _delete(netlink, _matching(netlink, wanted))


def _flush(netlink: Netlink, patterns: list[_Pattern]) -> bool:
    """Let the kernel delete what matches; false where it cannot: IPv6, many ports, or a kernel that takes this for the
    (incomplete) name of one entry, which it refuses."""
    if sum(p.last - p.first + 1 for p in patterns) > _FEW or any(p.family == AF_INET6 for p in patterns):
        return False
    ports = [replace(p, first=port, last=port) for p in patterns for port in range(p.first, p.last + 1)]
    answers = netlink.ask([_request(IPCTNL_MSG_CT_DELETE, pattern, NLM_F_ACK) for pattern in ports])
    return not any(answer.errno for answer in answers)


def _matching(netlink: Netlink, patterns: list[_Pattern]) -> Iterator[_Entry]:
    dumps: dict[Request, list[_Pattern]] = {}
    for pattern in patterns:
        dumps.setdefault(_request(IPCTNL_MSG_CT_GET, pattern), []).append(pattern)
    for dump, row in dumps.items():
        for message in netlink.dump(dump):
            if any(_telling(pattern) in message.body for pattern in row):  # quick, before it is taken apart
                entry = _entry(message)
                if any(_matches(entry, pattern) for pattern in row):
                    yield entry


def _telling(pattern: _Pattern) -> bytes:
    return pattern.source or pattern.answering or pattern.destination


def _delete(netlink: Netlink, entries: Iterable[_Entry]) -> None:
    requests = [
        request(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE, entry.family, entry.naming, NLM_F_ACK) for entry in entries
    ]
    for answer in netlink.ask(requests):
        if answer.errno not in (0, errno.ENOENT):  # ENOENT: it ended meanwhile
            raise OSError(answer.errno, answer.text or os.strerror(answer.errno))


# write


def _request(message: int, pattern: _Pattern, flags: int = 0) -> Request:
    """A request with a filter: what an entry's tuples must hold, and which of their fields count.

    No IPv6 address stands in it: the kernel (6.18 still) takes that comparison the wrong way round, so that it would delete all
    but what is meant (ctnetlink_filter_match_tuple in net/netfilter/nf_conntrack_netlink.c)."""
    port = pattern.first if pattern.first == pattern.last else 0
    original, asked = _tuple(pattern.family, pattern.source, pattern.destination, pattern.protocol, port)
    reply, answered = _tuple(pattern.family, pattern.answering)
    body = nested(_CTA["CTA_TUPLE_ORIG"], original) if asked else b""
    body += nested(_CTA["CTA_TUPLE_REPLY"], reply) if answered else b""
    if asked or answered:
        counting = u32(_FILTER["CTA_FILTER_ORIG_FLAGS"], asked) + u32(_FILTER["CTA_FILTER_REPLY_FLAGS"], answered)
        body += nested(_CTA["CTA_FILTER"], counting)
    if pattern.led is not None:
        body += _be32("CTA_STATUS", IPS_DST_NAT if pattern.led else 0) + _be32("CTA_STATUS_MASK", IPS_DST_NAT)
    return request(NFNL_SUBSYS_CTNETLINK, message, pattern.family, body, flags)


def _tuple(family: int, source: bytes, destination: bytes = b"", protocol: int = 0, port: int = 0) -> tuple[bytes, int]:
    """The attributes of a tuple with these fields, and the flags of those that count."""
    ip, proto, flags = b"", b"", 0
    if source and family == AF_INET:
        ip, flags = attribute(_IP["CTA_IP_V4_SRC"], source), FILTER_FLAG_CTA_IP_SRC
    if destination and family == AF_INET:
        ip, flags = ip + attribute(_IP["CTA_IP_V4_DST"], destination), flags | FILTER_FLAG_CTA_IP_DST
    if protocol:
        proto, flags = u8(_PROTO["CTA_PROTO_NUM"], protocol), flags | FILTER_FLAG_CTA_PROTO_NUM
    if port:
        proto += attribute(_PROTO["CTA_PROTO_DST_PORT"], struct.pack(">H", port))
        flags |= FILTER_FLAG_CTA_PROTO_DST_PORT
    fields = nested(_TUPLE["CTA_TUPLE_IP"], ip) if ip else b""
    return fields + (nested(_TUPLE["CTA_TUPLE_PROTO"], proto) if proto else b""), flags


def _be32(name: str, value: int) -> bytes:
    return attribute(_CTA[name], struct.pack(">I", value))


# read


def _entry(message: Message) -> _Entry:
    held = told(message)
    original, reply = held[_CTA["CTA_TUPLE_ORIG"]], held[_CTA["CTA_TUPLE_REPLY"]]
    status = int.from_bytes(held[_CTA["CTA_STATUS"]], "big")
    proto = attributes(attributes(original)[_TUPLE["CTA_TUPLE_PROTO"]])
    return _Entry(
        family=message.body[0],
        protocol=proto[_PROTO["CTA_PROTO_NUM"]][0],
        port=int.from_bytes(proto.get(_PROTO["CTA_PROTO_DST_PORT"], b""), "big"),
        source=_address(original, _SOURCE),
        destination=_address(original, _DESTINATION),
        answering=_address(reply, _SOURCE),
        led=bool(status & IPS_DST_NAT),
        naming=b"".join(
            attribute(number | (NLA_F_NESTED if number == _CTA["CTA_TUPLE_ORIG"] else 0), held[number])
            for number in _NAMING
            if number in held
        ),
        translated=bool(status & (IPS_SRC_NAT | IPS_DST_NAT)),
    )


def _address(fields: bytes, names: tuple[str, str]) -> bytes:
    held = attributes(attributes(fields)[_TUPLE["CTA_TUPLE_IP"]])
    return held.get(_IP[names[0]]) or held[_IP[names[1]]]


def _matches(entry: _Entry, pattern: _Pattern) -> bool:
    """Whether an entry is meant; older kernels pass over parts of a filter."""
    return (
        pattern.family == entry.family
        and pattern.protocol in (0, entry.protocol)
        and (not pattern.first or pattern.first <= entry.port <= pattern.last)
        and pattern.source in (b"", entry.source)
        and pattern.destination in (b"", entry.destination)
        and pattern.answering in (b"", entry.answering)
        and pattern.led in (None, entry.led)
    )


def _is_local(rtnetlink: Netlink, raw: bytes) -> bool:
    (answer,) = rtnetlink.ask([routes.look_up(inet_ntop(AF_INET6 if len(raw) == 16 else AF_INET, raw))])
    return answer.message is not None and routes.read_route(answer.message).type == rt_type["local"]


def _socket(netlink: Netlink | None) -> contextlib.AbstractContextManager[Netlink]:
    return contextlib.nullcontext(netlink) if netlink else Netlink(NETLINK_NETFILTER)


def _packed(address: str) -> tuple[int, bytes]:
    family = AF_INET6 if ":" in address else AF_INET
    return family, inet_pton(family, address)
