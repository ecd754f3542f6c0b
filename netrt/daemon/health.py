"""Checks whether what runs in containers is healthy, as they ask for, and notes what follows from it. On the event loop.

Rule 1: one task for each process that is checked, which ends with it. Rule 2: only so many commands are run at once; who waits
for its turn is checked later, not more."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from datetime import datetime
from subprocess import DEVNULL, PIPE

import msgspec

from netrt.api.answer import Api
from netrt.api.probes import Probe, Probes
from netrt.api.schema.launch import launch_json
from netrt.errors import NetrtError
from netrt.kernel.netns import opened, run_inside
from netrt.launch.probe import FAILED, probe_argv
from netrt.model.address import host_of
from netrt.model.command import NoteHealth
from netrt.model.container import HOST_SANDBOX, Container
from netrt.model.difference import difference
from netrt.model.health import PORT, SECOND, SHELL, HealthCheck
from netrt.model.state import State

AT_ONCE = 8
"""Commands that run at the same time."""
GRACE = 5.0
"""Seconds that starting and ending a command may take besides what the check may."""

log = logging.getLogger("netrt.health")


class Said(msgspec.Struct, frozen=True, rename="pascal"):
    """What `netrt.launch.probe` prints."""

    exit_code: int
    output: str


class Checks:
    """One task for each process that is checked."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._tasks: dict[str, tuple[int, asyncio.Task[None]]] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)

    def committed(self, before: State, after: State) -> None:
        """Check what runs since this commit, and no longer what does not run any more."""
        gone, put = difference(before.containers, after.containers)
        for container_id in gone:
            self._stop(container_id)
        for container_id, container in put:
            pid = container.state.pid if container.process and container.process.health else 0
            if self._tasks.get(container_id, (0, None))[0] == pid:
                continue
            self._stop(container_id)
            if pid and container.process and container.process.health:
                self._api.probes[container_id] = Probes()
                task = asyncio.ensure_future(self._checked(container, container.process.health))
                self._tasks[container_id] = pid, task

    def close(self) -> None:
        for container_id in list(self._tasks):
            self._stop(container_id)

    def _stop(self, container_id: str) -> None:
        _, task = self._tasks.pop(container_id, (0, None))
        if task:
            task.cancel()
        self._api.probes.pop(container_id, None)

    async def _checked(self, container: Container, check: HealthCheck) -> None:
        """Check until cancelled."""
        known = self._api.probes[container.id]
        begun = int(datetime.fromisoformat(container.state.started).timestamp() * SECOND)
        health = container.state.health
        while True:
            await _passed(check.pause(health, self._api.clock() - begun) / SECOND)
            current = self._api.engine.state.containers.get(container.id)
            if current is None or current.state.pid != container.state.pid:
                return
            probe = await self._probe(current, check)
            known.log.append(probe)
            age = self._api.clock() - begun
            health, known.failures = check.judged(health, known.failures, age, well=not probe.exit_code)
            if health is not current.state.health:
                log.info("container %s is %s", current.name, health)
                with contextlib.suppress(NetrtError):  # it is gone, or we are stopping
                    await self._api.ask(NoteHealth(container=container.id, pid=container.state.pid, health=health))

    async def _probe(self, container: Container, check: HealthCheck) -> Probe:
        began = self._api.clock()
        try:
            if check.test[0] == PORT:
                said = await self._connected(container, int(check.test[1]), check.timeout / SECOND)
            else:
                async with self._turn:
                    said = await self._run(container, check)
        except (NetrtError, OSError, msgspec.MsgspecError) as error:
            said = Said(FAILED, str(error))
        return Probe(began, self._api.clock(), said.exit_code, said.output)

    async def _run(self, container: Container, check: HealthCheck) -> Said:
        """By a command inside. Raises OSError, msgspec.MsgspecError."""
        kind, *words = check.test
        command = ["/bin/sh", "-c", *words] if kind == SHELL else words
        asked = {"Launch": launch_json(container, self._api.paths), "Command": command}
        seconds = check.timeout / SECOND
        process = await asyncio.create_subprocess_exec(
            *probe_argv(seconds), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, cwd="/"
        )
        try:
            answer, _ = await asyncio.wait_for(process.communicate(msgspec.json.encode(asked)), seconds + GRACE)
        except TimeoutError:
            return Said(-1, f"Health check exceeded timeout ({seconds:g}s)")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        return msgspec.json.decode(answer, type=Said)

    async def _connected(self, container: Container, port: int, seconds: float) -> Said:
        """By a connection from inside to the address that others know. Raises OSError, NetrtError."""
        owner = container.shares or container.id
        attached = self._api.engine.state.attachments_of(owner)
        address = next((host_of(interface) for each in attached for interface in each.addresses), "127.0.0.1")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with await asyncio.to_thread(_socket, container.sandbox.path, family) as asking:
            try:
                await asyncio.wait_for(asyncio.get_running_loop().sock_connect(asking, (address, port)), seconds)
            except TimeoutError:
                return Said(-1, f"no connection to {address} port {port} within {seconds:g}s")
            except OSError as error:
                return Said(FAILED, f"no connection to {address} port {port}: {os.strerror(error.errno or 0)}")
        return Said(0, "")


def _socket(path: str, family: int) -> socket.socket:
    """A socket that does not wait, in the sandbox at a path. Raises OSError, NetrtError."""

    def made() -> socket.socket:
        asking = socket.socket(family, socket.SOCK_STREAM)
        asking.setblocking(False)
        return asking

    if path == HOST_SANDBOX:
        return made()
    with opened(path) as namespace:
        return run_inside(namespace, made)


async def _passed(seconds: float) -> None:
    """So much time."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.get_running_loop().create_future(), seconds)
