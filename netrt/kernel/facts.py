"""What this host is like: the way out, and which addresses are spoken for.

Rule 1: the kernel itself says which route leads outside, so that rules and tables of a VPN count. Rule 2: every destination of
every table is spoken for, except the defaults: a default may be one route to everything, or two to the halves of everything (0/1
and 128/1, as VPNs do). Rule 3: what stands on our own bridges, or bears our protocol, is the State's to know.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from pyroute2.netlink.rtnl import rt_type

from netrt.dataplane.facts import HostFacts
from netrt.dataplane.objects import MARK, ROUTE_PROTOCOL, LinkKind
from netrt.kernel import links, routes
from netrt.kernel.netlink import Netlink
from netrt.kernel.routes import SeenAddress, SeenRoute
from netrt.kernel.sysctl import Forwarding, read
from netrt.model.address import host_of, prefix_of

_OUTSIDE = ("203.0.113.1", "2001:2::1")
"""Addresses that nobody has (RFC 5737, RFC 5180): what leads there is the way to everywhere."""

DEFAULT_MTU = 1500
HALF = 1
"""The longest prefix that still counts as a default."""

_LOCAL = rt_type["local"]
_SPOKEN_FOR = frozenset(rt_type[name] for name in ("unicast", "local", "blackhole", "unreachable", "prohibit", "throw"))


def gather(netlink: Netlink, forwarding: Forwarding, mtu: int = DEFAULT_MTU) -> HostFacts:
    """The facts of the namespace of this socket, without listeners; `mtu` is meant where nothing leads outside. Raises OSError,
    KernelRefused."""
    bridges = [links.read_link(message) for message in netlink.dump(links.all_links(LinkKind.BRIDGE))]
    # only bridges of ours have addresses on the host; so only bridges are listed, however many containers there are
    ours = frozenset(link.index for link in bridges if link.alias.startswith(MARK))
    addresses = [routes.read_address(message) for message in netlink.dump(routes.get_addresses())]
    ways = [routes.read_route(message) for message in netlink.dump(routes.get_routes(ours=False))]
    taken = {*_connected(addresses, ours), *_destinations(ways, ours)}
    return HostFacts(
        mtu=outside_mtu(netlink) or mtu,
        routes=tuple(sorted(taken, key=_order)),
        addresses=tuple(sorted({host_of(a.address) for a in addresses}, key=_order)),
        raised=forwarding.raised(),
        opened=forwarding.opened(),
        bridges=frozenset(link.name for link in bridges if link.index not in ours),
        congctl=near_congctl(),
    )


def near_congctl() -> str:
    """For TCP between containers of one network. BBR paces what it sends by a timer, as if there were a bottleneck on the way;
    over a bridge that costs a third of the speed or more. Empty where the host has another default, or nothing better."""
    default, there = (read(f"net/ipv4/tcp_{name}_control") or "" for name in ("congestion", "available_congestion"))
    return "cubic" if default.startswith("bbr") and "cubic" in there.split() else ""


def _order(text: str) -> tuple[bool, str]:
    return ":" in text, text


def _connected(addresses: Iterable[SeenAddress], ours: frozenset[int]) -> Iterator[str]:
    for held in addresses:
        subnet = ipaddress.ip_interface(held.address).network
        if held.index not in ours and not (subnet.is_link_local or subnet.is_loopback):
            yield str(subnet)


def _destinations(ways: Iterable[SeenRoute], ours: frozenset[int]) -> Iterator[str]:
    for way in ways:
        foreign = way.protocol != ROUTE_PROTOCOL and way.link not in ours
        if not foreign or way.type not in _SPOKEN_FOR or prefix_of(way.dst) <= HALF:
            continue
        subnet = ipaddress.ip_network(way.dst)
        own_address = way.type == _LOCAL and subnet.num_addresses == 1
        if not (own_address or subnet.is_link_local or subnet.is_loopback or subnet.is_multicast):
            yield str(subnet)


def outside_mtu(netlink: Netlink) -> int:
    """The smaller one of the ways that lead outside, IPv4's and IPv6's; 0 where there is none."""
    answers = netlink.ask([routes.look_up(target) for target in _OUTSIDE])
    ways = [routes.read_route(answer.message) for answer in answers if answer.message is not None]
    defaults = [way for way in ways if way.link and prefix_of(way.dst) <= HALF]
    found = []
    for way, answer in zip(defaults, netlink.ask([links.get_link_at(way.link) for way in defaults]), strict=True):
        if answer.message is not None:
            mtu = links.read_link(answer.message).mtu
            found.append(min(mtu, way.mtu or mtu))
    return min(found, default=0)
