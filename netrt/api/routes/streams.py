"""What goes on for as long as the listener likes: /events and the logs of a container."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import islice

import msgspec
from aiohttp import web

from netrt.api.answer import Api, Route
from netrt.api.process import readable
from netrt.api.schema import events as shapes
from netrt.api.schema.logs import Wanted, frames
from netrt.api.schema.query import SECOND, filters, flag, moment, number
from netrt.decide.events import rfc3339
from netrt.decide.lookup import find_container
from netrt.errors import Invalid
from netrt.launch.logread import Entry, LogReader
from netrt.model.container import Container
from netrt.model.state import State

AT_ONCE = 500
"""How many log entries are read and sent in one go."""


async def events(api: Api, request: web.Request) -> web.StreamResponse:
    """Past events from `since` on, then those that come, until `until`."""
    now, query = api.clock(), request.query
    asked = filters(query.get("filters"), shapes.FILTERS)
    since = moment("since", query["since"], now) if query.get("since") else now
    until = moment("until", query["until"], now) if query.get("until") else None
    stream = web.StreamResponse(headers={"Content-Type": "application/json"})
    await stream.prepare(request)
    with api.hub.listening() as coming, contextlib.suppress(ConnectionError):
        past = [e for e in api.hub.past if e.time >= since and (until is None or e.time <= until)]
        for event in past:
            if shapes.wanted(asked, event):
                await stream.write(msgspec.json.encode(shapes.event_json(event)) + b"\n")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if until is None else max(0.0, (until - now) / SECOND)):
                async for event in coming:
                    if shapes.wanted(asked, event):
                        await stream.write(msgspec.json.encode(shapes.event_json(event)) + b"\n")
    return stream


async def logs(api: Api, request: web.Request) -> web.StreamResponse:
    """What a detached container printed; with `follow` until it ends."""
    query, now = request.query, api.clock()
    container = find_container(api.engine.state, request.match_info["ref"])
    wanted = Wanted(
        stdout=flag(query.get("stdout")),
        stderr=flag(query.get("stderr")),
        timestamps=flag(query.get("timestamps")),
        since=_time("since", query.get("since"), now),
        until=_time("until", query.get("until"), now),
    )
    if not (wanted.stdout or wanted.stderr):
        raise Invalid("neither stdout nor stderr is asked for", hint="give stdout=1, stderr=1 or both")
    tail = None if query.get("tail") in (None, "", "all") else max(0, number("tail", query["tail"], 0))
    follow = flag(query.get("follow"))
    stream = web.StreamResponse(headers={"Content-Type": "application/vnd.docker.multiplexed-stream"})
    reader = LogReader(api.paths.log(container.id), tail, follow=follow)
    with reader, contextlib.suppress(ConnectionError):
        await stream.prepare(request)
        if not follow:
            await _send(stream, reader, wanted)
            return stream
        ending = asyncio.ensure_future(_ending(api, container))
        try:
            await _follow(stream, reader, wanted, ending)
        finally:
            ending.cancel()
    return stream


def _time(name: str, text: str | None, now: int) -> str:
    return rfc3339(moment(name, text, now)) if text and text != "0" else ""


async def _ending(api: Api, container: Container) -> None:
    """Wait until the container does not run (one that was never started is waited for) or the daemon stops."""

    def over(state: State) -> bool | None:
        current = state.containers.get(container.id)
        return True if current is None or not current.state.running else None

    with contextlib.suppress(Exception):
        await api.hub.until(api.engine.state, over)


async def _follow(stream: web.StreamResponse, reader: LogReader, wanted: Wanted, ending: asyncio.Future[None]) -> None:
    """Send what there is; then again each time that there is more, and a last time when the container has ended."""
    while True:
        last = ending.done()
        await _send(stream, reader, wanted)
        if last:
            return
        more = asyncio.ensure_future(readable(reader.fileno()))
        try:
            await asyncio.wait((more, ending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            more.cancel()


async def _send(stream: web.StreamResponse, reader: LogReader, wanted: Wanted) -> None:
    entries = reader.entries()

    def batch() -> list[Entry]:
        return list(islice(entries, AT_ONCE))

    while found := await asyncio.to_thread(batch):
        await stream.write(frames(found, wanted))


ROUTES: tuple[Route, ...] = (
    ("GET", "/events", events),
    ("GET", "/containers/{ref}/logs", logs),
)
