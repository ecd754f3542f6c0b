"""What waits for the engine's thread, in the order in which it came."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from netrt.model.command import Command
from netrt.spans import Trace


@dataclass(frozen=True, slots=True)
class Job:
    """`name` is for the log, `trace` for who asked where the time goes; `command` is what is to be done, if it is one."""

    name: str
    work: Callable[[], Any]
    answer: Future[Any]
    trace: Trace | None
    command: Command | None = None


class Jobs:
    """Anybody puts, one thread gets."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._first: list[Job | None] = []
        """What was got too early, and comes next."""

    def put(self, job: Job | None) -> None:
        """None is the end."""
        self._waiting.put(job)

    def get(self, timeout: float | None = None) -> Job | None:
        """The next one. Raises queue.Empty where there is none within so many seconds; None waits for ever."""
        return self._first.pop() if self._first else self._waiting.get(timeout=timeout)

    def joined(self, first: Job, joins: Callable[[Job], bool], most: int) -> list[Job]:
        """`first`, and those that wait behind it now, up to the first that does not join."""
        row = [first]
        while len(row) < most:
            try:
                job = self.get(timeout=0)
            except queue.Empty:
                break
            if job is None or not joins(job):
                self._first.append(job)
                break
            row.append(job)
        return row
