"""`/netrt/debug/…` and `/netrt/captures/…`: what is to be seen of one container, and where packets of a container or network are
heard."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import msgspec
from aiohttp import web
from msgspec.structs import replace

from netrt.api.answer import Api, Route, answer
from netrt.compile.listening import ears
from netrt.decide.lookup import find_container, find_network
from netrt.doctor.diagnosis import explained, findings, named
from netrt.doctor.probes import probes
from netrt.errors import Conflict, NotFound
from netrt.firewall.drops import Drop, places
from netrt.model.address import host_of, link_local
from netrt.model.container import HOST_SANDBOX, Container
from netrt.model.decision import Touched
from netrt.model.state import State


async def show(api: Api, request: web.Request) -> web.Response:
    """What is inside, what came of trying, what was dropped, and what is wrong."""
    state = api.engine.state
    container = find_container(state, request.match_info["ref"])
    path = container.sandbox.path
    if path == HOST_SANDBOX:
        raise Conflict(f"container {container.name} lives in the network of the host itself", hint="see netrt doctor")
    tried = tuple(probes(state, container, api.resolving()))
    unlike = await api.compare(Touched(containers=frozenset({container.shares or container.id})))
    seen = await asyncio.to_thread(api.look_inside, path, container.sandbox.inode, tried)
    dropped = await _dropped(api, state, container)
    attachments = state.attachments_of(container.shares or container.id)
    seen = replace(seen, interfaces=named(state, attachments, seen))
    wrong = findings(state, container, seen, dropped, unlike)
    return answer(
        {
            "Id": container.id,
            "Name": container.name,
            "Sandbox": path,
            **msgspec.to_builtins(seen),
            "Dropped": msgspec.to_builtins(tuple(explained(dropped))),
            "Findings": [{key.capitalize(): value for key, value in asdict(each).items()} for each in wrong],
        }
    )


async def _dropped(api: Api, state: State, container: Container) -> tuple[Drop, ...]:
    attachments = state.attachments_of(container.shares or container.id)
    links = [attachment.link for attachment in attachments]
    addresses = {host_of(interface) for attachment in attachments for interface in attachment.addresses}
    addresses |= {link_local(attachment.mac) for attachment in attachments if attachment.address6}
    wanted = tuple(places(links, sorted(addresses)))
    return await asyncio.wrap_future(api.engine.look(lambda kernel, _: kernel.dropped(wanted)))


async def captures(api: Api, request: web.Request) -> web.Response:
    state, ref = api.engine.state, request.match_info["ref"]
    try:
        found = ears(state, container=find_container(state, ref))
    except NotFound:
        try:
            found = ears(state, network=find_network(state, ref))
        except NotFound:
            raise NotFound(
                f"there is no container and no network {ref[:80]!r}", hint="see netrt ps -a, netrt network ls"
            ) from None
    if not found:
        raise Conflict(f"{ref[:80]} has no interface on which packets could be heard")
    return answer(msgspec.to_builtins(found))


ROUTES: tuple[Route, ...] = (
    ("GET", "/netrt/debug/{ref}", show),
    ("GET", "/netrt/captures/{ref}", captures),
)
