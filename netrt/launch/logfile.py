"""What a detached container printed, in Docker's json-file format: one JSON object a line, of `log`, `stream` and `time`.

Rule 1: one entry is one line of output with its newline, or a part of at most PART bytes of a longer one, without. What has no
newline yet waits for it, or for the end of the stream.
Rule 2: a file has at most LIMIT bytes; then it becomes `PATH.1`, in place of the one before, and a new one is begun. So a
container's log takes at most twice LIMIT of the disk, and keeps at least the last LIMIT of it.
Rule 3: bytes that are not UTF-8 become U+FFFD, as Docker does.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator

PART = 16 * 1024
LIMIT = 10 * 1024 * 1024

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC

_encode = json.JSONEncoder(ensure_ascii=False).encode


def timestamp(nanoseconds: int) -> str:
    """RFC 3339 in UTC with nine digits, of nanoseconds since the epoch."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction:09d}Z"


def entry(log: bytes, stream: str, when: int) -> bytes:
    """One line of the file."""
    value = {"log": log.decode("utf-8", "replace"), "stream": stream, "time": timestamp(when)}
    return _encode(value).encode() + b"\n"


def _character_boundary(text: bytes, at: int) -> int:
    """The last position <= `at` where no UTF-8 character is cut (or `at`, in what is not UTF-8)."""
    for back in range(4):
        if at - back <= 0 or text[at - back] & 0xC0 != 0x80:
            return at - back if at - back > 0 else at
    return at


class Lines:
    """The bytes of one stream, cut into what becomes one entry each."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What is complete with this chunk."""
        *whole, rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            yield from self._parts(line + b"\n")
        while len(rest) > PART:
            cut = _character_boundary(rest, PART)
            yield rest[:cut]
            rest = rest[cut:]
        self._rest = rest

    def end(self) -> Iterator[bytes]:
        """What is left when the stream has ended."""
        if self._rest:
            yield self._rest
        self._rest = b""

    @staticmethod
    def _parts(line: bytes) -> Iterator[bytes]:
        while len(line) > PART:
            cut = _character_boundary(line, PART)
            yield line[:cut]
            line = line[cut:]
        yield line


class LogWriter:
    """The end that the supervisor writes to. A disk that is full loses output; it never stops the container."""

    def __init__(self, path: str, limit: int = LIMIT) -> None:
        """Go on with the file at `path`, or make it and its directory. Raises OSError."""
        self._path, self._limit = path, limit
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        self._file = os.open(path, _APPEND, 0o640)
        self._size = os.fstat(self._file).st_size

    def write(self, entries: bytes) -> None:
        """Append whole entries, or none of them."""
        with contextlib.suppress(OSError):
            if self._size and self._size + len(entries) > self._limit:
                self._rotate()
            if os.write(self._file, entries) == len(entries):
                self._size += len(entries)
            else:
                os.ftruncate(self._file, self._size)

    def _rotate(self) -> None:
        """Begin a new file. At each moment there is one at the path, so that a reader never finds none."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self._path}.1")
        os.link(self._path, f"{self._path}.1")
        new = os.open(f"{self._path}.new", _APPEND, 0o640)
        os.rename(f"{self._path}.new", self._path)
        os.close(self._file)
        self._file, self._size = new, 0

    def close(self) -> None:
        os.close(self._file)
