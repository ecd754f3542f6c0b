"""Sees the end of every container's process, so that State never says "running" of one that is gone.

Who started a process reports its end with the exit status. That is waited for; when nobody reports (a supervisor was killed, or
the daemon was away), the supervisor's `exit.json` is read, and without it the end is noted with an exit status that nobody
knows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Coroutine
from typing import Any

import msgspec

from netrt.api.answer import Api
from netrt.api.process import ended, opened
from netrt.api.routes.processes import note_end
from netrt.decide.events import rfc3339
from netrt.errors import NetrtError, Unavailable
from netrt.model.command import RemoveContainer
from netrt.model.container import Container, ProcessState
from netrt.model.difference import difference
from netrt.model.state import State

log = logging.getLogger("netrt.watch")

REPORT_WITHIN = 2.0
"""Seconds that a report may come after the end of a process."""

UNKNOWN = 255
"""The exit status of a process whose end nobody reported, as Docker has it."""


class ExitFile(msgspec.Struct, frozen=True, rename="pascal"):
    """`exit.json`, in the container's directory."""

    exit_code: int
    error: str = ""
    finished_at: str = ""


class Watch:
    """One task for each process that runs. On the event loop only."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}

    def begin(self, state: State) -> None:
        """Take up what runs, and finish what a daemon before us did not: containers to be removed at their end."""
        self.committed(State(), state)
        for container in state.containers.values():
            process = container.process
            if process and process.auto_remove and container.state.finished and not container.state.running:
                self._run((container.id, 0), self._removed(container))

    def committed(self, before: State, after: State) -> None:
        """Watch what runs since this commit. What no longer runs is not watched any more: its task sees that by itself."""
        for container_id, container in difference(before.containers, after.containers)[1]:
            if container.state.running and (container_id, container.state.pid) not in self._tasks:
                self._run((container_id, container.state.pid), self._seen_off(container))

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    def _run(self, key: tuple[str, int], work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _seen_off(self, container: Container) -> None:
        with opened(container.state) as process:
            if process is not None:
                await ended(process)
        found = self._exit_file(container)
        if found is None and not await self._reported(container):
            found = self._exit_file(container) or ExitFile(UNKNOWN, "nobody reported how it ended")
        if found is None or self._over(self._api.engine.state, container):
            return
        state = ProcessState(
            started=container.state.started,
            finished=found.finished_at or rfc3339(self._api.clock()),
            exit_code=found.exit_code,
            error=found.error,
        )
        with contextlib.suppress(NetrtError):
            await note_end(self._api, container, state)
            log.info("%s has ended: exit status %d %s", container.name, found.exit_code, found.error)

    async def _reported(self, container: Container) -> bool:
        """Whether the end is noted within the time that a report may take; or the daemon stops, and the next one will see it."""
        with contextlib.suppress(TimeoutError, Unavailable):
            waiting = self._api.hub.until(self._api.engine.state, lambda state: self._over(state, container) or None)
            return await asyncio.wait_for(waiting, REPORT_WITHIN)
        return self._api.hub.closed.is_set()

    @staticmethod
    def _over(state: State, container: Container) -> bool:
        current = state.containers.get(container.id)
        return current is None or current.state.pid != container.state.pid

    def _exit_file(self, container: Container) -> ExitFile | None:
        """What the supervisor left, unless it is of a run before this one."""
        path = f"{self._api.paths.container(container.id)}/exit.json"
        try:
            with open(path, "rb") as file:
                found = msgspec.json.decode(file.read(), type=ExitFile)
            os.unlink(path)
        except (OSError, msgspec.MsgspecError):
            return None
        return found if found.finished_at >= container.state.started else None

    async def _removed(self, container: Container) -> None:
        with contextlib.suppress(NetrtError):
            await self._api.ask(RemoveContainer(container=container.id))
