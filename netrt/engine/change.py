"""One change of the kernel: planned, made, and where that cannot be, taken back.

Rule 1: a command looks only at what it touches; of what is all new it takes for granted that it is not there, for the kernel
makes nothing twice, and into a sandbox that goes it does not look. Rule 2: when the kernel refuses, it is brought back to the
State before by a look at everything; there is no undo. Rule 3: what could not be taken back is done last, when all is saved: a
namespace that goes takes along whoever lives there."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

from netrt.compile.host import compile_host, widened
from netrt.dataplane import ops
from netrt.dataplane.diff import plan
from netrt.dataplane.facts import HostFacts
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import (
    HOST,
    STACKED,
    Address,
    Element,
    Link,
    LinkKind,
    NamePort,
    Object,
    Pin,
    Route,
    Skeleton,
    Sysctl,
)
from netrt.dataplane.ops import Op
from netrt.dataplane.reach import apart
from netrt.dataplane.scope import Scope
from netrt.engine.converge import ALL_RULES, apply, forgotten, places_of, ruleset
from netrt.engine.death import hidden
from netrt.engine.heal import converge_or_heal
from netrt.engine.ports import Kernel
from netrt.errors import KernelRefused, NetrtError
from netrt.model.decision import Touched
from netrt.model.state import State
from netrt.spans import span

log = logging.getLogger("netrt.engine")

_FORGETTING = (ops.ForgetAddress, ops.ForgetUntranslated, ops.ForgetPort)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A step from one State to another, and what of it is touched."""

    before: State
    after: State
    touched: Touched
    facts: HostFacts

    def compiled(self) -> tuple[HostState, HostState]:
        """What was wanted of what is touched, and what is wanted now."""
        touched = widened(self.touched, self.before, self.after)
        return compile_host(self.before, self.facts, touched), compile_host(self.after, self.facts, touched)

    @property
    def undone(self) -> Change:
        """The way back."""
        return replace(self, before=self.after, after=self.before)

    def is_new(self, had: HostState, wanted: HostState) -> bool:
        """Whether these are containers that were not there, with pairs of links and what is on those, and nothing else."""
        nothing = all(isinstance(thing, Skeleton) for thing in had)
        return nothing and not self.touched.networks and all(map(_made_once, wanted))


def planned(kernel: Kernel, change: Change, *, trusting: bool = False) -> tuple[Op, ...]:
    """What a change would do to the kernel as it is now, without the flows to forget. `trusting`: where all of it is new, that it
    is not there is not looked up. Raises Conflict."""
    with span("compile"):
        had, wanted = change.compiled()
    with span("observe"):
        new = trusting and change.is_new(had, wanted)
        seen = kernel.observe(Scope.around(filter(_of_rules, wanted) if new else _worth_a_look(had, wanted)))
        astray = _astray(kernel, change)
        seen, wanted = apart(seen, wanted, astray)
        had = apart(seen, had, astray)[1]
    forget = forgotten(had, wanted)
    if _other_skeleton(seen, wanted):  # then our tables are made anew, with all that is in them
        seen, wanted = _with_all_rules(kernel, change, seen, wanted)
        forget = tuple(dict.fromkeys((*forget, *forgotten(ruleset(seen), ruleset(wanted)))))
    with span("plan"):
        return (*_concerned(plan(seen, wanted), had, wanted), *forget)


def _with_all_rules(kernel: Kernel, change: Change, seen: HostState, wanted: HostState) -> tuple[HostState, HostState]:
    """Both with all that our tables hold, and with all that they are to hold."""
    held, goal = ruleset(kernel.observe(ALL_RULES)), ruleset(compile_host(change.after, change.facts))
    return HostState({**seen.objects, **held.objects}), HostState({**wanted.objects, **goal.objects})


def _of_rules(thing: Object) -> bool:
    """Whether it belongs to our nftables tables, of which what they hold is at hand."""
    return isinstance(thing, Element | Skeleton)


def _made_once(thing: Object) -> bool:
    """Whether the kernel refuses to make it where it is there already, or it is harmless to do so, and it stands on nothing that
    a person may have taken away."""
    match thing:
        case Link(kind=LinkKind.VETH) | Sysctl() | Pin() | NamePort():
            return True
        case Address() | Route():
            return thing.netns != HOST
        case _:
            return _of_rules(thing)


