"""/containers, as in Docker: made, listed, renamed, removed."""

from __future__ import annotations

import asyncio
import secrets

from aiohttp import web

from netrt.api.answer import Api, Route, answer, nothing, plan, wants_plan
from netrt.api.names import generated_name
from netrt.api.routes.processes import end_process
from netrt.api.schema import containers as shapes
from netrt.api.schema import live
from netrt.api.schema.create import adopted_path, create_container, decode_container
from netrt.api.schema.health import health_json
from netrt.api.schema.query import filters, flag, number
from netrt.decide.lookup import find_container
from netrt.errors import Invalid, NotFound
from netrt.model.command import RemoveContainer, Rename


async def list_containers(api: Api, request: web.Request) -> web.Response:
    asked = filters(request.query.get("filters"), shapes.LIST_FILTERS)
    limit = number("limit", request.query.get("limit"), 0)
    every = flag(request.query.get("all")) or limit > 0
    shown = shapes.list_containers(api.engine.state, asked, every=every, now=api.clock())
    return answer(shown[:limit] if limit > 0 else shown)


async def inspect_container(api: Api, request: web.Request) -> web.Response:
    state = api.engine.state
    container = find_container(state, request.match_info["ref"])
    return answer(shapes.container_json(state, container, health_json(container, api.probes.get(container.id))))


async def create(api: Api, request: web.Request) -> web.Response:
    body = decode_container(await request.read())
    path = adopted_path(body)
    command = create_container(
        body,
        identifier=secrets.token_hex(32),
        name=request.query.get("name", ""),
        generated_name=generated_name(),
        adopt=await api.adopted(path) if path else None,
        publish_address=api.publish_address,
    )
    outcome = await api.ask(command, dry_run=wants_plan(request))
    return plan(*outcome.plan) if wants_plan(request) else answer({"Id": outcome.id, "Warnings": []}, 201)


async def rename(api: Api, request: web.Request) -> web.Response:
    name = request.query.get("name", "").removeprefix("/")
    if not name:
        raise Invalid("parameter name is missing", hint="it is the container's new name")
    outcome = await api.ask(Rename(container=request.match_info["ref"], name=name), dry_run=wants_plan(request))
    return plan(*outcome.plan) if wants_plan(request) else nothing()


async def publish(api: Api, request: web.Request) -> web.Response:
    command = live.publish(request.match_info["ref"], await request.read(), api.publish_address)
    outcome = await api.ask(command, dry_run=wants_plan(request))
    return plan(*outcome.plan) if wants_plan(request) else nothing()


async def limit(api: Api, request: web.Request) -> web.Response:
    outcome = await api.ask(live.limit(request.match_info["ref"], await request.read()), dry_run=wants_plan(request))
    return plan(*outcome.plan) if wants_plan(request) else nothing()


async def remove(api: Api, request: web.Request) -> web.Response:
    """`force` ends a process that runs first; but not where the container could not be removed anyway."""
    container = find_container(api.engine.state, request.match_info["ref"])
    command = RemoveContainer(container=container.id, force=flag(request.query.get("force")))
    running = container.state.running
    if wants_plan(request) or (command.force and running):
        outcome = await api.ask(command, dry_run=True)
        if wants_plan(request):
            return plan(*outcome.plan)
        await asyncio.shield(end_process(api, container))
    try:
        await api.ask(command)
    except NotFound:
        if not running:
            raise  # else it was to be removed at its end (`--rm`), and is
    return nothing()


ROUTES: tuple[Route, ...] = (
    ("GET", "/containers/json", list_containers),
    ("POST", "/containers/create", create),
    ("GET", "/containers/{ref}/json", inspect_container),
    ("POST", "/containers/{ref}/rename", rename),
    ("POST", "/netrt/containers/{ref}/ports", publish),
    ("POST", "/netrt/containers/{ref}/limits", limit),
    ("DELETE", "/containers/{ref}", remove),
)
