"""A table of a State: an immutable mapping that keeps the order in which its keys came, and knows what its last edits were.

Rule 1: an edit costs the same whatever the size of the table, for the two share all but a few nodes. Rule 2: to walk through a
table costs a sort, once; nothing that a single command needs does so. Rule 3: each table remembers some keys by which it differs
from those that it was made of, so what a command changed is known without a look at the rest."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any, TypeVar, overload

from immutables import Map

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

REMEMBERED = 32
"""How many edits back a table knows. What is further back is found by a comparison of all entries."""

_serials = count()


class Table(Mapping[K, V]):
    """An empty one, or one of these entries."""

    __slots__ = ("_compared", "_entries", "_next", "_order", "_serial", "_trail")

    def __init__(self, items: Iterable[tuple[K, V]] = ()) -> None:
        numbered = {key: (number, value) for number, (key, value) in enumerate(items)}
        self._entries: Map[K, tuple[int, V]] = Map(numbered)
        self._next = len(numbered)
        self._order: tuple[K, ...] | None = tuple(numbered)
        self._serial = next(_serials)
        self._trail: tuple[tuple[int, K], ...] = ()
        self._compared: tuple[int, Any] | None = None

    def set(self, key: K, value: V) -> Table[K, V]:
        """The same with an entry; one that replaces another has its place in the order."""
        held = self._entries.get(key)
        if held is not None:
            return self._edited(self._entries.set(key, (held[0], value)), key, self._next)
        return self._edited(self._entries.set(key, (self._next, value)), key, self._next + 1)

    def delete(self, key: K) -> Table[K, V]:
        """The same without an entry. Raises KeyError."""
        return self._edited(self._entries.delete(key), key, self._next)

    def _edited(self, entries: Map[K, tuple[int, V]], key: K, following: int) -> Table[K, V]:
        made: Table[K, V] = Table.__new__(Table)
        made._entries = entries
        made._next = following
        made._order = None
        made._serial = next(_serials)
        made._compared = None
        made._trail = (*self._trail[1 - REMEMBERED :], (self._serial, key))
        return made

    def __getitem__(self, key: K) -> V:
        return self._entries[key][1]

    @overload
    def get(self, key: K, /) -> V | None: ...
    @overload
    def get(self, key: K, /, default: V | T) -> V | T: ...
    def get(self, key: K, /, default: V | T | None = None) -> V | T | None:
        held = self._entries.get(key)
        return default if held is None else held[1]

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[K]:
        if self._order is None:
            self._order = tuple(sorted(self._entries, key=lambda key: self._entries[key][0]))
        return iter(self._order)

    def __repr__(self) -> str:
        return f"Table({list(self.items())!r})"

    def edits(self, before: Table[K, V]) -> frozenset[K] | None:
        """The keys that were edited since this one before; None where that is too far back."""
        keys: set[K] = set()
        for serial, key in reversed(self._trail):
            keys.add(key)
            if serial == before._serial:
                return frozenset(keys)
        return None

    def note(self, before: Table[K, V], found: Any) -> None:
        """Keep how this table differs from an earlier one, and forget how from another: whoever is told of a commit asks."""
        self._compared = before._serial, found

    def known(self, before: Table[K, V]) -> Any:
        """What was noted of this earlier one last; None where nothing was."""
        held = self._compared
        return held[1] if held and held[0] == before._serial else None

    def placed(self, keys: Iterable[K]) -> list[K]:
        """Those of these keys that are here, in their order."""
        return sorted((key for key in keys if key in self._entries), key=lambda key: self._entries[key][0])
