"""Processes that a test ends, as whoever ends them would."""

from __future__ import annotations

import json
import os
import select
import signal

from tests.command import Netrt

WITHIN = 30.0
"""Seconds."""


def daemon_pid(netrt: Netrt) -> int:
    """The process that serves the socket."""
    return int(json.loads(netrt("daemon", "status", "--format", "json"))["Pid"])


def end(pid: int, how: int = signal.SIGKILL) -> None:
    """Signal a process and wait until it has ended; whether its parent has noticed is not waited for."""
    with os.fdopen(os.pidfd_open(pid)) as process:
        signal.pidfd_send_signal(process.fileno(), how)
        assert select.select([process], [], [], WITHIN)[0], f"process {pid} does not end"
