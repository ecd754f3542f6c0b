"""Stand-ins for what is outside of the engine. The kernel's is held to the real one by tests/contract/test_kernel.py."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from msgspec import structs

from netrt.dataplane.facts import HostFacts, Listener
from netrt.dataplane.heard import Heard
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import (
    HOST,
    MARK,
    STACKED,
    Address,
    Element,
    Key,
    Link,
    Neighbor,
    Object,
    Pin,
    Route,
    Rule,
    Skeleton,
)
from netrt.dataplane.ops import Op
from netrt.dataplane.scope import Scope
from netrt.dataplane.step import step
from netrt.doctor.evidence import Evidence
from netrt.doctor.inside import Inside, Outcome, Probe
from netrt.errors import KernelRefused
from netrt.firewall.drops import Drop, Place


class FakeKernel:
    """A kernel of values: what it holds is a HostState, and what an operation does is `step`.

    `fail_at` is the number of the operation to refuse, counted from 0 over all that are tried; it is refused once. `done` lists
    the operations that were done, `adopted` the namespaces (path to inode) that are there without a pin of ours,
    `pins` the paths of ours by their inodes, `lived_in` those (inodes) that a process is in.
    """

    def __init__(self, facts: HostFacts | None = None, fail_at: int | None = None) -> None:
        self.host = HostState()
        self.done: list[Op] = []
        self.tried = 0
        self.fail_at = fail_at
        self.known = facts or HostFacts()
        self.listening: tuple[Listener, ...] = ()
        self.adopted: dict[str, int] = {}
        self.pins: dict[int, str] = {}
        self.closed = False
        self.lived_in: frozenset[int] = frozenset()

    def facts(
        self,
        *,
        listeners: Collection[str] = (),
        owners: bool = False,
        fresh: bool = False,
        parents: Collection[str] = (),
    ) -> HostFacts:
        return replace(
            self.known, listeners=tuple(listener for listener in self.listening if listener.protocol in listeners)
        )

    def observe(self, scope: Scope) -> HostState:
        shown = [thing for thing in self.host if _in_scope(thing, scope)]
        keys = {thing.key for thing in shown}
        return HostState.of(_paired(thing, keys) for thing in shown)

    def apply(self, ops: Sequence[Op]) -> None:
        for op in ops:
            self.tried += 1
            if self.fail_at == self.tried - 1:
                raise KernelRefused(f"cannot {op.describe()}: refused by the test", errno=errno.EPERM)
            self.host = step(self.host, op)
            self.done.append(op)

    def reserve(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def alive(self, paths: Sequence[str]) -> Mapping[str, int]:
        pins = {pin.path: 4026531840 + number for number, pin in enumerate(self.host.all(Pin), 1)}
        there = pins | self.adopted
        return {path: there[path] for path in paths if path in there}

    def pin_of(self, inode: int) -> str:
        return self.pins.get(inode, "")

    def inhabited(self) -> frozenset[int]:
        return frozenset(self.adopted.values()) | self.lived_in

    def heard(self) -> Heard:
        return Heard()

    def marked(self, known: Collection[str]) -> frozenset[str]:
        ours = (link.name for link in self.host.all(Link) if link.netns == HOST and link.alias.startswith(MARK))
        return frozenset(ours) - frozenset(known)

    def elements(self) -> frozenset[Key]:
        return frozenset(element.key for element in self.host.all(Element))

    def dropping(self) -> tuple[tuple[str, str], ...]:
        return ()

    def rest(self, *, busy: bool = False) -> None:
        pass

    def expect(self, containers: int) -> None:
        pass

    def unfreed(self) -> int:
        return 0

    def husks(self) -> Sequence[str]:
        return ()

    def examine(self) -> Evidence:
        return Evidence()

    def dropped(self, places: Sequence[Place]) -> tuple[Drop, ...]:
        return ()

    def close(self) -> None:
        self.closed = True


def nothing_inside(path: str, probes: Sequence[Probe]) -> Inside:
    """A sandbox in which nothing is seen, and nobody answers."""
    return Inside(outcomes=tuple(Outcome(probe=probe, works=False, said="no answer") for probe in probes))


@dataclass(frozen=True)
class FakeLink:
    """A link as a glance shows it."""

    mac: str = "02:00:00:00:00:99"
    mtu: int = 1500
    up: bool = True


class FakeGlance:
    """Every link is there; `raised` are the sandboxes whose loopback was brought up."""

    def __init__(self) -> None:
        self.raised: set[str] = set()

    def host_links(self, names: Iterable[str]) -> dict[str, FakeLink]:
        return {name: FakeLink() for name in names}

    def peer_name(self, path: str, name: str) -> str:
        return f"veth-{name}"

    def inner_link(self, path: str, name: str) -> FakeLink | None:
        return FakeLink(up=name != "lo" or path in self.raised)

    def set_loopback(self, path: str, *, up: bool) -> None:
        (self.raised.add if up else self.raised.discard)(path)

    def loopback_addresses(self, path: str) -> tuple[str, ...]:
        return ("127.0.0.1/8", "::1/128") if path in self.raised else ()


def _in_scope(thing: Object, scope: Scope) -> bool:
    if thing.key in scope.keys:
        return True
    if isinstance(thing, Address) and (thing.netns, thing.link) in scope.links:
        return True
    if isinstance(thing, Route) and thing.netns in scope.sandboxes:
        return True
    if isinstance(thing, Rule):
        return scope.everything and thing.netns in scope.sandboxes
    if isinstance(thing, Link) and thing.kind in STACKED and thing.netns in scope.sandboxes:
        return scope.everything
    if isinstance(thing, Link | Address | Route | Neighbor):
        return scope.everything and thing.netns == HOST
    if isinstance(thing, Element | Skeleton):
        return scope.everything or scope.rules
    return scope.everything and isinstance(thing, Pin)


def _paired(thing: Object, keys: set[tuple[str, ...]]) -> Object:
    """As it shows: an end of a pair whose other end is out of sight has none."""
    if isinstance(thing, Link) and thing.peer is not None and ("link", *thing.peer) not in keys:
        return structs.replace(thing, peer=None)
    return thing
