"""Has mended what others break: soon after something was heard of it, and by a slow comparison of everything.

Rule 1: the sockets are only watched here; who reads them is the engine, between two commands. After the first word of something a
moment is waited, so that what happens together is looked at together. Rule 2: where mending is followed by something to mend, the
moment grows, so that whoever breaks things without end costs little. Rule 3: the slow comparison asks for one small piece after
the other, with rests, so that no command waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Coroutine
from typing import Any, Protocol

from netrt.api.counts import Counts
from netrt.engine.comparison import Comparison
from netrt.engine.engine import Engine
from netrt.errors import Unavailable

log = logging.getLogger("netrt.mending")

MOMENT = 0.05
"""Seconds from the first word until it is looked what happened, and from that until it is listened again."""
LONGEST = 0.2
"""Seconds to which the moment grows: twice that, and the mending, is to stay well below a second."""
REST = 3.2
"""How many times as long as a piece of the slow comparison took nothing is compared: so it takes less than a quarter of a
processor, and less still while commands make it wait."""
LONGEST_REST = 0.5
"""Seconds."""
AGAIN = 5.0
"""Seconds from something that could not be mended to the next comparison; doubled each time."""


class Ears(Protocol):
    """The kernel, as far as it can be listened to: at a file for everything, and one for nftables, which counts where `locked`
    does not say that nobody else can change our tables."""

    @property
    def ears(self) -> tuple[int, int]: ...

    @property
    def locked(self) -> bool: ...


class Mending:
    """On the event loop only. `every`: seconds from one slow comparison to the next, more or less."""

    def __init__(self, engine: Engine, kernel: Ears, counts: Counts, *, every: float) -> None:
        self._engine = engine
        self._ears, self._locked = kernel.ears, kernel.locked
        self._counts = counts
        self._every = every
        self._moment = MOMENT
        self._soon = asyncio.Event()
        self._closed = asyncio.Event()
        self._tasks: set[asyncio.Future[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._again = AGAIN

    def begin(self) -> None:
        """Listen."""
        self._listen()
        self._run(self._compare())

    def close(self) -> None:
        self._closed.set()
        self._deaf()
        for timer in (self._timer, self._retry):
            if timer:
                timer.cancel()
        for task in self._tasks:
            task.cancel()

    def _listen(self) -> None:
        asyncio.get_running_loop().add_reader(self._ears[0], self._heard, self._moment)
        self._listen_to_rules()

    def _listen_to_rules(self) -> None:
        if not self._locked:
            asyncio.get_running_loop().add_reader(self._ears[1], self._heard, self._at_once())

    def _at_once(self) -> float:
        """Where nothing keeps others from changing the rules every millisecond counts, unless they do it again and again."""
        return 0.0 if self._moment == MOMENT else self._moment

    def _listen_soon(self) -> None:
        """Not just now, for while there is much to do, each time would find little; but to rules that others can change."""
        self._timer = asyncio.get_running_loop().call_later(self._moment, self._listen)
        self._listen_to_rules()

    def _deaf(self) -> None:
        for ear in self._ears[: 1 if self._locked else 2]:
            asyncio.get_running_loop().remove_reader(ear)

    def _heard(self, moment: float) -> None:
        self._deaf()
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(moment, lambda: self._run(self._mend()))

    async def _mend(self) -> None:
        try:
            healed, lost = await asyncio.wrap_future(self._engine.mend())
        except Unavailable:  # the daemon is stopping
            return
        except Exception as error:  # whatever it is: it is listened on
            self._failed(error)
        else:
            self._moment = min(2 * self._moment, LONGEST) if healed.done else MOMENT
            self._failed(*healed.refused)
            if lost:
                self._soon.set()
        if not self._closed.is_set():
            self._listen_soon()

    async def _compare(self) -> None:
        """Again and again, or at once where something was lost or went wrong."""
        while not self._closed.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._soon.wait(), self._every * random.uniform(0.8, 1.2))
            self._soon.clear()
            before, began = self._counts.failed, time.monotonic()
            if await self._compare_all():
                self._compared(time.monotonic() - began)
            if self._counts.failed == before:
                self._again = AGAIN

    def _compared(self, seconds: float) -> None:
        self._counts.compared(seconds)
        log.info("all was compared in %.1f s", seconds)

    async def _compare_all(self) -> bool:
        """Whether it came to its end."""
        comparison = Comparison()
        while not self._closed.is_set():
            began = time.monotonic()
            try:
                healed = await asyncio.wrap_future(self._engine.compare(comparison))
                if healed is None:
                    return True
                self._failed(*healed.refused)
            except Unavailable:  # the daemon is stopping
                break
            except Exception as error:  # whatever it is: there are other pieces
                self._failed(error)
            await self._pause(min(REST * (time.monotonic() - began), LONGEST_REST))
        return False

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), seconds)

    def _failed(self, *errors: Exception) -> None:
        """It is tried again, but not at once, and each time later."""
        for error in errors:
            self._counts.failed += 1
            log.error("what is broken cannot be mended: %s", error)
        if errors and self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(self._again, self._try_again)
            self._again = min(2 * self._again, self._every)

    def _try_again(self) -> None:
        self._retry = None
        self._soon.set()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
