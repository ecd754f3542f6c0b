"""netrtd, the program: arguments, the lock, the log, readiness."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import sys
from collections.abc import Iterator
from functools import partial

import netrt.daemon.lean  # noqa: F401  first, for it says what the others load
from netrt.daemon.config import read_config
from netrt.daemon.wiring import run
from netrt.errors import NetrtError, Unavailable
from netrt.paths import ROOT_VARIABLE, Paths
from netrt.startup import READY, alone, log_to, options, tell


def main(argv: list[str] | None = None) -> int:
    """Serve until told to stop. Returns the exit status: 1 with one line on stderr if that was not possible."""
    known = options("netrtd", "The daemon of netrt: owns networks and containers of a host.")
    known.add_argument("--dns-unit", default="", metavar="UNIT", help="netrt-dns is this unit of systemd")
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
        with only_one(paths):
            ready = partial(tell, asked.ready_fd, READY)
            asyncio.run(run(paths, config, ready, resolver_unit=asked.dns_unit))
    except NetrtError as error:
        print(f"netrtd: {error}", file=sys.stderr)
        tell(asked.ready_fd, str(error).encode())
        return 1
    return 0


@contextlib.contextmanager
def only_one(paths: Paths) -> Iterator[None]:
    """Have the directories, and hold the lock of this state. Raises Conflict if another daemon does, Unavailable."""
    try:
        os.makedirs(paths.run, mode=0o755, exist_ok=True)
        os.makedirs(paths.lib, mode=0o700, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"cannot use {error.filename}: {error.strerror}") from error
    with alone("netrtd", paths.lock, paths.lib):
        yield


if __name__ == "__main__":
    sys.exit(main())
