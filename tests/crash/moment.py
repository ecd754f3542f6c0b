"""The moment of death: a page of memory that a test shares with the daemon that it is about to kill.

The daemon counts the points that it passes while the page is armed, and ends by SIGKILL at the chosen one. What is written here
survives that, because the page is a file."""

from __future__ import annotations

import mmap
import os
import signal
import struct

_HEAD = struct.Struct("=iiH")
_SIZE = 4096
OFF, COUNT = -2, -1


class Moment:
    """A page at `path`, made by whoever comes first."""

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fresh = os.fstat(descriptor).st_size == 0
        os.truncate(descriptor, _SIZE)
        self._page = mmap.mmap(descriptor, _SIZE)
        os.close(descriptor)
        if fresh:
            self.arm(OFF)

    def arm(self, at: int) -> None:
        """Die at point number `at`; COUNT: only count; OFF: neither."""
        self._write(at, 0, "")

    @property
    def armed(self) -> bool:
        return bool(_HEAD.unpack_from(self._page)[0] != OFF)

    @property
    def passed(self) -> int:
        """How many points were passed since the page was armed, the last one of a killed daemon included."""
        return int(_HEAD.unpack_from(self._page)[1])

    @property
    def last(self) -> str:
        """What the last point was, in words."""
        length = _HEAD.unpack_from(self._page)[2]
        return bytes(self._page[_HEAD.size : _HEAD.size + length]).decode()

    def point(self, words: str) -> None:
        """Pass a point; on the daemon's side."""
        at, passed, _ = _HEAD.unpack_from(self._page)
        if at == OFF:
            return
        self._write(at, passed + 1, words)
        if passed == at:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()

    def _write(self, at: int, passed: int, words: str) -> None:
        text = words.encode()[: _SIZE - _HEAD.size]
        self._page[: _HEAD.size + len(text)] = _HEAD.pack(at, passed, len(text)) + text
