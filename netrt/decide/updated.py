"""What is changed of a network while containers are on it: larger and further subnets, a further family, labels, resolvers.

Rule 1: every address stays, so that connections go on; what changes is what else is reached on the link. Rule 2: who is on the
network when it gets a family gets an address of it. Rule 3: what a runtime's configuration defines is changed there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from msgspec.structs import replace

from netrt.dataplane.facts import HostFacts
from netrt.decide.defined import everything_on
from netrt.decide.events import network_event
from netrt.decide.lookup import find_network, listed, shown
from netrt.decide.networks import completed, refuse_overlap, resolvers, taken_subnets
from netrt.decide.parents import of_host, without_host
from netrt.decide.proxied import beside, check_proxied
from netrt.errors import Invalid, NotFound
from netrt.ipam.allocate import allocate
from netrt.ipam.pools import Pools, choose_subnet, overlaps
from netrt.model.address import family, host_of, parse_network, prefix_of
from netrt.model.address import network as block_of
from netrt.model.command import UpdateNetwork
from netrt.model.container import Attachment
from netrt.model.decision import Decision, Touched
from netrt.model.network import MADE, PARENTED, Network, Subnet, has_names, parent_options
from netrt.model.state import State


def update_network(state: State, command: UpdateNetwork, facts: HostFacts, now: int, pools: Pools) -> Decision:
    """Raises NotFound, Invalid, InUse (a subnet of another network), Conflict (a route of the host), Exhausted."""
    before = find_network(state, command.network)
    if before.plugin:
        raise Invalid(f"network {before.name} follows a configuration of {before.plugin}", hint="change it there")
    if before.mode not in MADE:
        raise Invalid(f"network {before.name} is predefined and cannot be changed")
    if before.dhcp and (command.grow or command.add or command.ipv6):
        raise Invalid(
            f"the subnets of network {before.name} are those of a DHCP server",
            hint="labels and resolvers can be changed",
        )
    if before.is_guest and (command.grow or command.add):
        raise Invalid(
            f"network {before.name} stands on a bridge that somebody else made, and so has the subnets that it was made with",
            hint="make it anew with others",
        )
    subnets = _subnets(state, before, command, beside(before, facts), pools)
    after = replace(
        before,
        subnets=subnets,
        ipv4=before.ipv4 or any(family(subnet.cidr) == 4 for subnet in subnets),
        ipv6=before.ipv6 or any(family(subnet.cidr) == 6 for subnet in subnets),
        labels=_labels(before, command),
        dns=before.dns if command.dns is None else _resolvers(before, command.dns),
    )
    if subnets != before.subnets:
        check_proxied(after, facts)
    if after == before:
        return Decision(state=state, id=before.id)
    state = state.with_network(after)
    on = (state.attachments[key] for key in state.of_network.get(after.id, ()) if not after.dhcp)
    for attachment in sorted(on, key=lambda attachment: attachment.order):
        state = _joined(state, after, attachment, facts)
    return Decision(
        state=state,
        touched=Touched() if after.subnets == before.subnets else everything_on(state, after),
        events=(network_event("update", after, now),),
        id=after.id,
    )


def _labels(network: Network, command: UpdateNetwork) -> dict[str, str]:
    labels = dict(network.labels)
    for key in command.unlabel:
        if key not in labels:
            have = f"has: {listed(network.labels)}" if network.labels else "it has none"
            raise NotFound(f"network {network.name} has no label {shown(key)}", hint=have)
        del labels[key]
    return {**labels, **command.labels}


def _resolvers(network: Network, asked: tuple[str, ...]) -> tuple[str, ...]:
    if asked and not has_names(network):
        raise Invalid(
            f"network {network.name} has no resolver of its own", hint="give --dns to containers, or make a network"
        )
    return resolvers(asked)


# subnets


def _subnets(
    state: State, network: Network, command: UpdateNetwork, facts: HostFacts, pools: Pools
) -> tuple[Subnet, ...]:
    """Its subnets, with the larger ones in the place of what they contain; IPv4 first."""
    subnets = list(network.subnets)
    for text in command.grow:
        grown = _grown(network, subnets, text)
        subnets = [grown if overlaps(grown.cidr, subnet.cidr) else subnet for subnet in subnets]
    added = [*map(completed, command.add)]
    for subnet in added:
        if not network.subnets_of(family(subnet.cidr)) and not (family(subnet.cidr) == 6 and command.ipv6):
            version = family(subnet.cidr)
            wish = "wish for it: --ipv6" if version == 6 else "make another network"
            raise Invalid(f"subnet {subnet.cidr} is IPv{version}, which network {network.name} has not", hint=wish)
    subnets += added
    for one, other in combinations(subnets, 2):
        if overlaps(one.cidr, other.cidr):
            raise Invalid(f"subnets {one.cidr} and {other.cidr} of one network overlap")
    _check_room(state, network, subnets, facts)
    if command.ipv6 and not any(family(subnet.cidr) == 6 for subnet in subnets):
        subnets.append(completed(Subnet(cidr=choose_subnet(6, taken_subnets(state, facts), pools))))
    subnets.sort(key=lambda subnet: family(subnet.cidr))
    return tuple(_without_host(network, subnet, facts) for subnet in subnets)


def _grown(network: Network, subnets: list[Subnet], text: str) -> Subnet:
    """The one of these subnets that a larger block contains, of that size."""
    block = parse_network("subnet", text)
    met = [subnet for subnet in subnets if overlaps(str(block), subnet.cidr)]
    have = ", ".join(subnet.cidr for subnet in subnets)
    if not met:
        raise Invalid(f"{block} contains no subnet of network {network.name}", hint=f"has: {have}")
    if len(met) > 1:
        raise Invalid(f"{block} contains several subnets of network {network.name}: {have}", hint="grow one of them")
    if block_of(met[0].cidr).prefixlen == block.prefixlen:
        raise Invalid(f"network {network.name} has subnet {block} already", hint="a larger block is expected")
    if block_of(met[0].cidr).prefixlen < block.prefixlen:
        raise Invalid(f"{block} is smaller than subnet {met[0].cidr}", hint="subnets of a network can only grow")
    return replace(met[0], cidr=str(block))


def _check_room(state: State, network: Network, subnets: list[Subnet], facts: HostFacts) -> None:
    """Raises InUse, Conflict where what is new overlaps others' networks, or routes of the host that are not ours."""
    own = {subnet.cidr for subnet in network.subnets}  # a route of somebody else's bridge, perhaps, on which we are
    routes = () if network.mode in PARENTED else tuple(route for route in facts.routes if route not in own)
    others = tuple(other for other in state.networks.values() if other.id != network.id)
    for subnet in subnets:
        if subnet.cidr not in own:
            refuse_overlap(others, subnet.cidr, routes)


