"""Starting a daemon of ours in a session of its own, where no service manager does. Standard library only: the command line
imports this."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Sequence

from netrt.errors import Unavailable
from netrt.paths import Paths

READY_WITHIN = 60.0
"""Seconds that a daemon may take until it answers; after a reboot it makes all networks first."""


def start(
    program: str, module: str, paths: Paths, log: str, within: float = READY_WITHIN, more: Sequence[str] = ()
) -> int:
    """Start the daemon whose `main` is in `module`, with `more` options, and return its process number when it answers. It keeps
    its log at `log`. Raises Unavailable with what it said, or where it does not answer in time; then it may yet."""
    hear, say = os.pipe()
    words = ["--ready-fd", str(say), "--log-file", log, *more]
    if paths != Paths():
        words += ["--root", os.path.dirname(paths.run)]
    try:
        with open(log, "ab", opener=_for_us) as file:
            pid = spawned(module, words, say, file.fileno())
    except OSError as error:
        raise Unavailable(f"{program} cannot be started: {error.filename}: {error.strerror}") from error
    finally:
        os.close(say)
    with open(hear, "rb", buffering=0) as pipe:
        said = _last_words(program, pipe.fileno(), within)
    if said != "READY":
        raise Unavailable(said or f"{program} ended before it answered", hint=f"its log is {log}")
    return pid


def spawned(module: str, words: Sequence[str], kept: int, log: int) -> int:
    """Start `main` of the module with these words and this descriptor left open; its output goes to the descriptor
    `log`. Raises OSError."""
    import subprocess

    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    # what is imported is not garbage: without looking for it a start takes a tenth less
    code = f"import gc, sys; gc.disable(); sys.path.insert(0, sys.argv.pop(1)); from {module} import main"
    argv = [sys.executable, "-c", f"{code}; gc.enable(); sys.exit(main())", top, *words]
    null = subprocess.DEVNULL
    child = subprocess.Popen(
        argv, stdin=null, stdout=log, stderr=log, cwd="/", pass_fds=(kept,), start_new_session=True
    )
    child.returncode = 0  # whoever waits for its end does so by its number
    return child.pid


def _for_us(path: str, flags: int) -> int:
    """Written by nobody else, whatever whoever starts the daemon lets others do (umask)."""
    return os.open(path, flags, 0o644)


def _last_words(program: str, descriptor: int, within: float) -> str:
    """What the daemon says before it closes the pipe."""
    words, deadline = b"", time.monotonic() + within
    while select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(descriptor, 4096)
        words += chunk
        if not chunk:
            return words.decode("utf-8", "replace").strip()
    raise Unavailable(f"{program} does not answer within {within:.0f} s", hint="see its log", retry=True)
