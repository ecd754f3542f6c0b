"""Network namespaces made ahead: to make one is a third of the kernel's work in an attach, so a few wait for whoever comes next.

They are open files of this process and nothing else: whatever ends the process ends them too."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator

from netrt.kernel.netns import new_namespace, on_thread

SPARE = 4
"""How many wait. Each costs the kernel some 100 KB."""

_log = logging.getLogger(__name__)


class Spares:
    """Made by a thread of its own when it is told that there is time (`refill`). To be used from one thread."""

    def __init__(self) -> None:
        self._ready: deque[int] = deque()
        self._time = threading.Semaphore(0)
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="spares", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def taken(self) -> Iterator[int | None]:
        """A namespace with its loopback up, as an open file; None while there is none."""
        if not self._ready:
            yield None
            return
        namespace = self._ready.popleft()
        try:
            yield namespace
        finally:
            os.close(namespace)

    def refill(self, low: int = SPARE) -> None:
        """Say that there is time now, if fewer than `low` wait."""
        if len(self._ready) < low:
            self._time.release()

    def close(self) -> None:
        """Give up those that wait, and end the thread."""
        self._closed = True
        self._time.release()
        self._thread.join()
        while self._ready:
            os.close(self._ready.popleft())

    def _work(self) -> None:
        while self._time.acquire() and not self._closed:
            try:
                if len(self._ready) < SPARE:
                    self._ready.append(on_thread(new_namespace))
            except OSError as error:  # the next attach meets the same, and says so
                _log.debug("no namespace was made ahead: %s", error)
