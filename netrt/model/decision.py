"""What deciding yields: the next State, what of it was touched, and what happened, in words that listeners know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netrt.model.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """The networks and containers (ids, of before or after) whose kernel objects may differ between two States."""

    networks: frozenset[str] = frozenset()
    containers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, in Docker's words.

    `type` is network or container; `action` create, connect, disconnect, destroy, start, die, rename; `id` that of the
    network or container; `attributes` such as name, type, container; `time` in nanoseconds since the epoch.
    """

    type: str
    action: str
    id: str
    time: int
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`id` is that of the object that the command made or meant; `removed` the names of what prune removed."""

    state: State
    touched: Touched = Touched()
    events: tuple[Event, ...] = ()
    id: str = ""
    removed: tuple[str, ...] = ()
