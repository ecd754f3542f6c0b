"""Reading a container's log while its supervisor writes it: the last lines, all of it, and on as it grows.

The file at the path may be replaced by a new one at any time (see `logfile`); the reader then ends the old one, which it still
has open, and goes on with the new. A line that does not read as an entry is passed over: a supervisor that was killed may leave
half of one."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import IO, NamedTuple

from netrt.errors import Unavailable

_IN_MODIFY, _IN_ATTRIB = 0x2, 0x4
_libc = ctypes.CDLL(None, use_errno=True)


class Entry(NamedTuple):
    """One line of output (`log`, with its newline), `stdout` or `stderr`, and when (RFC 3339)."""

    log: str
    stream: str
    time: str


def _entries(lines: Iterable[bytes]) -> Iterator[Entry]:
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            value = json.loads(line)
            yield Entry(log=str(value["log"]), stream=str(value["stream"]), time=str(value["time"]))


def _whole_lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines from here on; a last one without its end is left for the next time."""
    while line := file.readline():
        if not line.endswith(b"\n"):
            file.seek(-len(line), os.SEEK_CUR)
            return
        yield line


def _notices() -> int:
    """What tells of changes to files (inotify(7)). Raises Unavailable: root has 128 of them, and others may have them all."""
    made = int(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if made < 0:
        what = f"the log cannot be followed, for no inotify instance can be had: {os.strerror(ctypes.get_errno())}"
        hint = "it can be read without following; sysctl fs.inotify.max_user_instances is how many there may be"
        raise Unavailable(what, hint=hint, retry=True)
    return made


class LogReader:
    """With `follow`, `fileno()` becomes readable when `entries()` may have more to give. A log that does not exist has no
    entries."""

    def __init__(self, path: str, tail: int | None = None, *, follow: bool = True) -> None:
        """Begin with the last `tail` entries (None: all). Raises OSError; Unavailable where nobody can be told of more."""
        self._path, self._tail = path, tail
        self._begun = False
        self._notify = _notices() if follow else None
        self._file = self._open()

    def fileno(self) -> int:
        assert self._notify is not None
        return self._notify

    def entries(self) -> Iterator[Entry]:
        """Everything since the last call, oldest first. Raises OSError."""
        self._forget_events()
        if not self._begun:
            self._begun = True
            first: Iterable[bytes] = itertools.chain(self._older(), _whole_lines(self._file) if self._file else ())
            yield from _entries(first if self._tail is None else deque(first, self._tail))
        self._file = self._file or self._open()
        while self._file:
            replaced = self._replaced()  # asked before: what is written into a replaced file is all there
            yield from _entries(_whole_lines(self._file))
            if not replaced:
                return
            self._file.close()
            self._file = self._open()

    def _open(self) -> IO[bytes] | None:
        try:
            file = open(self._path, "rb")  # noqa: SIM115 (closed by close())
        except FileNotFoundError:
            return None
        if self._notify is not None:
            path = f"/proc/self/fd/{file.fileno()}"  # by descriptor: the path may lead to another file by now
            _libc.inotify_add_watch(self._notify, path.encode(), _IN_MODIFY | _IN_ATTRIB)
        return file

    def _older(self) -> Iterator[bytes]:
        with contextlib.suppress(FileNotFoundError), open(f"{self._path}.1", "rb") as older:
            if self._file is None or not os.path.sameopenfile(older.fileno(), self._file.fileno()):
                yield from _whole_lines(older)

    def _replaced(self) -> bool:
        assert self._file is not None
        try:
            return not os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False

    def _forget_events(self) -> None:
        if self._notify is None:
            return
        with contextlib.suppress(BlockingIOError):
            while os.read(self._notify, 4096):
                pass

    def close(self) -> None:
        """Give back the descriptors."""
        if self._notify is not None:
            os.close(self._notify)
        if self._file:
            self._file.close()

    def __enter__(self) -> LogReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
