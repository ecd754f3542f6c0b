"""In what a network or container that is there is not as a file asks for, in words, and whether that can be changed in place.

What a file leaves to netrt is as asked for whatever it is. The order of networks is not compared: it tells at first which network
leads outside, and moving a container about for it would cost its connections (`gw_priority` says it without)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netrt.declare.steps import singles
from netrt.declare.wish import APPLIED, ContainerWish, EndpointWish, NetworkWish
from netrt.model.address import family
from netrt.model.network import BRIDGE_NAME, Subnet
from netrt.model.port import PortMapping

CHOSEN = ("ip", "ip6", "mac", "ifname")
"""What netrt chooses of an endpoint where it is not asked for."""


def network_differences(seen: NetworkWish, wanted: NetworkWish) -> Iterator[str]:
    """None of these can be changed in place."""
    for name in ("driver", "ipam_driver", "ipv4", "internal", "options"):
        before, after = getattr(seen, name), getattr(wanted, name)
        if before != after:
            yield f"{name} {_said(before)} -> {_said(after)}"
    if growth(seen, wanted):
        return
    if seen.ipv6 != wanted.ipv6:
        yield f"ipv6 {_said(seen.ipv6)} -> {_said(wanted.ipv6)}"
    if not _fits(seen.subnets, wanted.subnets):
        yield f"subnets {_blocks(seen.subnets)} -> {_blocks(wanted.subnets)}"


def network_updates(seen: NetworkWish, wanted: NetworkWish) -> Iterator[str]:
    """These are changed while it is used."""
    if found := growth(seen, wanted):
        yield f"room: {found}"
    if seen.dns != wanted.dns:
        yield f"dns {_said(seen.dns)} -> {_said(wanted.dns)}"
    yield from _labels(seen.labels, wanted.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What a network gets while it is used, as `netrt network update` gives it."""

    grow: tuple[str, ...] = ()
    add: tuple[Subnet, ...] = ()
    ipv6: bool = False

    def __str__(self) -> str:
        words = [f"grows to {cidr}" for cidr in self.grow] + [f"+ {subnet.cidr}" for subnet in self.add]
        return ", ".join(words + (["+ IPv6"] if self.ipv6 and not words else []))


def growth(seen: NetworkWish, wanted: NetworkWish) -> Growth | None:
    """What a bridge network of netrt's lacks, where it lacks nothing but room, or IPv6; else None. No address of anybody on it is
    another one after that."""
    same = all(getattr(seen, name) == getattr(wanted, name) for name in ("driver", "ipam_driver", "ipv4", "options"))
    if not same or seen.driver != "bridge" or BRIDGE_NAME in seen.options or (seen.ipv6 and not wanted.ipv6):
        return None
    asked = {family(subnet.cidr) for subnet in wanted.subnets}
    there = [subnet for subnet in seen.subnets if family(subnet.cidr) in asked]
    left = [subnet for subnet in wanted.subnets if not any(_is(each, subnet) for each in there)]
    grow = []
    for subnet in there:
        if any(_is(subnet, each) for each in wanted.subnets):
            continue
        larger = next((each for each in left if _contains(each, subnet)), None)
        if larger is None:
            return None
        left.remove(larger)
        grow.append(larger.cidr)
    ipv6 = wanted.ipv6 and not seen.ipv6
    return Growth(grow=tuple(grow), add=tuple(left), ipv6=ipv6) if grow or left or ipv6 else None


def _contains(larger: Subnet, subnet: Subnet) -> bool:
    """Whether a subnet may grow to this: the same but for the number of its addresses."""
    blocks = [ipaddress.ip_network(each.cidr) for each in (larger, subnet)]
    return (
        blocks[0].version == blocks[1].version
        and blocks[0].prefixlen < blocks[1].prefixlen
        and blocks[0].overlaps(blocks[1])
        and larger.gateway in (None, subnet.gateway)
        and larger.ip_range is subnet.ip_range is None
        and dict(larger.auxiliary) == dict(subnet.auxiliary)
    )


