"""Whether containers may stand on a link of the host, their parent.

Rule 1: what the kernel would refuse later is refused before anything is made, by the name of what is in the way. Rule 2: what the
kernel would allow but nothing would ever come of (Wi-Fi, clouds) is refused too. Rule 3: one parent has one mode."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import count

from msgspec.structs import replace

from netrt.dataplane.facts import HostFacts, Parent
from netrt.errors import Conflict, InUse, Invalid, NotFound
from netrt.model.address import host_of, network
from netrt.model.network import PARENTED, Mode, Network, Subnet, parent_options, standing_on
from netrt.model.parent import MacvlanMode, ParentOptions
from netrt.model.state import State

_NAMED = {Mode.MACVLAN: "a macvlan", Mode.IPVLAN: "an ipvlan"}


def find_parent(wanted: Network, facts: HostFacts) -> Parent:
    """The parent of a network as it is now. Raises NotFound."""
    name = parent_options(wanted).parent
    if name not in facts.parents:
        base, dot, number = name.rpartition(".")
        vlan = f"make it first: ip link add link {base} name {name} type vlan id {number}"
        raise NotFound(
            f"there is no interface {name} on this host for network {wanted.name}",
            hint=vlan if dot and number.isdecimal() else "-o parent= takes an interface that is there",
        )
    return facts.parents[name]


def check_parent(state: State, wanted: Network, facts: HostFacts) -> None:
    """Raises Invalid, NotFound, InUse, Conflict where a new network cannot have the parent that it names."""
    options = parent_options(wanted)
    if wanted.mode in facts.lacking:
        other = "a bridge network" if wanted.mode is Mode.MACVLAN else "a macvlan or bridge network"
        raise Invalid(f"this kernel has no {wanted.mode} devices", hint=f"try `modprobe {wanted.mode}`, or use {other}")
    parent = find_parent(wanted, facts)
    _check_kind(wanted, options, parent)
    _check_medium(wanted, options, parent)
    for other_network in state.networks.values():
        if other_network.mode in PARENTED and other_network.id != wanted.id:
            _check_other(other_network, wanted, options)


def _check_kind(wanted: Network, options: ParentOptions, parent: Parent) -> None:
    name, article = options.parent, _NAMED[wanted.mode]
    if parent.ours:
        raise Invalid(f"{name} is netrt's own interface and cannot be the parent of {article} network")
    if parent.master:
        raise Conflict(
            f"{name} is a port of {parent.master} and cannot be the parent of {article} network",
            hint=f"use {parent.master} as the parent, or take {name} out of it",
        )
    if parent.loopback or not parent.ethernet:
        raise Invalid(
            f"{name} is no Ethernet interface and cannot be the parent of {article} network",
            hint="use a network card, a VLAN, a bond or a bridge",
        )
    if parent.kind in PARENTED:
        raise Invalid(f"{name} itself stands on another interface ({parent.kind})", hint="use that one as the parent")


def _check_medium(wanted: Network, options: ParentOptions, parent: Parent) -> None:
    if wanted.mode is not Mode.MACVLAN:
        return
    if parent.wireless:
        raise Invalid(
            f"{options.parent} is a Wi-Fi interface: access points drop what has another MAC address than its own",
            hint="use a wired parent, an ipvlan network, or a bridge network",
        )
    if parent.cloud and not options.any_parent:
        raise Invalid(
            f"{options.parent} is a network card of {parent.cloud}, which drops what has another MAC address than its own",
            hint="use a bridge network; or -o any_parent=true where you know better",
        )


def _check_other(other: Network, wanted: Network, options: ParentOptions) -> None:
    held = parent_options(other)
    if held.parent != options.parent:
        return
    both = held.flavour if other.mode is wanted.mode else other.mode
    if other.mode is not wanted.mode or held.flavour != options.flavour:
        raise InUse(
            f"{options.parent} is the parent of network {other.name} in mode {both}, and one parent has one mode",
            hint=f"use that mode, or another parent than {options.parent}",
        )
    if options.flavour == MacvlanMode.PASSTHRU:
        raise InUse(f"{options.parent} is the parent of network {other.name} in mode passthru, which nobody shares")


def check_room(state: State, joined: Network) -> None:
    """Raises InUse for a second container on a passthru network."""
    options = parent_options(joined)
    on = state.of_network.get(joined.id)
    if options.flavour == MacvlanMode.PASSTHRU and on:
        holder = state.containers[next(iter(on))[0]].name
        raise InUse(f"network {joined.name} is passthru and takes one container, which is {holder}")


def of_host(network: Network, facts: HostFacts) -> frozenset[str]:
    """The addresses (without prefix length) that the links of others which a network stands on, or answers on, have now."""
    there = (facts.parents.get(name) for name in standing_on([network]))
    return frozenset(host_of(address) for parent in there if parent for address in parent.addresses)


def without_host(subnet: Subnet, parent: Parent) -> Subnet:
    """A subnet in which the host's own addresses are never given to a container."""
    block, known = network(subnet.cidr), {*subnet.auxiliary.values(), subnet.gateway}
    ends = (str(block.network_address), str(block.broadcast_address))
    mine = [
        address
        for address in map(host_of, parent.addresses)
        if ip_address(address) in block and address not in (*ends, *known)
    ]
    names = (f"host{number}" if number > 1 else "host" for number in count(1))
    free = (name for name in names if name not in subnet.auxiliary)
    return replace(subnet, auxiliary={**subnet.auxiliary, **{next(free): address for address in mine}})
