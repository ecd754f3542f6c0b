"""The HTTP server on the unix socket.

Rule 1: whoever asks is root, has our own user id, or is in the group; the kernel says who it is (SO_PEERCRED, SO_PEERGROUPS).
Rule 2: errors are mapped to statuses by their class, here and nowhere else. Rule 3: every path is there twice, with Docker's
`/v1.NN` before it and without; both are the same."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
from aiohttp import web

from netrt.api.answer import Api, Handler, Route, answer
from netrt.api.routes import cni, containers, debug, dns, metrics, networks, oci, processes, streams, system, upkeep
from netrt.api.schema.body import LIMIT
from netrt.errors import (
    Conflict,
    Exhausted,
    Exists,
    InUse,
    Invalid,
    KernelRefused,
    NetrtError,
    NotFound,
    Residue,
    Unavailable,
    one_line,
)
from netrt.spans import Trace, into, span

TRACE = "Netrt-Trace"
"""The header that asks for the spans of a request (any value), and tells them (JSON)."""

log = logging.getLogger("netrt.api")

ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *networks.ROUTES,
    *containers.ROUTES,
    *processes.ROUTES,
    *streams.ROUTES,
    *dns.ROUTES,
    *debug.ROUTES,
    *cni.ROUTES,
    *oci.ROUTES,
    *upkeep.ROUTES,
    *metrics.ROUTES,
)
STATUS: dict[type[NetrtError], int] = {
    Invalid: 400,
    NotFound: 404,
    InUse: 409,
    Exists: 409,
    Conflict: 409,
    Exhausted: 409,
    Unavailable: 503,
    KernelRefused: 500,
    Residue: 500,
}
_SO_PEERGROUPS = 59  # asm-generic/socket.h; the socket module does not have it
_HEADERS = {"Api-Version": system.API_VERSION, "Server": "netrt"}
_IDLE = 3600.0
_AGAIN = 1.0
"""Seconds after which it is tried again to take who connects, where that could not be done."""
_SILENT = 10.0
"""Seconds in which it is said once that they wait."""

FINISH_WITHIN = 5.0
"""Seconds that open requests have when the daemon stops. aiohttp gives as long to a connection that was accepted just then and
whose request it does not read any more."""


async def serve(api: Api, listener: socket.socket, group: int | None) -> web.AppRunner:
    """Answer at a listening unix socket until `cleanup()` of what is returned, which lets open requests finish. Members of
    `group` (a number) may ask too."""
    app = web.Application(client_max_size=LIMIT)
    for method, path, handler in ROUTES:
        bound = _bound(api, path, handler, group)
        for place in (path, r"/{version:v\d+\.\d+}" + path):
            app.router.add_route(method, place, bound)
    app.router.add_route("HEAD", "/_ping", _bound(api, "/_ping", system.ping, group))
    app.router.add_route("HEAD", r"/{version:v\d+\.\d+}/_ping", _bound(api, "/_ping", system.ping, group))
    app.router.add_route("*", "/{path:.*}", _bound(api, "", _no_page, group))
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, keepalive_timeout=_IDLE, shutdown_timeout=FINISH_WITHIN
    )
    await runner.setup()
    await _Site(runner, listener).start()
    return runner


class Acceptor:
    """On the event loop only: takes whoever connects to a listening unix socket, which it closes, and does `serve` with each of
    them. Where no file is left for one they wait. (asyncio's own way tries then again as often as its queue is long, and says so
    each time, with a traceback.)"""

    def __init__(self, listener: socket.socket, serve: Callable[[socket.socket], Coroutine[Any, Any, object]]) -> None:
        self._listener = listener
        self._serve = serve
        self._tasks: set[asyncio.Task[object]] = set()
        self._loop = asyncio.get_running_loop()
        self._again: asyncio.TimerHandle | None = None
        self._silent = 0.0
        listener.setblocking(False)
        self._listen()

    async def close(self) -> None:
        """Take nobody any more, and let those finish who are there."""
        self._loop.remove_reader(self._listener)
        if self._again:
            self._again.cancel()
        self._listener.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=FINISH_WITHIN)

    def _listen(self) -> None:
        self._loop.add_reader(self._listener, self._take)

    def _take(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except BlockingIOError:  # whoever came has gone
            return
        except OSError as error:  # no file is left, for now
            self._wait(error)
            return
        peer.setblocking(False)
        task = self._loop.create_task(self._serve(peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wait(self, error: OSError) -> None:
        if self._loop.time() >= self._silent:
            log.error("who connects has to wait: %s", error)
            self._silent = self._loop.time() + _SILENT
        self._loop.remove_reader(self._listener)
        self._again = self._loop.call_later(_AGAIN, self._listen)


class _Site(web.BaseSite):
    """Where the server is found."""

    def __init__(self, runner: web.AppRunner, listener: socket.socket) -> None:
        super().__init__(runner)
        self._listener = listener

    @property
    def name(self) -> str:
        return f"http://unix:{self._listener.getsockname()}:"

    async def start(self) -> None:
        await super().start()
        loop, server = asyncio.get_running_loop(), self._runner.server
        assert server is not None
        self._acceptor = Acceptor(self._listener, lambda peer: loop.connect_accepted_socket(server, peer))

    async def stop(self) -> None:
        await self._acceptor.close()
        await super().stop()


async def _no_page(api: Api, request: web.Request) -> web.StreamResponse:
    raise NotFound(f"page not found: {request.method} {request.path[:80]}")


def _bound(
    api: Api, path: str, handler: Handler, group: int | None
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler as aiohttp calls it: who may not ask is refused, errors become answers."""

    async def answered(request: web.Request) -> web.StreamResponse:
        began = time.perf_counter()
        trace = Trace() if TRACE in request.headers else None
        try:
            assert request.transport is not None
            check_peer(request.transport.get_extra_info("socket"), group)
            with into(trace), span("request"):
                response = await handler(api, request)
        except NetrtError as error:
            response = error_answer(error, path)
        except web.HTTPRequestEntityTooLarge:
            response = error_answer(Invalid(f"request body is larger than {LIMIT >> 20} MiB"), path)
        except web.RequestPayloadError:
            response = _undecodable(request, path)
        except web.HTTPException as error:
            response = answer({"message": error.reason}, error.status)
        except Exception as error:
            log.exception("%s %s failed", request.method, request.path)
            response = error_answer(KernelRefused(f"internal error: {error!r}", hint="see the daemon's log"), path)
        if not response.prepared:
            response.headers.update(_HEADERS)
            if trace is not None:
                response.headers[TRACE] = msgspec.json.encode(trace.spans).decode()
        log.debug(
            "%s %s: %d, %.1f ms",
            request.method,
            request.raw_path,
            response.status,
            (time.perf_counter() - began) * 1000,
        )
        return response

    return answered