def _fits(seen: tuple[Subnet, ...], wanted: tuple[Subnet, ...]) -> bool:
    """Whether each wanted subnet is there, and no other one of a family for which there are wanted ones."""
    asked = {family(subnet.cidr) for subnet in wanted}
    there = [subnet for subnet in seen if family(subnet.cidr) in asked]
    return len(there) == len(wanted) and all(any(_is(each, subnet) for each in there) for subnet in wanted)


def _is(seen: Subnet, wanted: Subnet) -> bool:
    return (
        seen.cidr == wanted.cidr
        and wanted.gateway in (None, seen.gateway)
        and seen.ip_range == wanted.ip_range
        and dict(seen.auxiliary) == dict(wanted.auxiliary)
    )


def _blocks(subnets: tuple[Subnet, ...]) -> str:
    return _said([subnet.cidr + (f" by {subnet.gateway}" if subnet.gateway else "") for subnet in subnets])


def container_differences(seen: ContainerWish, wanted: ContainerWish) -> Iterator[str]:
    """For these it must be made anew: all but networks and ports."""
    if seen.mode != wanted.mode:
        yield f"network_mode {seen.mode or 'networks'} -> {wanted.mode or 'networks'}"
    if seen.netns != wanted.netns:
        yield f"netns {_said(seen.netns)} -> {_said(wanted.netns)}"
    if wanted.hostname and wanted.mode in ("", "none") and seen.hostname != wanted.hostname:
        yield f"hostname {_said(seen.hostname)} -> {wanted.hostname}"
    for name in ("dns", "dns_search", "dns_options", "extra_hosts"):
        before, after = getattr(seen.lookup, name), getattr(wanted.lookup, name)
        if before != after:
            yield f"{name} {_said(before)} -> {_said(after)}"
    yield from _labels(seen.labels, wanted.labels)


def endpoint_differences(seen: EndpointWish, wanted: EndpointWish) -> Iterator[str]:
    """For these it must be connected anew: all but the limits of bandwidth."""
    for name in CHOSEN:
        if getattr(wanted, name) and getattr(seen, name) != getattr(wanted, name):
            yield f"{name} {_said(getattr(seen, name))} -> {getattr(wanted, name)}"
    if set(seen.aliases) != set(wanted.aliases):
        yield f"aliases {_said(seen.aliases)} -> {_said(wanted.aliases)}"
    if seen.gw_priority != wanted.gw_priority:
        yield f"gw_priority {seen.gw_priority} -> {wanted.gw_priority}"


def port_differences(
    seen: tuple[PortMapping, ...], wanted: tuple[PortMapping, ...]
) -> tuple[tuple[PortMapping, ...], tuple[PortMapping, ...]]:
    """Ports to be published, and to be withdrawn. One whose host port netrt chooses is any of that port of the container."""
    left = list(singles(seen))
    lacking = []
    for port in sorted(singles(wanted), key=lambda port: not port.host_port):
        found = next((each for each in left if each == port or _chosen(each, port)), None)
        if found is None:
            lacking.append(port)
        else:
            left.remove(found)
    return tuple(lacking), tuple(left)


def _chosen(seen: PortMapping, wanted: PortMapping) -> bool:
    return not wanted.host_port and (seen.protocol, seen.container_port, seen.host_ip) == (
        wanted.protocol,
        wanted.container_port,
        wanted.host_ip,
    )


def _labels(seen: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    """But for the label of an apply: what people made is not made anew to get it."""
    before, after = ({k: v for k, v in labels.items() if k != APPLIED} for labels in (seen, wanted))
    if before != after:
        yield f"labels {_said(before)} -> {_said(after)}"


def _said(value: object) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case Mapping():
            return ", ".join(f"{key}={each}" for key, each in value.items()) or "none"
        case tuple() | list():
            return ", ".join(map(str, value)) or "none"
        case _:
            return str(value) or "none"
