"""`GET /netrt/metrics`: what is counted, as Prometheus reads it."""

from __future__ import annotations

import asyncio

from aiohttp import web

from netrt.api.answer import Api, Route
from netrt.api.counts import exposition

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def metrics(api: Api, request: web.Request) -> web.Response:
    engine = api.engine
    dropping, unfreed = await asyncio.wrap_future(engine.look(lambda kernel, _: (kernel.dropping(), kernel.unfreed())))
    body = exposition(engine.state, api.counts, engine.compared, dropping, unfreed)
    return web.Response(body=body, headers={"Content-Type": _TYPE})


ROUTES: tuple[Route, ...] = (("GET", "/netrt/metrics", metrics),)
