"""The process of a container, seen from outside: whether it still is the one that was noted, signals to it, and its end.

A number may be given to another process at any time; so a process is opened first (pidfd) and then compared by the time it
started. Signals and the wait for its end go through the descriptor and cannot meet another one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

from netrt.errors import Invalid
from netrt.model.container import ProcessState


def start_ticks(pid: int) -> int:
    """When a process started (field 22 of /proc/PID/stat, proc(5)). Raises OSError."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


@contextlib.contextmanager
def opened(state: ProcessState) -> Iterator[int | None]:
    """A pidfd of the noted process, or None if it has ended and was reaped."""
    descriptor = _open(state)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _open(state: ProcessState) -> int | None:
    if not state.pid:
        return None
    try:
        descriptor = os.pidfd_open(state.pid)
    except ProcessLookupError:
        return None
    with contextlib.suppress(OSError):
        if start_ticks(state.pid) == state.start_ticks:
            return descriptor
    os.close(descriptor)
    return None


def send(descriptor: int, number: int) -> None:
    """Send a signal; one that has ended gets none."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, number)


async def ended(descriptor: int) -> None:
    """Wait for the end of the process of this pidfd (it may be a zombie still)."""
    await readable(descriptor)


async def readable(descriptor: int) -> None:
    """Wait until there is something to read at a descriptor."""
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.add_reader(descriptor, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(descriptor)


def signal_number(text: str) -> int:
    """The number of `SIGTERM`, `TERM` or `15`. Raises Invalid."""
    name = text.upper().removeprefix("SIG")
    with contextlib.suppress(KeyError, ValueError):
        return signal.Signals(int(name)) if name.isdigit() else signal.Signals[f"SIG{name}"]
    raise Invalid(f"invalid signal {text[:20]!r}", hint="as in TERM, SIGKILL or 15")
