"""Which sandboxes of others are being entered, noted in a file before the first operation in one: what stands in such a sandbox
after a crash is told by nothing on the host, and the next start has to look there.

Rule: what is noted is forgotten when the command is done, whatever came of it: then the file is empty, and stays open."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

import msgspec


class Entered:
    """The sandboxes that were being entered at the last crash, and those of the command that is done now. `path` is the file, in
    a directory that a reboot empties."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1
        self.paths = _read(path)

    def note(self, paths: Iterable[str]) -> None:
        """These are about to be entered. Raises OSError."""
        noted = self.paths | set(paths)
        if noted == self.paths:
            return
        if self._file < 0 or not os.fstat(self._file).st_nlink:  # somebody took it away
            self.close()
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.pwrite(self._file, msgspec.json.encode(sorted(noted)), 0)  # longer than what it takes the place of
        self.paths = noted

    def forget(self) -> None:
        """All is done, or undone."""
        if self.paths:
            self.paths = frozenset()
            with contextlib.suppress(OSError):
                os.truncate(self._path, 0)

    def close(self) -> None:
        """What is noted stays noted."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _read(path: str) -> frozenset[str]:
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=frozenset[str])
    except (OSError, ValueError):
        return frozenset()
