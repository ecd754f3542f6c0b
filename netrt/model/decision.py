"""What deciding yields: the next State, what of it was touched, and what happened, in words that listeners know."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from netrt.model.state import State


class Touched(Struct, frozen=True, kw_only=True):
    """The networks and containers (ids, of before or after) whose kernel objects may differ between two States."""

    networks: frozenset[str] = frozenset()
    containers: frozenset[str] = frozenset()


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened, in Docker's words.

    `type` is network or container; `action` create, connect, disconnect, destroy, start, die, rename; `id` that of the
    network or container; `attributes` such as name, type, container; `time` in nanoseconds since the epoch.
    """

    type: str
    action: str
    id: str
    time: int
    attributes: Mapping[str, str] = field(default_factory=dict)


class Decision(Struct, frozen=True, kw_only=True):
    """`id` is that of the object that the command made or meant; `removed` the names of what prune removed."""

    state: State
    touched: Touched = Touched()
    events: tuple[Event, ...] = ()
    id: str = ""
    removed: tuple[str, ...] = ()