def _worth_a_look(had: HostState, wanted: HostState) -> Iterator[Object]:
    """All but what goes with a sandbox of ours, without our doing. What stands there on a link of the host does not: it would
    keep that link, and its MAC, until the kernel comes to free the namespace."""
    going = {pin.path for pin in had.all(Pin) if pin.key not in wanted.objects}
    for thing in chain(had, wanted):
        by_itself = not (isinstance(thing, Link) and thing.kind in STACKED)
        if not (by_itself and getattr(thing, "netns", HOST) in going):
            yield thing


def _astray(kernel: Kernel, change: Change) -> frozenset[str]:
    """Sandboxes of others that a change is about and whose path leads elsewhere by now: to somebody who is not to be harmed."""
    before, after = change.before.containers, change.after.containers
    about = (after.get(container) or before.get(container) for container in change.touched.containers)
    return hidden(kernel, [container for container in about if container])


def _concerned(todo: tuple[Op, ...], had: HostState, wanted: HostState) -> tuple[Op, ...]:
    """Without routes that a change does not concern, on links that it leaves as they are: in its sandbox a container may have put
    another one in the place of ours, which is not to stand in the way of anything else."""
    moved: set[tuple[str, str]] = set()
    for op in todo:
        match op:
            case ops.AddVeth(host, inner):
                moved |= {(host.netns, host.name), (inner.netns, inner.name)}
            case ops.AddStacked(link) | ops.AddBridge(link):
                moved.add((link.netns, link.name))
            case ops.SetLink() if op.up:
                moved.add((op.netns, op.name))
            case ops.AddAddress(address) | ops.DelAddress(address):
                moved.add((address.netns, address.link))

    def concerned(op: Op) -> bool:
        if not isinstance(op, ops.SetRoute):
            return True
        route = op.route
        return had.objects.get(route.key) != route or (route.netns, route.link) in moved

    return tuple(op for op in todo if concerned(op))


def converge(kernel: Kernel, change: Change) -> tuple[Op, ...]:
    """Bring the kernel from one State to the other. Returns what is left to do by `finish`, once the change is saved.

    When the kernel refuses, or anything fails, everything is brought back to `before`. If that found something broken that was
    not of this change (a bridge that somebody deleted), or something was in the way, the change is tried once more, with a look.
    Raises KernelRefused, Conflict or Residue.
    """
    try:
        return _made(kernel, planned(kernel, change, trusting=True))
    except KernelRefused as refusal:
        with kernel.reserve():
            if all(isinstance(op, _FORGETTING) for op in planned(kernel, change.undone)):  # nothing of it is there
                planned(kernel, change)  # raises Conflict where something is in the way
            broken = _broken_elsewhere(kernel, change)
        refusal.hint = refusal.hint or "nothing was changed"
        undo(kernel, change.before, change.after)
        if not broken and refusal.errno != errno.EEXIST:  # EEXIST: what was in the way and ours is gone by now
            raise
    except NetrtError:
        raise
    except Exception:
        undo(kernel, change.before, change.after)
        raise
    try:
        return _made(kernel, planned(kernel, change))
    except KernelRefused:
        undo(kernel, change.before, change.after)
        raise


def _made(kernel: Kernel, todo: tuple[Op, ...]) -> tuple[Op, ...]:
    """Do all but what is to be done last. Returns that."""
    apply(kernel, tuple(op for op in todo if not isinstance(op, ops.UnpinNamespace)))
    return tuple(op for op in todo if isinstance(op, ops.UnpinNamespace))


def finish(kernel: Kernel, last: tuple[Op, ...]) -> None:
    """Do what was left of a change. It is saved, so what the kernel refuses is logged."""
    try:
        apply(kernel, last)
    except KernelRefused as error:
        log.error("%s; `netrt gc` tells of it", error)


def undo(kernel: Kernel, before: State, after: State) -> None:
    """Bring the kernel back to a State from one that it was on the way to, as far as containers allow. Raises as
    `converge_or_heal`."""
    with kernel.reserve():
        converge_or_heal(kernel, before, kernel.facts(fresh=True), places_of(after))


def _other_skeleton(seen: HostState, wanted: HostState) -> bool:
    """Whether the tables must be loaded anew, which needs all elements and not only those of the change."""
    goal = wanted.get(Skeleton, "skeleton")
    return goal is not None and seen.get(Skeleton, "skeleton") != goal


def _broken_elsewhere(kernel: Kernel, change: Change) -> bool:
    """Whether something that this change does not touch is not as `before` wants it."""
    own = {key for held in change.compiled() for key in held.objects}
    wanted = compile_host(change.before, change.facts)
    seen = kernel.observe(Scope.around(wanted, everything=True))
    return any(seen.objects.get(key) != thing for key, thing in wanted.objects.items() if key not in own)
