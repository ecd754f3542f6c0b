"""The two ways to get a process into a container: as its first one, and as one more (`netrt exec`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

from netrt.launch.capabilities import capability_mask, confine
from netrt.launch.enter import join, open_network_namespace, open_process
from netrt.launch.isolate import isolate
from netrt.launch.launch import Launch
from netrt.launch.program import NotStarted, Program
from netrt.launch.spawn import Child, Streams, spawn
from netrt.launch.syscalls import CLONE_NEWPID, setns, unshare

_NET_ADMIN = 1 << 12
_STANDARD: Streams = (0, 1, 2)


def start_first(launch: Launch, *, streams: Streams = _STANDARD, terminal: str = "xterm") -> Child:
    """Make the container's process 1. Its `pid` is known at once; nothing runs before `release()`.

    Raises NotStarted, or another NetrtError where the sandbox or a capability is not what it should be.
    """
    program = Program(launch.command, launch.environment(terminal), launch.cwd)
    mask = capability_mask(launch.cap_add, launch.cap_drop)
    return _isolated(launch, program, mask, streams, process_one=True)


def start_more(
    launch: Launch,
    command: Sequence[str],
    *,
    env: Sequence[str] = (),
    cwd: str = "",
    privileged: bool = False,
    terminal: str = "xterm",
) -> Child:
    """One more process in the container: in all namespaces of its process 1, or, where none runs, in the sandbox's network with
    the container's own files. `privileged` gives it all capabilities. Raises as `start_first`; NotFound if process 1 ended."""
    program = Program(command, launch.environment(terminal, env), cwd or launch.cwd)
    mask = capability_mask(["ALL"], []) if privileged else capability_mask(launch.cap_add, launch.cap_drop)
    if launch.pid:
        return _joined(launch, program, mask)
    return _isolated(launch, program, mask, _STANDARD, process_one=False)


def _isolated(launch: Launch, program: Program, mask: int, streams: Streams, *, process_one: bool) -> Child:
    _need_root()
    netns = open_network_namespace(launch.netns, launch.inode) if launch.netns else None

    def prepare() -> None:
        isolate(launch, netns, process_one=process_one, network_admin=bool(mask & _NET_ADMIN))
        confine(mask)

    try:
        new_numbers = partial(unshare, CLONE_NEWPID) if process_one else None
        return spawn(prepare, program, streams=streams, pid_namespace=new_numbers)
    finally:
        if netns is not None:
            os.close(netns)


def _joined(launch: Launch, program: Program, mask: int) -> Child:
    _need_root()
    process = open_process(launch.pid, launch.start_ticks, launch.name)

    def prepare() -> None:
        join(process)
        confine(mask)

    try:
        return spawn(prepare, program, pid_namespace=partial(setns, process, CLONE_NEWPID, "the container's processes"))
    finally:
        os.close(process)


def _need_root() -> None:
    if os.geteuid() != 0:
        raise NotStarted("starting a process in a container needs root")
