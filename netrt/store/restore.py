"""The database as it is found at the start: whole, or restored from its copy.

Rule 1: a copy is written after the database, so one that knows of more commits proves that the database lost some. Of two that
know of as many and differ, the copy is right: its lines have hashes. Rule 2: what is found damaged is kept aside. Rule 3: where
there is no copy, a damaged database is refused; one that is not there at all, and has no copy either, is a new one."""

from __future__ import annotations

import os
from collections.abc import Mapping

from netrt.store.copy import Copy, Found, read
from netrt.store.local import Damaged, LocalStore, put_aside
from netrt.store.rows import KEYS, ORDER, Change, Contradiction, rows_of, state_from, whole

COPY = ".copy"
"""What the copy's name has behind that of the database."""


def open_store(path: str) -> tuple[LocalStore, str]:
    """The store at `path`; and in words what was wrong with it, from what it was restored, and what is lost: none where it was as
    it should be. Raises Unavailable, Damaged where it cannot be restored."""
    there, copy, found, words = os.path.exists(path), Copy(f"{path}{COPY}"), read(f"{path}{COPY}"), ""
    try:
        store = _loaded(path, copy, found)
    except Damaged as damage:
        if found is None or not _sound(found):
            raise
        put_aside(path)
        store = LocalStore(path, copy=copy)
        store.fill(found.held)
        problem = damage.message if there else f"database {path} is missing"
        words = f"{problem}; restored from {path}{COPY} as of commit {store.number}: {_lost(found)}"
    copy.begin(whole(store.load(), store.settings))
    return store, words


def _loaded(path: str, copy: Copy, found: Found | None) -> LocalStore:
    """The store, its State loaded. Raises Unavailable; Damaged also where the copy proves that it is not what was written."""
    store = LocalStore(path, copy=copy)
    try:
        store.load()
        problem = _problem(store, found) if found else ""
        if problem:
            raise Damaged(f"database {path} {problem}")
    except BaseException:
        store.close()
        raise
    return store


def _sound(found: Found) -> bool:
    """Whether what a copy holds is a State."""
    try:
        state_from(rows_of(found.held))
    except Contradiction:
        return False
    return True


def _problem(store: LocalStore, found: Found) -> str:
    """What shows that a database which can be read is not what was last written."""
    if found.held.number < store.number:
        return ""
    if found.held.number > store.number:
        return f"lacks what came after commit {store.number}" if _sound(found) else ""
    held = store.held()
    if _beside(held.settings) == _beside(found.held.settings) and _same_rows(held, found.held):
        return ""
    return "is damaged: it differs from its copy" if _sound(found) else ""


def _same_rows(held: Change, copied: Change) -> bool:
    """By their text, which is nearly always the same; by what it says only where it is not."""
    if all(dict(held.put.get(table, ())) == dict(copied.put.get(table, ())) for table in KEYS):
        return True
    try:
        return rows_of(held) == rows_of(copied)
    except Contradiction:
        return False


def _beside(settings: Mapping[str, str]) -> Mapping[str, str]:
    """Without what a State says itself."""
    return {key: value for key, value in settings.items() if key != ORDER}


def _lost(found: Found) -> str:
    if not found.unread:
        return "nothing is known to be lost"
    return f"what came after it is lost ({found.unread} lines of the copy are damaged, too)"
