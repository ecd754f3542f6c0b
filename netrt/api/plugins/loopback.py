"""`netrt-loopback`: the loopback interface of a namespace, up and down. Nothing of it is State."""

from __future__ import annotations

import asyncio
import contextlib

from netrt.api.answer import Api
from netrt.api.plugins.chained import status
from netrt.api.plugins.interface import sandbox_of
from netrt.cni.call import Call, Config
from netrt.cni.gc import GcConfig, valid
from netrt.cni.refusal import NOT_AS_MADE, Refusal
from netrt.cni.result import Interface, Ip, Result
from netrt.errors import Invalid

__all__ = ["add", "check", "collect", "delete", "status"]

NAME = "lo"


async def add(api: Api, call: Call) -> Result:
    """Raises NetrtError."""
    before = call.previous(call.config(Config))
    await sandbox_of(api, call)
    await asyncio.to_thread(api.glance.set_loopback, call.netns, up=True)
    if before is not None:
        return before
    addresses = await asyncio.to_thread(api.glance.loopback_addresses, call.netns)
    return Result(
        interfaces=(Interface(name=NAME, mac="00:00:00:00:00:00", sandbox=call.netns),),
        ips=tuple(Ip(address=address, interface=0) for address in addresses),
    )


async def delete(api: Api, call: Call) -> None:
    """Fine without a namespace."""
    if call.netns:
        with contextlib.suppress(Invalid):
            await asyncio.to_thread(api.glance.set_loopback, call.netns, up=False)


async def check(api: Api, call: Call) -> None:
    """Raises Refusal."""
    call.config(Config)
    await sandbox_of(api, call)
    link = await asyncio.to_thread(api.glance.inner_link, call.netns, NAME)
    if link is None or not link.up:
        raise Refusal(NOT_AS_MADE, f"interface {NAME} in {call.netns} is down")


async def collect(api: Api, call: Call) -> None:
    """There is nothing to collect. Raises Refusal for a malformed list."""
    valid(call.config(GcConfig))
