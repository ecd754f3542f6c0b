"""The plugins that make interfaces: `netrt`, `netrt-bridge` and `netrt-macvlan`."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
from collections.abc import Iterable

from netrt.api.answer import Api
from netrt.api.plugins.delegate import environment_of, find, handed_on, leased
from netrt.api.plugins.files import read_file, uplink
from netrt.cni import bridge, macvlan, own
from netrt.cni.attached import attached, default_routes, host_links
from netrt.cni.attaching import Asked, container_id, network_name
from netrt.cni.bridge import BridgeConfig, IpamConfig
from netrt.cni.call import Call, Config, Verb
from netrt.cni.gc import GcConfig, valid
from netrt.cni.hostlocal import full
from netrt.cni.macvlan import MacvlanConfig
from netrt.cni.own import OwnConfig
from netrt.cni.ranges import canonical
from netrt.cni.refusal import (
    CONFIGURATION,
    LIMITED,
    NOT_AS_MADE,
    NOT_AVAILABLE,
    UNKNOWN_CONTAINER,
    VARIABLES,
    Refusal,
)
from netrt.cni.resolvconf import resolver_of
from netrt.cni.result import Dns, Result, RouteTo
from netrt.cni.runtime import RuntimeConfig, resolver
from netrt.dns.zone import ADDRESS
from netrt.errors import Invalid, NetrtError, NotFound
from netrt.model.command import Adjust, Attach, Collect, Detach, RemoveNetwork
from netrt.model.container import Attachment, Sandbox
from netrt.model.decision import Touched
from netrt.model.network import has_names
from netrt.model.state import State

OUR_DNS = Dns(nameservers=(ADDRESS,), options=("ndots:0",))
"""Where a network has names: our server, asked first for a name as it is, for that may be a neighbour."""


async def sandbox_of(api: Api, call: Call) -> Sandbox:
    """The namespace that the runtime names. Raises Refusal."""
    try:
        return await api.adopted(call.netns)
    except Invalid as error:
        raise Refusal(VARIABLES, f"variable CNI_NETNS: {error.message}", hint=error.hint) from None


async def asked(api: Api, call: Call) -> Asked:
    return Asked(
        sandbox=await sandbox_of(api, call),
        network_id=secrets.token_hex(32),
        publish_address=api.publish_address,
    )


async def commit(api: Api, command: Attach | Adjust) -> State:
    """The State with what is asked for. Raises NetrtError, with the name of the field where that is known."""
    try:
        return (await api.ask(command)).state
    except (Invalid, NotFound) as error:
        field = "" if isinstance(error, Refusal) else _field(command, error.message)
        if not field:
            raise
        raise Refusal(CONFIGURATION, f"field {field}: {error.message}", hint=error.hint) from None


def _field(command: Attach | Adjust, said: str) -> str:
    """What a refusal is about: it repeats the wrong word."""
    if any(mapping.host_ip and mapping.host_ip in said for mapping in command.ports or ()):
        return "runtimeConfig.portMappings"
    definition = command.definition if isinstance(command, Attach) else None
    parent = definition.options.get("parent", "") if definition else ""
    if definition and parent and parent in said:
        return "master" if definition.plugin == "netrt-macvlan" else "options"
    return ""


def _config(call: Call) -> IpamConfig | OwnConfig:
    """As the plugin has it, and possible. Raises Refusal."""
    match call.plugin:
        case "netrt":
            return call.config(OwnConfig)
        case "macvlan":
            return macvlan.read(call)
        case _:
            return bridge.read(call)


def known(state: State, call: Call) -> Attachment | None:
    """The attachment that a call is about, if it is one of the runtime's network."""
    attachment = state.attachments.get((container_id(call.container), call.ifname))
    if attachment is None or attachment.plugged is None or call.network not in ("", attachment.plugged.network):
        return None
    return attachment


# ADD


async def add(api: Api, call: Call) -> Result:
    """Raises NetrtError; then nothing is left."""
    return await (_add_own(api, call) if call.plugin == "netrt" else _add_defined(api, call))