def _without_host(network: Network, subnet: Subnet, facts: HostFacts) -> Subnet:
    if network.mode not in PARENTED or subnet in network.subnets:
        return subnet
    parent = facts.parents.get(parent_options(network).parent)
    return without_host(subnet, parent) if parent else subnet


# who is on it


def _joined(state: State, network: Network, attachment: Attachment, facts: HostFacts) -> State:
    """With its addresses in the subnets as they are now, and one of each family that came; what a runtime asked for has what the
    runtime was told."""
    resized = replace(
        attachment,
        address4=_resized(network, attachment.address4),
        address6=_resized(network, attachment.address6),
        more=tuple(_resized(network, interface) for interface in attachment.more),
    )
    if attachment.plugged is None:
        owner, host = state.containers[attachment.container_id].name, of_host(network, facts)
        for version in _lacking(network, attachment):
            resized = replace(resized, **{f"address{version}": allocate(state, network, version, owner, host=host)})
    return state if resized == attachment else state.with_attachment(resized)


def _resized(network: Network, interface: str) -> str:
    return f"{host_of(interface)}/{prefix_of(network.subnet_of(interface).cidr)}" if interface else ""


def _lacking(network: Network, attachment: Attachment) -> Iterator[int]:
    return (version for version in (4, 6) if network.subnets_of(version) and not attachment.address(version))
