"""Networks and containers as a file asks for them, and as they are: the same shapes, so that the two can be compared.

In a wish, empty is "as netrt chooses" for subnets, addresses, MACs, names of interfaces, host names and host ports; of everything
else it is what it looks like. What is there has everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netrt.model.container import NO_LOOKUP, Lookup
from netrt.model.network import Subnet
from netrt.model.port import PortMapping

APPLIED = "netrt.apply"
"""The label of what an apply made; its value is the project's name."""

NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkWish:
    """`external`: it must be there, and is taken as it is. `held` says of one that is there why no apply may take it away or make
    it anew, if so; `place` where a file asks for it."""

    name: str
    driver: str = "bridge"
    subnets: tuple[Subnet, ...] = ()
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    dns: tuple[str, ...] = ()
    ipam_driver: str = "default"
    external: bool = False
    held: str = field(default="", compare=False)
    place: str = field(default="", compare=False)

    @property
    def words(self) -> str:
        """What it is, in a few words."""
        free = "a free subnet" if self.ipam_driver == "default" else f"addresses by {self.ipam_driver}"
        given = ", ".join(subnet.cidr for subnet in self.subnets) or free
        return f"{self.driver}, {given}{', internal' if self.internal else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointWish:
    """How to be on a network. `bandwidth` is text as for `--bandwidth`, in bits per second."""

    ip: str = ""
    ip6: str = ""
    mac: str = ""
    aliases: tuple[str, ...] = ()
    ifname: str = ""
    gw_priority: int = 0
    bandwidth: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerWish:
    """A network namespace. `mode` is `none`, `host`, `container:NAME`, or empty for one on `networks`, in their order. `netns` is
    the path of one that somebody else made, empty for one of ours. `held` and `place` are as of a network."""

    name: str
    mode: str = ""
    networks: Mapping[str, EndpointWish] = field(default_factory=dict)
    ports: tuple[PortMapping, ...] = ()
    hostname: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    lookup: Lookup = NO_LOOKUP
    netns: str = ""
    runs: bool = False
    held: str = field(default="", compare=False)
    place: str = field(default="", compare=False)

    @property
    def owner(self) -> str:
        """The name of the container in whose namespace it lives, or empty."""
        return self.mode.removeprefix("container:") if self.mode.startswith("container:") else ""

    @property
    def words(self) -> str:
        """What it is, in a few words."""
        where = [self.mode or "on " + ", ".join(self.networks)] + ([f"in {self.netns}"] if self.netns else [])
        return ", ".join([*where, *(f"port {port_text(port)}" for port in self.ports)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one file asks for. `project` is the name under which its next version finds what this one made."""

    project: str
    networks: Mapping[str, NetworkWish]
    containers: Mapping[str, ContainerWish]


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What is there, by name. `taken` are the host's ports that containers have now, with their names."""

    networks: Mapping[str, NetworkWish] = field(default_factory=dict)
    containers: Mapping[str, ContainerWish] = field(default_factory=dict)
    taken: tuple[tuple[str, PortMapping], ...] = ()


def port_text(mapping: PortMapping) -> str:
    """A port as `-p` has it."""
    inside = _ports(mapping.container_port, mapping.count) + (
        "" if mapping.protocol == "tcp" else f"/{mapping.protocol}"
    )
    ip = f"[{mapping.host_ip}]" if ":" in mapping.host_ip else mapping.host_ip
    outside = _ports(mapping.host_port, mapping.count) if mapping.host_port else ""
    if ip:
        return f"{ip}:{outside}:{inside}"
    return f"{outside}:{inside}" if outside else inside


def _ports(first: int, count: int) -> str:
    return str(first) if count == 1 else f"{first}-{first + count - 1}"
