"""A set of kernel objects: what a host's kernel should hold, or what it was seen to hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from netrt.dataplane.objects import Key, Object
from netrt.errors import Conflict

T = TypeVar("T", bound=Object)


class HostState:
    """Objects by key. A HostState is never changed; it has them by class too, from when somebody asks so."""

    __slots__ = ("_by_class", "objects")

    def __init__(self, objects: Mapping[Key, Object] | None = None) -> None:
        self.objects: Mapping[Key, Object] = {} if objects is None else objects
        self._by_class: dict[type, list[Any]] | None = None

    @staticmethod
    def of(*groups: Iterable[Object]) -> HostState:
        """All objects of the groups. The same object twice is fine; two that differ under one key raise Conflict."""
        objects: dict[Key, Object] = {}
        for group in groups:
            for thing in group:
                held = objects.setdefault(thing.key, thing)
                if held is not thing and held != thing:
                    raise Conflict(f"two different things are wanted as {' '.join(thing.key)}")
        return HostState(objects)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HostState) and self.objects == other.objects

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"HostState({self.objects!r})"

    def __iter__(self) -> Iterator[Object]:
        return iter(self.objects.values())

    def __len__(self) -> int:
        return len(self.objects)

    def all(self, kind: type[T]) -> Sequence[T]:
        """The objects of one class."""
        if self._by_class is None:
            found: dict[type, list[Any]] = {}
            for thing in self.objects.values():
                found.setdefault(type(thing), []).append(thing)
            self._by_class = found
        return self._by_class.get(kind, ())

    def get(self, kind: type[T], *key: str) -> T | None:
        """The object with this key, if it is there and of this class."""
        thing = self.objects.get(key)
        return thing if isinstance(thing, kind) else None

    def replaced(self, removed: Iterable[Key] = (), added: Iterable[Object] = ()) -> HostState:
        """Without some keys, then with some objects (which replace those of the same key)."""
        objects = dict(self.objects)
        for key in removed:
            objects.pop(key, None)
        for thing in added:
            objects[thing.key] = thing
        return HostState(objects)
