"""What a file asks for that cannot be had together, with itself or with what is there: found before anything is done, for what
the daemon refuses on the way leaves an apply half done."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from netrt.declare.plan import Plan
from netrt.declare.steps import MakeNetwork, TakeContainer, TakeNetwork, Update
from netrt.declare.wish import ContainerWish, NetworkWish, Present, Wish
from netrt.errors import Invalid
from netrt.model.address import family, ip
from netrt.model.port import PortMapping


def check(present: Present, wish: Wish, plan: Plan) -> None:
    """Raises Invalid that names the line where the second of two is asked for."""
    gone = {step.name for step in plan.steps if isinstance(step, TakeContainer)}
    _check_subnets(present, wish, plan)
    _check_addresses(present, wish, plan, gone)
    _check_ports(present, wish, gone)
    _check_namespaces(present, wish, gone)
    _check_resolvers(wish)


def _check_subnets(present: Present, wish: Wish, plan: Plan) -> None:
    made = [step.network for step in plan.steps if isinstance(step, MakeNetwork)]
    removed = {step.name for step in plan.steps if isinstance(step, TakeNetwork)}
    stay = [network for network in present.networks.values() if network.name not in removed]
    made += [wish.networks[step.name] for step in plan.steps if isinstance(step, Update) and (step.grow or step.add)]
    pairs = [(one, other) for one in stay for other in made if one.name != other.name] + list(combinations(made, 2))
    for one, other in pairs:
        for cidr in (s.cidr for s in other.subnets):
            for taken in (s.cidr for s in one.subnets):
                if family(cidr) == family(taken) and _overlap(cidr, taken):
                    raise Invalid(f"{other.place}: subnet {cidr} overlaps network {one.name} ({taken})")


def _overlap(one: str, other: str) -> bool:
    return ipaddress.ip_network(one).overlaps(ipaddress.ip_network(other))


def _check_addresses(present: Present, wish: Wish, plan: Plan, gone: set[str]) -> None:
    made = {step.network.name for step in plan.steps if isinstance(step, MakeNetwork)}
    grown = {step.name for step in plan.steps if isinstance(step, Update) and step.roomier}
    held: dict[tuple[str, str], str] = {}
    for container in present.containers.values():
        if container.name not in gone and container.name not in wish.containers:
            held |= dict.fromkeys(_asked(container), container.name)
    for container in wish.containers.values():
        for network, address in _asked(container):
            shape = wish.networks.get(network) if network in made else present.networks.get(network)
            if network in grown and shape is not None:
                shape = _grown(shape, wish.networks[network])
            if shape is not None:
                _check_inside(container, shape, address)
            holder = held.setdefault((network, address), container.name)
            if holder != container.name:
                raise Invalid(f"{container.place}: {address} is held by {holder} on {network}")


def _grown(seen: NetworkWish, wanted: NetworkWish) -> NetworkWish:
    """What a network is after it got more room, as far as that can be told."""
    ours = [
        subnet for subnet in seen.subnets if not any(_same_family_overlap(subnet.cidr, s.cidr) for s in wanted.subnets)
    ]
    chosen = wanted.ipv6 and not any(family(subnet.cidr) == 6 for subnet in (*ours, *wanted.subnets))
    return replace(seen, subnets=() if chosen else (*ours, *wanted.subnets))


def _same_family_overlap(one: str, other: str) -> bool:
    return family(one) == family(other) and _overlap(one, other)


def _asked(container: ContainerWish) -> Iterator[tuple[str, str]]:
    for network, endpoint in container.networks.items():
        yield from ((network, address) for address in (endpoint.ip, endpoint.ip6) if address)


def _check_inside(container: ContainerWish, network: NetworkWish, address: str) -> None:
    """Where subnets of its family are known: those that are there, or are asked for."""
    known = [subnet for subnet in network.subnets if family(subnet.cidr) == family(address)]
    inside = [subnet for subnet in known if ip(address) in ipaddress.ip_network(subnet.cidr)]
    if known and not inside:
        blocks = ", ".join(subnet.cidr for subnet in known)
        raise Invalid(f"{container.place}: {address} is outside of network {network.name} ({blocks})")
    for subnet in inside:
        word = subnet.reserved.get(int(ip(address)))
        if word:
            raise Invalid(f"{container.place}: {address} is the {word} of network {network.name}")
    if not known and network.subnets:
        raise Invalid(f"{container.place}: network {network.name} has no IPv{family(address)} address for {address}")


def _check_ports(present: Present, wish: Wish, gone: set[str]) -> None:
    held: list[tuple[str, PortMapping]] = [
        (name, port) for name, port in present.taken if name not in gone and name not in wish.containers
    ]
    for container in wish.containers.values():
        if container.ports and not any(_publishes(present, wish, name) for name in container.networks):
            on = ", ".join(container.networks) or container.mode
            raise Invalid(f"{container.place}: ports need a network that leads outside", hint=f"it is on {on}")
        for port in container.ports:
            if not port.host_port:
                continue
            for holder, other in held:
                if port.overlaps(other):
                    raise Invalid(f"{container.place}: host port {port.host_text()} is also that of {holder}")
            held.append((container.name, port))


def _publishes(present: Present, wish: Wish, name: str) -> bool:
    """Whether ports may lead to containers of this network, as far as can be told."""
    network = wish.networks.get(name)
    network = present.networks.get(name) if network is None or network.external else network
    return network is None or (network.driver == "bridge" and not network.internal)


def _check_namespaces(present: Present, wish: Wish, gone: set[str]) -> None:
    held = {
        c.netns: c.name
        for c in present.containers.values()
        if c.netns and c.name not in gone and c.name not in wish.containers
    }
    for container in wish.containers.values():
        if container.netns and held.setdefault(container.netns, container.name) != container.name:
            raise Invalid(f"{container.place}: namespace {container.netns} is that of {held[container.netns]}")


def _check_resolvers(wish: Wish) -> None:
    for container in wish.containers.values():
        asked = container.lookup
        if container.mode.startswith("container:") and (asked.dns or asked.dns_search or asked.dns_options):
            owner = container.mode.removeprefix("container:")
            raise Invalid(
                f"{container.place}: who shares the namespace of {owner} has its resolvers, and none of its own"
            )
