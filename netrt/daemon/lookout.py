"""Sees that netrt-dns has ended, and that the host's files have changed that those of containers follow. On the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os

from netrt.daemon.handover import Handover
from netrt.daemon.publisher import Publisher
from netrt.engine.engine import Engine
from netrt.errors import Unavailable
from netrt.launch.files import HostFiles

EVERY = 1.0
"""Seconds between two looks at the files, and between two attempts to bring netrt-dns back."""

log = logging.getLogger("netrt.lookout")


class Lookout:
    """Looks from `begin` to `close`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._process = -1
        self._next: asyncio.TimerHandle | None = None
        self._seen = HostFiles.read()
        self._parts: tuple[Engine, Publisher, Handover]

    def begin(self, engine: Engine, publisher: Publisher, handover: Handover) -> None:
        """Tell these what is seen."""
        self._parts = engine, publisher, handover
        self._next = self._loop.call_later(EVERY, self._look)

    def serves(self, pid: int) -> None:
        """Netrt-dns is this process now. From any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._watch, pid)

    def close(self) -> None:
        self._leave()
        if self._next:
            self._next.cancel()

    def _watch(self, pid: int) -> None:
        self._leave()
        try:
            self._process = os.pidfd_open(pid)
        except ProcessLookupError:
            self._ended(pid)
            return
        self._loop.add_reader(self._process, self._ended, pid)

    def _leave(self) -> None:
        if self._process >= 0:
            self._loop.remove_reader(self._process)
            os.close(self._process)
            self._process = -1

    def _ended(self, pid: int) -> None:
        self._leave()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        log.warning("netrt-dns (process %d) has ended", pid)
        engine, _, handover = self._parts
        with contextlib.suppress(Unavailable):  # we are stopping
            engine.publish(lambda _: handover.again(pid))

    def _look(self) -> None:
        engine, publisher, handover = self._parts
        before, self._seen = self._seen, HostFiles.read()
        with contextlib.suppress(Unavailable):  # we are stopping
            if self._seen is not before:
                engine.publish(publisher.again)
            elif handover.due:
                engine.publish(lambda _: handover.again())
        self._next = self._loop.call_later(EVERY, self._look)
