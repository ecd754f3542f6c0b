"""Networks: making, removing, pruning, and those that come with netrt.

`host` and `none` are in every State. `bridge`, the default network, is made when the first container needs it. None of the three
can be made or removed by people."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import combinations

from msgspec.structs import replace

from netrt.dataplane.facts import HostFacts
from netrt.decide.events import attachment_event, network_event, rfc3339
from netrt.decide.guests import find_bridge, not_of, settled, subnets_of, with_bridge_of_others, with_gateway
from netrt.decide.leases import check_dhcp
from netrt.decide.lookup import find_network, listed, shown
from netrt.decide.parents import check_parent, find_parent, without_host
from netrt.decide.proxied import beside, check_proxied
from netrt.errors import Conflict, Exhausted, Exists, InUse, Invalid
from netrt.ipam.allocate import default_gateway
from netrt.ipam.pools import Pools, choose_subnet, is_default, overlaps
from netrt.model.address import family, parse_ip, parse_network
from netrt.model.command import CreateNetwork, PruneNetworks, RemoveNetwork
from netrt.model.decision import Decision, Event, Touched
from netrt.model.ledger import lowest
from netrt.model.names import check_name
from netrt.model.network import DEFAULT_NETWORK, MADE, PARENTED, PREDEFINED, Mode, Network, Subnet
from netrt.model.state import State

DEFAULT_NAMES = (DEFAULT_NETWORK, "default")
"""What people call the default network; the second only as `--network default`."""

DEFAULT_SIZE = 20
"""Prefix length of the default network: as many addresses as a bridge has ports (1,023), three times as many to rest."""


def predefined_id(name: str) -> str:
    """The id of a network that comes with netrt: the same on every host."""
    return hashlib.sha256(f"netrt:{name}".encode()).hexdigest()


def initial_state(now: int = 0) -> State:
    """The State of a host that was asked for nothing yet: the networks `host` and `none`. `now` is in ns since the epoch."""
    state = State()
    for name, mode in (("host", Mode.HOST), ("none", Mode.NONE)):
        state = state.with_network(Network(id=predefined_id(name), name=name, mode=mode, created=rfc3339(now)))
    return state


def network_name(state: State, ref: str) -> str:
    """The name of the network that `ref` means. The default network is known before it is made. Raises NotFound, Invalid."""
    return DEFAULT_NETWORK if ref in DEFAULT_NAMES else find_network(state, ref).name


def with_default_network(
    state: State, facts: HostFacts, now: int, pools: Pools
) -> tuple[State, tuple[Event, ...], Touched]:
    """A State that has the default network, and what happened if it had to be made. Raises Exhausted."""
    if DEFAULT_NETWORK in state.network_names:
        return state, (), Touched()
    taken = taken_subnets(state, facts)
    try:
        cidr = choose_subnet(4, taken, pools, size=DEFAULT_SIZE)
    except Exhausted:
        cidr = choose_subnet(4, taken, pools)
    network = Network(
        id=predefined_id(DEFAULT_NETWORK),
        name=DEFAULT_NETWORK,
        mode=Mode.BRIDGE,
        created=rfc3339(now),
        subnets=(completed(Subnet(cidr=cidr)),),
    )
    event = network_event("create", network, now)
    return state.with_network(network), (event,), Touched(networks=frozenset({network.id}))


def create_network(state: State, command: CreateNetwork, facts: HostFacts, now: int, pools: Pools) -> Decision:
    """Raises Invalid, Exists, InUse (a subnet of another network), Conflict (a route of the host), Exhausted."""
    name = check_name("network name", command.name)
    if name in (*PREDEFINED, *DEFAULT_NAMES):
        raise Invalid(f"network {name} is predefined and cannot be created", hint="choose another name")
    if name in state.network_names or command.id in state.networks:
        raise Exists(f"network with name {name} already exists")
    if command.mode not in MADE:
        raise Invalid(f"only one network of driver {command.mode} is allowed", hint="it is there already; use bridge")
    ipv6 = command.ipv6 or any(family(subnet.cidr) == 6 for subnet in command.subnets)
    network = Network(
        id=command.id,
        name=name,
        mode=command.mode,
        created=rfc3339(now),
        ipv4=command.ipv4,
        ipv6=ipv6,
        internal=command.internal,
        options=dict(command.options),
        labels=dict(command.labels),
        dns=resolvers(command.dns),
        dhcp=command.dhcp,
    )
    check_bridge_name(state, network)
    network = with_bridge_of_others(network, facts)
    if network.mode in PARENTED:
        check_parent(state, network, facts)
    if network.is_guest:
        bridge = find_bridge(network, facts)
        facts = dataclasses.replace(facts, routes=not_of(bridge, facts.routes))
        given = tuple(with_gateway(network, subnet, bridge) for subnet in command.subnets)
        command = dataclasses.replace(command, subnets=subnets_of(bridge, given, ipv4=command.ipv4, ipv6=ipv6))
    if network.dhcp:
        check_dhcp(network, command.subnets)
    else:
        network = replace(network, subnets=_subnets(state, command, ipv6, beside(network, facts), pools))
        check_proxied(network, facts)
    if network.is_guest:
        network = settled(network, bridge)
    if network.mode in PARENTED:
        parent = find_parent(network, facts)
        network = replace(network, subnets=tuple(without_host(subnet, parent) for subnet in network.subnets))
    _check_room(network)
    return Decision(
        state=state.with_network(network),
        touched=Touched(networks=frozenset({network.id})),
        events=(network_event("create", network, now),),
        id=network.id,
    )


def _check_room(network: Network) -> None:
    """Raises Invalid where a network could never give an address of one of its families."""
    for version in (4, 6):
        subnets = network.subnets_of(version)
        if subnets and not lowest(subnets, lambda _: False):
            part, cidr = subnets[0].ip_range, subnets[0].cidr
            where = f"ip-range {part} of subnet {cidr}" if part else f"subnet {cidr}"
            raise Invalid(
                f"{where} has no address for containers",
                hint="nobody gets a network or broadcast address, a gateway, an aux-address",
            )


def check_bridge_name(state: State, network: Network) -> None:
    """Raises Exists where another network, or a container, has the name of this one's bridge."""
    wanted = network.bridge.bridge_name if network.mode not in PARENTED else None
    if wanted is None:
        return
    for other in state.networks.values():
        if other.id != network.id and other.mode is Mode.BRIDGE and other.bridge.bridge_name == wanted:
            raise Exists(f"bridge name {wanted} is in use by network {other.name}")
    if wanted in state.links:
        raise Exists(f"bridge name {wanted} is in use by a container's link")


