"""What every route works with: the engine, the commits, and JSON answers."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec
from aiohttp import web

from netrt.api.counts import Counts
from netrt.api.hub import Hub
from netrt.api.probes import Probes
from netrt.api.schema.query import flag
from netrt.cni.attached import Seen, SeenInside
from netrt.compile.names import Resolving
from netrt.decide.leases import wants_leases
from netrt.doctor.inside import Inside, Probe
from netrt.engine.converge import differences
from netrt.engine.engine import Engine, Outcome
from netrt.model.command import Command
from netrt.model.container import Sandbox
from netrt.model.decision import Touched
from netrt.paths import Paths

DRY_RUN = "dry-run"

T = TypeVar("T")


class Glance(Protocol):
    """What plugins ask of the kernel besides what the engine does. Each raises Invalid where there is no sandbox, KernelRefused.
    `host_links` are those of the names that are there."""

    def host_links(self, names: Iterable[str]) -> Mapping[str, Seen]: ...

    def peer_name(self, path: str, name: str) -> str: ...

    def inner_link(self, path: str, name: str) -> SeenInside | None: ...

    def set_loopback(self, path: str, *, up: bool) -> None: ...

    def loopback_addresses(self, path: str) -> tuple[str, ...]: ...


_AT_HAND = re.compile(r"(/var)?/run/netns/(?!\.\.?\Z)[^/]+|/proc/\d+(/task/\d+)?/ns/net")
"""Paths in the kernel's own memory: to open one keeps nobody waiting, as a file system may."""

Leasing = Callable[[Command], AbstractAsyncContextManager[Command]]
"""Completes a command by what DHCP servers give for it; given back where the work within raises. Raises NetrtError."""


@asynccontextmanager
async def nothing_leased(command: Command) -> AsyncIterator[Command]:
    """Where nobody asks a DHCP server."""
    yield command


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """`adopt` makes a Sandbox of a path (Invalid if it leads to no network namespace); `glance` looks at single links,
    `look_inside` at all of a sandbox (Invalid, KernelRefused);
    `publish_address` is the host address of ports that name none; `resolving` tells what names depend on beside the State, as it
    is now; `counts` is what is counted; `clock` gives nanoseconds since the epoch; `starting` are ids whose start is on its
    way; `probes` what checks of health said last, by id; `leasing` asks DHCP servers."""

    engine: Engine
    hub: Hub
    paths: Paths
    adopt: Callable[[str], Sandbox]
    glance: Glance
    look_inside: Callable[[str, int, Sequence[Probe]], Inside]
    publish_address: str = ""
    resolving: Callable[[], Resolving] = Resolving
    counts: Counts = field(default_factory=Counts)
    clock: Callable[[], int] = time.time_ns
    starting: set[str] = field(default_factory=set)
    probes: dict[str, Probes] = field(default_factory=dict)
    leasing: Leasing = nothing_leased

    async def adopted(self, path: str) -> Sandbox:
        """The namespace that somebody else made, at this path. Raises Invalid where there is none."""
        if _AT_HAND.fullmatch(path):
            return self.adopt(path)
        return await asyncio.to_thread(self.adopt, path)

    async def compare(self, about: Touched) -> tuple[str, ...]:
        """What of these networks and containers is not as it should be. Raises NetrtError."""
        return await asyncio.wrap_future(self.engine.look(lambda kernel, state: differences(kernel, state, about)))

    async def ask(self, command: Command, *, dry_run: bool = False) -> Outcome:
        """What the engine makes of a command; who waits for its commit was told before this returns. Raises NetrtError."""
        if dry_run or not wants_leases(self.engine.state, command):
            return await self.delivered(self.engine.submit(command, dry_run=dry_run))
        async with self.leasing(command) as complete:
            asked = self.engine.submit(complete)
            try:
                return await self.delivered(asked)
            except asyncio.CancelledError:
                if asked.cancelled() or asked.exception():
                    raise
        raise asyncio.CancelledError  # only now: it was done, and what was leased for it is in use

    async def delivered(self, asked: Future[T]) -> T:
        """The engine's answer, after who waits for its commit was told. Raises NetrtError. Who is cancelled
        meanwhile learns so when what has begun is over."""
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()

        def deliver() -> None:
            self.hub.deliver()
            if not over.done():
                over.set_result(None)

        asked.add_done_callback(lambda _: loop.call_soon_threadsafe(deliver))
        try:
            await over
        except asyncio.CancelledError:
            if not asked.cancel():
                await _over(asked)
            raise
        return asked.result()


async def _over(asked: Future[Any]) -> None:
    """Wait for the end of what has begun, however often who waits is cancelled."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    asked.add_done_callback(lambda _: loop.call_soon_threadsafe(over.set))
    while not over.is_set():
        with suppress(asyncio.CancelledError):
            await over.wait()


Handler = Callable[[Api, web.Request], Awaitable[web.StreamResponse]]
Route = tuple[str, str, Handler]


def wants_plan(request: web.Request) -> bool:
    """Whether only the plan is asked for (`?dry-run=1`)."""
    return bool(request.query_string) and flag(request.query.get(DRY_RUN))


def answer(value: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def plan(*lines: str) -> web.Response:
    """The answer to a dry run."""
    return answer({"Plan": lines})


def nothing(status: int = 204) -> web.Response:
    """An answer without a body: done, or (304) not needed."""
    return web.Response(status=status)
