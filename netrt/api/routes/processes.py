"""What runs in containers: started, stopped, waited for. The daemon is no parent of these processes; a supervisor or the command
line starts them and reports, and the daemon knows them by pidfd."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
from subprocess import DEVNULL, PIPE

import msgspec
from aiohttp import web
from msgspec.structs import replace

from netrt.api.answer import Api, Route, answer, nothing, plan, wants_plan
from netrt.api.process import ended, opened, send, signal_number
from netrt.api.schema import launch as shapes
from netrt.api.schema.query import number
from netrt.decide.events import rfc3339
from netrt.decide.lookup import find_container
from netrt.errors import Conflict, Invalid, NetrtError, Unavailable
from netrt.launch.files import HostFiles, furnish, is_furnished
from netrt.launch.program import NotStarted
from netrt.launch.supervise import supervisor_argv
from netrt.model.command import NoteProcess, RemoveContainer
from netrt.model.container import Container, ProcessState
from netrt.model.state import State

PATIENCE = 10.0
"""Seconds that a process has to end by itself when it is stopped, unless the caller says otherwise."""

NOTED_WITHIN = 5.0
"""Seconds in which the end of a process is reported by its supervisor, or noted without it."""


def _meant(api: Api, request: web.Request) -> Container:
    return find_container(api.engine.state, request.match_info["ref"])


async def launch(api: Api, request: web.Request) -> web.Response:
    """Who asks this is about to start or enter the container."""
    container = _meant(api, request)
    if not is_furnished(api.paths, container.id):
        await asyncio.wrap_future(api.engine.publish(lambda state: _furnish(api, state, container)))
    return answer(shapes.launch_json(container, api.paths))


def _furnish(api: Api, state: State, container: Container) -> None:
    """On the engine's thread, as whatever else writes there. Raises Unavailable."""
    if container.id in state.containers:
        try:
            furnish(api.paths, state, container.id, HostFiles.read())
        except OSError as error:
            raise Unavailable(f"the files of {container.name} cannot be written: {error}") from error


# start


async def start(api: Api, request: web.Request) -> web.Response:
    container = _meant(api, request)
    if container.process is None or container.state.running or container.id in api.starting:
        return nothing(304)
    if wants_plan(request):
        return plan(f"start {shlex.join(container.process.command)} in {container.name}")
    api.starting.add(container.id)
    start = asyncio.ensure_future(_started(api, container))
    start.add_done_callback(lambda _: api.starting.discard(container.id))
    await asyncio.shield(start)  # who asked may leave, and it goes on
    return nothing()


async def _started(api: Api, container: Container) -> None:
    """Take the published ports of a container, and its names if it ran before; then start it; give them up if that fails."""
    if container.ports or container.state.finished:
        await api.ask(NoteProcess(container=container.id, state=replace(container.state, starting=True)))
    try:
        await _supervised(api, container)
    except NetrtError:
        current = api.engine.state.containers.get(container.id)
        if current is not None and current.state.starting:
            await api.ask(NoteProcess(container=container.id, state=container.state))
        raise


async def _supervised(api: Api, container: Container) -> None:
    """Leave the container to a supervisor, which reports by itself. Raises NotStarted, Unavailable."""
    file = f"{api.paths.container(container.id)}/launch.json"
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as content:
            content.write(msgspec.json.encode(shapes.launch_json(container, api.paths)))
        process = await asyncio.create_subprocess_exec(
            *supervisor_argv(file), stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, cwd="/", start_new_session=True
        )
    except OSError as error:
        raise Unavailable(f"the supervisor of {container.name} cannot be started: {error}") from error
    _, said = await process.communicate()
    if process.returncode:
        words = said.decode("utf-8", "replace").strip().splitlines() or ["its supervisor was killed"]
        raise NotStarted(f"cannot start {container.name}: {words[-1].removeprefix('netrt: ')}", process.returncode)


# reports


async def started(api: Api, request: web.Request) -> web.Response:
    container, report = _meant(api, request), shapes.started(await request.read())
    if container.process is None:
        raise Invalid(f"container {container.name} was made without a command")
    state = ProcessState(pid=report.pid, start_ticks=report.start_ticks, started=rfc3339(api.clock()))
    await api.ask(NoteProcess(container=container.id, state=state))
    return nothing()