def _subnets(state: State, command: CreateNetwork, ipv6: bool, facts: HostFacts, pools: Pools) -> tuple[Subnet, ...]:
    """The given subnets, and a chosen one for each family that was asked for without one; IPv4 first."""
    given = tuple(completed(subnet) for subnet in command.subnets)
    if not command.ipv4 and not ipv6:
        raise Invalid("a network needs IPv4 or IPv6")
    for subnet in given:
        if family(subnet.cidr) == 4 and not command.ipv4:
            raise Invalid(f"subnet {subnet.cidr} is IPv4, but IPv4 is turned off for the network")
    for one, other in combinations(given, 2):
        if overlaps(one.cidr, other.cidr):
            raise Invalid(f"subnets {one.cidr} and {other.cidr} of one network overlap")
    for subnet in given:
        # whoever stands on a parent is in the parent's own subnet
        refuse_overlap(state.networks.values(), subnet.cidr, () if command.mode in PARENTED else facts.routes)
    subnets = list(given)
    for version, asked in ((4, command.ipv4), (6, ipv6)):
        if asked and not any(family(subnet.cidr) == version for subnet in given):
            taken = (*taken_subnets(state, facts), *(subnet.cidr for subnet in given))
            subnets.append(completed(Subnet(cidr=choose_subnet(version, taken, pools))))
    return tuple(sorted(subnets, key=lambda subnet: family(subnet.cidr)))


