"""What an apply does, step by step: each is one verb of the client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from netrt.declare.wish import ContainerWish, EndpointWish, NetworkWish, port_text
from netrt.model.network import Subnet
from netrt.model.port import PortMapping


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeNetwork:
    network: NetworkWish


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """A network gets other labels and resolvers (`lost` are names of labels), and more room: `grow` are larger blocks for subnets
    that it has, `add` are more subnets, with `ipv6` it gets that."""

    name: str
    labels: Mapping[str, str]
    lost: tuple[str, ...]
    dns: tuple[str, ...]
    grow: tuple[str, ...] = ()
    add: tuple[Subnet, ...] = ()
    ipv6: bool = False
    place: str = field(default="", compare=False)

    @property
    def roomier(self) -> bool:
        """Whether there may be addresses afterwards that there were not before."""
        return bool(self.grow or self.add or self.ipv6)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeNetwork:
    name: str
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeContainer:
    container: ContainerWish


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeContainer:
    name: str
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Connect."""

    container: str
    network: str
    endpoint: EndpointWish
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Disconnect."""

    container: str
    network: str
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Ports given to a container, or taken from it."""

    container: str
    add: tuple[PortMapping, ...] = ()
    remove: tuple[PortMapping, ...] = ()
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`bandwidth` as of an EndpointWish."""

    container: str
    network: str
    bandwidth: str
    place: str = field(default="", compare=False)


Step = MakeNetwork | Update | TakeNetwork | MakeContainer | TakeContainer | Join | Leave | Publish | Limit


def place_of(step: Step) -> str:
    """Where a file asks for it."""
    match step:
        case MakeNetwork():
            return step.network.place
        case MakeContainer():
            return step.container.place
        case _:
            return step.place


def words(step: Step) -> str:
    """What it does, in a line."""
    match step:
        case MakeNetwork():
            return f"create network {step.network.name} ({step.network.words})"
        case Update():
            return f"update network {step.name}"
        case TakeNetwork():
            return f"remove network {step.name}"
        case MakeContainer():
            return f"create container {step.container.name} ({step.container.words})"
        case TakeContainer():
            return f"remove container {step.name}"
        case Join():
            return f"connect {step.container} to {step.network}{_wished(step.endpoint)}"
        case Leave():
            return f"disconnect {step.container} from {step.network}"
        case Publish():
            ports = [f"+{port_text(port)}" for port in step.add] + [f"-{port_text(port)}" for port in step.remove]
            return f"publish {step.container} {' '.join(ports)}"
        case Limit():
            return f"limit {step.container} on {step.network} to {step.bandwidth}"
    assert_never(step)


def _wished(endpoint: EndpointWish) -> str:
    said = {**arguments(endpoint)}
    return f" ({', '.join(f'{key} {value}' for key, value in said.items())})" if said else ""


def arguments(endpoint: EndpointWish) -> dict[str, Any]:
    """What is wished for, as arguments of the client's `connect`."""
    fields = ("ip", "ip6", "mac", "ifname", "gw_priority", "bandwidth")
    said = {name: getattr(endpoint, name) for name in fields if getattr(endpoint, name)}
    return {**said, **({"aliases": list(endpoint.aliases)} if endpoint.aliases else {})}


def singles(ports: tuple[PortMapping, ...]) -> tuple[PortMapping, ...]:
    """The same ports, one by one."""
    return tuple(
        PortMapping(
            protocol=port.protocol,
            container_port=port.container_port + number,
            host_port=port.host_port and port.host_port + number,
            host_ip=port.host_ip,
        )
        for port in ports
        for number in range(port.count)
    )
