"""What the CNI program asks: one execution of a plugin."""

from __future__ import annotations

import asyncio

from aiohttp import web

from netrt.api.answer import Api, Route
from netrt.api.plugins.dispatch import run

ERRORS = "Stderr-Length"
"""The header. The program knows it by heart."""


async def execute(api: Api, request: web.Request) -> web.Response:
    """The answer is what is to be printed; the status is 200 for success; as many bytes as a header says are for standard error
    output, the others for standard output. What was begun is brought to its end, even if the program is killed meanwhile: its
    runtime then asks for DEL."""
    printed = await asyncio.shield(asyncio.ensure_future(run(api, await request.read())))
    return web.Response(
        body=printed.errors + printed.output,
        status=200 if printed.well else 400,
        headers={ERRORS: str(len(printed.errors))},
        content_type="application/json",
    )


ROUTES: tuple[Route, ...] = (("POST", "/netrt/cni", execute),)