def _undecodable(request: web.Request, path: str) -> web.Response:
    """The answer to a body that is not what its headers say. Nothing more is read at its connection."""
    request.content.feed_eof()  # else aiohttp reads on, and logs the same error as a fault of ours
    encoding = request.headers.get("Content-Encoding", "")
    hint = f"its Content-Encoding is {one_line(encoding)}" if encoding else ""
    response = error_answer(Invalid("request body cannot be decoded", hint=hint), path)
    response.force_close()
    return response


def error_answer(error: NetrtError, path: str) -> web.Response:
    """Docker's `message`, and under `Netrt` what our client makes the same error of."""
    kind = next(kind for kind in type(error).__mro__ if kind in STATUS or kind is NetrtError)
    status = STATUS.get(kind, 400)
    if kind is InUse and path.startswith("/networks"):
        status = 403  # as Docker has it for a network that is in use
    if isinstance(error, Refused):
        status = 403
    more = {"Error": type(error).__name__, "Message": error.message, "Hint": error.hint, "Retry": error.retry}
    exit_status = getattr(error, "status", None)
    if exit_status is not None:
        more["ExitStatus"] = exit_status
    return answer({"message": str(error), "Netrt": more}, status)


class Refused(Unavailable):
    """Whoever asks may not."""


def check_peer(peer: socket.socket, group: int | None) -> None:
    """Raises Refused for whoever is neither root, nor our own user, nor in the group."""
    _, user, main_group = struct.unpack("iII", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if user in (0, os.geteuid()) or (group is not None and (main_group == group or group in _more_groups(peer))):
        return
    raise Refused(f"user {user} may not use netrt", hint="be root or a member of the daemon's group")


def _more_groups(peer: socket.socket) -> tuple[int, ...]:
    try:
        packed = peer.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 1024)
    except OSError:  # in more groups than fit
        return ()
    return struct.unpack(f"{len(packed) // 4}I", packed)
