"""`netrt-macvlan`: the configuration of the reference's macvlan plugin, as a network of ours and an attachment to it."""

from __future__ import annotations

from dataclasses import replace

from netrt.cni.attaching import Asked, attaching, network_name
from netrt.cni.bridge import DHCP, IpamConfig, delegated, given_here, ipam_type
from netrt.cni.call import Call
from netrt.cni.refusal import CONFIGURATION, UNSUPPORTED, Refusal
from netrt.cni.result import Dns, Result, RouteTo
from netrt.cni.runtime import RuntimeConfig, named
from netrt.model.address import check_mac
from netrt.model.command import Attach, Definition
from netrt.model.lease import DhcpLease
from netrt.model.names import check_ifname
from netrt.model.network import Mode
from netrt.model.parent import MacvlanMode

HOST_SIDE = ("portMappings", "bandwidth")
"""Capabilities for which a container needs an end of its own on the host."""


class MacvlanConfig(IpamConfig, frozen=True, kw_only=True, rename="camel"):
    """Each key of the reference plugin."""

    master: str | None = None
    mode: str | None = None
    mtu: int | None = None
    mac: str | None = None
    link_in_container: bool | None = None
    bcqueuelen: int | None = None


def read(call: Call) -> MacvlanConfig:
    """The configuration. Raises Refusal where it cannot be had."""
    config = call.config(MacvlanConfig)
    if config.link_in_container:
        raise Refusal(UNSUPPORTED, "field linkInContainer: true is not supported: the parent is a link of the host")
    if config.mode and config.mode not in tuple(MacvlanMode):
        raise Refusal(
            CONFIGURATION, f"field mode: unknown {config.mode[:40]!r}", hint=f"known: {', '.join(MacvlanMode)}"
        )
    if config.mtu and not 1280 <= config.mtu <= 65535:
        raise Refusal(CONFIGURATION, f"field mtu: {config.mtu} is no MTU", hint="1280 to 65535, or 0 for the parent's")
    if config.master:
        named("master", lambda: check_ifname(config.master or ""))
    return config


def attach(call: Call, config: MacvlanConfig, asked: Asked, uplink: str) -> Attach:
    """ADD; `uplink` is the master of a configuration that names none. Raises Refusal."""
    master = config.master or uplink
    if not master:
        raise Refusal(CONFIGURATION, "field master is missing, and this host has no default route")
    runtime = config.runtime_config or RuntimeConfig()
    if runtime.port_mappings or runtime.bandwidth:
        raise Refusal(
            UNSUPPORTED, f"field runtimeConfig: {' and '.join(HOST_SIDE)} need a bridge: this link is the LAN's"
        )
    chosen, routes = given_here(call, config)
    by_dhcp = ipam_type(config) == DHCP
    made = attaching(
        call,
        asked,
        runtime=runtime,
        args=config.args,
        network=network_name(call.network),
        definition=Definition(
            id=asked.network_id,
            name=network_name(call.network),
            plugin="netrt-macvlan",
            mode=Mode.MACVLAN,
            subnets=tuple(subnet for pool in chosen for subnet in pool),
            options=_options(config, master),
            dhcp=by_dhcp,
        ),
        pools=None if by_dhcp else chosen,
        routes=None if by_dhcp else routes,
        lease=call.text.decode() if delegated(config) else "",
    )
    mac = named("mac", lambda: check_mac(config.mac or "")) if config.mac and not made.endpoint.mac else ""
    return replace(made, endpoint=replace(made.endpoint, mac=mac)) if mac else made


def said_by_dhcp(lease: DhcpLease) -> Result:
    """What a DHCP server said besides the address."""
    routes = [RouteTo(dst="0.0.0.0/0", gw=lease.router)] if lease.router else []
    routes += [RouteTo(dst=way.dst, gw=way.via or None) for way in lease.routes]
    return Result(routes=tuple(routes), dns=Dns(nameservers=lease.dns) if lease.dns else None)


def _options(config: MacvlanConfig, master: str) -> dict[str, str]:
    options = {"parent": master, "macvlan_mode": config.mode or MacvlanMode.BRIDGE, "any_parent": "true"}
    return options | ({"com.docker.network.driver.mtu": str(config.mtu)} if config.mtu else {})
