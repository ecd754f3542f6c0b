"""A network as people ask for it. Driver options are kept as they were given (inspect shows them so) and read through
`bridge_options` and `parent_options`, which alone know their names."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from types import MappingProxyType

import msgspec

from netrt.errors import Invalid
from netrt.model import option
from netrt.model.address import family, host_of, ip, network, parse_ip, parse_network
from netrt.model.names import check_label, check_name, is_link_name
from netrt.model.parent import ParentOptions, ipvlan_options, macvlan_options


class Mode(enum.StrEnum):
    """What a network is made of. Docker calls it the driver; `null` is Docker's name for the driver of the network `none`. In a
    `foreign` one somebody else makes the links (a CNI plugin that is not ours), and we only add to them."""

    BRIDGE = "bridge"
    MACVLAN = "macvlan"
    IPVLAN = "ipvlan"
    HOST = "host"
    NONE = "null"
    FOREIGN = "foreign"


class GatewayMode(enum.StrEnum):
    """How a bridge network meets the outside, per address family.

    `nat`: outgoing traffic is masqueraded, only published ports are reachable. `routed`: no NAT, containers are reachable at
    their own addresses. `isolated`: the host has no address on the bridge.
    """

    NAT = "nat"
    ROUTED = "routed"
    ISOLATED = "isolated"


class Antispoof(enum.StrEnum):
    """What a container may send from a bridge network: only with its own MAC and addresses, with its own MAC, or anything."""

    FULL = "full"
    MAC = "mac"
    OFF = "off"


class Congctl(enum.StrEnum):
    """Which congestion control TCP has between containers of one network: that of the host, or a better one where there is."""

    AUTO = "auto"
    OFF = "off"


class Ingress(enum.StrEnum):
    """Who may connect into a network that is `open`, as CNI's firewall plugin says it: everybody, all but the networks that have
    such a policy too, or not even its own containers."""

    OPEN = "open"
    SAME_BRIDGE = "same-bridge"
    ISOLATED = "isolated"


class Subnet(msgspec.Struct, frozen=True, kw_only=True):
    """One address block of a network.

    `cidr` without host bits; `gateway` an address inside of it or None; `ip_range` the part that dynamic addresses come from, or
    `first` and `last` of them, or None for all of it; `auxiliary` names and addresses that are never given out. A `learned` one
    was said by somebody else's IPAM, and is taken as it is; none of its addresses is given by us. Raises Invalid when made.
    """

    cidr: str
    gateway: str | None = None
    ip_range: str | None = None
    auxiliary: Mapping[str, str] = {}
    first: str | None = None
    last: str | None = None
    learned: bool = False

    def __post_init__(self) -> None:
        block = parse_network("subnet", self.cidr)
        if self.learned:
            return
        if block.num_addresses < 4:
            raise Invalid(f"subnet {self.cidr} is too small", hint="the smallest subnets are /30 and /126")
        if block.is_multicast or block.is_loopback or block.is_link_local or block.prefixlen == 0:
            raise Invalid(
                f"subnet {self.cidr} cannot be used for containers", hint="use a private range, e.g. 10.1.0.0/24"
            )
        for what, text in [("gateway", self.gateway), *(("aux-address", a) for a in self.auxiliary.values())]:
            if text is None:
                continue
            address = parse_ip(what, text)
            if address not in block:
                raise Invalid(f"{what} {text} is outside of subnet {self.cidr}")
            if address == block.network_address or (block.version == 4 and address == block.broadcast_address):
                raise Invalid(f"{what} {text} is the network or broadcast address of {self.cidr}")
        if self.ip_range is not None:
            part = parse_network("ip-range", self.ip_range)
            if part.version != block.version or not part.subnet_of(block):  # type: ignore[arg-type]
                raise Invalid(f"ip-range {self.ip_range} is outside of subnet {self.cidr}")
        for what, text in (("first address", self.first), ("last address", self.last)):
            if text is not None and parse_ip(what, text) not in block:
                raise Invalid(f"{what} {text} is outside of subnet {self.cidr}")
        if not self.dynamic:
            raise Invalid(f"the range {self.first} to {self.last} of subnet {self.cidr} is empty")

    @property
    def dynamic(self) -> range:
        """The addresses, as numbers, that dynamic ones come from, with the reserved ones among them; of a learned one, none."""
        if self.learned:
            return range(0)
        return _numbers(self.ip_range or self.cidr, self.first, self.last)

    @property
    def reserved(self) -> Mapping[int, str]:
        """The addresses, as numbers, that no container ever gets, and what each of them is."""
        return _reserved(self.cidr, self.gateway, tuple(self.auxiliary.items()))


# Both are asked for with every address that comes or goes.


@lru_cache(maxsize=1024)
def _numbers(cidr: str, first: str | None, last: str | None) -> range:
    block = network(cidr)
    return range(int(ip(first or str(block.network_address))), int(ip(last or str(block.broadcast_address))) + 1)


@lru_cache(maxsize=1024)
def _reserved(cidr: str, gateway: str | None, auxiliary: tuple[tuple[str, str], ...]) -> Mapping[int, str]:
    block = network(cidr)
    known = {int(ip(address)): f"auxiliary address {name}" for name, address in auxiliary}
    if gateway is not None:
        known[int(ip(gateway))] = "gateway"
    if block.version == 4:
        known[int(block.broadcast_address)] = "broadcast address"
    known[int(block.network_address)] = "network address"
    return MappingProxyType(known)


class Network(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A named network segment. `id` is 64 hexadecimal digits; `created` is RFC 3339 in UTC; `options` are driver options as
    given. `plugin` is the CNI plugin whose configuration it follows, empty where people made it; `ingress` what CNI's firewall
    plugin asked for; `dns` are the resolvers that its containers ask, if not the host's.
    `dhcp`: a server of the LAN gives the addresses, and says what the subnets are. `theirs` are gateways that stood on a bridge
    of somebody else before us, and stay. Raises Invalid when made."""

    id: str
    name: str
    mode: Mode
    created: str
    subnets: tuple[Subnet, ...] = ()
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    options: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    plugin: str = ""
    ingress: Ingress = Ingress.OPEN
    dns: tuple[str, ...] = ()
    dhcp: bool = False
    theirs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name("network name", self.name)
        for key, value in self.labels.items():
            check_label(key, value)
        check_options(self.mode, self.options)

    # what each attach asks for several times is found once

    @cached_property
    def bridge(self) -> BridgeOptions:
        """Its options, where it is a bridge network."""
        return bridge_options(self.options)

    @cached_property
    def is_guest(self) -> bool:
        """Whether its bridge is somebody else's, with members that are none of ours. A bridge that a runtime's plugin made is
        that runtime's as a whole."""
        return self.mode is Mode.BRIDGE and not self.plugin and self.bridge.existing

    @cached_property
    def _by_family(self) -> tuple[tuple[Subnet, ...], tuple[Subnet, ...]]:
        four, six = (tuple(s for s in self.subnets if family(s.cidr) == version) for version in (4, 6))
        return four, six

    @property
    def predefined(self) -> bool:
        """Whether it came with netrt: such a network cannot be removed."""
        return self.name in PREDEFINED

    def subnets_of(self, version: int) -> tuple[Subnet, ...]:
        """Its subnets of one family (4 or 6)."""
        return self._by_family[version == 6]

    def subnet_of(self, interface: str) -> Subnet:
        """The subnet that an address of this network (`10.1.0.2/24`) lies in."""
        address = ip(host_of(interface))
        found = [s for s in self.subnets if address in network(s.cidr)]
        return next((s for s in found if int(address) in s.dynamic), found[0])

    def holds(self, address: str) -> bool:
        """Whether one of its subnets has this address (without prefix length)."""
        return any(ip(address) in network(s.cidr) for s in self.subnets)

    def leads_outside(self, version: int) -> bool:
        """Whether it has a way to the outside for one family (4 or 6)."""
        if self.mode in PARENTED:
            return not self.internal and any(subnet.gateway for subnet in self.subnets_of(version))
        return self.publishes(version)

    def publishes(self, version: int) -> bool:
        """Whether ports of the host may lead to its containers: the host is their way to the outside."""
        if self.mode is Mode.FOREIGN:
            return bool(self.subnets_of(version))
        if self.mode is not Mode.BRIDGE or self.internal or not self.subnets_of(version):
            return False
        return self.bridge.gateway_mode(version) is not GatewayMode.ISOLATED

    @property
    def iface_prefix(self) -> str:
        """How the names of interfaces on it begin."""
        if self.mode in PARENTED:
            return parent_options(self).iface_prefix
        return self.bridge.iface_prefix


