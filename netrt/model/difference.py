"""What changed between two tables of a State: known from what the later one remembers of its edits, or, where they are far
apart, found by a comparison of all entries by identity, for States share whatever an edit did not touch."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

from netrt.model.table import Table

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def difference(before: Table[K, V], after: Table[K, V]) -> tuple[tuple[K, ...], tuple[tuple[K, V], ...]]:
    """The keys that are gone, and the entries that are new or replaced, in the order of the table."""
    if before is after:
        return (), ()
    known: tuple[tuple[K, ...], tuple[tuple[K, V], ...]] | None = after.known(before)
    if known is not None:
        return known
    edited = after.edits(before)
    if edited is None:
        return _among(before.keys() | after.keys(), before, after)
    found = _among(edited, before, after)
    after.note(before, found)
    return found


def _among(
    edited: Iterable[K], before: Table[K, V], after: Table[K, V]
) -> tuple[tuple[K, ...], tuple[tuple[K, V], ...]]:
    gone = before.placed(key for key in edited if key not in after)
    put = after.placed(key for key in edited if key in after and before.get(key) is not after[key])
    return tuple(gone), tuple((key, after[key]) for key in put)
