"""`netrt-bridge`: the configuration of the reference's bridge plugin, as a network of ours and an attachment to it.

The reference leaves a bridge network open: whoever has a route to a container reaches it, containers reach the host, and may
send what they like. So these networks are `open`, have `host_access`, and no more protection from spoofing than is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from netrt.cni.attaching import Asked, attaching, network_name
from netrt.cni.call import Call, Config, check_file, given
from netrt.cni.ranges import HostLocal, Pools, canonical, default_way, network_of, pools, ways
from netrt.cni.refusal import CONFIGURATION, DECODING, UNSUPPORTED, Refusal
from netrt.cni.result import Ip, Result, RouteTo, said_plainly
from netrt.cni.runtime import Args, RuntimeConfig, named
from netrt.ipam.allocate import default_gateway
from netrt.model.address import family, parse_ip
from netrt.model.command import Attach, Definition, Lease
from netrt.model.container import Attachment
from netrt.model.names import check_ifname
from netrt.model.network import Network, Subnet
from netrt.model.plugged import Way

T = TypeVar("T")

BRIDGE = "cni0"
"""The bridge of a configuration that names none."""

DHCP = "netrt-dhcp"
"""The IPAM plugin by which a DHCP server of the LAN gives the address."""

OURS = ("netrt-host-local", DHCP)
"""IPAM plugins that are done here and not by another program."""


class IpamConfig(Config, frozen=True, kw_only=True, rename="camel"):
    """What every configuration with `ipam` has."""

    runtime_config: RuntimeConfig | None = None
    args: Args | None = None

    @property
    def gateway(self) -> bool:
        """Whether the host has the gateway's address."""
        return False

    @property
    def default_way(self) -> bool:
        """Whether the gateway is the way to everywhere, whatever routes there are."""
        return False


class BridgeConfig(IpamConfig, frozen=True, kw_only=True, rename="camel"):
    """Each key of the reference plugin."""

    bridge: str | None = None
    is_gateway: bool | None = None
    is_default_gateway: bool | None = None
    force_address: bool | None = None
    ip_masq: bool | None = None
    ip_masq_backend: str | None = None
    mtu: int | None = None
    hairpin_mode: bool | None = None
    promisc_mode: bool | None = None
    vlan: int | None = None
    vlan_trunk: tuple[dict[str, int | None] | None, ...] | None = None
    preserve_default_vlan: bool | None = None
    macspoofchk: bool | None = None
    enabledad: bool | None = None
    disable_container_interface: bool | None = None
    port_isolation: bool | None = None

    @property
    def gateway(self) -> bool:
        return bool(self.is_gateway or self.is_default_gateway)

    @property
    def default_way(self) -> bool:
        return bool(self.is_default_gateway)


class IpamType(msgspec.Struct, frozen=True, kw_only=True):
    """What of `ipam` says whose it is."""

    type: str | None = None


def ipam_type(config: Config) -> str:
    """The IPAM plugin; empty where there is none. Raises Refusal."""
    if not given(config.ipam):
        return ""
    found = _ipam(config, IpamType).type or ""
    return check_file("ipam.type", found) if found else ""


def delegated(config: Config) -> str:
    """The IPAM plugin where it is a program of its own, else empty. Raises Refusal."""
    kind = ipam_type(config)
    return "" if kind in OURS else kind


def host_local(config: Config) -> HostLocal:
    """Raises Refusal."""
    return _ipam(config, HostLocal)


