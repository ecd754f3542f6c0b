"""A copy of the database that needs no database to be read: lines of text, the first with everything, each further one with what
one commit changed.

Rule 1: every line begins with a hash of the rest; what follows a line that is damaged is not believed. Rule 2: a copy that cannot
be written stops no commit; it is written anew as a whole with the next one that finds the cause gone.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from netrt.store.rows import Change, added

ROOM = 256 * 1024
"""Bytes that lines of commits may have beside three times the first line, before all is written anew."""

_DIGITS = 32
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW

_log = logging.getLogger("netrt.store")
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Change)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a copy holds; `unread` lines behind that could not be read."""

    held: Change
    unread: int


class Copy:
    """The copy at `path`, as it is written."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1
        self._limit = self._size = 0
        self._failing = False

    def begin(self, whole: Change) -> None:
        """Write everything anew, in place of what was there; it then survives power loss. What fails is logged."""
        self.close()
        line, new = _line(whole), f"{self._path}.new"
        try:
            self._file = os.open(new, _FLAGS, 0o600)
            _write(self._file, line)
            os.fsync(self._file)
            os.rename(new, self._path)
        except OSError as error:
            self._given_up(error)
            with contextlib.suppress(OSError):
                os.unlink(new)
            return
        self._size, self._limit, self._failing = len(line), ROOM + 3 * len(line), False

    def add(self, change: Change, whole: Callable[[], Change]) -> None:
        """Write down a commit; `whole` tells everything there is after it."""
        if self._file < 0 or self._size > self._limit:
            self.begin(whole())
            return
        line = _line(change)
        try:
            _write(self._file, line)
            self._size += len(line)
        except OSError as error:
            self._given_up(error)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _given_up(self, error: OSError) -> None:
        self.close()
        if not self._failing:
            _log.warning("the copy of the database, %s, cannot be written: %s", self._path, error.strerror)
        self._failing = True


def read(path: str) -> Found | None:
    """What the copy at `path` holds up to its end, or to the first damaged line. None where there is none that begins whole."""
    try:
        with open(path, "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    changes: list[Change] = []
    for line in lines:
        change = _change(line)
        if change is None or change.whole != (not changes):
            break
        changes.append(change)
    return Found(held=added(changes), unread=len(lines) - len(changes)) if changes else None


def _line(change: Change) -> bytes:
    body = _encoder.encode(change)
    return _hash(body) + b" " + body + b"\n"


def _change(line: bytes) -> Change | None:
    digits, _, body = line.partition(b" ")
    if digits != _hash(body):
        return None
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError:
        return None


def _hash(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_DIGITS].encode()


def _write(file: int, line: bytes) -> None:
    """All of it. Raises OSError; then the file ends with a part of a line, and is to be written anew."""
    view = memoryview(line)
    while view:
        view = view[os.write(file, view) :]
