"""Addresses and routes as rtnetlink messages: what to send for an operation, and what a message tells."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, AF_UNSPEC, inet_pton

from msgspec.structs import replace
from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE
from pyroute2.netlink.rtnl import (
    RTM_DELADDR,
    RTM_DELROUTE,
    RTM_GETADDR,
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWROUTE,
    rt_scope,
    rt_type,
)
from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_NODAD, ifaddrmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from netrt.dataplane.objects import HOST, ROUTE_PROTOCOL, Address, Route
from netrt.kernel.wire import Message, Request, address, attribute, attributes, nested, number, numbers, text, u8, u32
from netrt.model.address import host_of, prefix_of

_ADDRESS_HEADER = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, prefix length, flags, scope, index
_ROUTE_HEADER = struct.Struct(
    "=BBBBBBBBI"
)  # struct rtmsg: family, dst len, src len, tos, table, proto, scope, type, flags
_IFA = numbers(ifaddrmsg)
_RTA = numbers(rtmsg)
_METRIC_MTU, _METRIC_ADVMSS, _METRIC_CONGCTL = (
    numbers(rtmsg.metrics)[name] for name in ("RTAX_MTU", "RTAX_ADVMSS", "RTAX_CC_ALGO")
)
_MAIN, _LOCAL = 254, 255  # RT_TABLE_MAIN, RT_TABLE_LOCAL
_BY_KERNEL = 2  # RTPROT_KERNEL
_TOLD = 2  # IFAPROT_KERNEL_RA
_LOCAL_TYPE = rt_type["local"]
_UNICAST, _UNIVERSE, _ON_LINK = rt_type["unicast"], rt_scope["universe"], rt_scope["link"]
_USUAL_METRIC6 = 1024  # IP6_RT_PRIO_USER: what 0 becomes
_SHOW_MATCH = 0x2000  # RTM_F_FIB_MATCH: answer a lookup with the route itself, not with a host route made of it


@dataclass(frozen=True, slots=True)
class SeenAddress:
    """An address on the link of an index, with prefix length. `link_local`: the kernel's own. `routed`: not known to lack the
    routes that the kernel makes of it. `told`: by a router of the LAN (SLAAC). `ours`: it bears our mark."""

    index: int
    address: str
    link_local: bool
    routed: bool = True
    told: bool = False
    ours: bool = False


@dataclass(frozen=True, slots=True)
class SeenRoute:
    """A route: `type` is the kernel's RTN_ number; `link` and `via` are 0 and empty where it has none or several; `mtu`, `advmss`
    and `metric` are 0 where not said."""

    dst: str
    via: str
    link: int
    type: int
    table: int
    protocol: int
    metric: int
    mtu: int
    advmss: int
    scope: int
    src: str = ""
    congctl: str = ""

    @property
    def lasting(self) -> bool:
        """Whether it is one that stays as long as nobody takes it away: ours, or one that the kernel makes of an address."""
        return self.type in (_UNICAST, _LOCAL_TYPE) and self.protocol in (ROUTE_PROTOCOL, _BY_KERNEL)


def _family(text: str) -> int:
    return AF_INET6 if ":" in text else AF_INET


def _packed(text: str) -> bytes:
    return inet_pton(_family(text), text)


# addresses


def get_addresses(index: int = 0) -> Request:
    """Dump the addresses of one link, or of all (0)."""
    return Request(RTM_GETADDR, 0, _ADDRESS_HEADER.pack(AF_UNSPEC, 0, 0, 0, index))


def read_address(message: Message) -> SeenAddress:
    _, prefix, _, _, index = _ADDRESS_HEADER.unpack_from(message.body)
    held = attributes(message.body, _ADDRESS_HEADER.size)
    raw = held.get(_IFA["IFA_LOCAL"]) or held[_IFA["IFA_ADDRESS"]]
    local = len(raw) == 16 and raw[0] == 0xFE and raw[1] & 0xC0 == 0x80
    by = number(held.get(_IFA["IFA_PROTO"], b""))
    return SeenAddress(index, f"{address(raw)}/{prefix}", local, told=by == _TOLD, ours=by == ROUTE_PROTOCOL)


def add_address(wanted: Address, index: int) -> Request:
    return Request(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, _address(wanted, index))


def delete_address(gone: Address, index: int) -> Request:
    return Request(RTM_DELADDR, NLM_F_ACK, _address(gone, index))


def resize_address(wanted: Address, before: str, index: int) -> tuple[Request, Request]:
    """IPv4 takes the new one first, and what the old one leaves keeps its routes; IPv6 refuses an address twice on one link."""
    made, gone = add_address(wanted, index), delete_address(replace(wanted, address=before), index)
    return (gone, made) if ":" in before else (made, gone)


def _address(thing: Address, index: int) -> bytes:
    raw = _packed(host_of(thing.address))
    flags = IFA_F_NODAD if len(raw) == 16 else 0
    header = _ADDRESS_HEADER.pack(_family(thing.address), prefix_of(thing.address), flags, _UNIVERSE, index)
    marked = u8(_IFA["IFA_PROTO"], ROUTE_PROTOCOL) if thing.netns == HOST else b""
    return header + attribute(_IFA["IFA_LOCAL"], raw) + attribute(_IFA["IFA_ADDRESS"], raw) + marked


# routes


def get_routes(*, ours: bool = False) -> Request:
    """Dump all routes of all tables, or ours."""
    protocol, kind = (ROUTE_PROTOCOL, _UNICAST) if ours else (0, 0)
    return Request(RTM_GETROUTE, 0, _ROUTE_HEADER.pack(AF_UNSPEC, 0, 0, 0, 0, protocol, 0, kind, 0))


def made_of(held: SeenAddress) -> frozenset[tuple[str, int]]:
    """The routes (destination, table) that the kernel makes of an address on a link that is up: to itself, and to its subnet."""
    raw, prefix = _packed(host_of(held.address)), prefix_of(held.address)
    bits = 8 * len(raw)
    outside = bits - prefix
    subnet = address((int.from_bytes(raw) >> outside << outside).to_bytes(len(raw)))
    alone = (f"{host_of(held.address)}/{bits}", _LOCAL)
    return frozenset({alone, (f"{subnet}/{prefix}", _MAIN)} if outside else {alone})


def get_made(link: int) -> Request:
    """Dump the routes over a link that the kernel made: few, however many a container has."""
    header = _ROUTE_HEADER.pack(AF_UNSPEC, 0, 0, 0, 0, _BY_KERNEL, 0, 0, 0)
    return Request(RTM_GETROUTE, 0, header + u32(_RTA["RTA_OIF"], link))


def made(dumped: Iterable[Message]) -> frozenset[tuple[str, int]]:
    """Destination and table of these routes, of which none leads everywhere."""
    found = set()
    for message in dumped:
        _, prefix, _, _, table, *_ = _ROUTE_HEADER.unpack_from(message.body)
        if to := attributes(message.body, _ROUTE_HEADER.size).get(_RTA["RTA_DST"]):
            found.add((f"{address(to)}/{prefix}", table))
    return frozenset(found)


def look_up(target: str) -> Request:
    """Ask which route leads to an address, rules and all tables considered."""
    raw = _packed(target)
    header = _ROUTE_HEADER.pack(_family(target), len(raw) * 8, 0, 0, 0, 0, 0, 0, _SHOW_MATCH)
    return Request(RTM_GETROUTE, 0, header + attribute(_RTA["RTA_DST"], raw))


def read_route(message: Message) -> SeenRoute:
    family, prefix, _, _, table, protocol, scope, kind, _ = _ROUTE_HEADER.unpack_from(message.body)
    held = attributes(message.body, _ROUTE_HEADER.size)
    to = held.get(_RTA["RTA_DST"], bytes(16 if family == AF_INET6 else 4))
    via = held.get(_RTA["RTA_GATEWAY"], b"")
    metrics = attributes(held.get(_RTA["RTA_METRICS"], b""))
    return SeenRoute(
        dst=f"{address(to)}/{prefix}",
        via=address(via) if via else "",
        link=number(held.get(_RTA["RTA_OIF"], b"")),
        type=kind,
        table=number(held.get(_RTA["RTA_TABLE"], bytes((table,)))),
        protocol=protocol,
        metric=number(held.get(_RTA["RTA_PRIORITY"], b"")),
        mtu=number(metrics.get(_METRIC_MTU, b"")),
        advmss=number(metrics.get(_METRIC_ADVMSS, b"")),
        scope=scope,
        src=address(src) if (src := held.get(_RTA["RTA_PREFSRC"], b"")) else "",
        congctl=metrics.get(_METRIC_CONGCTL, b"").rstrip(b"\0").decode(),
    )


def as_object(seen: SeenRoute, netns: str, link: str) -> Route:
    """A route of ours on a link of this name, with what the kernel takes by itself left out."""
    return Route(
        netns=netns,
        dst=seen.dst,
        via=seen.via,
        link=link,
        metric=0 if ":" in seen.dst and seen.metric == _USUAL_METRIC6 else seen.metric,
        table=0 if seen.table == _MAIN else seen.table,
        mtu=seen.mtu,
        advmss=seen.advmss,
        scope=-1 if seen.scope == _usual_scope(seen.dst, seen.via) else seen.scope,
        src=seen.src,
        congctl=seen.congctl,
    )


def _usual_scope(dst: str, via: str) -> int:
    return int(_UNIVERSE if via or ":" in dst else _ON_LINK)


def add_route(route: Route, index: int, *, replace: bool = False) -> Request:
    """Add a route; `replace` takes the place of the one to the same destination, whosever it is. One with a congestion control
    of its own comes before others to its destination (`ip route prepend`; IPv6 has metrics for that)."""
    first = route.congctl and ":" not in route.dst
    how = NLM_F_REPLACE if replace else 0 if first else NLM_F_EXCL
    return Request(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | how, _route(route, index))


def delete_route(route: Route, index: int) -> Request:
    return Request(RTM_DELROUTE, NLM_F_ACK, _route(route, index))


def _route(route: Route, index: int) -> bytes:
    to, length = _packed(host_of(route.dst)), prefix_of(route.dst)
    scope = _usual_scope(route.dst, route.via) if route.scope < 0 else route.scope
    small = route.table or _MAIN if route.table < 256 else 0
    header = _ROUTE_HEADER.pack(_family(route.dst), length, 0, 0, small, ROUTE_PROTOCOL, scope, _UNICAST, 0)
    parts = [attribute(_RTA["RTA_DST"], to)] if length else []
    parts += [attribute(_RTA["RTA_GATEWAY"], _packed(route.via))] if route.via else []
    parts += [attribute(_RTA["RTA_PREFSRC"], _packed(route.src))] if route.src else []
    parts += [u32(_RTA["RTA_PRIORITY"], route.metric)] if route.metric else []
    parts += [u32(_RTA["RTA_TABLE"], route.table)] if route.table else []
    metrics = [u32(n, value) for n, value in ((_METRIC_MTU, route.mtu), (_METRIC_ADVMSS, route.advmss)) if value]
    metrics += [text(_METRIC_CONGCTL, route.congctl)] if route.congctl else []
    parts += [nested(_RTA["RTA_METRICS"], *metrics)] if metrics else []
    return header + b"".join(parts) + u32(_RTA["RTA_OIF"], index)
