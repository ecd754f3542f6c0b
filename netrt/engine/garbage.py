"""What lies about on a host, and what differs from what should be.

Rule 1: nothing of a container is garbage without a proof of its death. Rule 2: a kernel object is garbage where it bears our mark
and the plan for what is wanted takes it away. Rule 3: what is shown is what would be done, for it is the same plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netrt.compile.host import compile_host
from netrt.dataplane.difference import strayed, told
from netrt.dataplane.objects import Pin
from netrt.dataplane.reach import apart
from netrt.dataplane.scope import Scope
from netrt.engine.converge import places_of
from netrt.engine.death import dead, hidden
from netrt.engine.ports import Kernel
from netrt.errors import Conflict
from netrt.model.address import host_of
from netrt.model.network import standing_on
from netrt.model.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """`what` it is, the `proof` that nobody needs it, and what it `holds` that will be free: addresses and ports."""

    what: str
    proof: str
    holds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlike:
    """How the kernel is unlike what is wanted, a line for each thing: what is not there or is otherwise, and what should not be
    there."""

    lacking: tuple[str, ...]
    stray: tuple[str, ...]


def unlike(kernel: Kernel, state: State) -> Unlike:
    """Compare everything. Raises KernelRefused."""
    wanted = compile_host(state, kernel.facts(fresh=True, parents=standing_on(state.networks.values())))
    seen = kernel.observe(Scope.around(wanted, everything=True, places=places_of(state)))
    seen, wanted = apart(seen, wanted, hidden(kernel, state.containers.values()))
    try:
        stray = strayed(seen, wanted)
    except Conflict as error:  # something of others stands in the way: nothing can be planned
        return Unlike(lacking=(str(error), *told(seen, wanted)), stray=())
    return Unlike(lacking=told(seen, wanted), stray=stray)


def garbage(kernel: Kernel, state: State) -> tuple[Garbage, ...]:
    """All of it. Raises KernelRefused."""
    return (
        *_containers(kernel, state),
        *(
            Garbage(what=line, proof="it bears our mark, and nothing asks for it")
            for line in unlike(kernel, state).stray
        ),
        *(Garbage(what=f"file {pin.path}", proof="no namespace is mounted there") for pin in stale(kernel, state)),
    )


def stale(kernel: Kernel, state: State) -> tuple[Pin, ...]:
    """Pins without a namespace, that no container of ours will have made anew."""
    return tuple(Pin(path=path) for path in kernel.husks() if path not in state.sandboxes)


def _containers(kernel: Kernel, state: State) -> Iterator[Garbage]:
    for container_id, proof in dead(kernel, state).items():
        container = state.containers[container_id]
        addresses = [
            f"{host_of(address)} on {state.networks[attachment.network_id].name}"
            for attachment in state.attachments_of(container_id)
            for address in attachment.addresses
        ]
        ports = [f"port {mapping.host_text()}" for mapping in container.held_ports]
        yield Garbage(what=f"container {container.name}", proof=proof, holds=(*addresses, *ports))
