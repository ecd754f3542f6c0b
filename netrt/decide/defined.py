"""Networks that a CNI plugin's configuration defines: made when the first container comes, and brought to what it says now
whenever another one comes.

Rule 1: what people made is never changed by a configuration. Rule 2: a subnet with addresses in use stays, whatever the
configuration says now, and what would give one of these to the bridge, or to a second subnet, is refused. Rule 3: as with the
reference plugins, a subnet may overlap routes of the host: the configuration says so on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

from msgspec.structs import replace

from netrt.dataplane.facts import HostFacts
from netrt.decide.events import network_event, rfc3339
from netrt.decide.networks import check_bridge_name, completed, taken_subnets
from netrt.decide.parents import check_parent
from netrt.decide.proxied import beside, check_proxied
from netrt.errors import Exists, InUse, Invalid
from netrt.ipam.pools import Pools, choose_subnet, overlaps
from netrt.model.address import family, host_of
from netrt.model.address import network as block_of
from netrt.model.command import Definition
from netrt.model.container import Attachment
from netrt.model.decision import Event, Touched
from netrt.model.network import PARENTED, Ingress, Mode, Network, Subnet, bridge_options
from netrt.model.state import State

Made = tuple[State, Network, tuple[Event, ...], Touched]
"""The State with the network, and what was done for it."""

_FIRST = "remove it first"


def defined(state: State, asked: Definition, facts: HostFacts, now: int, pools: Pools) -> Made:
    """The network of a definition. Raises Invalid, Exists, InUse, Exhausted."""
    held = state.networks.get(state.network_names.get(asked.name, ""))
    if held is not None and not held.plugin:
        if asked.shared:
            return state, held, (), Touched()
        raise Exists(
            f"network {asked.name} exists, and was not made by {asked.plugin}",
            hint="use the plugin netrt for it, or another name",
        )
    if held is not None and held.mode is not asked.mode and state.of_network.get(held.id):
        raise InUse(f"network {asked.name} was made by {held.plugin}, and has containers", hint="remove them first")
    if held is not None and _as_made(held, asked, facts):
        return state, held, (), Touched()
    wanted = _network(state, asked, held, facts, now, pools)
    if wanted == held:
        return state, held, (), Touched()
    check_bridge_name(state, wanted)
    if wanted.mode in PARENTED:
        check_parent(state, wanted, facts)
    check_proxied(wanted, beside(wanted, facts))
    for subnet in wanted.subnets:
        _refuse_overlap(state, wanted, subnet)
        _refuse_held(state, wanted, subnet)
    if held is not None and wanted.mode is Mode.BRIDGE:
        _refuse_lost(state, held, wanted)
    if held is None:
        made = (network_event("create", wanted, now),)
        return state.with_network(wanted), wanted, made, Touched(networks=frozenset({wanted.id}))
    return state.with_network(wanted), wanted, (), everything_on(state, wanted)


def everything_on(state: State, changed: Network) -> Touched:
    """A network that changed, and the containers on it."""
    on = frozenset(container for container, _ in state.of_network.get(changed.id, ()))
    return Touched(networks=frozenset({changed.id}), containers=on)


def _network(
    state: State, asked: Definition, held: Network | None, facts: HostFacts, now: int, pools: Pools
) -> Network:
    given = tuple(completed(subnet) for subnet in asked.subnets)
    for one, other in combinations(given, 2):
        if family(one.cidr) == family(other.cidr) and _meet(one, other):
            raise Invalid(f"ranges of subnets {one.cidr} and {other.cidr} overlap")
    subnets = (*given, *_kept(state, held, given))
    if held is not None and asked.mode is Mode.FOREIGN and not given:
        subnets = held.subnets  # a chained plugin has nothing to say of them
    for version in sorted(asked.choose):
        mine = held.subnets_of(version) if held else ()
        if not any(family(subnet.cidr) == version for subnet in subnets):
            taken = taken_subnets(state, facts)
            subnets += mine or (completed(Subnet(cidr=choose_subnet(version, taken, pools))),)
    return Network(
        id=held.id if held else asked.id,
        name=asked.name,
        mode=asked.mode,
        created=held.created if held else rfc3339(now),
        subnets=subnets,
        ipv4=asked.dhcp or any(family(subnet.cidr) == 4 for subnet in subnets),
        ipv6=any(family(subnet.cidr) == 6 for subnet in subnets),
        internal=asked.internal,
        options=_options(asked, held, facts),
        labels=dict(asked.labels),
        plugin=held.plugin if held and asked.mode is Mode.FOREIGN else asked.plugin,
        ingress=held.ingress if held else Ingress.OPEN,
        dhcp=asked.dhcp,
    )


def _as_made(held: Network, asked: Definition, facts: HostFacts) -> bool:
    """Whether a definition says what the network was made of, as it nearly always does: then none need be made to see that."""
    same = (held.mode, held.plugin, held.internal, held.dhcp) == (asked.mode, asked.plugin, asked.internal, asked.dhcp)
    return (
        same
        and not asked.choose
        and held.subnets == asked.subnets
        and held.labels == asked.labels
        and held.options == _options(asked, held, facts)
    )


def _options(asked: Definition, held: Network | None, facts: HostFacts) -> dict[str, str]:
    """Those of the definition, and whether the bridge that it names was there before us."""
    options = dict(asked.options)
    if asked.mode in PARENTED:
        return options
    if asked.mode is Mode.FOREIGN:
        return {**(held.options if held else {}), **options}
    name = bridge_options(options).bridge_name
    before = held.bridge if held and held.mode is Mode.BRIDGE else None
    there = before.existing if before and before.bridge_name == name else name in facts.bridges
    return options | ({"existing_bridge": "true"} if there else {})


def _meet(one: Subnet, other: Subnet) -> bool:
    """Whether two ranges have addresses in common, or lie in two subnets that do."""
    if one.cidr != other.cidr:
        return overlaps(one.cidr, other.cidr)
    return one.dynamic.start < other.dynamic.stop and other.dynamic.start < one.dynamic.stop


def _kept(state: State, held: Network | None, given: tuple[Subnet, ...]) -> tuple[Subnet, ...]:
    """Subnets of before that have addresses in use which no given one has. Raises InUse where a given one overlaps them."""
    cidrs = {subnet.cidr for subnet in given}
    doubtful = [subnet for subnet in held.subnets if subnet.cidr not in cidrs] if held else []
    if held is None or not doubtful:
        return ()
    used = _used(state, held)
    kept = tuple(subnet for subnet in doubtful if subnet.cidr in used)
    for one, other in product(given, kept):
        if overlaps(one.cidr, other.cidr):
            raise InUse(f"subnet {one.cidr} overlaps {other.cidr}, in which {used[other.cidr]}", hint=_FIRST)
    return kept


def _used(state: State, network: Network) -> dict[str, str]:
    """The subnets that have addresses in use, and of each who holds one, in words."""
    return {
        network.subnet_of(interface).cidr: f"{_name(state, attachment)} holds {host_of(interface)}"
        for attachment in _attached(state, network)
        for interface in attachment.addresses
    }


def _attached(state: State, network: Network) -> Iterator[Attachment]:
    return (state.attachments[key] for key in state.of_network.get(network.id, ()))


def _name(state: State, attachment: Attachment) -> str:
    return state.containers[attachment.container_id].name


def _refuse_overlap(state: State, wanted: Network, subnet: Subnet) -> None:
    for other in state.networks.values():
        for taken in other.subnets if other.id != wanted.id and Mode.FOREIGN not in (other.mode, wanted.mode) else ():
            if overlaps(subnet.cidr, taken.cidr) and not (subnet.learned or taken.learned):
                raise InUse(f"subnet {subnet.cidr} overlaps network {other.name} ({taken.cidr})")


def _refuse_held(state: State, wanted: Network, subnet: Subnet) -> None:
    """Raises InUse where a container holds an address that none may have now."""
    make = type(block_of(subnet.cidr).network_address)
    for number, what in subnet.reserved.items() if not subnet.learned else ():
        holder = state.addresses.get((wanted.id, str(make(number))))
        if holder is not None:
            name = _name(state, state.attachments[holder])
            raise InUse(f"{make(number)} cannot be the {what} of network {wanted.name}: {name} holds it", hint=_FIRST)


def _refuse_lost(state: State, held: Network, wanted: Network) -> None:
    """Raises InUse where a bridge would get another address than that by which routes lead, as the reference does."""
    stay = {subnet.gateway for subnet in wanted.subnets}
    lost = {s.gateway for s in held.subnets if wanted.publishes(family(s.cidr)) and s.gateway not in stay}
    for attachment in _attached(state, held) if lost else ():
        for way in attachment.routes or ():
            if way.via in lost:
                name = _name(state, attachment)
                raise InUse(f"{way.via} stays the gateway of network {held.name}: {name} goes by it", hint=_FIRST)


def learned(state: State, held: Network, said: tuple[Subnet, ...]) -> tuple[State, Network, Touched]:
    """The network with the subnets that somebody else's IPAM told of, and without those that nobody uses any more."""
    fresh = [subnet for subnet in said if not any(_same(subnet, other) for other in held.subnets)]
    if not fresh:
        return state, held, Touched()
    used = _used(state, held)
    better = {subnet.cidr for subnet in fresh}
    old = [s for s in held.subnets if not s.learned or (s.cidr in used and (s.gateway or s.cidr not in better))]
    wanted = replace(held, subnets=(*old, *fresh))
    return state.with_network(wanted), wanted, Touched(networks=frozenset({held.id}))


def _same(said: Subnet, other: Subnet) -> bool:
    return said.cidr == other.cidr and said.gateway in (None, other.gateway)
