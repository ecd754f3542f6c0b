"""One execution of a plugin, from what the program sent to what it prints."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from netrt.api.answer import Api
from netrt.api.plugins import chained, hostlocal, interface, loopback
from netrt.cni.call import Call, Least, Verb, read_call
from netrt.cni.refusal import error_json
from netrt.cni.result import Result, result_json
from netrt.cni.version import CURRENT, SUPPORTED
from netrt.errors import KernelRefused, NetrtError

log = logging.getLogger("netrt.cni")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """What a plugin does for each verb but VERSION. Each raises NetrtError."""

    add: Callable[[Api, Call], Awaitable[Result]]
    delete: Callable[[Api, Call], Awaitable[None]]
    check: Callable[[Api, Call], Awaitable[None]]
    collect: Callable[[Api, Call], Awaitable[None]]
    status: Callable[[Api, Call], Awaitable[None]]


def _interface() -> Plugin:
    return Plugin(
        add=interface.add,
        delete=interface.delete,
        check=interface.check,
        collect=interface.collect,
        status=interface.status,
    )


def _chained(add: Callable[[Api, Call], Awaitable[Result]]) -> Plugin:
    return Plugin(add=add, delete=chained.delete, check=chained.check, collect=chained.collect, status=chained.status)


PLUGINS: dict[str, Plugin] = {
    "netrt": _interface(),
    "bridge": _interface(),
    "macvlan": _interface(),
    "host-local": Plugin(
        add=hostlocal.add,
        delete=hostlocal.delete,
        check=hostlocal.check,
        collect=hostlocal.collect,
        status=hostlocal.status,
    ),
    "loopback": Plugin(
        add=loopback.add,
        delete=loopback.delete,
        check=loopback.check,
        collect=loopback.collect,
        status=loopback.status,
    ),
    "portmap": _chained(chained.add_portmap),
    "bandwidth": _chained(chained.add_bandwidth),
    "tuning": _chained(chained.add_tuning),
    "firewall": _chained(chained.add_firewall),
}
"""By the name that the program was called by, without its prefix."""


@dataclass(frozen=True, slots=True)
class Printed:
    """What is to be printed on standard output and standard error output, and whether it went well."""

    well: bool
    output: bytes
    errors: bytes = b""


async def run(api: Api | None, body: bytes) -> Printed:
    """Do what is asked. VERSION needs no engine."""
    heard: list[bytes] = []
    try:
        call = read_call(body)
        heard = call.heard
        said = await _done(api, call)
    except NetrtError as error:
        log.info("refused: %s", error)
        return Printed(False, msgspec.json.encode(error_json(error, version_of(body))), b"".join(heard))
    except Exception as error:
        log.exception("a plugin failed")
        wrong = KernelRefused(f"internal error: {error!r}", hint="see the daemon's log")
        return Printed(False, msgspec.json.encode(error_json(wrong, version_of(body))), b"".join(heard))
    return Printed(True, b"" if said is None else msgspec.json.encode(said), b"".join(heard))


def version_of(body: bytes) -> str:
    """The version in which an error is told: that of the configuration, if it is one."""
    try:
        said = msgspec.json.decode(body.partition(b"\0\0")[2], type=Least).cni_version
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return CURRENT
    return said if said in SUPPORTED else CURRENT


async def _done(api: Api | None, call: Call) -> dict[str, Any] | None:
    if call.verb is Verb.VERSION:
        return {"cniVersion": call.version, "supportedVersions": SUPPORTED}
    assert api is not None, "only VERSION is answered without an engine"
    began = time.perf_counter()
    try:
        return await _carried_out(api, call)
    finally:
        took = (time.perf_counter() - began) * 1000
        words = "%s %s %s %s on %s: %.1f ms"
        about = call.plugin, call.verb, call.container[:64], call.ifname, call.network, took
        asyncio.get_running_loop().call_soon(log.info, words, *about)  # whoever waits for the answer has it first


async def _carried_out(api: Api, call: Call) -> dict[str, Any] | None:
    plugin = PLUGINS[call.plugin]
    match call.verb:
        case Verb.ADD:
            return result_json(await plugin.add(api, call), call.version)
        case Verb.DEL:
            await plugin.delete(api, call)
        case Verb.CHECK:
            await plugin.check(api, call)
        case Verb.GC:
            await plugin.collect(api, call)
        case Verb.STATUS:
            await plugin.status(api, call)
    return None
