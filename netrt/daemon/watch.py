"""Sees the end of every container's process, so that State never says "running" of one that is gone.

Who started a process reports its end with the exit status. That is waited for; when nobody reports (a supervisor was killed, or
the daemon was away), the supervisor's `exit.json` is read, and without it the end is noted with an exit status that nobody
knows. Where that cannot be saved, it is tried again until it can."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import msgspec

from netrt.api.answer import Api
from netrt.api.process import ended, opened
from netrt.api.routes.processes import note_end
from netrt.decide.events import rfc3339
from netrt.errors import InUse, NetrtError, Unavailable
from netrt.model.command import RemoveContainer
from netrt.model.container import Container, ProcessState
from netrt.model.difference import difference
from netrt.model.state import State

log = logging.getLogger("netrt.watch")

REPORT_WITHIN = 2.0
"""Seconds that a report may come after the end of a process."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds until what was refused, as by a full disk, is tried again: at first, and in the end."""

UNKNOWN = 255
"""The exit status of a process whose end nobody reported, as Docker has it."""


class ExitFile(msgspec.Struct, frozen=True, rename="pascal"):
    """`exit.json`, in the container's directory."""

    exit_code: int
    error: str = ""
    finished_at: str = ""


class Watch:
    """One task for each process that runs, and for each container that goes. On the event loop only."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}

    def begin(self, state: State) -> None:
        """Take up what runs, and finish what a daemon before us did not: containers to be removed at their end."""
        self.committed(State(), state)

    def committed(self, before: State, after: State) -> None:
        """Watch what runs since this commit, and what is to go. What no longer runs is not watched any more: its task sees that
        by itself."""
        for _, container in difference(before.containers, after.containers)[1]:
            if container.state.running:
                self._run(container, self._seen_off)
            elif _goes(container):
                self._run(container, self._removed)

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    def _run(self, container: Container, work: Callable[[Container], Coroutine[Any, Any, None]]) -> None:
        key = container.id, container.state.pid
        if key not in self._tasks:
            task = asyncio.ensure_future(work(container))
            self._tasks[key] = task
            task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _seen_off(self, container: Container) -> None:
        def over(state: State) -> bool:
            current = state.containers.get(container.id)
            return current is None or current.state.pid != container.state.pid

        with opened(container.state) as process:
            if process is not None:
                await ended(process)
        seen = rfc3339(self._api.clock())
        if self._exit_file(container) is None and await self._within(REPORT_WITHIN, over):
            return
        for pause in _pauses():
            if over(self._api.engine.state) or await self._noted(container, seen) or await self._within(pause, over):
                return

    async def _noted(self, container: Container, seen: str) -> bool:
        """Note the end as far as it is known now. The file that tells of it stays until that is saved."""
        found = self._exit_file(container) or ExitFile(UNKNOWN, "nobody reported how it ended")
        state = ProcessState(
            started=container.state.started,
            finished=found.finished_at or seen,
            exit_code=found.exit_code,
            error=found.error,
        )
        try:
            await note_end(self._api, container, state)
        except NetrtError as error:
            log.warning("the end of %s cannot be noted yet: %s", container.name, error)
            return False
        with contextlib.suppress(OSError):
            os.unlink(self._exit_path(container))
        log.info("%s has ended: exit status %d %s", container.name, found.exit_code, found.error)
        return True

    async def _removed(self, container: Container) -> None:
        """Who notes an end removes as well, where that is asked for (`--rm`); what came of nothing there is done here."""

        def over(state: State) -> bool:
            current = state.containers.get(container.id)
            return current is None or not _goes(current)

        for pause in _pauses():
            if await self._within(pause, over):
                return
            try:
                await self._api.ask(RemoveContainer(container=container.id))
            except InUse:  # others use its sandbox, so it stays
                return
            except NetrtError as error:
                log.warning("%s cannot be removed yet: %s", container.name, error)

    async def _within(self, seconds: float, over: Callable[[State], bool]) -> bool:
        """Whether it is over within this time; or the daemon stops, and the next one will see it."""
        with contextlib.suppress(TimeoutError, Unavailable):
            waiting = self._api.hub.until(self._api.engine.state, lambda state: over(state) or None)
            return await asyncio.wait_for(waiting, seconds)
        return self._api.hub.closed.is_set()

    def _exit_path(self, container: Container) -> str:
        return f"{self._api.paths.container(container.id)}/exit.json"

    def _exit_file(self, container: Container) -> ExitFile | None:
        """What the supervisor left, unless it is of a run before this one."""
        try:
            with open(self._exit_path(container), "rb") as file:
                found = msgspec.json.decode(file.read(), type=ExitFile)
        except (OSError, msgspec.MsgspecError):
            return None
        return found if found.finished_at >= container.state.started else None


def _goes(container: Container) -> bool:
    """Whether it is to be removed, for its process has ended."""
    return container.ended and container.process is not None and container.process.auto_remove


def _pauses() -> Iterator[float]:
    """Seconds until what was refused is tried again."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)
