"""What was committed, for those who wait for it or listen to it.

Rule 1: the engine's thread only leaves commits here (`committed`); everything else happens on the event loop. Rule 2: commits are
passed on one by one, in order, so nobody misses a State that lasted only for a moment. Rule 3: who asked for a command has them
passed on (`deliver`) just before its answer: waking the loop twice for one command costs more than all that is done here. Rule 4:
a listener that does not read is left behind, never waited for."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, TypeVar

from netrt.errors import Unavailable
from netrt.model.decision import Event
from netrt.model.state import State

REMEMBERED = 1000
"""How many past events `/events?since=` can show."""

BACKLOG = 10_000
"""How many events a listener may be behind before it is cut off."""

T = TypeVar("T")


class Hub:
    """Passes commits on. `closed` is set when the daemon stops: then all streams end."""

    def __init__(self) -> None:
        self.past: deque[Event] = deque(maxlen=REMEMBERED)
        self._new: deque[tuple[State, State, Sequence[Event]]] = deque()
        self.closed = asyncio.Event()
        self._listeners: set[asyncio.Queue[Event | None]] = set()
        self._watchers: list[Callable[[State, State], None]] = []
        self._waiting: dict[asyncio.Future[Any], Callable[[State], Any]] = {}

    def committed(self, before: State, after: State, events: Sequence[Event]) -> None:
        """A commit. From any thread."""
        self._new.append((before, after, events))

    def deliver(self) -> None:
        """Pass on the commits since the last call."""
        while self._new:
            self._tell(*self._new.popleft())

    def _tell(self, before: State, after: State, events: Sequence[Event]) -> None:
        self.past.extend(events)
        for queue in [*self._listeners]:
            self._pass_on(queue, events)
        for watch in self._watchers:
            watch(before, after)
        for future, condition in [*self._waiting.items()]:
            if not future.done() and (found := condition(after)) is not None:
                future.set_result(found)

    def _pass_on(self, queue: asyncio.Queue[Event | None], events: Sequence[Event]) -> None:
        for event in events:
            if queue.qsize() >= BACKLOG:
                self._listeners.discard(queue)
                queue.put_nowait(None)
                return
            queue.put_nowait(event)

    def watch(self, told: Callable[[State, State], None]) -> None:
        """Call `told(before, after)` at each commit."""
        self._watchers.append(told)

    async def until(self, now: State, condition: Callable[[State], T | None]) -> T:
        """What `condition` says first that is not None: of the State `now`, or of one committed later.

        Raises Unavailable when the daemon stops meanwhile.
        """
        found = condition(now)
        if found is not None:
            return found
        if self.closed.is_set():
            raise _stopping()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting[future] = condition
        try:
            return await future
        finally:
            del self._waiting[future]

    @contextlib.contextmanager
    def listening(self) -> Iterator[AsyncIterator[Event]]:
        """The events from now on. They end when the daemon stops, or when the listener is too far behind."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._listeners.add(queue)
        if self.closed.is_set():
            queue.put_nowait(None)
        try:
            yield _events(queue)
        finally:
            self._listeners.discard(queue)

    def close(self) -> None:
        """End all streams, and let nobody wait any longer."""
        self.closed.set()
        for queue in self._listeners:
            queue.put_nowait(None)
        for future in [each for each in self._waiting if not each.done()]:
            future.set_exception(_stopping())


def _stopping() -> Unavailable:
    return Unavailable("the daemon is stopping", retry=True)


async def _events(queue: asyncio.Queue[Event | None]) -> AsyncIterator[Event]:
    while (event := await queue.get()) is not None:
        yield event
