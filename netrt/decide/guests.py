"""Networks on a bridge of the host that somebody else made: what is taken from it, and what it is asked to have.

Rule 1: the bridge is used as it is. Its own addresses are its owner's: a gateway among them is neither put there nor taken away.
Rule 2: an address is put on it only where somebody named it (`--gateway`), or where the whole subnet is of our choosing; for in a
subnet that others use, the first address may well be another machine's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_interface, ip_network

from msgspec.structs import replace

from netrt.dataplane.facts import HostFacts, Parent
from netrt.decide.parents import without_host
from netrt.errors import Conflict, Invalid, NotFound
from netrt.model.address import family, host_of
from netrt.model.network import EXISTING, Mode, Network, Subnet


def with_bridge_of_others(wanted: Network, facts: HostFacts) -> Network:
    """The network, noted as one on a bridge that is there already, if it is. Raises Conflict, NotFound."""
    options = wanted.bridge if wanted.mode is Mode.BRIDGE else None
    name = options.bridge_name if options else None
    there = facts.parents.get(name) if name else None
    if options is None or (there is None and not options.existing):
        return wanted
    if there is None:
        raise _absent(name or "", wanted)
    if there.ours:
        return wanted
    if there.kind != "bridge":
        what = f"a {there.kind} link" if there.kind else "no bridge"
        raise Conflict(f"interface {name} exists on this host and is {what}", hint="choose another name, or remove it")
    return replace(wanted, options={**wanted.options, EXISTING: "true"})


def find_bridge(wanted: Network, facts: HostFacts) -> Parent:
    """The bridge of a guest network as it is now. Raises NotFound, Conflict."""
    name = wanted.bridge.bridge_name or ""
    there = facts.parents.get(name)
    if there is None:
        raise _absent(name, wanted)
    if there.kind != "bridge":
        raise Conflict(f"interface {name} is no bridge any more, and network {wanted.name} stands on it")
    return there


def _absent(name: str, wanted: Network) -> NotFound:
    return NotFound(
        f"there is no bridge {name or 'of that name'} on this host for network {wanted.name}",
        hint=f"who made it must make it again: ip link add {name} type bridge",
    )


def not_of(bridge: Parent, routes: Iterable[str]) -> tuple[str, ...]:
    """Routes of the host but those to the bridge's own subnets, which a network on it may have."""
    own = {str(ip_interface(address).network) for address in bridge.addresses}
    return tuple(route for route in routes if route not in own)


def subnets_of(bridge: Parent, given: Sequence[Subnet], *, ipv4: bool, ipv6: bool) -> tuple[Subnet, ...]:
    """The given subnets, and for each family without one that of the bridge's first address, if it has one."""
    found = list(given)
    for version, asked in ((4, ipv4), (6, ipv6)):
        held = next((address for address in bridge.addresses if family(address) == version), None)
        if asked and held and not any(family(subnet.cidr) == version for subnet in given):
            found.append(Subnet(cidr=str(ip_interface(held).network), gateway=host_of(held)))
    return tuple(found)


def with_gateway(wanted: Network, subnet: Subnet, bridge: Parent) -> Subnet:
    """A given subnet with the bridge's own address in it as the gateway, where none was named. Raises Invalid."""
    version, block = family(subnet.cidr), ip_network(subnet.cidr, strict=False)
    if subnet.gateway is not None:
        return subnet
    own = next((host_of(a) for a in bridge.addresses if ip_address(host_of(a)) in block), None)
    if own is None and replace(wanted, subnets=(subnet,)).leads_outside(version):
        name = wanted.bridge.bridge_name
        raise Invalid(
            f"bridge {name}, which somebody else made, has no address in subnet {subnet.cidr} that could be the gateway",
            hint="--gateway ADDRESS puts that on it, as long as there is the network; or use --internal",
        )
    return subnet if own is None else replace(subnet, gateway=own)


def settled(wanted: Network, bridge: Parent) -> Network:
    """The network with its subnets chosen: no address of the bridge is given to a container, and those of its gateways that the
    bridge has are its owner's."""
    held = {host_of(address) for address in bridge.addresses}
    gateways = [subnet.gateway for subnet in wanted.subnets if subnet.gateway]
    return replace(
        wanted,
        subnets=tuple(without_host(subnet, bridge) for subnet in wanted.subnets),
        theirs=tuple(gateway for gateway in gateways if gateway in held),
    )
