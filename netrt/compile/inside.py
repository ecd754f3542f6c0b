"""What an attachment has inside its sandbox whatever the mode of its network: settings, addresses, routes."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from msgspec.structs import replace

from netrt.compile.facing import gateway_attachment
from netrt.compile.tuning import compile_tuning
from netrt.dataplane.objects import ON_LINK, UNIVERSE, Address, Object, Route, Rule, Sysctl
from netrt.ipam.pools import overlaps
from netrt.model.address import alone, family, host_of, prefix_of
from netrt.model.container import Attachment
from netrt.model.network import PARENTED, Mode, Network
from netrt.model.plugged import Tuning, Way
from netrt.model.state import State

FIRST_TABLE = 7800
"""The routing tables of attachments begin here, each with its `order`."""

WIDE = 8
"""A route with a shorter prefix than that of any block that IANA gave away is part of a way to everywhere."""

NEAR_METRIC6 = 128
"""Smaller than that of the kernel's own routes to subnets (256, IP6_RT_PRIO_ADDRCONF)."""

AWAY, NEAR, OWN_WAY = 7799, 7800, 7801
"""Priorities of rules: first what is said from an address of one attachment to where another one leads without a gateway, then
whatever has a route that is no default, then the rest of what is said from an address of one attachment."""


def compile_inside(
    state: State, network: Network, attachment: Attachment, netns: str, *, free: bool = False, congctl: str = ""
) -> Iterator[Object]:
    """`free`: the container may send what it likes; `congctl`: the congestion control of TCP to who is on the same link, empty:
    the usual one."""
    yield from _sysctls(state, network, netns, attachment, free)
    yield from compile_tuning(netns, attachment.ifname, attachment.tuning or Tuning())
    for interface in attachment.addresses:
        yield Address(netns=netns, link=attachment.ifname, address=interface)
    for way in leased_ways(state, network, attachment):
        yield _chosen(way, attachment, netns)
    if attachment.routes is None:
        yield from _beside(network, attachment, netns, congctl)
        yield from _ways_out(state, network, attachment, netns, congctl)
    else:
        yield from (_chosen(way, attachment, netns) for way in attachment.routes)
    if congctl:
        yield from _near(network, attachment, netns, congctl)


def _sysctls(state: State, network: Network, netns: str, attachment: Attachment, free: bool) -> Iterator[Sysctl]:
    """Without an IPv6 address there is no IPv6, unless the container may send what it likes, and so may make itself one; or the
    routers of a LAN tell it one, and where no other network is the way out, the way."""
    values = {"accept_ra": "0", "accept_dad": "0", "disable_ipv6": "0"}  # in this order: the link may be up
    if network.dhcp and network.ipv6:
        only = gateway_attachment(state, attachment.container_id, 6) is None and not network.internal
        values = {"accept_ra": "1", "accept_ra_defrtr": str(int(only)), "disable_ipv6": "0"}
    elif not any(family(interface) == 6 for interface in attachment.addresses):
        values = {} if free else {"disable_ipv6": "1"}
    chosen = attachment.tuning.sysctls if attachment.tuning else {}
    for key, value in values.items():
        name = f"net/ipv6/conf/{attachment.ifname}/{key}"
        if name not in chosen:
            yield Sysctl(netns=netns, name=name, value=value)


def _beside(network: Network, attachment: Attachment, netns: str, congctl: str) -> Iterator[Route]:
    """Who has an address of another subnet of a bridge network is on the same link, and asked directly."""
    for address in (attachment.address4, attachment.address6):
        others = network.subnets_of(family(address)) if address and network.mode is Mode.BRIDGE else ()
        for subnet in others:
            if subnet != network.subnet_of(address):
                yield Route(netns=netns, dst=subnet.cidr, via="", link=attachment.ifname, congctl=congctl)


