"""What others broke, found and mended, piece by piece: the networks and containers that something was heard of, our rules, and,
from time to time, everything.

Rule 1: whether something is wrong is said by the plan alone; what was heard only tells where to look. So our own changes, which
are heard like those of others, cost a glance at their links. Rule 2: no piece is large, so that no command waits long. Rule 3: a
container can refuse to be mended (it may do in its sandbox what it likes), but keep nothing else from it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from netrt.compile.bridge import bridge_link
from netrt.compile.host import compile_host
from netrt.compile.shaping import shaping_link
from netrt.dataplane import ops
from netrt.dataplane.diff import plan
from netrt.dataplane.facts import HostFacts
from netrt.dataplane.heard import ALL, Heard
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import HOST, MARK, Element, Foreign, Key, Link, Skeleton
from netrt.dataplane.ops import Op
from netrt.dataplane.scope import Scope
from netrt.engine.converge import ALL_RULES, converge_whole, forgotten, ruleset
from netrt.engine.ports import Kernel
from netrt.errors import Conflict, KernelRefused, NetrtError, Residue
from netrt.model.address import host_of
from netrt.model.decision import Touched
from netrt.model.network import Mode
from netrt.model.state import State

log = logging.getLogger("netrt.engine")

KINDS: dict[type[Op], str] = {
    ops.PinNamespace: "namespace",
    ops.UnpinNamespace: "namespace",
    ops.AddBridge: "bridge",
    ops.AddVeth: "link",
    ops.AddIfb: "link",
    ops.AddStacked: "link",
    ops.DelLink: "link",
    ops.SetLink: "link attribute",
    ops.ChangeSetting: "link attribute",
    ops.AddAddress: "address",
    ops.DelAddress: "address",
    ops.ResizeAddress: "address",
    ops.SetRoute: "route",
    ops.DelRoute: "route",
    ops.SetNeighbor: "neighbour",
    ops.DelNeighbor: "neighbour",
    ops.SetSysctl: "sysctl",
    ops.PutNamePort: "name port",
    ops.TakeNamePort: "name port",
    ops.SetShaper: "bandwidth",
    ops.DelShaper: "bandwidth",
    ops.SetRedirect: "bandwidth",
    ops.DelRedirect: "bandwidth",
    ops.LoadRuleset: "rules",
    ops.DropRuleset: "rules",
    ops.ChangeElements: "elements",
}
"""What is mended by an operation, for the count of repairs. Connections that are forgotten only follow from that."""

AT_ONCE = 8
"""How many containers one piece of the slow comparison has. Each costs half a millisecond."""


_NOTHING = Touched()


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What is looked at at once: networks and containers (ids), all rules, what bears our mark and belongs to nothing."""

    about: Touched = _NOTHING
    rules: bool = False
    strays: bool = False

    def __bool__(self) -> bool:
        return bool(self.about.networks or self.about.containers or self.rules or self.strays)


@dataclass(frozen=True, slots=True, kw_only=True)
class Healed:
    """What was done, and why something could not be."""

    done: tuple[Op, ...] = ()
    refused: tuple[NetrtError, ...] = ()

    def __add__(self, other: Healed) -> Healed:
        return Healed(done=self.done + other.done, refused=self.refused + other.refused)


def pieces(state: State) -> Iterator[Piece]:
    """Everything but what our tables hold and nothing wants, to be looked at piece by piece."""
    yield Piece(strays=True)
    for network in state.networks:
        yield Piece(about=Touched(networks=frozenset({network})))
    containers = tuple(state.containers)
    for start in range(0, len(containers), AT_ONCE):
        yield Piece(about=Touched(containers=frozenset(containers[start : start + AT_ONCE])))


def following(state: State) -> Piece:
    """What depends on how large packets to the outside, or by a parent, may be."""
    given = (n.id for n in state.networks.values() if n.mode is Mode.BRIDGE and n.bridge.mtu)
    networks = state.networks.keys() - frozenset(given)
    on = frozenset(container for network in networks for container, _ in state.of_network.get(network, ()))
    return Piece(about=Touched(networks=frozenset(networks), containers=on))


def follow(kernel: Kernel, state: State) -> None:
    """The way to the outside takes packets of another size, or a parent does: nobody broke anything."""
    healed = heal(kernel, state, following(state))
    log.info("the way to the outside takes %d bytes: %d operations", kernel.facts().mtu, len(healed.done))
    for refusal in healed.refused:
        log.error("it cannot be followed: %s", refusal)


