"""Make the kernel what a State says. One procedure serves a rollback, a repair, a crash and a reboot: compile all that is wanted,
look at all that is there, apply the difference.

Rule: it is verified by a second look."""

from __future__ import annotations

from netrt.compile.host import compile_host
from netrt.dataplane.diff import plan
from netrt.dataplane.difference import told
from netrt.dataplane.facts import HostFacts
from netrt.dataplane.flows import forget
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import Element, Skeleton
from netrt.dataplane.ops import Op
from netrt.dataplane.reach import apart
from netrt.dataplane.scope import Scope
from netrt.engine.death import hidden
from netrt.engine.ports import Kernel
from netrt.errors import Residue
from netrt.model.container import HOST_SANDBOX
from netrt.model.decision import Touched
from netrt.model.state import State
from netrt.spans import span

ROUNDS = 3
"""How often a look at everything may find something to do before it is given up."""

ALL_RULES = Scope(keys=frozenset(), links=frozenset(), sandboxes=frozenset(), rules=True)


def places_of(state: State) -> frozenset[str]:
    """The sandboxes of a State: what stands in one by a link of the host, nothing on the host tells of."""
    return frozenset(container.sandbox.path for container in state.containers.values()) - {HOST_SANDBOX}


def differences(kernel: Kernel, state: State, about: Touched) -> tuple[str, ...]:
    """What of these networks and containers is not in the kernel as it should be, in words."""
    wanted = compile_host(state, kernel.facts(), about)
    return told(kernel.observe(Scope.around(wanted)), wanted)


def converge_whole(
    kernel: Kernel, state: State, facts: HostFacts, places: frozenset[str] = frozenset()
) -> tuple[Op, ...]:
    """Bring everything on the host that is ours to what `state` says, and return what was done. `places` are sandboxes to look
    into besides those of `state`.

    Raises KernelRefused, Conflict, or Residue when something comes back each time it is mended.
    """
    done: tuple[Op, ...] = ()
    for _ in range(ROUNDS):
        ops = _whole_plan(kernel, state, facts, places)
        if not ops:
            return done
        done += apply(kernel, ops)
    left = "; ".join(op.describe() for op in _whole_plan(kernel, state, facts, places)[:3])
    if left:
        raise Residue(f"the host does not stay as it should be: {left}")
    return done


def _whole_plan(kernel: Kernel, state: State, facts: HostFacts, places: frozenset[str] = frozenset()) -> tuple[Op, ...]:
    with span("compile everything"):
        wanted = compile_host(state, facts)
    with span("observe everything"):
        seen = kernel.observe(Scope.around(wanted, everything=True, places=places | places_of(state)))
        seen, wanted = apart(seen, wanted, hidden(kernel, state.containers.values()))
    with span("plan"):
        ops = plan(seen, wanted)
        return (*ops, *forgotten(seen, wanted)) if ops else ()


def apply(kernel: Kernel, ops: tuple[Op, ...]) -> tuple[Op, ...]:
    """Do these and return them. Raises KernelRefused."""
    if ops:
        with span("apply"):
            kernel.apply(ops)
    return ops


def forgotten(had: HostState, wanted: HostState) -> tuple[Op, ...]:
    """Which connections to forget because of what goes and comes."""
    gone = (thing for key, thing in had.objects.items() if wanted.objects.get(key) != thing)
    come = (thing for key, thing in wanted.objects.items() if had.objects.get(key) != thing)
    return forget(gone, come)


def ruleset(host: HostState) -> HostState:
    """What of these objects belongs to our nftables tables."""
    return HostState({key: thing for key, thing in host.objects.items() if isinstance(thing, Element | Skeleton)})
