"""Command in, next State out. The only door of this room, and the list of what netrt can be asked."""

from __future__ import annotations

from typing import assert_never

from netrt.dataplane.facts import HostFacts
from netrt.decide.containers import create_container, note_health, note_process, reclaim, remove_container, rename
from netrt.decide.endpoints import connect, disconnect
from netrt.decide.leases import note_lease, taught
from netrt.decide.live import limit, publish
from netrt.decide.networks import create_network, prune_networks, remove_network
from netrt.decide.plugged import adjust, attach_plugged, collect, detach_plugged
from netrt.decide.updated import update_network
from netrt.ipam.pools import DEFAULT, Pools
from netrt.model.command import (
    Adjust,
    Attach,
    Collect,
    Command,
    Connect,
    CreateContainer,
    CreateNetwork,
    Detach,
    Disconnect,
    Limit,
    NoteHealth,
    NoteLease,
    NoteProcess,
    PruneNetworks,
    Publish,
    Reclaim,
    RemoveContainer,
    RemoveNetwork,
    Rename,
    UpdateNetwork,
)
from netrt.model.decision import Decision
from netrt.model.state import State


def decide(state: State, command: Command, facts: HostFacts, now: int, pools: Pools = DEFAULT) -> Decision:
    """What `command` makes of `state` at the time `now` (nanoseconds since the epoch) on a host with these facts.

    Raises one of `netrt.errors` for what cannot be: Invalid, NotFound, Exists, InUse, Conflict, Exhausted.
    """
    match command:
        case CreateNetwork():
            return create_network(state, command, facts, now, pools)
        case UpdateNetwork():
            return update_network(state, command, facts, now, pools)
        case RemoveNetwork():
            return remove_network(state, command, now)
        case PruneNetworks():
            return prune_networks(state, command, now)
        case CreateContainer():
            return taught(state, create_container(state, command, facts, now, pools))
        case RemoveContainer():
            return remove_container(state, command, now)
        case Connect():
            return taught(state, connect(state, command, facts, now, pools))
        case Disconnect():
            return disconnect(state, command, now)
        case NoteProcess():
            return note_process(state, command, facts, now)
        case NoteHealth():
            return note_health(state, command, now)
        case NoteLease():
            return note_lease(state, command, facts)
        case Rename():
            return rename(state, command, now)
        case Publish():
            return publish(state, command, facts, now)
        case Limit():
            return limit(state, command, now)
        case Reclaim():
            return reclaim(state, command, now)
        case Attach():
            return taught(state, attach_plugged(state, command, facts, now, pools))
        case Adjust():
            return adjust(state, command, facts, now, pools)
        case Detach():
            return detach_plugged(state, command, now)
        case Collect():
            return collect(state, command, now)
    assert_never(command)
