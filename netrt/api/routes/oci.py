"""What the OCI hook asks: a container that a runtime is about to start, or one that has ended."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from netrt.api.answer import Api, Route, nothing
from netrt.api.schema.oci import STOPPED, HookBody, container_id, create, decode_hook, sandbox_path
from netrt.errors import InUse, Invalid, NetrtError, NotFound
from netrt.model.command import RemoveContainer
from netrt.model.container import BY_HOOK, Sandbox

log = logging.getLogger("netrt.oci")
"""Some runtimes do not show what a hook says."""


async def hook(api: Api, request: web.Request) -> web.Response:
    """What was begun is brought to its end, even if the hook is killed meanwhile: its runtime then asks for `poststop`."""
    asked = decode_hook(await request.read())
    work = _stopped(api, asked) if asked.phase == STOPPED else _created(api, asked)
    try:
        await asyncio.shield(asyncio.ensure_future(work))
    except NetrtError as error:
        log.warning("%s of container %s refused: %s", asked.phase, (asked.container_id or "")[:64], error)
        raise type(error)(
            f"container {(asked.container_id or '')[:64]}: {error.message}", hint=error.hint, retry=error.retry
        ) from None
    return nothing()


async def _created(api: Api, asked: HookBody) -> None:
    """One command: all of it, or nothing."""
    await api.ask(create(asked, await _sandbox(api, asked), api.publish_address))


async def _sandbox(api: Api, asked: HookBody) -> Sandbox:
    """The container's namespace, proven to be one of its own. Raises Invalid."""
    path = sandbox_path(asked)
    try:
        return await api.adopted(path)
    except Invalid as error:
        hint = 'config.json needs {"type": "network"} in linux.namespaces'
        raise Invalid(error.message, hint=hint if "host's own" in error.message else error.hint) from None


async def _stopped(api: Api, asked: HookBody) -> None:
    """Whoever is gone is gone; whoever still lives in its namespace is somebody else of the same name. Raises InUse."""
    container = api.engine.state.containers.get(container_id(asked.container_id or ""))
    if container is None or BY_HOOK not in container.labels:
        return
    sandbox = container.sandbox
    if sandbox.path.startswith("/proc/") and await _lives(api, sandbox):
        raise InUse(f"the process of {sandbox.path} has not ended", hint="another runtime has a container of this name")
    try:
        await api.ask(RemoveContainer(container=container.id, force=True))
    except NotFound:
        return


async def _lives(api: Api, sandbox: Sandbox) -> bool:
    try:
        return (await api.adopted(sandbox.path)).inode == sandbox.inode
    except Invalid:
        return False


ROUTES: tuple[Route, ...] = (("POST", "/netrt/oci", hook),)
