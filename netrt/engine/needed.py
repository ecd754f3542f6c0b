"""What must be known of the host for a command: reading it all takes longer than most commands do.

Facts are read anew only where a subnet, a lease or the address of a published port is chosen or checked by them; listeners only
where a port is published; parents where something is to stand on them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netrt.decide.lookup import find_container, find_network
from netrt.decide.networks import DEFAULT_NAMES
from netrt.decide.ports import is_particular
from netrt.errors import NetrtError
from netrt.model.command import (
    Adjust,
    Attach,
    Command,
    Connect,
    CreateContainer,
    CreateNetwork,
    NoteLease,
    NoteProcess,
    Publish,
    UpdateNetwork,
)
from netrt.model.network import DEFAULT_NETWORK, Network, parents_named, standing_on, stands_on
from netrt.model.port import PortMapping
from netrt.model.state import State

_NONE = frozenset[str]()


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """`fresh`: addresses and routes as they are now; `listeners`: the protocols whose sockets are looked at; `parents`: names."""

    fresh: bool = False
    listeners: frozenset[str] = _NONE
    parents: frozenset[str] = _NONE


def needed(state: State, command: Command) -> Needs:
    """What this command needs to be decided."""
    match command:
        case CreateNetwork(mode=mode, options=options):
            return Needs(fresh=True, parents=parents_named(mode, options))
        case UpdateNetwork(network=ref):
            return Needs(
                fresh=bool(command.grow or command.add or command.ipv6), parents=standing_on(_meant(state, ref))
            )
        case CreateContainer(endpoints=wished):
            refs = command.network_mode, *(endpoint.network for endpoint in wished)
            leased, networks = any(endpoint.dhcp for endpoint in wished), _meant(state, *refs)
            taken = [port for port in command.ports if command.process is None or not port.host_port]
            return Needs(
                fresh=leased or _lacks_default(state, *refs) or _placed(command.ports, networks),
                listeners=_protocols(taken),
                parents=standing_on(networks),
            )
        case Connect(endpoint=wish):
            fresh = wish.dhcp is not None or _lacks_default(state, wish.network)
            return Needs(fresh=fresh, parents=standing_on(_meant(state, wish.network)))
        case NoteLease():
            return Needs(fresh=_moves(state, command))
        case NoteProcess(container=ref, state=noted):
            back = _taken(state, ref) if noted.starting or noted.running else ()
            return Needs(fresh=_placed(back), listeners=_protocols(back))
        case Attach(definition=definition):
            defined = stands_on(definition.mode, definition.options) if definition else _NONE
            networks = _meant(state, command.endpoint.network)
            return Needs(
                fresh=command.endpoint.dhcp is not None
                or (definition is not None and definition.name not in state.network_names)
                or _placed(command.ports, networks),
                listeners=_protocols(command.ports),
                parents=defined | standing_on(networks),
            )
        case Publish(container=ref, add=ports):
            return Needs(fresh=_placed(ports, _around(state, ref)), listeners=_protocols(ports))
        case Adjust(container=ref, ports=wished):
            ports = wished or ()
            return Needs(fresh=_placed(ports, _around(state, ref)), listeners=_protocols(ports))
        case _:
            return Needs()


def _meant(state: State, *refs: str) -> Sequence[Network]:
    """The networks that are meant, as far as they are there."""
    found: list[Network] = []
    for ref in refs:
        with contextlib.suppress(NetrtError):
            found.append(state.networks.get(state.network_names.get(ref, ref)) or find_network(state, ref))
    return found


def _around(state: State, ref: str) -> Sequence[Network]:
    """The networks that a container is on; none where there is no such container."""
    with contextlib.suppress(NetrtError):
        mine = state.attachments_of(find_container(state, ref).id)
        return [state.networks[attachment.network_id] for attachment in mine]
    return ()


def _moves(state: State, command: NoteLease) -> bool:
    """Whether an attachment has another address by this lease."""
    held = state.attachments.get((command.container, command.ifname))
    return held is not None and command.lease is not None and command.lease.address != held.address4


def _lacks_default(state: State, *networks: str) -> bool:
    """Whether these may mean the default network, and it is yet to be made."""
    return DEFAULT_NETWORK not in state.network_names and not set(networks).isdisjoint(("", *DEFAULT_NAMES))


def _taken(state: State, ref: str) -> tuple[PortMapping, ...]:
    """The published ports that a container has yet to take when it starts."""
    container = state.containers.get(state.container_names.get(ref, ref))
    return () if container is None or container.holds_ports else container.ports


def _protocols(ports: Iterable[PortMapping]) -> frozenset[str]:
    return frozenset(mapping.protocol for mapping in ports)


def _placed(ports: Sequence[PortMapping], networks: Iterable[Network] = ()) -> bool:
    """Whether any of these is for an address that the host must have: its own, or the one that a network binds ports to."""
    own = {mapping.host_ip for mapping in ports}
    if "" in own:
        own.update(network.bridge.host_binding_ipv4 or "" for network in networks if network.publishes(4))
    return any(map(is_particular, own))
