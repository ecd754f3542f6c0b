"""What must be known of the host in order to decide and compile: values only; the kernel room gathers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A socket of a host process that has a port: `ip` is `0.0.0.0` or `::` for all addresses (`::` may take IPv4 too, then
    `dual`); `owner` is "nginx (pid 812)" or empty where it could not be found."""

    protocol: str
    ip: str
    port: int
    dual: bool = False
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """A link of the host that containers may stand on. `kind` is the kernel's IFLA_INFO_KIND, empty for hardware; `master` the
    name of what it is a port of; `cloud` whose virtual machine this is, where the link is its network card; `addresses` are with
    prefix length, without link-local ones; `loopback`, `ethernet` and `wireless` say of which type it is; `ours`: we made it."""

    mtu: int = 1500
    mac: str = ""
    kind: str = ""
    master: str = ""
    loopback: bool = False
    ethernet: bool = True
    wireless: bool = False
    cloud: str = ""
    ours: bool = False
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """`mtu` of the route to the outside (1500 where there is none); `routes`: destinations (CIDR, no defaults) of all routes
    and addresses of the host that are not ours; `addresses`: all its own addresses, without prefix; `raised`: the families (4, 6)
    whose forwarding is off, or was turned on by us since boot; `opened`: those of them that forward now; `bridges`: the names of
    bridges that are not ours; `parents`: the links of the host that were asked for, by name; `lacking`: the kinds of links that
    stand on parents which this kernel does not have; `congctl`: the congestion control of TCP between neighbours, where the
    host's default does badly there."""

    mtu: int = 1500
    routes: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    raised: frozenset[int] = frozenset()
    opened: frozenset[int] = frozenset()
    listeners: tuple[Listener, ...] = ()
    bridges: frozenset[str] = frozenset()
    parents: Mapping[str, Parent] = field(default_factory=dict)
    lacking: frozenset[str] = frozenset()
    congctl: str = ""