def concerned(kernel: Kernel, state: State, heard: Heard) -> Piece:
    """Where something may be wrong, because of what was heard and after a glance at the links."""
    bridges = _bridges(state)
    names = heard.changed | heard.outer.keys() | heard.inner.keys() | heard.robbed
    about = _about(state, bridges, names)
    wrong = set(heard.robbed)
    if about != _NOTHING:
        wanted = compile_host(state, kernel.facts(), about)
        links = {link.name: link for link in wanted.all(Link) if link.netns == HOST}
        keys = frozenset(links[name].key for name in heard.changed if name in links)
        seen = kernel.observe(Scope(keys=keys, links=frozenset(), sandboxes=frozenset())) if keys else HostState()
        wrong |= {name for name in heard.changed if not _stands(seen.get(Link, "link", HOST, name), links.get(name))}
        wrong |= {name for name, outer in heard.outer.items() if not _stands(outer, links.get(name))}
        wrong |= {name for name, inner in heard.inner.items() if not _inside(inner, links.get(name), wanted)}
    found = _about(state, bridges, wrong)
    heard_of = [name for name in heard.changed | heard.outer.keys() if name in bridges]
    others = {bridges[name] for name in heard_of if name in wrong or state.networks[bridges[name]].is_guest}
    back = _back(kernel, state, others)
    unpinned = frozenset(state.sandboxes[path] for path in heard.unpinned if path in state.sandboxes)
    found = replace(found, containers=found.containers | back | unpinned)
    closed = ALL in heard.closed  # then our rules may have to keep the host from being a router (facts.raised)
    off = state.networks.keys() if closed else {bridges[name] for name in heard.closed if name in bridges}
    strange = [name for name in heard.outer if name not in bridges and name not in state.links]
    return Piece(
        about=replace(found, networks=found.networks | off),
        rules=heard.rules or closed,
        strays=bool(others) and any(heard.outer[name].alias.startswith(MARK) for name in strange),
    )


def heal(kernel: Kernel, state: State, piece: Piece, elements: set[Key] | None = None) -> Healed:
    """Mend what is wrong in a piece. What cannot be mended keeps nothing else from it. To `elements` are added the keys of those
    that its networks and containers want."""
    healed = Healed()
    if piece.rules:
        healed += _tried(lambda: _rules(kernel, state))
    if piece.strays:
        healed += _tried(lambda: _strays(kernel, state))
    if piece.about != _NOTHING:
        healed += _part(kernel, state, piece.about, set() if elements is None else elements)
    return healed


def kinds(done: Iterable[Op]) -> frozenset[str]:
    """The kinds of things that these operations mended."""
    return frozenset(KINDS[type(op)] for op in done if type(op) in KINDS)


def _part(kernel: Kernel, state: State, about: Touched, elements: set[Key]) -> Healed:
    """These networks and containers; where that is refused, each alone: with the networks that it is on, and without links that
    bear our mark and stand in its way under another name."""
    together = _tried(lambda: _objects(kernel, state, about, elements))
    if not together.refused:
        return together
    healed = _tried(lambda: _strays(kernel, state))
    for network in sorted(about.networks):
        healed += _tried(lambda: _objects(kernel, state, Touched(networks=frozenset({network})), elements))  # noqa: B023
    for container in sorted(about.containers & state.containers.keys()):
        networks = frozenset(a.network_id for a in state.attachments_of(container))
        alone = Touched(networks=networks, containers=frozenset({container}))
        healed += _tried(lambda: _objects(kernel, state, alone, elements))  # noqa: B023
    return healed


def _tried(mend: Callable[[], tuple[Op, ...]]) -> Healed:
    try:
        return Healed(done=mend())
    except (KernelRefused, Conflict, Residue) as error:
        return Healed(refused=(error,))


def _objects(kernel: Kernel, state: State, about: Touched, elements: set[Key]) -> tuple[Op, ...]:
    """What belongs to these, the kernel's own routes included."""
    wanted = compile_host(state, kernel.facts(), about)
    elements.update(element.key for element in wanted.all(Element))
    seen = kernel.observe(Scope.around(wanted, closely=True))
    if seen.get(Skeleton, "skeleton") != wanted.get(Skeleton, "skeleton"):  # that needs all elements
        return _rules(kernel, state) + _objects(kernel, state, about, elements)
    todo = plan(seen, wanted)
    if todo:
        kernel.apply(todo)
    return todo


