"""`/netrt/diff`, `/netrt/gc` and `/netrt/doctor`: what differs from what should be, what lies about, and what is wrong with
the host."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from dataclasses import asdict

from aiohttp import web

from netrt.api.answer import Api, Route, answer
from netrt.doctor.findings import Level, difference_findings, findings, name_findings
from netrt.engine.garbage import Garbage, Unlike, garbage, unlike
from netrt.engine.ports import Kernel
from netrt.launch.files import HostFiles, departed
from netrt.launch.resolver import nameservers
from netrt.model.state import State
from netrt.paths import Paths


async def show_difference(api: Api, request: web.Request) -> web.Response:
    return answer(_difference(await asyncio.wrap_future(api.engine.look(unlike))))


def _difference(found: Unlike) -> dict[str, object]:
    return {"Lacking": found.lacking, "Stray": found.stray}


async def show_garbage(api: Api, request: web.Request) -> web.Response:
    def look(kernel: Kernel, state: State) -> tuple[Garbage, ...]:
        return (*garbage(kernel, state), *_files(api.paths, state))

    return _garbage(await asyncio.wrap_future(api.engine.look(look)))


async def take_away(api: Api, request: web.Request) -> web.Response:
    files = await asyncio.wrap_future(api.engine.look(lambda _, state: _swept(api.paths, state)))
    return _garbage((*await api.delivered(api.engine.collect()), *files))


def _garbage(found: tuple[Garbage, ...]) -> web.Response:
    return answer([{"What": each.what, "Proof": each.proof, "Holds": each.holds} for each in found])


def _files(paths: Paths, state: State) -> tuple[Garbage, ...]:
    """Files of containers that are no more; between two commands, so that none is on its way."""
    return tuple(
        Garbage(what=f"files of container {container_id[:12]}", proof="there is no such container")
        for container_id in sorted(departed(paths, State(), state))
    )


def _swept(paths: Paths, state: State) -> tuple[Garbage, ...]:
    found = _files(paths, state)
    for container_id in departed(paths, State(), state):
        shutil.rmtree(paths.container(container_id), ignore_errors=True)
        for log in (paths.log(container_id), f"{paths.log(container_id)}.1"):
            if os.path.lexists(log):
                os.unlink(log)
    return found


async def examine(api: Api, request: web.Request) -> web.Response:
    state = api.engine.state
    seen = await asyncio.wrap_future(api.engine.look(lambda kernel, _: kernel.examine()))
    found = await asyncio.wrap_future(api.engine.look(unlike))
    needed = any(network.mode == "bridge" and not network.predefined for network in state.networks.values())
    serving = await asyncio.to_thread(_answers, api.paths.resolver_socket) if needed and state.containers else None
    said = (
        *findings(state, seen),
        *name_findings(nameservers(HostFiles.read().resolvers), serving=serving),
        *difference_findings(found.lacking, found.stray),
    )
    ordered = sorted(said, key=lambda finding: finding.level != Level.ERROR)
    return answer([{key.capitalize(): value for key, value in asdict(finding).items()} for finding in ordered])


def _answers(path: str) -> bool:
    """Whether somebody listens at a socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


ROUTES: tuple[Route, ...] = (
    ("GET", "/netrt/diff", show_difference),
    ("GET", "/netrt/gc", show_garbage),
    ("POST", "/netrt/gc", take_away),
    ("GET", "/netrt/doctor", examine),
)