async def _add_own(api: Api, call: Call) -> Result:
    config = call.config(OwnConfig)
    before = call.previous(config)
    state = await commit(api, own.attach(call, await asked(api, call)))
    attachment = _made(state, call)
    network = state.networks[attachment.network_id]
    routes = default_routes(state, attachment, network)
    dns = resolver(config.runtime_config or RuntimeConfig(), config.dns, OUR_DNS if has_names(network) else None)
    return _result(api, call, state, attachment, routes, dns, before)


async def _add_defined(api: Api, call: Call) -> Result:
    config = _config(call)
    assert isinstance(config, MacvlanConfig | BridgeConfig), "netrt has no ipam"
    before, here = call.previous(config), await asked(api, call)
    if isinstance(config, MacvlanConfig):
        command = macvlan.attach(call, config, here, uplink())
    else:
        command = bridge.attach(call, config, here)
    kind = bridge.delegated(config)
    if kind:
        state, said = await _leased(api, call, config, kind, command)
    else:
        said = await configured(config)
        state = await commit(api, command)
    attachment = _made(state, call)
    if attachment.dhcp:
        said = macvlan.said_by_dhcp(attachment.dhcp)
    network = state.networks[attachment.network_id]
    routes = bridge.routes_shown(config, said.routes, attachment, network)
    dns = resolver(config.runtime_config or RuntimeConfig(), config.dns, said.dns)
    return _result(api, call, state, attachment, routes, dns, before)


async def configured(config: Config) -> Result:
    """What our own IPAM says besides addresses. Raises Refusal."""
    if bridge.ipam_type(config) in ("", bridge.DHCP):
        return Result()
    section = bridge.host_local(config)
    path, dns = section.resolv_conf, None
    if path:
        dns = resolver_of(await asyncio.to_thread(read_file, "ipam.resolvConf", path))
    return Result(routes=section.routes or (), dns=dns)


async def _leased(api: Api, call: Call, config: IpamConfig, kind: str, command: Attach) -> tuple[State, Result]:
    """The interface first, for a DHCP client needs it; then the lease; then both together."""
    find(kind, call.environment.get("CNI_PATH", ""))
    new = command.definition is not None and command.definition.name not in api.engine.state.network_names
    await commit(api, dataclasses.replace(command, ports=()))
    try:
        said = await leased(call, kind, call.text)
        addressed = Adjust(
            container=command.container,
            ifname=call.ifname,
            network=call.network,
            holder=call.plugin,
            lease=bridge.leased(config, said),
            ports=command.ports or None,
        )
        return await commit(api, addressed), said
    except BaseException:
        with contextlib.suppress(NetrtError):
            await handed_on(call, kind, Verb.DEL, call.text)
        await api.ask(Detach(container=command.container, ifname=call.ifname))
        if new and command.definition is not None:
            with contextlib.suppress(NetrtError):  # somebody else is on it by now
                await api.ask(RemoveNetwork(network=command.definition.name))
        raise


def _made(state: State, call: Call) -> Attachment:
    return state.attachments[container_id(call.container), call.ifname]


def _result(
    api: Api,
    call: Call,
    state: State,
    attachment: Attachment,
    routes: Iterable[RouteTo],
    dns: Dns | None,
    before: Result | None,
) -> Result:
    seen = api.glance.host_links(host_links(state, attachment))
    result = attached(state, attachment, call.netns, seen, routes, dns)
    return before.followed_by(result) if before else result


# DEL


async def delete(api: Api, call: Call) -> None:
    """Raises Refusal only where an IPAM plugin of somebody else fails."""
    attachment = known(api.engine.state, call)
    lease = attachment.plugged.lease if attachment and attachment.plugged else ""
    await api.ask(Detach(container=container_id(call.container), ifname=call.ifname, network=call.network))
    text = lease.encode() or call.text
    kind = _delegate_of(call, text)
    if kind:
        await handed_on(call, kind, Verb.DEL, text)


def _delegate_of(call: Call, text: bytes) -> str:
    """The IPAM plugin of somebody else that a configuration names, if it can still be read."""
    if call.plugin not in ("bridge", "macvlan"):
        return ""
    with contextlib.suppress(Refusal):
        return bridge.delegated(dataclasses.replace(call, text=text).config(Config))
    return ""


# CHECK


