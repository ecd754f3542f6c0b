"""From what is there to what a file asks for: which changes there are, and the steps that make them, in a safe order.

Rule 1: only what an apply of the same project made is removed (and that by `prune` only) or made anew; who made a thing is told
by its label. What people made is changed in place where that is enough, and else refused. Rule 2: what a step needs is there
before it: containers leave before networks go, networks come before containers, owners of namespaces before who shares them, who
asks for an address before those whose addresses are chosen, and ports are free before they are published. Rule 3: what cannot be
is refused before the first step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from netrt.declare.difference import (
    Growth,
    container_differences,
    endpoint_differences,
    growth,
    network_differences,
    network_updates,
    port_differences,
)
from netrt.declare.steps import (
    Join,
    Leave,
    Limit,
    MakeContainer,
    MakeNetwork,
    Publish,
    Step,
    TakeContainer,
    TakeNetwork,
    Update,
)
from netrt.declare.wish import APPLIED, ContainerWish, NetworkWish, Present, Wish, port_text
from netrt.errors import Invalid
from netrt.model.network import DEFAULT_NETWORK
from netrt.model.rate import parse_bandwidth


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What becomes of one thing: `+` added, `~` changed, `-` removed, `=` left though no longer asked for."""

    sign: str
    what: str
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.sign} {self.what}{': ' if self.words else ''}{'; '.join(self.words)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Changes for people, steps for the client."""

    changes: tuple[Change, ...] = ()
    steps: tuple[Step, ...] = ()


@dataclass(slots=True)
class _Sorted:
    """What is to be done, by kind; `remade` are networks and containers that are taken away and made anew."""

    wish: Wish
    present: Present
    gone_networks: list[str] = field(default_factory=list)
    gone_containers: list[str] = field(default_factory=list)
    remade_networks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    remade_containers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    updates: dict[str, tuple[str, ...]] = field(default_factory=dict)
    leaving: list[Leave] = field(default_factory=list)
    joining: list[Join] = field(default_factory=list)
    withdrawn: list[Publish] = field(default_factory=list)
    published: list[Publish] = field(default_factory=list)
    limits: list[Limit] = field(default_factory=list)
    words: dict[str, list[str]] = field(default_factory=dict)

    def stays(self, name: str) -> bool:
        """Whether a container that is there is neither removed nor made anew."""
        return name in self.present.containers and name not in (*self.gone_containers, *self.remade_containers)


def plan(present: Present, wish: Wish, *, prune: bool = False) -> Plan:
    """Raises Invalid where what is asked for cannot be, or is not this project's to do."""
    found = _Sorted(wish, present)
    lost = _lost(present, wish)
    if prune:
        found.gone_networks, found.gone_containers = lost
    _check_references(found)
    for network in wish.networks.values():
        _compare_network(found, network)
    for container in wish.containers.values():
        _compare_container(found, container)
    _spread(found)
    _check_removals(found)
    for container in wish.containers.values():
        if found.stays(container.name):
            _change_in_place(found, present.containers[container.name], container)
    return Plan(changes=tuple(_changes(found, () if prune else lost)), steps=tuple(_steps(found)))


def _lost(present: Present, wish: Wish) -> tuple[list[str], list[str]]:
    """Networks and containers of this project that its file does not name any more."""
    networks = [n.name for n in present.networks.values() if n.labels.get(APPLIED) == wish.project and not n.held]
    containers = [c.name for c in present.containers.values() if c.labels.get(APPLIED) == wish.project]
    return (
        [name for name in networks if name not in wish.networks],
        [name for name in containers if name not in wish.containers],
    )


def _check_references(found: _Sorted) -> None:
    """What is named must be in the file, or there to stay."""
    wish, present = found.wish, found.present
    for network in wish.networks.values():
        if network.external and network.name not in present.networks:
            raise Invalid(f"{network.place}: there is no network {network.name}", hint="an external one must be there")
    for container in wish.containers.values():
        for name in container.networks:
            known = name in wish.networks or name == DEFAULT_NETWORK
            if not known and (name not in present.networks or name in found.gone_networks):
                raise Invalid(
                    f"{container.place}: there is no network {name}", hint="neither on this host nor in the file"
                )
        owner = container.owner
        there = wish.containers.get(owner) or present.containers.get(owner)
        if owner and there is None:
            raise Invalid(
                f"{container.place}: there is no container {owner}", hint="neither on this host nor in the file"
            )
        if there and there.owner:
            raise Invalid(
                f"{container.place}: {owner} lives in the namespace of {there.owner}", hint=f"name {there.owner}"
            )
        if owner in found.gone_containers:
            raise Invalid(f"{container.place}: container {owner} is not in the file, and would be removed")


def _compare_network(found: _Sorted, wanted: NetworkWish) -> None:
    seen = found.present.networks.get(wanted.name)
    if seen is None or wanted.external:
        return
    differences = tuple(network_differences(seen, wanted))
    if differences:
        _check_may_remake(wanted.place, f"network {wanted.name}", seen, found.wish, differences)
        found.remade_networks[wanted.name] = differences
    elif words := tuple(network_updates(seen, wanted)):
        _check_may_change(seen, wanted, found.wish, words)
        found.updates[wanted.name] = words


def _compare_container(found: _Sorted, wanted: ContainerWish) -> None:
    seen = found.present.containers.get(wanted.name)
    if seen is None:
        return
    differences = tuple(container_differences(seen, wanted))
    if differences:
        _check_may_remake(wanted.place, f"container {wanted.name}", seen, found.wish, differences)
        found.remade_containers[wanted.name] = differences


def _check_may_remake(
    place: str, what: str, seen: NetworkWish | ContainerWish, wish: Wish, differences: tuple[str, ...]
) -> None:
    owner = seen.labels.get(APPLIED)
    why = seen.held
    if not why and isinstance(seen, ContainerWish) and seen.runs:
        why = "runs a command"
    if not why and owner != wish.project:
        why = f"was made by an apply of {owner}" if owner else "was not made by an apply"
    if why:
        raise Invalid(
            f"{place}: {what} is there, {why}, and is otherwise: {'; '.join(differences)}",
            hint="change or remove it by hand, or say here what it is",
        )


def _spread(found: _Sorted) -> None:
    """Who shares a namespace that is made anew is made anew, too."""
    for container in found.present.containers.values():
        if container.owner in found.remade_containers and container.name not in found.gone_containers:
            wanted = found.wish.containers.get(container.name)
            if wanted is None:
                owner = found.wish.containers[container.owner]
                raise Invalid(
                    f"{owner.place}: container {owner.name} must be made anew, and {container.name}, which is not in the "
                    "file, shares its namespace",
                    hint=f"remove {container.name} first",
                )
            words = (f"shares the namespace of {container.owner}",)
            _check_may_remake(wanted.place, f"container {wanted.name}", container, found.wish, words)
            found.remade_containers.setdefault(container.name, words)


def _check_removals(found: _Sorted) -> None:
    """Whoever is on a network that goes must go, or be in the file; nobody's namespace goes from under others."""
    going = (*found.gone_networks, *found.remade_networks)
    for name, container in found.present.containers.items():
        for network in going:
            if network in container.networks and found.stays(name) and name not in found.wish.containers:
                wanted = found.wish.networks.get(network)
                raise Invalid(
                    f"{wanted.place + ': ' if wanted else ''}network {network} cannot be removed or made anew: container "
                    f"{name}, which is not in the file, is on it",
                    hint=f"disconnect {name} first",
                )
        if container.owner in found.gone_containers and found.stays(name):
            raise Invalid(
                f"container {container.owner} cannot be removed: {name} shares its namespace",
                hint=f"remove {name} first",
            )


def _change_in_place(found: _Sorted, seen: ContainerWish, wanted: ContainerWish) -> None:
    words: list[str] = []
    place = wanted.place
    for network, endpoint in wanted.networks.items():
        before = seen.networks.get(network)
        if before is None:
            words.append(f"+ network {network}")
        elif network in found.remade_networks:
            words.append(f"connected anew to {network}")
        elif differences := tuple(endpoint_differences(before, endpoint)):
            words.append(f"connected anew to {network} ({', '.join(differences)})")
        else:
            if before.bandwidth != endpoint.bandwidth:
                words.append(f"limits on {network} {before.bandwidth or 'none'} -> {endpoint.bandwidth or 'none'}")
                limits = endpoint.bandwidth
                found.limits.append(Limit(container=wanted.name, network=network, bandwidth=limits, place=place))
            continue
        if before is not None:
            found.leaving.append(Leave(container=wanted.name, network=network, place=place))
        found.joining.append(Join(container=wanted.name, network=network, endpoint=endpoint, place=place))
    for network in seen.networks if not wanted.mode else ():
        if network not in wanted.networks:
            words.append(f"- network {network}")
            found.leaving.append(Leave(container=wanted.name, network=network, place=place))
    lacking, surplus = port_differences(seen.ports, wanted.ports)
    words += [f"+ port {port_text(port)}" for port in lacking] + [f"- port {port_text(port)}" for port in surplus]
    if surplus:
        found.withdrawn.append(Publish(container=wanted.name, remove=surplus, place=place))
    if lacking:
        found.published.append(Publish(container=wanted.name, add=lacking, place=place))
    if words:
        _check_may_change(seen, wanted, found.wish, words)
        found.words[wanted.name] = words


def _check_may_change(
    seen: NetworkWish | ContainerWish, wanted: NetworkWish | ContainerWish, wish: Wish, words: Iterable[str]
) -> None:
    owner = seen.labels.get(APPLIED, wish.project)
    why = seen.held or ("" if owner == wish.project else f"was made by an apply of {owner}")
    if why:
        kind = "network" if isinstance(seen, NetworkWish) else "container"
        raise Invalid(f"{wanted.place}: {kind} {seen.name} {why}, and is otherwise: {'; '.join(words)}")


def _changes(found: _Sorted, left: tuple[list[str], list[str]] | tuple[()]) -> Iterator[Change]:
    wish, present = found.wish, found.present
    for network in wish.networks.values():
        if network.name in found.remade_networks:
            words = ("made anew", *found.remade_networks[network.name])
            yield Change(sign="~", what=f"network {network.name}", words=words)
        elif network.name in found.updates:
            yield Change(sign="~", what=f"network {network.name}", words=found.updates[network.name])
        elif network.name not in present.networks:
            yield Change(sign="+", what=f"network {network.name}", words=(network.words,))
    for container in wish.containers.values():
        what = f"container {container.name}"
        if container.name in found.remade_containers:
            yield Change(sign="~", what=what, words=("made anew", *found.remade_containers[container.name]))
        elif container.name in found.words:
            yield Change(sign="~", what=what, words=tuple(found.words[container.name]))
        elif container.name not in present.containers:
            yield Change(sign="+", what=what, words=(container.words,))
    yield from (Change(sign="-", what=f"container {name}") for name in found.gone_containers)
    yield from (Change(sign="-", what=f"network {name}") for name in found.gone_networks)
    words = ("not in the file any more; --prune removes it",)
    for kind, names in zip(("network", "container"), left, strict=False):
        yield from (Change(sign="=", what=f"{kind} {name}", words=words) for name in names)


def _steps(found: _Sorted) -> Iterator[Step]:
    wish, present = found.wish, found.present
    going = [present.containers[name] for name in (*found.gone_containers, *found.remade_containers)]
    for container in sorted(going, key=lambda container: not container.owner):
        asked = wish.containers.get(container.name)
        yield TakeContainer(name=container.name, place=asked.place if asked else "")
    yield from found.leaving
    yield from found.withdrawn
    for name in (*found.gone_networks, *found.remade_networks):
        yield TakeNetwork(name=name, place=wish.networks[name].place if name in wish.networks else "")
    for network in wish.networks.values():
        if network.name not in present.networks or network.name in found.remade_networks:
            yield MakeNetwork(network=network)
    for name in found.updates:
        yield _update(present.networks[name], wish.networks[name])
    made = [c for c in wish.containers.values() if not found.stays(c.name)]
    attached: list[MakeContainer | Join] = [MakeContainer(container=container) for container in made]
    yield from sorted([*attached, *found.joining], key=_rank)
    yield from found.published
    yield from found.limits


def _update(seen: NetworkWish, wanted: NetworkWish) -> Update:
    """What people made is not called an apply's."""
    lost = tuple(key for key in seen.labels if key not in wanted.labels)
    fresh = {k: v for k, v in wanted.labels.items() if seen.labels.get(k) != v and (k != APPLIED or k in seen.labels)}
    room = growth(seen, wanted) or Growth()
    return Update(
        name=wanted.name,
        labels=fresh,
        lost=lost,
        dns=wanted.dns,
        grow=room.grow,
        add=room.add,
        ipv6=room.ipv6,
        place=wanted.place,
    )


def _rank(step: MakeContainer | Join) -> int:
    """Fixed addresses first, so that nobody else is given one of them; who shares a namespace last."""
    if isinstance(step, Join):
        return 0 if step.endpoint.ip or step.endpoint.ip6 else 1
    fixed = any(endpoint.ip or endpoint.ip6 for endpoint in step.container.networks.values())
    return 2 if step.container.owner else 0 if fixed else 1


def limits_text(bandwidth: str) -> str:
    """The text by which the client sets exactly these limits."""
    limits = parse_bandwidth(bandwidth) if bandwidth else parse_bandwidth("ingress=0,egress=0")
    return f"ingress={limits.ingress_rate},egress={limits.egress_rate}"


def independent(steps: Iterable[Step]) -> Iterator[Step]:
    """Those that could be done first as well, so that the daemon can be asked beforehand whether it would refuse them."""
    steps = tuple(steps)
    freeing = any(
        isinstance(s, TakeContainer | TakeNetwork | Leave) or (isinstance(s, Publish) and s.remove) for s in steps
    )
    networks = {step.network.name for step in steps if isinstance(step, MakeNetwork)}
    networks |= {step.name for step in steps if isinstance(step, Update) and step.roomier}
    if networks:
        networks.add(DEFAULT_NETWORK)  # it may be made after these, and gets what they leave
    containers = {step.container.name for step in steps if isinstance(step, MakeContainer)}
    joining = {step.container for step in steps if isinstance(step, Join)}
    for step in steps:
        match step:
            case MakeNetwork() if not any(isinstance(each, TakeNetwork) for each in steps):
                yield step
            case MakeContainer() if not (freeing or networks & {*step.container.networks}):
                if step.container.owner not in containers:
                    yield step
            case Join() if not (freeing or step.network in networks):
                yield step
            case Publish() if step.add and not freeing and step.container not in joining:
                yield step
            case Update() if not (
                step.name in networks and any(isinstance(s, MakeNetwork | TakeNetwork) for s in steps)
            ):
                yield step
            case Limit():
                yield step
            case _:
                pass
