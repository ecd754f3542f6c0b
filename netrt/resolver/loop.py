"""One thread that waits for many: descriptors that can be read or written, and moments that come.

Rule: what is called never blocks, and may be called although nothing is there to be read. A fault in it is logged, and ends
nothing else."""

from __future__ import annotations

import heapq
import logging
import select
import time
from collections.abc import Callable

READ, WRITE, GONE = select.EPOLLIN, select.EPOLLOUT, select.EPOLLERR | select.EPOLLHUP

_FEW = 512

_log = logging.getLogger(__name__)


class Timer:
    """A call that is made at a moment, unless it is cancelled before."""

    __slots__ = ("call", "when")

    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self.when = when
        self.call: Callable[[], None] | None = call

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when


class Loop:
    """`turn` counts how often it went round, `now` is when the present turn began (seconds, monotonic)."""

    def __init__(self) -> None:
        self.turn = 0
        self.now = time.monotonic()
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[int], None]] = {}
        self._timers: list[Timer] = []
        self._cancelled = 0
        self._stopped = False

    def watch(self, descriptor: int, events: int, call: Callable[[int], None]) -> None:
        """Call with the events of this descriptor whenever one is there. Raises OSError (ENOSPC: too many)."""
        self._epoll.register(descriptor, events)
        self._calls[descriptor] = call

    def change(self, descriptor: int, events: int) -> None:
        """Wait for other events of a watched descriptor; for none but its end with 0."""
        self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Watch it no more; to be said before it is closed. Nothing happens where it is not watched."""
        if self._calls.pop(descriptor, None):
            self._epoll.unregister(descriptor)

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call once, in so many seconds."""
        timer = Timer(time.monotonic() + seconds, call)
        heapq.heappush(self._timers, timer)
        return timer

    def cancel(self, timer: Timer) -> None:
        """Do not call; nothing happens where that was done already."""
        if timer.call:
            timer.call = None
            self._cancelled += 1
            if self._cancelled > max(_FEW, len(self._timers) // 2):
                self._timers = [timer for timer in self._timers if timer.call]
                heapq.heapify(self._timers)
                self._cancelled = 0

    def run(self) -> None:
        """Wait and call until `stop`."""
        while not self._stopped:
            ready = self._epoll.poll(self._patience())
            self.turn += 1
            self.now = time.monotonic()
            for descriptor, events in ready:
                call = self._calls.get(descriptor)
                try:
                    if call:
                        call(events)
                except Exception:
                    _log.exception("a fault, which concerns nobody else")
            self._ring()

    def stop(self) -> None:
        """End `run` after this turn."""
        self._stopped = True

    def close(self) -> None:
        self._epoll.close()

    def _patience(self) -> float | None:
        return max(0.0, self._timers[0].when - time.monotonic()) if self._timers else None

    def _ring(self) -> None:
        """Make the calls whose moment has come."""
        while self._timers and self._timers[0].when <= self.now:
            timer = heapq.heappop(self._timers)
            call, timer.call = timer.call, None
            try:
                if call:
                    call()
                else:
                    self._cancelled -= 1
            except Exception:
                _log.exception("a fault, which concerns nobody else")
