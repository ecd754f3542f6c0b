"""Networks whose addresses a DHCP server of the LAN gives: what it said becomes part of the State.

Rule 1: such a network has the subnets that its leases are in, and no others. Rule 2: a lease whose address somebody else has here
is refused: the server is wrong, or there are two. Rule 3: an attachment may be without an address; then it waits for one.
Rule 4: a LAN's server has no say about other networks, nor about the host: a lease in the midst of theirs is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_interface

from msgspec.structs import replace

from netrt.dataplane.facts import HostFacts, Parent
from netrt.decide.lookup import find_network
from netrt.errors import Conflict, InUse, Invalid, NetrtError
from netrt.ipam.pools import is_default, overlaps
from netrt.model.address import host_of, parse_ip
from netrt.model.command import Attach, Command, Connect, CreateContainer, Endpoint, NoteLease
from netrt.model.container import Attachment
from netrt.model.decision import Decision, Touched
from netrt.model.difference import difference
from netrt.model.lease import DhcpLease
from netrt.model.network import PARENTED, Mode, Network, Subnet, parent_options
from netrt.model.state import AttachmentKey, State


def check_dhcp(network: Network, subnets: tuple[Subnet, ...]) -> None:
    """Raises Invalid where a network cannot have its addresses from a DHCP server."""
    if network.mode is not Mode.MACVLAN:
        raise Invalid(
            f"the addresses of a {network.mode} network cannot come from a DHCP server", hint="use -d macvlan for that"
        )
    if not network.ipv4:
        raise Invalid("addresses from a DHCP server are IPv4, which is turned off for the network")
    if subnets:
        raise Invalid(
            f"subnet {subnets[0].cidr} cannot be chosen where addresses come from a DHCP server",
            hint="the server says subnet, gateway and range",
        )


def check_wish(network: Network, endpoint: Endpoint) -> None:
    """Raises Invalid, Conflict where what a container wishes for cannot be had from a DHCP server, or is not what it gave."""
    if endpoint.address6:
        raise Invalid(
            f"IPv6 address {endpoint.address6} cannot be chosen on network {network.name}: "
            "its addresses come from a DHCP server",
            hint="with --ipv6 the LAN's routers tell containers theirs",
        )
    if endpoint.address4 and parse_ip("IPv4 address", endpoint.address4).version != 4:
        raise Invalid(f"{endpoint.address4} is not an IPv4 address")
    if endpoint.dhcp and endpoint.address4 and host_of(endpoint.dhcp.address) != endpoint.address4:
        raise Conflict(
            f"the DHCP server gave {host_of(endpoint.dhcp.address)} on network {network.name}, not {endpoint.address4}"
        )


def _named(command: Command) -> Iterator[str]:
    """The networks that a command puts a container onto, as it calls them."""
    match command:
        case CreateContainer():
            yield command.network_mode
            yield from (endpoint.network for endpoint in command.endpoints)
        case Connect():
            yield command.endpoint.network
        case Attach(definition=definition):
            yield definition.name if definition else command.endpoint.network


def wants_leases(state: State, command: Command) -> bool:
    """Whether a command needs an answer of a DHCP server first."""
    if isinstance(command, Attach) and command.definition and command.definition.dhcp:
        return True
    return any(network.dhcp for ref in _named(command) if (network := _found(state, ref)))


def _found(state: State, ref: str) -> Network | None:
    """By name or id at once; the beginning of an id takes a search."""
    with suppress(NetrtError):
        return state.networks.get(state.network_names.get(ref, ref)) or find_network(state, ref)
    return None


def yet_to_lease(before: State, after: State) -> tuple[Attachment, ...]:
    """The attachments that a command would make for which a DHCP server is to be asked."""
    put = difference(before.attachments, after.attachments)[1]
    return tuple(a for _, a in put if after.networks[a.network_id].dhcp and a.dhcp is None)


def with_leases(state: State, command: Command, leases: Mapping[str, DhcpLease]) -> Command:
    """The command with what DHCP servers gave, by network id."""
    match command:
        case CreateContainer(endpoints=asked):
            told = {endpoint.network for endpoint in asked}
            asked = (*asked, *(() if command.network_mode in told else (Endpoint(network=command.network_mode),)))
            found = tuple(dataclasses.replace(e, dhcp=_of(state, e.network, leases)) for e in asked)
            return dataclasses.replace(command, endpoints=tuple(e for e in found if e.dhcp or e.network in told))
        case Connect(endpoint=wish) | Attach(endpoint=wish):
            (lease,) = leases.values()
            return dataclasses.replace(command, endpoint=dataclasses.replace(wish, dhcp=lease))
    return command


def wish_of(state: State, command: Command, network_id: str) -> str:
    """The IPv4 address that a command asks for on a network, or empty."""
    match command:
        case CreateContainer(endpoints=asked):
            found = (e.address4 for e in asked if (network := _found(state, e.network)) and network.id == network_id)
            return next(found, "")
        case Connect(endpoint=wish) | Attach(endpoint=wish):
            return wish.address4
    return ""


def _of(state: State, ref: str, leases: Mapping[str, DhcpLease]) -> DhcpLease | None:
    network = _found(state, ref)
    return leases.get(network.id) if network else None


def check_place(state: State, container_id: str, network: Network, lease: DhcpLease, facts: HostFacts) -> None:
    """Raises InUse, Conflict where a lease would lead a container, or the host, to a LAN with what is for somebody else."""
    said = f"the DHCP server gave {lease.address} on network {network.name}"
    options, cidr = parent_options(network), str(ip_interface(lease.address).network)
    on = {attachment.network_id for attachment in state.attachments_of(container_id)}
    for other in state.networks.values():
        beside = other.id in on and parent_options(other).parent != options.parent if other.mode in PARENTED else True
        for subnet in other.subnets if beside else ():
            if overlaps(cidr, subnet.cidr):
                raise InUse(f"{said}, which overlaps network {other.name} ({subnet.cidr})")
    if host_of(lease.address) in facts.addresses:
        raise Conflict(f"{said}, which is an address of this host")
    parent = facts.parents.get(options.parent, Parent())
    own = {str(ip_interface(address).network) for address in parent.addresses}
    for route in facts.routes if options.host_access else ():
        if route not in own and overlaps(cidr, route) and not is_default(route):
            raise Conflict(f"{said}, which overlaps {route}, where this host has a route to")


def learned(state: State, network: Network, lease: DhcpLease, besides: AttachmentKey | None = None) -> State:
    """With the subnet of a lease, and without those in which nobody has an address but who had this one before (`besides`).
    Raises InUse where somebody else has the address."""
    holder = state.addresses.get((network.id, host_of(lease.address)))
    if holder not in (None, besides):
        name = state.containers[holder[0]].name if holder else ""
        raise InUse(f"the DHCP server gave {host_of(lease.address)} on network {network.name}, which is held by {name}")
    cidr = str(ip_interface(lease.address).network)
    others = (state.attachments[key] for key in state.of_network.get(network.id, ()) if key != besides)
    used = {network.subnet_of(interface).cidr for attachment in others for interface in attachment.addresses}
    kept = (subnet for subnet in network.subnets if subnet.cidr in used and subnet.cidr != cidr)
    subnets = (*kept, Subnet(cidr=cidr, gateway=lease.router or None, learned=True))
    return state if subnets == network.subnets else state.with_network(replace(network, subnets=subnets))


def note_lease(state: State, command: NoteLease, facts: HostFacts) -> Decision:
    """Raises InUse, Conflict."""
    key = command.container, command.ifname
    before = state.attachments.get(key)
    if before is None or not state.networks[before.network_id].dhcp:
        return Decision(state=state, id=command.container)
    lease, network = command.lease, state.networks[before.network_id]
    bare = state.with_attachment(replace(before, address4="", dhcp=None))
    if lease is None:
        after = bare
    else:
        if lease.address != before.address4:
            check_place(bare, command.container, network, lease, facts)
        after = learned(bare, network, lease, key).with_attachment(replace(before, address4=lease.address, dhcp=lease))
    moved = _lasting(before.dhcp) != _lasting(lease)
    touched = Touched(containers=frozenset({command.container}) if moved else frozenset())
    return taught(state, Decision(state=after, touched=touched, id=command.container))


def _lasting(lease: DhcpLease | None) -> DhcpLease | None:
    """What of a lease the kernel holds."""
    return lease and replace(lease, server="", server_mac="", renew=0, rebind=0, expires=0)


def taught(before: State, decision: Decision) -> Decision:
    """With everybody touched who is on a network whose subnets a lease changed: they may have another gateway now."""
    touched = decision.touched
    for network_id, network in difference(before.networks, decision.state.networks)[1]:
        if network.dhcp and network_id in before.networks:
            on = {container for container, _ in decision.state.of_network.get(network_id, ())}
            touched = Touched(networks=touched.networks, containers=touched.containers | on)
    return Decision(
        state=decision.state,
        touched=touched,
        events=decision.events,
        id=decision.id,
        removed=decision.removed,
    )