def _near(network: Network, attachment: Attachment, netns: str, congctl: str) -> Iterator[Route]:
    """To who has an address of the same subnet, before the kernel's own route there, which has no congestion control. Of several
    IPv4 addresses the one of the subnet is said, as by the kernel's."""
    for interface in attachment.addresses:
        subnet = str(ip_network(interface, strict=False))
        if alone(interface) != subnet:
            six = family(interface) == 6
            yield Route(
                netns=netns,
                dst=subnet,
                via="",
                link=attachment.ifname,
                metric=NEAR_METRIC6 if six else 0,
                src="" if six else host_of(interface),
                congctl=congctl,
            )


def leased_ways(state: State, network: Network, attachment: Attachment) -> Iterator[Way]:
    """The routes that a LAN's DHCP server gave, as far as they are its business: none that leads away what is for another network
    of the container, nor, where another one is its way out, half of the world (CVE-2024-3661)."""
    if attachment.dhcp is None or network.internal:
        return
    mine = state.attachments_of(attachment.container_id)
    others = [subnet.cidr for a in mine if a != attachment for subnet in state.networks[a.network_id].subnets]
    out = gateway_attachment(state, attachment.container_id, 4) in (None, attachment)
    for way in attachment.dhcp.routes:
        stolen = any(overlaps(way.dst, cidr) and prefix_of(way.dst) >= prefix_of(cidr) for cidr in others)
        if not stolen and (out or prefix_of(way.dst) >= WIDE):
            yield way


def _chosen(way: Way, attachment: Attachment, netns: str) -> Route:
    usual = UNIVERSE if way.via else ON_LINK
    return Route(
        netns=netns,
        dst=way.dst,
        via=way.via,
        link=attachment.ifname,
        metric=way.priority,
        table=way.table,
        mtu=way.mtu,
        advmss=way.advmss,
        scope=-1 if ":" in way.dst or way.scope == usual else way.scope,
    )


def _ways_out(state: State, network: Network, attachment: Attachment, netns: str, congctl: str) -> Iterator[Object]:
    """The default route is that of one attachment. By another that leads outside goes what is said from its own address: an
    answer leaves by the network that the question came in by; by any of them, where who asked is a neighbour on another."""
    for version, everywhere in ((4, "0.0.0.0/0"), (6, "::/0")):
        address = attachment.address(version)
        if not address or not network.leads_outside(version):
            continue
        gateway = network.subnet_of(address).gateway
        if gateway is None:  # as the DHCP server of this subnet has it, and that of another one has not
            continue
        way = Route(netns=netns, dst=everywhere, via=gateway, link=attachment.ifname)
        first = gateway_attachment(state, attachment.container_id, version) == attachment
        table, beyond = FIRST_TABLE + attachment.order, [*dict.fromkeys(_beyond(state, attachment, version))]
        if first:
            yield way
        else:
            yield Rule(netns=netns, priority=NEAR, src=everywhere, suppress=True)
            yield Rule(netns=netns, priority=OWN_WAY, src=alone(address), table=table)
        if beyond or not first:
            yield replace(way, table=table)
        for subnet in _linked(network, attachment, version) if beyond else ():
            yield Route(netns=netns, dst=subnet, via="", link=attachment.ifname, table=table, congctl=congctl)
        for dst in beyond:
            yield Rule(netns=netns, priority=AWAY, src=alone(address), dst=dst, table=table)


def _linked(network: Network, attachment: Attachment, version: int) -> Iterator[str]:
    """The subnets of one family that are on an attachment's link, as far as is known here."""
    own = {str(ip_network(i, strict=False)) for i in attachment.addresses if family(i) == version}
    if own and network.mode is Mode.BRIDGE:
        own |= {subnet.cidr for subnet in network.subnets_of(version)}
    yield from sorted(own)


def _beyond(state: State, attachment: Attachment, version: int) -> Iterator[str]:
    """Where those are who are neighbours of a container by its other attachments, and may ask the host instead: on bridges of
    ours they are containers, whom it translates. Empty: anywhere."""
    for other in state.attachments_of(attachment.container_id):
        network = state.networks[other.network_id]
        if other == attachment or not (network.mode in PARENTED or network.is_guest):
            continue
        yield from _linked(network, other, version)
        yield from (way.dst for way in leased_ways(state, network, other) if family(way.dst) == version)
        if version == 6 and network.dhcp and network.ipv6:  # as the LAN's routers say
            yield ""
