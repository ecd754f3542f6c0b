"""What the engine needs from outside, as Protocols. The real ones are wired in `netrt.daemon.wiring`, fakes in tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from netrt.dataplane.facts import HostFacts
from netrt.dataplane.heard import Heard
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import Key
from netrt.dataplane.ops import Op
from netrt.dataplane.scope import Scope
from netrt.doctor.evidence import Evidence
from netrt.firewall.drops import Drop, Place
from netrt.model.decision import Event
from netrt.model.state import State


class Kernel(Protocol):
    """The kernel of one host. Used from the engine's thread only."""

    def facts(
        self,
        *,
        listeners: Collection[str] = (),
        owners: bool = False,
        fresh: bool = False,
        parents: Collection[str] = (),
    ) -> HostFacts:
        """What the host is like. Kept from call to call unless `fresh`; listeners are read anew, of these protocols only, with
        `owners` whose they are; `parents` are links to look at, now and whenever it is `fresh`."""

    def observe(self, scope: Scope) -> HostState:
        """What the kernel holds of what the scope names. A sandbox that is not there simply shows nothing."""

    def apply(self, ops: Sequence[Op]) -> None:
        """Do these in order. Raises KernelRefused with the failing operation in its message; what came before it stays done,
        and what came after it may be done or not: look."""

    def reserve(self) -> AbstractContextManager[None]:
        """Have what is kept for the way back to look and to apply with, where nothing else is left."""

    def alive(self, paths: Sequence[str]) -> Mapping[str, int]:
        """Which of these paths lead to a network namespace now, and its inode number."""

    def pin_of(self, inode: int) -> str:
        """The path of our pin of the namespace with this inode number; empty where it is not one of ours."""

    def inhabited(self) -> frozenset[int]:
        """The inode numbers of the network namespaces that a process is in, or a mount keeps."""

    def heard(self) -> Heard:
        """What was announced since this was asked last, by whomever it was done."""

    def marked(self, known: Collection[str]) -> frozenset[str]:
        """The names of the links of the host that bear our mark, but for those that are known."""

    def elements(self) -> frozenset[Key]:
        """The keys of all elements that our tables hold."""

    def dropping(self) -> tuple[tuple[str, str], ...]:
        """Tables and chains of others that drop what is forwarded and what no rule of theirs accepts."""

    def rest(self, *, busy: bool = False) -> None:
        """A command is over: there is time to get ready for what comes next. `busy`: that waits already, so only for what it
        would miss at once."""

    def expect(self, containers: int) -> None:
        """So many containers with namespaces of ours are about to come."""

    def unfreed(self) -> int:
        """How many deletions of links the kernel has yet to end. The links are gone; only their memory is not free."""

    def husks(self) -> Sequence[str]:
        """Files where pins of ours are kept that are no namespaces: what a crash, or a reboot that keeps /run, leaves."""

    def dropped(self, places: Sequence[Place]) -> tuple[Drop, ...]:
        """What our rules dropped and counted at these places."""

    def examine(self) -> Evidence:
        """What a doctor looks at."""

    def close(self) -> None: ...


class Store(Protocol):
    """Where State is kept. Used from the engine's thread only."""

    def load(self) -> State:
        """The State as last saved. Raises Unavailable."""

    def save(self, before: State, after: State) -> None:
        """Write the difference in one transaction. When it returns, it survives kill -9; a change of networks or of a chosen
        (fixed) address survives power loss. Raises Unavailable, and then nothing was written."""

    def close(self) -> None: ...


class Publisher(Protocol):
    """Told of each commit, from the engine's thread. What goes wrong there is its own affair."""

    def leaving(self, before: State, after: State) -> None:
        """Before what is in `before` and not in `after` is taken down."""

    def arriving(self, after: State) -> None:
        """When what is in `after` is there, and is about to be saved: what takes a while may begin."""

    def committed(self, before: State, after: State, events: Sequence[Event]) -> None:
        """After a commit, before whoever asked for it is told."""

    def again(self, state: State) -> None:
        """What was leaving stays, or what is published besides the State is another."""

    def repaired(self, done: Sequence[Op]) -> None:
        """What others broke was mended by these operations. From the engine's thread."""
