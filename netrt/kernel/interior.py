"""What a sandbox is like inside: its links with what they counted, its ways, its neighbours, and who waits there for others.

Read by a thread that goes there and ends; the engine and its sockets have no part in it."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from socket import AF_INET, AF_INET6

from pyroute2.netlink import NETLINK_SOCK_DIAG
from pyroute2.netlink.rtnl import RTM_GETLINK
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg

from netrt.doctor.inside import Inside, Interface, Neighbour, Probe, Server, Traffic, Way
from netrt.errors import Invalid, KernelRefused
from netrt.kernel import links, neighbors, routes
from netrt.kernel.listeners import listeners
from netrt.kernel.netlink import Netlink
from netrt.kernel.netns import opened, run_inside
from netrt.kernel.probing import outcomes, try_all
from netrt.kernel.wire import Message, Request, address, attributes, numbers
from netrt.model.port import PROTOCOLS

_LINK = numbers(ifinfmsg)
_NDA = numbers(ndmsg)
_LINK_HEADER = 16  # struct ifinfomsg
_STATES = {1: "incomplete", 2: "reachable", 4: "stale", 8: "delay", 16: "probe", 32: "failed", 128: "permanent"}
_NOARP = 64
_LOCAL = 255  # RT_TABLE_LOCAL
_COUNTS = struct.Struct("=8Q")  # struct rtnl_link_stats64, its beginning


def look_inside(path: str, inode: int, probes: Sequence[Probe]) -> Inside:
    """What is in the sandbox at this path, and what came of the probes; `inode` is the number of one that we did not make, or 0.
    Raises Invalid where it is not there, KernelRefused."""
    try:
        with opened(path) as netns:
            if inode not in (0, os.fstat(netns).st_ino):
                raise Invalid(
                    f"{path} leads to another network namespace than before", hint="netrt gc tells who is gone"
                )
            tries = try_all(netns, probes)
            seen = run_inside(netns, _seen)
    except Invalid:
        raise
    except OSError as error:
        raise KernelRefused(f"the sandbox cannot be looked at: {error}", errno=error.errno or 0) from error
    return Inside(
        interfaces=seen.interfaces,
        ways=seen.ways,
        neighbours=seen.neighbours,
        servers=seen.servers,
        outcomes=tuple(outcomes(tries, seen.neighbours)),
    )


def _seen() -> Inside:
    with Netlink() as netlink, Netlink(NETLINK_SOCK_DIAG) as sockets:
        bound = listeners(PROTOCOLS, sockets)
        messages = netlink.dump(Request(RTM_GETLINK, 0, bytes(_LINK_HEADER)))
        names = {links.read_link(message).index: links.read_link(message).name for message in messages}
        held: dict[int, list[str]] = {}
        for each in map(routes.read_address, netlink.dump(routes.get_addresses())):
            held.setdefault(each.index, []).append(each.address)
        ways = [routes.read_route(message) for message in netlink.dump(routes.get_routes())]
        near = netlink.dump(neighbors.get_neighbors())
    found = (_neighbour(message, names) for message in near)
    return Inside(
        interfaces=tuple(_interface(message, held) for message in messages),
        ways=tuple(_way(way, names) for way in ways if way.table != _LOCAL and not way.dst.startswith("ff00:")),
        neighbours=tuple(each for each in found if each is not None),
        servers=tuple(Server(protocol=s.protocol, address=s.ip, port=s.port) for s in bound),
    )


def _interface(message: Message, held: Mapping[int, Sequence[str]]) -> Interface:
    link = links.read_link(message)
    told = attributes(message.body, _LINK_HEADER)
    counts = told.get(_LINK["IFLA_STATS64"], b"").ljust(_COUNTS.size, b"\0")
    packets_in, packets_out, in_, out, errors_in, errors_out, dropped_in, dropped_out = _COUNTS.unpack_from(counts)
    return Interface(
        name=link.name,
        kind=link.kind,
        mac=link.mac,
        mtu=link.mtu,
        up=link.up,
        carrier=told.get(_LINK["IFLA_CARRIER"], b"\1") != b"\0",
        addresses=tuple(held.get(link.index, ())),
        received=Traffic(packets=packets_in, octets=in_, errors=errors_in, dropped=dropped_in),
        sent=Traffic(packets=packets_out, octets=out, errors=errors_out, dropped=dropped_out),
    )


def _way(way: routes.SeenRoute, names: Mapping[int, str]) -> Way:
    return Way(
        destination=way.dst,
        via=way.via,
        interface=names.get(way.link, ""),
        table=way.table,
        metric=way.metric,
        source=way.src,
    )


def _neighbour(message: Message, names: Mapping[int, str]) -> Neighbour | None:
    family, index, state, _, _ = neighbors.HEADER.unpack_from(message.body)
    held = attributes(message.body, neighbors.HEADER.size)
    if family not in (AF_INET, AF_INET6) or state & _NOARP or _NDA["NDA_DST"] not in held:
        return None
    return Neighbour(
        address=address(held[_NDA["NDA_DST"]]),
        mac=held.get(_NDA["NDA_LLADDR"], b"").hex(":"),
        interface=names.get(index, ""),
        state=_STATES.get(state, str(state)),
    )
