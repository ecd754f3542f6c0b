"""Which ports of the host a container gets.

Rule 1: a host port belongs to one container or host process at a time; what is in the way is named, to who would hold it now, and
to who will hold it later when it starts. Rule 2: a published port must lead from an address that the host has to a network that
leads outside. Rule 3: a free port is looked for from a place that moves far with every attach and detach, so that one given back
is not given to the next who asks; nor is one that waits for a container to start, as long as there are others."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from netrt.dataplane.facts import HostFacts
from netrt.errors import Conflict, Exhausted, InUse, Invalid, NetrtError
from netrt.model.address import family, parse_ip
from netrt.model.container import Container
from netrt.model.network import PARENTED, Network
from netrt.model.port import PortMapping, addresses_meet
from netrt.model.state import State, port_buckets

FIRST_FREE, LAST_FREE = 32768, 60999
"""Where free ports are taken from: the kernel's own default range, as Docker does."""

_STRIDE = 17449
"""Near the golden section of the range and with no divisor in common: successive starts are spread evenly, all are reached."""


Mine = dict[tuple[str, int], list[PortMapping]]


@dataclass(frozen=True, slots=True)
class _Obstacle:
    """Ports that are taken, and the error that says by whom; for one of the container's own mappings, Invalid."""

    first: int
    last: int
    owner: str
    error: type[NetrtError]


@dataclass(frozen=True, slots=True)
class _Reach:
    """What the networks of a container allow: the families that lead outside, the host address that ports are bound to (empty:
    all), and for the message when there is none, the networks' names and what is about them."""

    versions: tuple[int, ...]
    binding: str
    names: str
    why: str

    @staticmethod
    def by(networks: Sequence[Network]) -> _Reach:
        outside = next((network for network in networks if network.publishes(4)), None)
        binding = outside.bridge.host_binding_ipv4 if outside else None
        return _Reach(
            versions=tuple(v for v in (4, 6) if any(network.publishes(v) for network in networks)),
            binding="" if binding in (None, "0.0.0.0") else str(binding),
            names=", ".join(network.name for network in networks),
            why="reached at their own addresses"
            if any(n.mode in PARENTED and not n.internal for n in networks)
            else "internal or isolated",
        )


def resolve_ports(
    state: State,
    asked: Iterable[PortMapping],
    networks: Sequence[Network],
    facts: HostFacts,
    *,
    held: bool = True,
    kept: Sequence[PortMapping] = (),
) -> tuple[PortMapping, ...]:
    """The mappings of a container that will be on these networks, with host addresses checked and free ports chosen. `held`:
    it holds them from now on, not only when it starts; `kept` are those that it publishes already.

    Raises Invalid, InUse (a container has the port), Conflict (a process of the host has it), Exhausted.
    """
    reach, mine = _Reach.by(networks), Mine()
    for mapping in kept:
        _put(mine, mapping)
    wanted = [_checked(state, mapping, reach, facts) for mapping in dict.fromkeys(asked)]
    for number in sorted(range(len(wanted)), key=lambda n: wanted[n].host_port == 0):  # free ones after the chosen ones
        mapping = wanted[number]
        if not mapping.host_port:
            mapping = _free(state, mapping, mine, facts)
        else:
            _refuse(mapping, _in_the_way(state, mapping, mine, facts) if held else _own(mapping, mine))
        wanted[number] = mapping
        _put(mine, mapping)
    return tuple(wanted)


def _put(mine: Mine, mapping: PortMapping) -> None:
    for bucket in port_buckets(mapping):
        mine.setdefault(bucket, []).append(mapping)


def check_free(state: State, container: Container, facts: HostFacts) -> None:
    """Whether a container that held none of its ports may have them again. Raises InUse, Conflict; Invalid where the host
    has lost the address of one."""
    for mapping in container.held_ports:
        _check_local(state, mapping.host_ip, facts)
        _refuse(mapping, _in_the_way(state, mapping, Mine(), facts))


def is_particular(host_ip: str) -> bool:
    """Whether this is an address that one host has and another has not: neither loopback, nor all addresses."""
    address = ipaddress.ip_address(host_ip) if host_ip else None
    return address is not None and not (address.is_loopback or address.is_unspecified)


def _checked(state: State, mapping: PortMapping, reach: _Reach, facts: HostFacts) -> PortMapping:
    """With a canonical host address: the given one, else what its network binds ports to, else all."""
    port = f"port {mapping.container_port}/{mapping.protocol} cannot be published"
    if not reach.versions:
        why = f"{reach.why}: {reach.names}" if reach.names else "the container is on no network"
        raise Invalid(f"{port}: it needs a network that leads outside", hint=why)
    host_ip = str(parse_ip("host address", mapping.host_ip)) if mapping.host_ip else reach.binding
    if host_ip and family(host_ip) not in reach.versions:
        raise Invalid(f"{port} on {host_ip}: no network of the container leads outside by IPv{family(host_ip)}")
    _check_local(state, host_ip, facts)
    return replace(mapping, host_ip=host_ip) if host_ip != mapping.host_ip else mapping


def _check_local(state: State, host_ip: str, facts: HostFacts) -> None:
    if not is_particular(host_ip) or host_ip in facts.addresses:
        return
    if not any(subnet.gateway == host_ip for network in state.networks.values() for subnet in network.subnets):
        raise Invalid(f"host address {host_ip} is not an address of this host")


def _refuse(mapping: PortMapping, obstacle: _Obstacle | None) -> None:
    if obstacle is not None:
        first = max(mapping.host_port, obstacle.first)
        text = replace(mapping, host_port=first, count=1).host_text()
        raise obstacle.error(f"port {text} is already allocated to {obstacle.owner}")


def _free(state: State, mapping: PortMapping, mine: Mine, facts: HostFacts) -> PortMapping:
    start = FIRST_FREE + state.order * _STRIDE % (LAST_FREE - FIRST_FREE + 1)
    spans = ((start, LAST_FREE), (FIRST_FREE, min(LAST_FREE, start + mapping.count - 2)))
    for resting in (True, False):
        for first, last in spans:
            port = first
            while port + mapping.count - 1 <= last:
                candidate = replace(mapping, host_port=port)
                obstacle = _in_the_way(state, candidate, mine, facts, resting=resting)
                if obstacle is None:
                    return candidate
                port = obstacle.last + 1
    ports = "port" if mapping.count == 1 else f"{mapping.count} consecutive ports"
    raise Exhausted(f"no free {mapping.protocol} {ports} of the host from {FIRST_FREE} to {LAST_FREE}")


def _own(wanted: PortMapping, mine: Mine) -> _Obstacle | None:
    for bucket in port_buckets(wanted):
        for other in mine.get(bucket, ()):
            if wanted.overlaps(other):
                return _Obstacle(other.host_port, other.host_last, "the same container", Invalid)
    return None


def _in_the_way(
    state: State, wanted: PortMapping, mine: Mine, facts: HostFacts, *, resting: bool = False
) -> _Obstacle | None:
    """What has one of these ports; with `resting` also a container that does not run."""
    if own := _own(wanted, mine):
        return own
    holder = state.port_holder(wanted, resting=resting)
    if holder is not None:
        mapping, container_id = holder
        return _Obstacle(mapping.host_port, mapping.host_last, state.containers[container_id].name, InUse)
    for listener in facts.listeners:
        if (
            wanted.host_port <= listener.port <= wanted.host_last
            and listener.protocol == wanted.protocol
            and addresses_meet("" if listener.dual else listener.ip, wanted.host_ip)
        ):
            return _Obstacle(listener.port, listener.port, listener.owner or "a process of the host", Conflict)
    return None