def _rules(kernel: Kernel, state: State) -> tuple[Op, ...]:
    """Our tables, with all that is in them."""
    facts = kernel.facts(fresh=True)
    wanted, seen = ruleset(compile_host(state, facts)), ruleset(kernel.observe(ALL_RULES))
    todo = plan(seen, wanted)
    if todo:
        hosts = frozenset(host_of(address) for a in state.attachments.values() for address in a.addresses)
        todo = (*todo, *forgotten(seen, wanted), ops.ForgetUntranslated(hosts))
        kernel.apply(todo)
    return todo


def _strays(kernel: Kernel, state: State) -> tuple[Op, ...]:
    """Links of the host that bear our mark and belong to nothing."""
    unknown = kernel.marked(state.links.keys() | _bridges(state).keys())
    if unknown:  # links through which goes what is limited, perhaps
        unknown -= {link.name for link in compile_host(state, kernel.facts()).all(Link) if link.netns == HOST}
    todo = tuple(ops.DelLink(HOST, name) for name in sorted(unknown))
    if todo:
        kernel.apply(todo)
    return todo


def _bridges(state: State) -> dict[str, str]:
    """Ids of networks by the names of their bridges."""
    modes = (Mode.BRIDGE,)
    return {bridge_link(network): network.id for network in state.networks.values() if network.mode in modes}


def _about(state: State, bridges: dict[str, str], names: Collection[str]) -> Touched:
    """The networks and containers that links of these names belong to."""
    networks = {bridges[name] for name in names if name in bridges}
    containers = {state.links[name][0] for name in names if name in state.links}
    others = {name for name in names if name not in bridges and name not in state.links}
    if others:  # links through which goes what is limited, perhaps
        limited = (a for a in state.attachments.values() if a.bandwidth)
        containers |= {a.container_id for a in limited if shaping_link(a) in others}
    return Touched(networks=frozenset(networks), containers=frozenset(containers))


def away(kernel: Kernel, state: State) -> frozenset[tuple[str, str]]:
    """Names of networks whose bridge somebody else made and that is not there, each with that of its bridge."""
    guests = {n.name: bridge_link(n) for n in state.networks.values() if n.is_guest}
    keys: frozenset[Key] = frozenset(("foreign", HOST, bridge) for bridge in guests.values())
    seen = kernel.observe(Scope(keys=keys, links=frozenset(), sandboxes=frozenset())) if keys else HostState()
    return frozenset((n, bridge) for n, bridge in guests.items() if seen.get(Foreign, "foreign", HOST, bridge) is None)


def _back(kernel: Kernel, state: State, networks: Collection[str]) -> frozenset[str]:
    """The containers of those of these networks whose bridge is another one than it was, for somebody made it again, or gave it
    another name: nothing is said of its ports then. One port tells of all."""
    found: frozenset[str] = frozenset()
    for network in networks:
        on = sorted(state.of_network.get(network, ()))
        first = next((state.attachments[key] for key in on), None)
        if first is None:
            continue
        key: Key = ("link", HOST, first.link)
        seen = kernel.observe(Scope(keys=frozenset({key}), links=frozenset(), sandboxes=frozenset()))
        link, held = seen.get(Link, *key), state.networks[network]
        if link.master != bridge_link(held) if link else not held.is_guest:
            found |= {container for container, _ in on}
    return found


def _stands(seen: Link | None, wanted: Link | None) -> bool:
    """Whether a link of the host is as it should be; its other end is not looked at. Nothing is known of links of others."""
    return wanted is not None and seen == replace(wanted, peer=None)


def _inside(seen: Link, outer: Link | None, wanted: HostState) -> bool:
    """Whether the end in a sandbox is as it should be."""
    goal = wanted.get(Link, "link", *outer.peer) if outer and outer.peer else None
    if goal is None:
        return True
    return (seen.name, seen.mtu, seen.up, seen.mac) == (goal.name, goal.mtu, goal.up, goal.mac or seen.mac)


def converge_or_heal(
    kernel: Kernel, state: State, facts: HostFacts, places: frozenset[str] = frozenset()
) -> tuple[Op, ...]:
    """As `converge_whole`; but where one thing is refused (a container may have put something in its place), all the others are
    made so, one by one. Raises KernelRefused where our rules are, for without them nothing is."""
    try:
        return converge_whole(kernel, state, facts, places)
    except (KernelRefused, Conflict, Residue) as error:
        healed = heal(kernel, state, Piece(rules=True))
        if healed.refused:
            raise
        log.error("not all can be as it should: %s", error)
    for piece in pieces(state):
        healed += heal(kernel, state, piece)
    for refusal in healed.refused:
        log.error("what is broken cannot be mended: %s", refusal)
    return healed.done
