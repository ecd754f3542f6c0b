"""Whose a namespace is: one of ours by another path, somebody else's, or nobody's any more.

A path that leads nowhere, or elsewhere, is no proof alone: `ip netns delete` takes the path from under running processes. Nor is
the number of a namespace, which the kernel gives to the next one; but it does so only after the links inside are gone, and with
them their other ends, which are ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from netrt.dataplane.objects import HOST, Link
from netrt.dataplane.scope import Scope
from netrt.engine.ports import Kernel
from netrt.errors import Conflict
from netrt.model.command import Attach, Command, CreateContainer
from netrt.model.container import Container, Sandbox
from netrt.model.state import State


def hidden(kernel: Kernel, containers: Iterable[Container]) -> frozenset[str]:
    """The paths of adopted sandboxes of these that lead nowhere, or elsewhere: who lives there cannot be reached, nor is to be
    harmed."""
    adopted = {c.sandbox.path: c.sandbox.inode for c in containers if not c.sandbox.owned and c.sandbox.path}
    there = kernel.alive(list(adopted)) if adopted else {}
    return frozenset(path for path, inode in adopted.items() if there.get(path) != inode)


def dead(kernel: Kernel, state: State) -> Mapping[str, str]:
    """Ids of the containers whose adopted namespace is proven gone, and the proof."""
    adopted = [c for c in state.containers.values() if not c.sandbox.owned and c.sandbox.path]
    there = kernel.alive([container.sandbox.path for container in adopted])
    missing = [c for c in adopted if there.get(c.sandbox.path) != c.sandbox.inode]
    if not missing:
        return {}
    inhabited, linked = kernel.inhabited(), _linked(kernel, state, missing)
    return {
        c.id: f"{_proof(c, there)}, and nobody lives in namespace {c.sandbox.inode}"
        for c in missing
        if not (c.id in linked and c.sandbox.inode in inhabited)
    }


def _proof(container: Container, there: Mapping[str, int]) -> str:
    path = container.sandbox.path
    return f"{path} leads to another namespace" if path in there else f"there is no namespace at {path}"


def _linked(kernel: Kernel, state: State, containers: list[Container]) -> frozenset[str]:
    """Those of which a link on the host has its other end somewhere."""
    ends = {a.link: c.id for c in containers for a in state.attachments_of(c.id) if a.link}
    keys = frozenset(("link", HOST, name) for name in ends)
    seen = kernel.observe(Scope(keys=keys, links=frozenset(), sandboxes=frozenset()))
    return frozenset(ends[link.name] for link in seen.all(Link) if link.name in ends)


def lost(kernel: Kernel, state: State, container_id: str) -> bool:
    """Whether this is a runtime's container whose namespace is not where the runtime put it. Nothing in there can be changed any
    more; and whoever asks to take something back has no other way to it either, so all of it may go."""
    container = state.containers.get(container_id)
    if container is None or container.sandbox.owned or not container.plugged:
        return False
    path = container.sandbox.path
    return kernel.alive([path]).get(path) != container.sandbox.inode


def by_our_pin(kernel: Kernel, command: Command) -> Command:
    """The command, where it is about a namespace of somebody else's that is one of ours by another path: by the path that tells
    whose it is."""
    match command:
        case CreateContainer(adopt=Sandbox() as given):
            pin = kernel.pin_of(given.inode)
            return dataclasses.replace(command, adopt=replace(given, path=pin)) if pin else command
        case Attach(sandbox=given):
            pin = kernel.pin_of(given.inode)
            return dataclasses.replace(command, sandbox=replace(given, path=pin)) if pin else command
        case _:
            return command


def check_there(kernel: Kernel, container: Container) -> None:
    """Raises Conflict where nothing can be put into a container: who is at its path now is somebody else."""
    if hidden(kernel, [container]):
        raise Conflict(
            f"container {container.name} is not at {container.sandbox.path} any more",
            hint="netrt gc tells who is gone",
        )