async def check(api: Api, call: Call) -> None:
    """Raises Refusal that names what is not as it was made."""
    config = _config(call)
    before = call.previous(config)
    if before is None:
        raise Refusal(CONFIGURATION, "field prevResult is missing", hint="it is what ADD yielded")
    attachment = await checked(api, call)
    problem = _mismatch(call, before, attachment)
    if problem:
        raise Refusal(NOT_AS_MADE, problem)
    if isinstance(config, IpamConfig) and (kind := bridge.delegated(config)):
        await handed_on(call, kind, Verb.CHECK, call.text)


async def checked(api: Api, call: Call) -> Attachment:
    """The attachment, where it is known and all of it in place. Raises Refusal."""
    state, inode = api.engine.state, (await sandbox_of(api, call)).inode
    attachment = known(state, call)
    if attachment is None:
        raise Refusal(UNKNOWN_CONTAINER, f"{call.container} has no {call.ifname} on network {call.network}")
    sandbox = state.containers[attachment.container_id].sandbox
    if sandbox.inode and sandbox.inode != inode:
        raise Refusal(NOT_AS_MADE, f"{call.container} is in another namespace than {call.netns}: {sandbox.path}")
    about = Touched(networks=frozenset({attachment.network_id}), containers=frozenset({attachment.container_id}))
    await _compared(api, about, NOT_AS_MADE)
    return attachment


async def _compared(api: Api, about: Touched, code: int) -> None:
    found = await api.compare(about)
    if found:
        more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
        raise Refusal(code, "; ".join(found[:5]) + more)


def _mismatch(call: Call, before: Result, attachment: Attachment) -> str:
    """What the runtime remembers of the attachment and we do not have, or empty."""
    held = {canonical(ip.address) for ip in before.of(call.ifname)}
    for address in held - set(attachment.addresses):
        return f"address {address} of prevResult is not that of {call.ifname}: {', '.join(attachment.addresses)}"
    for link in before.interfaces:
        if link.name == call.ifname and link.sandbox and link.mac and link.mac.lower() != attachment.mac:
            return f"MAC address {link.mac} of prevResult is not that of {call.ifname}: {attachment.mac}"
    return ""


# GC


async def collect(api: Api, call: Call) -> None:
    """Raises the first error of an IPAM plugin of somebody else, after everything was done."""
    config = call.config(GcConfig)
    state, keep = api.engine.state, valid(config)
    failed: list[NetrtError] = []
    leases = [
        (state.containers[a.container_id].plugged, a.ifname, a.plugged.lease)
        for a in state.attachments.values()
        if a.plugged and a.plugged.lease and a.plugged.network == call.network
    ]
    await api.ask(Collect(network=call.network, valid=keep))
    for container, ifname, lease in leases:
        if (container, ifname) not in keep:
            other = dataclasses.replace(call, environment=environment_of(call, container, ifname))
            await _try(failed, other, Verb.DEL, lease.encode())
    await _try(failed, call, Verb.GC, call.text)
    if failed:
        raise failed[0]


async def _try(failed: list[NetrtError], call: Call, verb: Verb, text: bytes) -> None:
    kind = _delegate_of(call, text)
    if kind:
        try:
            await handed_on(call, kind, verb, text)
        except NetrtError as error:
            failed.append(error)


# STATUS


async def status(api: Api, call: Call) -> None:
    """Raises Refusal: 50 where no container can be added, 51 where those that are there suffer too."""
    config = _config(call)
    if not api.engine.alive:
        raise Refusal(LIMITED, "the daemon's engine has ended", hint="restart netrtd")
    state = api.engine.state
    name = own.name_of(call, config) if isinstance(config, OwnConfig) else network_name(call.network)
    network = state.networks.get(state.network_names.get(name, ""))
    if network is None and isinstance(config, OwnConfig) and not config.mode:
        raise Refusal(NOT_AVAILABLE, f"there is no network {name}", hint="make it, or define it here by a mode")
    if network is not None:
        in_use = bool(state.of_network.get(network.id))
        await _compared(api, Touched(networks=frozenset({network.id})), LIMITED if in_use else NOT_AVAILABLE)
        if words := full(state, network):
            raise Refusal(NOT_AVAILABLE, words)
    if isinstance(config, IpamConfig) and (kind := bridge.delegated(config)):
        await handed_on(call, kind, Verb.STATUS, call.text)
