"""A container's command, started by the command line itself. What that takes is loaded while the daemon makes the container."""

from __future__ import annotations

import os

from netrt.cli.session import Session
from netrt.errors import NetrtError
from netrt.launch.foreground import hold_signals, wait
from netrt.launch.launch import Launch
from netrt.launch.program import OWN_FAILURE, NotStarted
from netrt.launch.report import Refused, let_go, tell_end
from netrt.launch.start import start_first


def foreground(session: Session, container: str) -> int:
    """Start the command here and stay until it ends. Returns its exit status. Raises NetrtError where it could not start, and
    KeyboardInterrupt only where it was not let go."""
    launch = Launch(session.client.request("GET", f"/netrt/containers/{container}/launch"))
    hold_signals()
    try:
        child = start_first(launch, terminal=os.environ.get("TERM") or "xterm")
        let_go(child, launch)
    except Refused:
        raise
    except NetrtError as error:
        tell_end(launch, error.status if isinstance(error, NotStarted) else OWN_FAILURE, str(error))
        raise
    status = wait(child.pid)
    tell_end(launch, status)
    return status
