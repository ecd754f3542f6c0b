"""`/netrt/dns/…`: the names on a network, and what a container would be answered that asks for one. dnspython is imported when
somebody asks: it is a fifth of the daemon's start."""

from __future__ import annotations

from aiohttp import web

from netrt.api.answer import Api, Route, answer
from netrt.compile.names import compile_names
from netrt.decide.lookup import find_container, find_network


async def show_zone(api: Api, request: web.Request) -> web.Response:
    from netrt.api.schema import dns as shapes

    state = api.engine.state
    network = find_network(state, request.match_info["ref"])
    return answer(shapes.zone_json(state, compile_names(state, api.resolving()), network))


async def query(api: Api, request: web.Request) -> web.Response:
    from netrt.api.schema import dns as shapes

    state, asked = api.engine.state, request.query
    question = shapes.question(asked.get("name", ""), asked.get("type", ""))
    container = find_container(state, asked["from"]) if asked.get("from") else None
    resolving = api.resolving()
    return answer(shapes.query_json(state, compile_names(state, resolving), resolving, question, container))


ROUTES: tuple[Route, ...] = (
    ("GET", "/netrt/dns/query", query),
    ("GET", "/netrt/dns/zones/{ref}", show_zone),
)