async def exited(api: Api, request: web.Request) -> web.Response:
    container, report = _meant(api, request), shapes.exited(await request.read())
    with opened(container.state) as process:
        if process is not None:  # who reports has waited for it, so this is a later one
            raise Conflict(f"process {container.state.pid} of container {container.name} still runs")
    state = ProcessState(
        started=container.state.started,
        finished=rfc3339(api.clock()),
        exit_code=report.exit_code,
        error=report.error or "",
    )
    await asyncio.shield(note_end(api, container, state))
    return nothing()


async def note_end(api: Api, container: Container, state: ProcessState) -> None:
    """Note that a container's process has ended, and remove the container if that was asked for (`--rm`). Where only that is
    refused, it is tried again by who watches, but for a sandbox that others use."""
    await api.ask(NoteProcess(container=container.id, state=state))
    if container.process and container.process.auto_remove:
        with contextlib.suppress(NetrtError):
            await api.ask(RemoveContainer(container=container.id))


# stop, kill, wait


async def stop(api: Api, request: web.Request) -> web.Response:
    container = _meant(api, request)
    seconds = number("t", request.query.get("t"), int(PATIENCE))
    by = signal_number(request.query.get("signal") or "TERM")
    if not container.state.running:
        return nothing(304)
    if wants_plan(request):
        return plan(
            f"send {signal.Signals(by).name} to process {container.state.pid} of {container.name}",
            f"send SIGKILL to it if it runs after {seconds} s" if seconds >= 0 else "wait for its end",
        )
    await asyncio.shield(end_process(api, container, by=by, patience=seconds if seconds >= 0 else None))
    return nothing()


async def kill(api: Api, request: web.Request) -> web.Response:
    container = _meant(api, request)
    by = signal_number(request.query.get("signal") or "KILL")
    if not container.state.running:
        raise Conflict(f"container {container.name} is not running")
    if wants_plan(request):
        return plan(f"send {signal.Signals(by).name} to process {container.state.pid} of {container.name}")
    with opened(container.state) as process:
        if process is not None:
            send(process, by)
            if by == signal.SIGKILL:
                await ended(process)
    if by == signal.SIGKILL:
        await _noted(api, container)
    return nothing()


async def end_process(
    api: Api, container: Container, *, by: int = signal.SIGKILL, patience: float | None = None
) -> None:
    """End the process of a container, by SIGKILL when it still runs after `patience` seconds (None: never), and wait until its
    end is noted. Nothing else is done to a container that was started anew meanwhile."""
    with opened(container.state) as process:
        if process is not None:
            send(process, by)
            try:
                await asyncio.wait_for(ended(process), patience)
            except TimeoutError:
                send(process, signal.SIGKILL)
                await ended(process)
    await _noted(api, container)


async def _noted(api: Api, container: Container) -> None:
    """Wait until the end of the container's process is in the State, and the container gone if that was asked for (`--rm`)."""

    def over(state: State) -> bool | None:
        current = state.containers.get(container.id)
        if current is not None and current.state.pid == container.state.pid:
            return None
        goes = container.process and container.process.auto_remove and not state.members_of(container.id)
        return None if current is not None and goes else True

    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(api.hub.until(api.engine.state, over), NOTED_WITHIN)


async def wait(api: Api, request: web.Request) -> web.Response:
    """Docker's three conditions: `not-running` (unless said otherwise), `next-exit`, `removed`."""
    condition = request.query.get("condition") or "not-running"
    if condition not in ("not-running", "next-exit", "removed"):
        raise Invalid(f"invalid condition {condition[:20]!r}", hint="use not-running, next-exit or removed")
    container = _meant(api, request)
    last = container.state

    def over(state: State) -> ProcessState | None:
        nonlocal last
        current = state.containers.get(container.id)
        if current is None:
            return last
        last = current.state
        if last.running or condition == "removed":
            return None
        return last if condition == "not-running" or last.finished != container.state.finished else None

    found = await api.hub.until(api.engine.state, over)
    return answer({"StatusCode": found.exit_code, **({"Error": {"Message": found.error}} if found.error else {})})


ROUTES: tuple[Route, ...] = (
    ("GET", "/netrt/containers/{ref}/launch", launch),
    ("POST", "/netrt/containers/{ref}/started", started),
    ("POST", "/netrt/containers/{ref}/exited", exited),
    ("POST", "/containers/{ref}/start", start),
    ("POST", "/containers/{ref}/stop", stop),
    ("POST", "/containers/{ref}/kill", kill),
    ("POST", "/containers/{ref}/wait", wait),
)
