"""What must be known of the host for a command: reading it all takes longer than most commands do.

Facts are read anew only where a subnet or a lease is chosen or checked by them; listeners only where a port is published; parents
where something is to stand on them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass

from netrt.decide.lookup import find_network
from netrt.decide.networks import DEFAULT_NAMES
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
from netrt.model.network import DEFAULT_NETWORK, parents_named, standing_on, stands_on
from netrt.model.port import PROTOCOLS, PortMapping
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
            return Needs(fresh=bool(command.grow or command.add or command.ipv6), parents=_parents(state, ref))
        case CreateContainer(endpoints=wished):
            refs = command.network_mode, *(endpoint.network for endpoint in wished)
            leased = any(endpoint.dhcp for endpoint in wished)
            return Needs(
                fresh=leased or _lacks_default(state, *refs),
                listeners=_protocols(command.ports),
                parents=_parents(state, *refs),
            )
        case Connect(endpoint=wish):
            fresh = wish.dhcp is not None or _lacks_default(state, wish.network)
            return Needs(fresh=fresh, parents=_parents(state, wish.network))
        case NoteLease():
            return Needs(fresh=_moves(state, command))
        case NoteProcess(state=noted):
            return Needs(listeners=frozenset(PROTOCOLS if noted.starting else ()))
        case Attach(definition=definition):
            defined = stands_on(definition.mode, definition.options) if definition else _NONE
            return Needs(
                fresh=command.endpoint.dhcp is not None
                or (definition is not None and definition.name not in state.network_names),
                listeners=_protocols(command.ports),
                parents=defined | _parents(state, command.endpoint.network),
            )
        case Publish(add=ports):
            return Needs(listeners=_protocols(ports))
        case Adjust():
            return Needs(listeners=_protocols(command.ports or ()))
        case _:
            return Needs()


def _parents(state: State, *refs: str) -> frozenset[str]:
    """The parents of the networks that are meant, as far as these are there."""
    found: set[str] = set()
    for ref in refs:
        with contextlib.suppress(NetrtError):
            held = state.networks.get(state.network_names.get(ref, ref))
            found |= standing_on([held or find_network(state, ref)])
    return frozenset(found)


def _moves(state: State, command: NoteLease) -> bool:
    """Whether an attachment has another address by this lease."""
    held = state.attachments.get((command.container, command.ifname))
    return held is not None and command.lease is not None and command.lease.address != held.address4


def _lacks_default(state: State, *networks: str) -> bool:
    """Whether these may mean the default network, and it is yet to be made."""
    return DEFAULT_NETWORK not in state.network_names and not set(networks).isdisjoint(("", *DEFAULT_NAMES))


def _protocols(ports: Iterable[PortMapping]) -> frozenset[str]:
    return frozenset(mapping.protocol for mapping in ports)
