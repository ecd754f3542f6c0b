"""Starts netrtd where no service manager runs it. Standard library only: the command line imports this on each run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import sys
from collections.abc import Iterator

from netrt.daemon.starting import start
from netrt.errors import NetrtError, Unavailable
from netrt.paths import Paths


def ensure_daemon(paths: Paths) -> None:
    """Return when a daemon answers at the socket; start one if none does, and say so on stderr. Raises Unavailable."""
    if answers(paths):
        return
    if os.geteuid() != 0:
        raise Unavailable(f"netrtd is not running: nobody listens at {paths.socket}", hint="start it as root: netrtd")
    with _one_at_a_time(paths):
        if not answers(paths):
            print(f"netrt: starting netrtd (its log: {paths.daemon_log})", file=sys.stderr, flush=True)
            _start(paths)


def _start(paths: Paths) -> None:
    """One that ends is waited for; where somebody else has started one meanwhile, that will do."""
    try:
        start("netrtd", "netrt.daemon.main", paths, paths.daemon_log, more=["--patient"])
    except Unavailable:
        if not answers(paths):
            raise


def answers(paths: Paths) -> bool:
    """Whether a daemon listens. Raises Unavailable where that cannot be found out."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(paths.socket)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except PermissionError as error:
            raise Unavailable(
                f"permission denied on {paths.socket}", hint="be root or a member of group netrt"
            ) from error
        except OSError as error:
            raise Unavailable(f"cannot connect to {paths.socket}: {error.strerror or error}") from error
    return True


@contextlib.contextmanager
def _one_at_a_time(paths: Paths) -> Iterator[None]:
    """Who comes second waits, and finds the daemon of who came first."""
    try:
        os.makedirs(paths.run, mode=0o755, exist_ok=True)
        descriptor = os.open(f"{paths.run}/ondemand.lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(f"cannot use {error.filename}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def main(root: str) -> None:
    """For a client in another process: exit status 1 and the reason on stdout if no daemon could be started."""
    try:
        ensure_daemon(Paths.under(root))
    except NetrtError as error:
        print(error)
        sys.exit(1)
