"""What the CNI program asks: one execution of a plugin."""

from __future__ import annotations

import asyncio

from aiohttp import web

from netrt.api.answer import Api, Route
from netrt.api.plugins.dispatch import run


async def execute(api: Api, request: web.Request) -> web.Response:
    """The answer is what is to be printed; the status is 200 for success. What was begun is brought to its end, even if the
    program is killed meanwhile: its runtime then asks for DEL."""
    well, text = await asyncio.shield(asyncio.ensure_future(run(api, await request.read())))
    return web.Response(body=text, status=200 if well else 400, content_type="application/json")


ROUTES: tuple[Route, ...] = (("POST", "/netrt/cni", execute),)
