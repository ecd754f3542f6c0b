"""netrtd, the program: arguments, the lock, the log, readiness."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import sys
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler

from netrt import __version__
from netrt.daemon.config import read_config
from netrt.daemon.wiring import run
from netrt.errors import Conflict, NetrtError, Unavailable
from netrt.paths import ROOT_VARIABLE, Paths

LOG_LIMIT = 10 * 1024 * 1024

READY = b"READY\n"
"""What is written to the descriptor of `--ready-fd` when requests are answered; anything else is why they never will be."""


def main(argv: list[str] | None = None) -> int:
    """Serve until told to stop. Returns the exit status: 1 with one line on stderr if that was not possible."""
    asked = _arguments(argv)
    paths = Paths.under(asked.root or os.environ.get(ROOT_VARIABLE))
    os.umask(0o022)
    try:
        if os.geteuid() != 0:
            raise Unavailable("netrtd needs root", hint="it makes network namespaces and devices")
        config = read_config(paths.configuration)
        _log(asked.log_level or config.log_level, asked.log_file)
        with only_one(paths):
            asyncio.run(run(paths, config, lambda: _tell(asked.ready_fd, READY)))
    except NetrtError as error:
        print(f"netrtd: {error}", file=sys.stderr)
        _tell(asked.ready_fd, str(error).encode())
        return 1
    return 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="netrtd", description="The daemon of netrt: owns networks and containers of a host."
    )
    parser.add_argument("--root", metavar="DIR", help=f"keep run, lib and etc below DIR (also {ROOT_VARIABLE})")
    parser.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], help="instead of the configured one"
    )
    parser.add_argument("--log-file", metavar="PATH", help="log into a file, and not to stderr")
    parser.add_argument(
        "--ready-fd", type=int, metavar="N", help="a descriptor that is told when requests are answered"
    )
    parser.add_argument("--version", action="version", version=f"netrtd {__version__}")
    return parser.parse_args(argv)


def _log(level: str, path: str | None) -> None:
    """To stderr, or to a file of at most LOG_LIMIT bytes and one older one."""
    place: logging.Handler = (
        RotatingFileHandler(path, maxBytes=LOG_LIMIT, backupCount=1) if path else logging.StreamHandler(sys.stderr)
    )
    words = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=level.upper(), handlers=[place], format=words)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


@contextlib.contextmanager
def only_one(paths: Paths) -> Iterator[None]:
    """Hold the lock of this state. Raises Conflict if another daemon does, Unavailable."""
    try:
        os.makedirs(paths.run, mode=0o755, exist_ok=True)
        os.makedirs(paths.lib, mode=0o700, exist_ok=True)
        descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Unavailable(f"cannot use {error.filename}: {error.strerror}") from error
    try:
        _take(descriptor, paths)
        yield
    finally:
        os.close(descriptor)


def _take(lock: int, paths: Paths) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 20).decode().strip() or "unknown"
        raise Conflict(f"another netrtd (pid {holder}) already serves this state ({paths.lib})") from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())


def _tell(descriptor: int | None, words: bytes) -> None:
    """Write to whoever waits for us, if anybody still does."""
    if descriptor is not None:
        with contextlib.suppress(OSError):
            os.write(descriptor, words)
            os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
