"""The ways into what exists: a sandbox's network namespace, and all namespaces of a running process.

Rule: a path or a number that we were given is proven to be what we take it for before anything enters it: the file to be a
network namespace, the process to be the one that was started (numbers are used again)."""

from __future__ import annotations

import contextlib
import fcntl
import os

from netrt.errors import NotFound, Unavailable
from netrt.launch.syscalls import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUTS,
    filesystem_type,
    setns,
)

_NSFS = 0x6E736673
_NS_GET_NSTYPE = 0xB703


def open_network_namespace(path: str, inode: int = 0) -> int:
    """A descriptor of the network namespace at `path`. Raises Unavailable when there is none, or something else: another one than
    that with this inode number, where it is told (one that we did not make)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise Unavailable(f"the network namespace {path} cannot be opened: {error.strerror}") from error
    if filesystem_type(descriptor) != _NSFS or fcntl.ioctl(descriptor, _NS_GET_NSTYPE) != CLONE_NEWNET:
        os.close(descriptor)
        raise Unavailable(f"{path} is not a network namespace")
    if inode not in (0, os.fstat(descriptor).st_ino):
        os.close(descriptor)
        raise Unavailable(f"{path} leads to another network namespace than before", hint="netrt gc tells who is gone")
    return descriptor


def start_ticks(pid: int) -> int:
    """When a process began (field 22 of /proc/PID/stat, in clock ticks since boot). Raises OSError."""
    return int(_stat(pid)[19])


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the third (the state) on; the second, a name, may hold spaces and parentheses."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def open_process(pid: int, ticks: int, name: str) -> int:
    """A descriptor of the process that had this number when it was started (`ticks`, 0: whichever it is now).
    Raises NotFound when it has ended."""
    with contextlib.suppress(OSError):
        descriptor = os.pidfd_open(pid)
        state, *fields = _stat(pid)
        if state not in (b"Z", b"X") and ticks in (0, int(fields[18])):
            return descriptor
        os.close(descriptor)
    raise NotFound(f"container {name} is not running")


def join(process: int) -> None:
    """Enter the namespaces of a process but that of its numbers, which is for children only; root and working directory
    become its root. Raises OSError."""
    setns(process, CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET, "the container's namespaces")
