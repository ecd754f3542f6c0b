"""Commands that wait together are done together: one look, one plan, one transaction of each kind. On a busy host that is
half of what each costs.

Rule 1: they are decided one on top of the other, so the outcome is that of one after the other. Rule 2: only what makes
interfaces, or only what takes them away, and no two for one container. Rule 3: whatever cannot be had in this way is done alone,
where its error is its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from netrt.engine.jobs import Job
from netrt.engine.needed import Needs, needed
from netrt.errors import NetrtError
from netrt.model.command import Adjust, Attach, Command, CreateContainer, Detach, RemoveContainer
from netrt.model.decision import Decision, Touched
from netrt.model.state import State

MOST = 16
"""How many. Whoever comes next waits for all of them."""

_COMING, _GOING = (CreateContainer, Attach, Adjust), (RemoveContainer, Detach)


def joins(one: Job, other: Job) -> bool:
    """Whether these may be done together. Whoever asks where the time goes is served alone."""
    alike = any(isinstance(one.command, kinds) and isinstance(other.command, kinds) for kinds in (_COMING, _GOING))
    return alike and not one.trace and not other.trace


def housed(commands: Iterable[Command]) -> int:
    """How many of these make a namespace."""
    return sum(isinstance(command, CreateContainer) and command.adopt is None for command in commands)


def needed_together(state: State, commands: Sequence[Command]) -> Needs:
    """What must be known for any of these."""
    needs = [needed(state, command) for command in commands]
    return Needs(
        fresh=any(each.fresh for each in needs),
        listeners=frozenset().union(*(each.listeners for each in needs)),
        parents=frozenset().union(*(each.parents for each in needs)),
    )


@dataclass(frozen=True, slots=True)
class Joint:
    """`each` has the decision about each command, None for those that are to be done alone; `whole` is all of them."""

    each: tuple[Decision | None, ...]
    whole: Decision


def decide_together(state: State, commands: Sequence[Command], decide: Callable[[State, Command], Decision]) -> Joint:
    """Decide one on top of the other."""
    each: list[Decision | None] = []
    networks, containers = frozenset[str](), frozenset[str]()
    for command in commands:
        try:
            decision = decide(state, command)
        except NetrtError:
            each.append(None)
            continue
        if decision.touched.containers & containers:
            each.append(None)
            continue
        networks |= decision.touched.networks
        containers |= decision.touched.containers
        state = decision.state
        each.append(decision)
    events = tuple(event for decision in each if decision for event in decision.events)
    touched = Touched(networks=networks, containers=containers)
    return Joint(tuple(each), Decision(state=state, touched=touched, events=events))