def resolvers(asked: Iterable[str]) -> tuple[str, ...]:
    """The resolvers of a network, in canonical text. Raises Invalid."""
    return tuple(dict.fromkeys(str(parse_ip("resolver", text)) for text in asked))


def completed(subnet: Subnet) -> Subnet:
    """In canonical text, with a gateway."""
    cidr = str(parse_network("subnet", subnet.cidr))
    auxiliary = {name: str(parse_ip("aux-address", text)) for name, text in subnet.auxiliary.items()}
    for name, address in auxiliary.items():
        check_name("name of an aux-address", name)
        if subnet.gateway is not None and address == str(parse_ip("gateway", subnet.gateway)):
            raise Invalid(f"gateway {subnet.gateway} of {cidr} is also its aux-address {name}")
    gateway = default_gateway(cidr, auxiliary.values()) if subnet.gateway is None else subnet.gateway
    return Subnet(
        cidr=cidr,
        gateway=str(parse_ip("gateway", gateway)),
        ip_range=subnet.ip_range and str(parse_network("ip-range", subnet.ip_range)),
        auxiliary=auxiliary,
        first=subnet.first and str(parse_ip("first address", subnet.first)),
        last=subnet.last and str(parse_ip("last address", subnet.last)),
    )


def taken_subnets(state: State, facts: HostFacts) -> tuple[str, ...]:
    """What a new subnet must stay clear of."""
    return (*(subnet.cidr for network in state.networks.values() for subnet in network.subnets), *facts.routes)


def refuse_overlap(networks: Iterable[Network], cidr: str, routes: Iterable[str]) -> None:
    """Raises InUse where one of these networks has addresses of this subnet, Conflict where a route does."""
    for network in networks:
        for other in network.subnets:
            if overlaps(cidr, other.cidr):
                raise InUse(f"subnet {cidr} overlaps network {network.name} ({other.cidr})")
    for route in routes:
        if overlaps(cidr, route) and not is_default(route):
            raise Conflict(f"subnet {cidr} overlaps the host's route {route}")


def remove_network(state: State, command: RemoveNetwork, now: int) -> Decision:
    """Raises Invalid for a predefined one, NotFound, InUse where containers are on it and `force` is not given."""
    if command.network in PREDEFINED:
        raise Invalid(f"network {command.network} is predefined and cannot be removed")
    network = find_network(state, command.network)
    if network.predefined:
        raise Invalid(f"network {network.name} is predefined and cannot be removed")
    attached = sorted((state.attachments[key] for key in state.of_network.get(network.id, ())), key=lambda a: a.order)
    if attached and not command.force:
        names = listed(state.containers[attachment.container_id].name for attachment in attached)
        raise InUse(f"network {network.name} has active containers: {names}", hint="disconnect them first, or use -f")
    events = [attachment_event("disconnect", state, attachment, now) for attachment in attached]
    for attachment in attached:
        state = state.without_attachment(attachment.key)
    return Decision(
        state=state.without_network(network.id),
        touched=Touched(
            networks=frozenset({network.id}), containers=frozenset(attachment.container_id for attachment in attached)
        ),
        events=(*events, network_event("destroy", network, now)),
        id=network.id,
    )


def prune_networks(state: State, command: PruneNetworks, now: int) -> Decision:
    """Raises Invalid for a malformed `until`."""
    before = _moment(command.until) if command.until else None
    gone = [
        network
        for network in state.networks.values()
        if not network.predefined
        and not state.of_network.get(network.id)
        and _has_labels(network, command.labels)
        and (before is None or _moment(network.created) < before)
    ]
    for network in gone:
        state = state.without_network(network.id)
    return Decision(
        state=state,
        touched=Touched(networks=frozenset(network.id for network in gone)),
        events=tuple(network_event("destroy", network, now) for network in gone),
        removed=tuple(network.name for network in gone),
    )


def _has_labels(network: Network, labels: Mapping[str, str]) -> bool:
    """An empty value asks for the label with any value."""
    return all(key in network.labels and value in ("", network.labels[key]) for key, value in labels.items())


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"invalid time {shown(text)}", hint="RFC 3339 such as 2026-01-31T12:00:00Z is expected") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
