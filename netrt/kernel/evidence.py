"""Looks at a host for `netrt doctor`: what is not ours, and what might stop what is.

Parts of the kernel are tried out in a new network namespace that nobody else sees, and that goes at once."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import nftables
from pyroute2.netlink.rtnl import rt_type

from netrt.dataplane.objects import HOST, MARK, ROUTE_PROTOCOL, Link, LinkKind
from netrt.doctor.chains import OURS
from netrt.doctor.evidence import SETTINGS, Evidence
from netrt.errors import KernelRefused
from netrt.firewall.skeleton import skeleton
from netrt.kernel import links, routes, sysctl
from netrt.kernel.netlink import Netlink
from netrt.kernel.netns import new_namespace, on_thread
from netrt.kernel.nft import Nft
from netrt.kernel.pins import husks
from netrt.model.address import host_of, prefix_of

_HALF = 1
"""The longest prefix that still counts as a default route (VPNs have two)."""

_LEGACY = {"ip": "/proc/net/ip_tables_names", "ip6": "/proc/net/ip6_tables_names"}


def examine(netlink: Netlink, *, mtu: int, locked: bool) -> Evidence:
    """What is to be seen from the namespace of this socket. `mtu` and `locked` are known already. Raises OSError."""
    bridges = [links.read_link(message) for message in netlink.dump(links.all_links(LinkKind.BRIDGE))]
    ours = {link.index for link in bridges if link.alias.startswith(MARK)}
    ways = [routes.read_route(message) for message in netlink.dump(routes.get_routes(ours=False))]
    defaults = {way.link for way in ways if way.link and prefix_of(way.dst) <= _HALF and way.link not in ours}
    return Evidence(
        settings={name: value for name in SETTINGS if (value := sysctl.read(name)) is not None},
        ruleset=_others_rules(),
        legacy=frozenset(f"{family} {name}" for family, path in _LEGACY.items() for name in _lines(path)),
        routes=tuple(sorted(_spoken_for([way for way in ways if way.link not in ours]))),
        uplinks=tuple(sorted(filter(None, map(_link_name, defaults)))),
        mtu=mtu,
        lacking=tuple(on_thread(_lacking)),
        husks=tuple(husks()),
        bridges=frozenset(link.name for link in bridges),
        addresses=_addresses(netlink),
        locked=locked,
    )


def _spoken_for(ways: Sequence[routes.SeenRoute]) -> Iterator[tuple[str, str]]:
    for way in ways:
        subnet = ipaddress.ip_network(way.dst)
        own = way.type == rt_type["local"] and subnet.num_addresses == 1
        special = subnet.is_link_local or subnet.is_loopback or subnet.is_multicast
        usual = way.type in (rt_type["unicast"], rt_type["local"], rt_type["blackhole"], rt_type["unreachable"])
        if usual and way.protocol != ROUTE_PROTOCOL and subnet.prefixlen > _HALF and not (own or special):
            yield way.dst, _link_name(way.link)


def _addresses(netlink: Netlink) -> dict[str, frozenset[str]]:
    held: dict[int, set[str]] = {}
    for message in netlink.dump(routes.get_addresses()):
        seen = routes.read_address(message)
        held.setdefault(seen.index, set()).add(host_of(seen.address))
    return {_link_name(index): frozenset(addresses) for index, addresses in held.items()}


def _link_name(index: int) -> str:
    with contextlib.suppress(OSError):
        return socket.if_indextoname(index) if index else ""
    return ""


def _lines(path: str) -> list[str]:
    with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
        return file.read().split()
    return []


def _others_rules() -> list[dict[str, Any]]:
    """Chains and rules of tables that are not ours, table by table, so that our own elements are never listed."""
    nft = nftables.Nftables("libnftables.so.1")
    nft.set_json_output(True)
    nft.set_handle_output(True)
    nft.set_stateless_output(True)
    found: list[dict[str, Any]] = []
    for thing in _listed(nft, "list tables"):
        table = thing.get("table")
        if table and table["name"] != OURS:
            found += _listed(nft, f"list table {table['family']} {table['name']}")
    return found


def _listed(nft: nftables.Nftables, command: str) -> list[dict[str, Any]]:
    """The answer, empty where the table went meanwhile."""
    status, output, _ = nft.cmd(command)
    return list(json.loads(output)["nftables"]) if not status and output else []


def _lacking() -> list[tuple[str, str]]:
    """Parts that cannot be had, tried out on a thread in a namespace of its own."""
    os.close(new_namespace())
    return [(what, said) for what, attempt in _ATTEMPTS if (said := attempt())]


def _bridge() -> str:
    link = Link(netns=HOST, name="nrtrial0", kind=LinkKind.BRIDGE, mac="02:00:00:00:00:01", alias=f"{MARK}trial")
    with Netlink() as netlink:
        return _said(netlink.ask(links.add_bridge(link)))


def _said(answers: Sequence[Any]) -> str:
    return next((answer.text or os.strerror(answer.errno) for answer in answers if answer.errno), "")


def _tables() -> str:
    nft = Nft()
    try:
        nft.load(skeleton(frozenset({4, 6})), ())
    except KernelRefused as error:
        return error.message
    finally:
        nft.close()
    return ""


def _ipv6() -> str:
    return "" if os.path.exists("/proc/self/net/if_inet6") else "it was built or booted without (ipv6.disable=1)"


def _tracking() -> str:
    return "" if sysctl.read("net/netfilter/nf_conntrack_max") else "net.netfilter.nf_conntrack_max does not exist"


_ATTEMPTS = (
    ("bridges (module bridge)", _bridge),
    ("nftables as it is needed (nf_tables with inet, bridge and ip6 tables, nat, fib, ct)", _tables),
    ("connection tracking (nf_conntrack)", _tracking),
    ("IPv6", _ipv6),
)