def _ipam(config: Config, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(config.ipam, type=kind)
    except msgspec.ValidationError as error:
        said = said_plainly(error)
        raise Refusal(DECODING, f"field ipam.{said}" if ": " in said else f"field ipam: {said}") from None


def read(call: Call) -> BridgeConfig:
    """The configuration. Raises Refusal where it cannot be had."""
    config = call.config(BridgeConfig)
    for key, value in (("vlan", config.vlan), ("vlanTrunk", config.vlan_trunk)):
        if value:
            shown = msgspec.json.encode(value).decode()
            raise Refusal(UNSUPPORTED, f"field {key}: {shown[:80]} is not supported: bridges of netrt have no VLANs")
    if config.hairpin_mode and config.promisc_mode:
        raise Refusal(CONFIGURATION, "fields hairpinMode and promiscMode exclude each other")
    if ipam_type(config) == DHCP:
        raise Refusal(UNSUPPORTED, f"field ipam.type: {DHCP} is for netrt-macvlan: behind a bridge there is no LAN")
    if config.disable_container_interface and ipam_type(config):
        raise Refusal(CONFIGURATION, "fields disableContainerInterface and ipam exclude each other")
    if config.ip_masq_backend not in (None, "", "iptables", "nftables"):
        raise Refusal(CONFIGURATION, f"field ipMasqBackend: unknown {config.ip_masq_backend!r}")
    if config.mtu and not 1280 <= config.mtu <= 65535:
        raise Refusal(CONFIGURATION, f"field mtu: {config.mtu} is no MTU", hint="1280 to 65535, or 0 for the usual one")
    named("bridge", lambda: check_ifname(config.bridge or BRIDGE))
    return config


def attach(call: Call, config: BridgeConfig, asked: Asked) -> Attach:
    """ADD. What a delegated IPAM plugin gives comes later, as a Lease. Raises Refusal."""
    runtime = config.runtime_config or RuntimeConfig()
    chosen, routes = given_here(call, config)
    subnets = tuple(subnet for pool in chosen for subnet in pool)
    return attaching(
        call,
        asked,
        runtime=runtime,
        args=config.args,
        network=network_name(call.network),
        definition=_definition(call, config, asked, subnets),
        pools=chosen,
        routes=routes,
        down=bool(config.disable_container_interface),
        lease=call.text.decode() if delegated(config) else "",
    )


def given_here(call: Call, config: IpamConfig) -> tuple[Pools, tuple[Way, ...]]:
    """What our own IPAM is to give: pools of addresses, and routes. Raises Refusal."""
    if ipam_type(config) in ("", DHCP) or delegated(config):
        return (), ()
    section = host_local(config)
    chosen = pools(section, config.runtime_config or RuntimeConfig(), call.version)
    families = {family(pool[0].cidr) for pool in chosen}
    return chosen, with_default(config, ways("ipam.routes", section.routes), families)


def with_default(config: IpamConfig, routes: tuple[Way, ...], families: set[int]) -> tuple[Way, ...]:
    """With a default route of each family that has an address, where the gateway is the way to everywhere."""
    if not config.default_way:
        return routes
    have = {family(way.dst) for way in routes if way.dst.endswith("/0")}
    return (*routes, *(default_way(version) for version in sorted(families - have)))


def _definition(call: Call, config: BridgeConfig, asked: Asked, subnets: tuple[Subnet, ...]) -> Definition:
    options = {
        "com.docker.network.bridge.name": config.bridge or BRIDGE,
        "com.docker.network.bridge.enable_icc": _said(not config.port_isolation),
        "com.docker.network.bridge.enable_ip_masquerade": _said(bool(config.ip_masq)),
        "open": "true",
        "host_access": "true",
        "antispoof": "mac" if config.macspoofchk else "off",
    }
    if not config.gateway:
        options |= {f"com.docker.network.bridge.gateway_mode_ipv{v}": "isolated" for v in (4, 6)}
    if config.mtu:
        options["com.docker.network.driver.mtu"] = str(config.mtu)
    options |= {name: "true" for name, on in (("hairpin", config.hairpin_mode), ("promisc", config.promisc_mode)) if on}
    return Definition(
        id=asked.network_id, name=network_name(call.network), plugin="netrt-bridge", subnets=subnets, options=options
    )


def _said(on: bool) -> str:
    return "true" if on else "false"


def leased(config: IpamConfig, said: Result) -> Lease:
    """What a delegated IPAM plugin answered, as this configuration uses it. Raises Refusal."""
    if not said.ips:
        raise Refusal(CONFIGURATION, f"the IPAM plugin {ipam_type(config)} gave no address")
    families = {family(ip.address) for ip in said.ips}
    return Lease(
        addresses=tuple(canonical(ip.address) for ip in said.ips),
        subnets=tuple(_around(ip, config.gateway) for ip in said.ips),
        routes=with_default(config, ways("routes", said.routes), families),
    )


def _around(ip: Ip, needs_gateway: bool) -> Subnet:
    """What an address says of its network: the gateway beside it is its first address, where nobody says another."""
    cidr = network_of(ip.address)
    gateway = str(parse_ip("gateway", ip.gateway)) if ip.gateway else None
    if gateway is None and needs_gateway:
        gateway = default_gateway(cidr, ())
    return Subnet(cidr=cidr, gateway=gateway, learned=True)


def routes_shown(
    config: IpamConfig, said: Iterable[RouteTo], attachment: Attachment, network: Network
) -> tuple[RouteTo, ...]:
    """The routes of the result: those that were configured, and the default ones that were added."""
    row = tuple(said)
    have = {family(route.dst) for route in row if route.dst.endswith("/0")}
    added = [
        RouteTo(dst=default_way(version).dst, gw=network.subnet_of(interface).gateway)
        for version in (4, 6)
        if config.default_way and version not in have and (interface := attachment.address(version))
    ]
    return (*row, *added)
