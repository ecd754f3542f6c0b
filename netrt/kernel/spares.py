"""Network namespaces made ahead: to make one is a third of the kernel's work in an attach, so a few wait for whoever comes next.
They have the name port that the last one wanted.

They are open files of this process and nothing else: whatever ends the process ends them too."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from netrt.dataplane.objects import NamePort
from netrt.kernel import nameport
from netrt.kernel.netlink import Netlink
from netrt.kernel.netns import away, new_namespace, run_inside

SPARE = 4
"""How many wait. Each costs the kernel some 100 KB."""

_log = logging.getLogger(__name__)


class Spare(NamedTuple):
    """A network namespace with its loopback up, as an open file, and the name port in it (whose `netns` is empty)."""

    file: int
    names: NamePort | None


class Spares:
    """Made by a thread of its own when it is told that there is time (`refill`). To be used from one thread. `close` is what
    becomes of a socket by which a name port was taken (`nameport.take`)."""

    def __init__(self, close: Callable[[Netlink], None]) -> None:
        self._close = close
        self._ready: deque[Spare] = deque()
        self._names: NamePort | None = None
        self._time = threading.Semaphore(0)
        self._enough = 0
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="spares", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def taken(self, names: NamePort | None) -> Iterator[Spare | None]:
        """One for who wants this name port or none; it has that, or another one to be replaced, or none. None while there is no
        spare. Raises OSError."""
        self._names = names
        if self._enough > SPARE:  # after many, many more come: another one is made while this one gets its links
            self._time.release()
        if not self._ready:
            yield None
            return
        spare = self._ready.popleft()
        try:
            if spare.names and not names:
                run_inside(spare.file, lambda: nameport.take(self._close))
            yield spare
        finally:
            os.close(spare.file)

    def refill(self, low: int = SPARE) -> None:
        """Say that there is time now, if fewer than `low` wait."""
        self._enough = low
        if len(self._ready) < low:
            self._time.release()

    def expect(self, count: int) -> None:
        """Say that so many are about to be taken: they are made while whoever takes them does other things, and as many again
        for those who come after them. What is left then waits until it is used."""
        self.refill(max(SPARE, count))

    def close(self) -> None:
        """Give up those that wait, and end the thread."""
        self._closed = True
        self._time.release()
        self._thread.join()
        while self._ready:
            os.close(self._ready.popleft().file)

    def _work(self) -> None:
        while self._time.acquire() and not self._closed:
            try:
                while len(self._ready) < self._enough and not self._closed:
                    self._ready.append(away(self._made))
            except OSError as error:  # the next attach meets the same, and says so
                _log.debug("no namespace was made ahead: %s", error)

    def _made(self) -> Spare:
        """By a thread that is brought back afterwards. Raises OSError."""
        names, file = self._names, new_namespace()
        try:
            return Spare(file, names if names and not nameport.put(names) else None)
        except OSError:
            os.close(file)
            raise
