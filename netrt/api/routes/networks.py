"""/networks, as in Docker."""

from __future__ import annotations

import secrets

from aiohttp import web

from netrt.api.answer import Api, Route, answer, nothing, plan, wants_plan
from netrt.api.schema import networks as shapes
from netrt.api.schema.query import filters, flag
from netrt.decide.lookup import find_network
from netrt.model.command import Command, RemoveNetwork


async def list_networks(api: Api, request: web.Request) -> web.Response:
    asked = filters(request.query.get("filters"), shapes.LIST_FILTERS)
    return answer(shapes.list_networks(api.engine.state, asked, api.clock()))


async def inspect_network(api: Api, request: web.Request) -> web.Response:
    state = api.engine.state
    return answer(shapes.network_json(state, find_network(state, request.match_info["ref"])))


async def create_network(api: Api, request: web.Request) -> web.Response:
    command = shapes.create_network(await request.read(), secrets.token_hex(32))
    outcome = await api.ask(command, dry_run=wants_plan(request))
    return plan(*outcome.plan) if wants_plan(request) else answer({"Id": outcome.id, "Warning": ""}, 201)


async def update_network(api: Api, request: web.Request) -> web.Response:
    return await _changed(api, request, shapes.update_network(request.match_info["ref"], await request.read()), 204)


async def connect(api: Api, request: web.Request) -> web.Response:
    return await _changed(api, request, shapes.connect(request.match_info["ref"], await request.read()), 200)


async def disconnect(api: Api, request: web.Request) -> web.Response:
    return await _changed(api, request, shapes.disconnect(request.match_info["ref"], await request.read()), 200)


async def remove_network(api: Api, request: web.Request) -> web.Response:
    force = flag(request.query.get("force"))
    return await _changed(api, request, RemoveNetwork(network=request.match_info["ref"], force=force), 204)


async def prune_networks(api: Api, request: web.Request) -> web.Response:
    asked = filters(request.query.get("filters"), shapes.PRUNE_FILTERS)
    outcome = await api.ask(shapes.prune_networks(asked, api.clock()), dry_run=wants_plan(request))
    return plan(*outcome.plan) if wants_plan(request) else answer({"NetworksDeleted": outcome.removed})


async def _changed(api: Api, request: web.Request, command: Command, status: int) -> web.Response:
    outcome = await api.ask(command, dry_run=wants_plan(request))
    return plan(*outcome.plan) if wants_plan(request) else nothing(status)


ROUTES: tuple[Route, ...] = (
    ("GET", "/networks", list_networks),
    ("POST", "/networks/create", create_network),
    ("POST", "/networks/prune", prune_networks),
    ("GET", "/networks/{ref}", inspect_network),
    ("POST", "/netrt/networks/{ref}/update", update_network),
    ("DELETE", "/networks/{ref}", remove_network),
    ("POST", "/networks/{ref}/connect", connect),
    ("POST", "/networks/{ref}/disconnect", disconnect),
)
