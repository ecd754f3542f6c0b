"""netrtd, the program: arguments, the lock, the log, readiness."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import sys
import time
from collections.abc import Iterator
from functools import partial

import netrt.daemon.lean  # noqa: F401  first, for it says what the others load
from netrt.api.server import FINISH_WITHIN
from netrt.daemon.config import read_config
from netrt.daemon.ondemand import answers
from netrt.daemon.wiring import run
from netrt.errors import NetrtError, Unavailable
from netrt.paths import ROOT_VARIABLE, Paths
from netrt.startup import READY, alone, log_to, options, tell

ENDS_WITHIN = 2 * FINISH_WITHIN + 10.0
"""Seconds that a daemon may take to its end when nobody can come in any more: open requests have FINISH_WITHIN, and as long again
to be broken off; then the engine finishes what it has begun."""


def main(argv: list[str] | None = None) -> int:
    """Serve until told to stop. Returns the exit status: 1 with one line on stderr if that was not possible."""
    known = options("netrtd", "The daemon of netrt: owns networks and containers of a host.")
    known.add_argument("--dns-unit", default="", metavar="UNIT", help="netrt-dns is this unit of systemd")
    known.add_argument("--patient", action="store_true", help="wait for the end of another one that ends already")
    asked = known.parse_args(argv)
    paths = Paths.under(asked.root or os.environ.get(ROOT_VARIABLE))
    os.umask(0o022)
    gc.disable()  # what is read now stays, and looking through it again and again is a sixth of the start; `settle` enables it
    try:
        if os.geteuid() != 0:
            raise Unavailable("netrtd needs root", hint="it makes network namespaces and devices")
        config = read_config(paths.configuration)
        log_to(asked.log_file, asked.log_level or config.log_level)
        logging.getLogger("asyncio").setLevel(logging.WARNING)
        with only_one(paths, ENDS_WITHIN if asked.patient else 0.0):
            ready = partial(tell, asked.ready_fd, READY)
            asyncio.run(run(paths, config, ready, resolver_unit=asked.dns_unit))
    except NetrtError as error:
        print(f"netrtd: {error}", file=sys.stderr)
        tell(asked.ready_fd, str(error).encode())
        return 1
    return 0


@contextlib.contextmanager
def only_one(paths: Paths, patience: float = 0.0) -> Iterator[None]:
    """Have the directories, and hold the lock of this state. Raises Conflict if another daemon does, at once or, where nobody
    answers, after `patience` seconds; Unavailable."""
    deadline = time.monotonic() + patience
    try:
        os.makedirs(paths.run, mode=0o755, exist_ok=True)
        os.makedirs(paths.lib, mode=0o700, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"cannot use {error.filename}: {error.strerror}") from error
    with alone("netrtd", paths.lock, paths.lib, lambda: time.monotonic() < deadline and not answers(paths)):
        yield


if __name__ == "__main__":
    sys.exit(main())
