"""The plugins that add to what another one made: portmap, bandwidth, tuning, firewall.

DEL, GC and STATUS are the same for all of them. So is CHECK: all of the container is compared, whoever asked for which part."""

from __future__ import annotations

import asyncio

from netrt.api.answer import Api
from netrt.api.plugins.interface import asked, checked, commit, known
from netrt.cni import chained
from netrt.cni.attaching import Asked, container_id
from netrt.cni.call import Call, Config
from netrt.cni.gc import GcConfig, valid
from netrt.cni.refusal import CONFIGURATION, LIMITED, NOT_AS_MADE, UNKNOWN_CONTAINER, Refusal
from netrt.cni.result import Interface, Result
from netrt.compile.shaping import shaping_link
from netrt.errors import KernelRefused
from netrt.model.command import Adjust, Collect, Detach
from netrt.model.decision import Touched
from netrt.model.network import Ingress
from netrt.model.plugged import Tuning

# ADD


async def add_portmap(api: Api, call: Call) -> Result:
    """Raises NetrtError."""
    before = chained.previous(call, call.config(Config))
    command = chained.portmap(call, await asked(api, call), before)
    if command is not None:
        await commit(api, command)
    return before


async def add_bandwidth(api: Api, call: Call) -> Result:
    """Raises NetrtError."""
    before = chained.previous(call, call.config(Config))
    found = chained.limits(call)
    if found is None:
        return before
    here = await asked(api, call)
    host_link = await asyncio.to_thread(api.glance.peer_name, call.netns, call.ifname)
    if not host_link:
        raise Refusal(CONFIGURATION, f"{call.ifname} has no other end on this host, so it cannot be limited")
    state = (await api.ask(chained.limited(call, here, before, found, host_link))).state
    if not found.egress_rate:
        return before
    name = shaping_link(state.attachments[container_id(call.container), call.ifname])
    seen = api.glance.host_links([name])
    more = tuple(Interface(name=name, mac=link.mac, mtu=link.mtu) for link in seen.values())
    return before.followed_by(Result(interfaces=more))


async def add_tuning(api: Api, call: Call) -> Result:
    """A setting that does not stay as it is set is refused. Raises NetrtError."""
    before = chained.previous(call, call.config(Config))
    command = chained.tuned(call, await asked(api, call), before)
    await api.ask(command)
    wrong = await api.compare(Touched(containers=frozenset({command.container})))
    if wrong:
        await _undone(api, command)
        raise KernelRefused(f"the kernel does not take what is asked for: {'; '.join(wrong[:3])}")
    mtu = command.tuning.mtu if command.tuning else 0
    return chained.with_mac(before, call.ifname, command.mac, mtu)


async def _undone(api: Api, command: Adjust) -> None:
    await api.ask(
        Detach(container=command.container, ifname=command.ifname, network=command.network, holder=command.holder)
    )


async def add_firewall(api: Api, call: Call) -> Result:
    """Raises NetrtError."""
    before = chained.previous(call, call.config(Config))
    command, ingress = chained.fenced(call, await asked(api, call), before)
    if ingress is not Ingress.OPEN or known(api.engine.state, call):
        await api.ask(command)
    return before


# the rest


async def delete(api: Api, call: Call) -> None:
    """Never refused."""
    await api.ask(
        Detach(container=container_id(call.container), ifname=call.ifname, network=call.network, holder=call.plugin)
    )


async def check(api: Api, call: Call) -> None:
    """Raises Refusal that names what is not as it was made."""
    before = chained.previous(call, call.config(Config))
    here = await asked(api, call)
    wanted = _wanted(call, here, before)
    if not wanted and known(api.engine.state, call) is None:
        return  # there was nothing to do, so there is nothing to find
    try:
        attachment = await checked(api, call)
    except Refusal as error:
        if error.code == UNKNOWN_CONTAINER:
            error.code = NOT_AS_MADE
        raise
    if wanted and attachment.plugged and call.plugin not in attachment.plugged.holders:
        raise Refusal(NOT_AS_MADE, f"{call.plugin} was never added to {call.ifname} of {call.container}")


def _wanted(call: Call, here: Asked, before: Result) -> bool:
    """Whether the configuration asks for anything at all. Raises Refusal."""
    match call.plugin:
        case "portmap":
            return chained.portmap(call, here, before) is not None
        case "bandwidth":
            return chained.limits(call) is not None
        case "tuning":
            return chained.tunables(call) != (Tuning(), "")
        case _:
            return chained.fenced(call, here, before)[1] is not Ingress.OPEN


async def collect(api: Api, call: Call) -> None:
    """Raises NetrtError."""
    await api.ask(Collect(network=call.network, valid=valid(call.config(GcConfig))))


async def status(api: Api, call: Call) -> None:
    """Raises Refusal: 51, for what is there is not mended any more either."""
    call.config(Config)
    if not api.engine.alive:
        raise Refusal(LIMITED, "the daemon's engine has ended", hint="restart netrtd")
