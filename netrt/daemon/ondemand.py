"""Starts netrtd where no service manager runs it. Standard library only: the command line imports this on each run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import sys
import time
from collections.abc import Iterator

from netrt.errors import NetrtError, Unavailable
from netrt.paths import Paths

READY_WITHIN = 60.0
"""Seconds that a daemon may take until it answers; after a reboot it makes all networks first."""


def ensure_daemon(paths: Paths) -> None:
    """Return when a daemon answers at the socket; start one if none does, and say so on stderr. Raises Unavailable."""
    if _answers(paths):
        return
    if os.geteuid() != 0:
        raise Unavailable(f"netrtd is not running: nobody listens at {paths.socket}", hint="start it as root: netrtd")
    with _one_at_a_time(paths):
        if not _answers(paths):
            print(f"netrt: starting netrtd (its log: {paths.daemon_log})", file=sys.stderr, flush=True)
            _start(paths)


def _answers(paths: Paths) -> bool:
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


def _start(paths: Paths) -> None:
    import subprocess

    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from netrt.daemon.main import main; sys.exit(main())"
    hear, say = os.pipe()
    argv = [sys.executable, "-c", code, top, "--ready-fd", str(say), "--log-file", paths.daemon_log]
    if paths != Paths():
        argv += ["--root", os.path.dirname(paths.run)]
    try:
        with open(paths.daemon_log, "ab") as log:
            null = subprocess.DEVNULL
            subprocess.Popen(argv, stdin=null, stdout=log, stderr=log, cwd="/", pass_fds=(say,), start_new_session=True)
    finally:
        os.close(say)
    with open(hear, "rb", buffering=0) as pipe:
        said = _last_words(pipe.fileno())
    if said != "READY":
        raise Unavailable(said or "netrtd ended before it answered", hint=f"its log is {paths.daemon_log}")


def _last_words(descriptor: int) -> str:
    """What the daemon says before it closes the pipe."""
    words, deadline = b"", time.monotonic() + READY_WITHIN
    while select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(descriptor, 4096)
        words += chunk
        if not chunk:
            return words.decode("utf-8", "replace").strip()
    raise Unavailable(f"netrtd does not answer within {READY_WITHIN:.0f} s", hint="see its log", retry=True)


def main(root: str) -> None:
    """For a client in another process: exit status 1 and the reason on stdout if no daemon could be started."""
    try:
        ensure_daemon(Paths.under(root))
    except NetrtError as error:
        print(error)
        sys.exit(1)
