"""`netrt-host-local`, called by a plugin that is not ours: addresses out of netrt's State, and nothing else of a network."""

from __future__ import annotations

from netrt.api.answer import Api
from netrt.api.plugins.chained import collect
from netrt.api.plugins.interface import asked, configured, known, sandbox_of
from netrt.cni import hostlocal
from netrt.cni.attaching import container_id
from netrt.cni.call import Call
from netrt.cni.hostlocal import HostLocalConfig
from netrt.cni.refusal import LIMITED, NOT_AS_MADE, NOT_AVAILABLE, Refusal
from netrt.cni.result import Ip, Result
from netrt.model.command import Detach

__all__ = ["add", "check", "collect", "delete", "status"]


async def add(api: Api, call: Call) -> Result:
    """Raises NetrtError."""
    config = call.config(HostLocalConfig)
    command = hostlocal.attach(call, await asked(api, call))
    said = await configured(config)
    state = (await api.ask(command)).state
    attachment = state.attachments[command.container, call.ifname]
    network = state.networks[attachment.network_id]
    ips = tuple(Ip(address=i, gateway=network.subnet_of(i).gateway or "") for i in attachment.addresses)
    return Result(ips=ips, routes=said.routes, dns=said.dns)


async def delete(api: Api, call: Call) -> None:
    """Never refused."""
    await api.ask(
        Detach(container=container_id(call.container), ifname=call.ifname, network=call.network, holder=call.plugin)
    )


async def check(api: Api, call: Call) -> None:
    """Raises Refusal where the container has no address."""
    hostlocal.attach(call, await asked(api, call))
    await sandbox_of(api, call)
    if known(api.engine.state, call) is None:
        raise Refusal(
            NOT_AS_MADE, f"no address of network {call.network} is held for {call.ifname} of {call.container}"
        )


async def status(api: Api, call: Call) -> None:
    """Raises Refusal."""
    if not api.engine.alive:
        raise Refusal(LIMITED, "the daemon's engine has ended", hint="restart netrtd")
    full = hostlocal.exhausted(api.engine.state, call)
    if full:
        raise Refusal(NOT_AVAILABLE, full)