MADE = (Mode.BRIDGE, Mode.MACVLAN, Mode.IPVLAN)
"""What people can make, and containers be on."""

PARENTED = (Mode.MACVLAN, Mode.IPVLAN)
"""Whose containers stand on a link of the host."""

DEFAULT_NETWORK = "bridge"
PREDEFINED = (DEFAULT_NETWORK, "host", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeOptions:
    """The options of a bridge network, typed. `mtu` None means: that of the route to the outside.

    An `open` network is there for everybody who has a route to it, other open networks included. `existing`: the bridge is
    somebody else's; nothing of it is changed, but that it gets the gateway's addresses, where it lacks them. `inhibit`: nor does
    it get that of IPv4, which is on another machine. `ndp_proxy` is a link of the
    host in whose IPv6 subnet the containers are, and on which the host answers for them.
    """

    bridge_name: str | None = None
    mtu: int | None = None
    icc: bool = True
    masquerade: bool = True
    host_binding_ipv4: str | None = None
    gateway_mode_ipv4: GatewayMode = GatewayMode.NAT
    gateway_mode_ipv6: GatewayMode = GatewayMode.NAT
    iface_prefix: str = "eth"
    host_access: bool = False
    open: bool = False
    antispoof: Antispoof = Antispoof.FULL
    hairpin: bool = False
    promisc: bool = False
    existing: bool = False
    inhibit: bool = False
    ndp_proxy: str | None = None
    congctl: Congctl = Congctl.AUTO

    def gateway_mode(self, version: int) -> GatewayMode:
        """The gateway mode of one family (4 or 6). Whom the host answers for is reachable at its own address."""
        if version == 6 and self.ndp_proxy:
            return GatewayMode.ROUTED
        return self.gateway_mode_ipv6 if version == 6 else self.gateway_mode_ipv4


BRIDGE_NAME = "com.docker.network.bridge.name"
EXISTING = "existing_bridge"

BRIDGE_OPTIONS: dict[str, tuple[str, option.Reader]] = {
    BRIDGE_NAME: ("bridge_name", option.ifname),
    "com.docker.network.bridge.enable_icc": ("icc", option.boolean),
    "com.docker.network.bridge.enable_ip_masquerade": ("masquerade", option.boolean),
    "com.docker.network.bridge.host_binding_ipv4": ("host_binding_ipv4", option.binding),
    "com.docker.network.bridge.gateway_mode_ipv4": ("gateway_mode_ipv4", option.one_of(GatewayMode)),
    "com.docker.network.bridge.gateway_mode_ipv6": ("gateway_mode_ipv6", option.one_of(GatewayMode)),
    option.IFACE_PREFIX: ("iface_prefix", option.iface_prefix),
    option.MTU: ("mtu", option.mtu),
    "host_access": ("host_access", option.boolean),
    "open": ("open", option.boolean),
    "antispoof": ("antispoof", option.one_of(Antispoof)),
    "hairpin": ("hairpin", option.boolean),
    "promisc": ("promisc", option.boolean),
    EXISTING: ("existing", option.boolean),
    "com.docker.network.bridge.inhibit_ipv4": ("inhibit", option.boolean),
    "ndp_proxy": ("ndp_proxy", option.ifname),
    "congctl": ("congctl", option.one_of(Congctl)),
}


def bridge_options(options: Mapping[str, str]) -> BridgeOptions:
    """Read driver options. Raises Invalid with the list of known options for one that is unknown."""
    return _bridge_options(tuple(options.items()))


@lru_cache(maxsize=1024)
def _bridge_options(options: tuple[tuple[str, str], ...]) -> BridgeOptions:
    """Many networks have the same ones."""
    return BridgeOptions(**option.read_options("bridge", BRIDGE_OPTIONS, dict(options)))


def has_names(network: Network) -> bool:
    """Whether containers find each other by name there: on what people made for containers, as with Docker, be it in the
    configuration of a runtime. What stands for a reference plugin's network has none."""
    ours = network.plugin in ("", "netrt")
    return network.mode not in (Mode.HOST, Mode.NONE, Mode.FOREIGN) and not network.predefined and ours


def parent_options(network: Network) -> ParentOptions:
    """The options of a network that has a parent."""
    return (macvlan_options if network.mode is Mode.MACVLAN else ipvlan_options)(network.options)


def parents_named(mode: Mode, options: Mapping[str, str]) -> frozenset[str]:
    """The names of the links of the host that such a network may stand on (a parent, a bridge), or answers on."""
    keys = ("parent",) if mode in PARENTED else (BRIDGE_NAME, "ndp_proxy") if mode is Mode.BRIDGE else ()
    return frozenset(options[key] for key in keys if is_link_name(options.get(key, "")))


def standing_on(networks: Iterable[Network]) -> frozenset[str]:
    """The links of the host that these networks stand on and did not make, or answer on."""
    return frozenset().union(*(stands_on(n.mode, n.options, guest=n.is_guest) for n in networks))


def stands_on(mode: Mode, options: Mapping[str, str], *, guest: bool = False) -> frozenset[str]:
    """The same of one such network; as a `guest`, on a bridge of somebody else."""
    stands = mode in PARENTED or guest or "ndp_proxy" in options
    return parents_named(mode, options) if stands else frozenset()


def check_options(mode: Mode, options: Mapping[str, str]) -> None:
    """Raises Invalid where they are not those of a network of this mode; networks that nobody makes are not looked at."""
    readers = {Mode.BRIDGE: bridge_options, Mode.MACVLAN: macvlan_options, Mode.IPVLAN: ipvlan_options}
    if mode in readers:
        readers[mode](options)


assert {field for field, _ in BRIDGE_OPTIONS.values()} == {f.name for f in fields(BridgeOptions)}
