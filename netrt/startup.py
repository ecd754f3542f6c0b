"""How a program of ours begins: its options, its log, its lock, and the word that it is ready."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import gc
import logging
import os
import select
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from logging.handlers import RotatingFileHandler

from netrt import __version__
from netrt.errors import Conflict, Unavailable, one_line
from netrt.paths import ROOT_VARIABLE

LOG_LIMIT = 10 * 1024 * 1024

_PAUSE = 0.05
"""Seconds until it is looked again whether another one has ended."""

READY = b"READY\n"
"""What is written to the descriptor of `--ready-fd` when requests are answered; anything else is why they never will be."""


def options(program: str, description: str) -> argparse.ArgumentParser:
    """What every daemon of ours is started with."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--root", metavar="DIR", help=f"keep run, lib and etc below DIR (also {ROOT_VARIABLE})")
    parser.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], help="instead of the configured one"
    )
    parser.add_argument("--log-file", metavar="PATH", help="log into a file, and not to stderr")
    parser.add_argument(
        "--ready-fd", type=int, metavar="N", help="a descriptor that is told when requests are answered"
    )
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    return parser


def settle(threshold: int) -> None:
    """At the end of a start. What is there now stays, and what comes and goes has few cycles, so look for garbage only after so
    many objects: by default Python would walk through the copied tables of a full host several times an attach. What only the
    start needed goes back to the kernel: glibc would keep it, a third of all on a full host (malloc_trim(3))."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
    gc.freeze()
    gc.enable()
    gc.set_threshold(threshold, 20, 20)


def log_to(path: str | None, level: str) -> None:
    """To stderr, or to a file of LOG_LIMIT bytes and one older one. Each request makes a line or two, so what no line of
    ours tells is not found out (https://docs.python.org/3/howto/logging.html#optimization)."""
    place: logging.Handler = (
        _File(path, maxBytes=LOG_LIMIT, backupCount=1) if path else logging.StreamHandler(sys.stderr)
    )
    place.setFormatter(_OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=level.upper(), handlers=[place])


class _File(RotatingFileHandler):
    """Looks at the file that it writes, and not at its path, nor at how long the line is going to be: a third of the time."""

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        if self.stream is None:
            return False
        seen = os.fstat(self.stream.fileno())
        return stat.S_ISREG(seen.st_mode) and seen.st_size >= self.maxBytes


class _OneLine(logging.Formatter):
    """What a message tells of others' names is text of theirs: it makes no line of its own, nor does it speak to a terminal. A
    traceback is ours, and has its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return one_line(super().formatMessage(record))


@contextlib.contextmanager
def alone(program: str, lock: str, serves: str, waits: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold this lock, whose directory is there. While another one does, `waits` is asked again and again. Raises Conflict where
    that says no, Unavailable."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Unavailable(f"cannot use {error.filename}: {error.strerror}") from error
    try:
        while not _taken(descriptor):
            if not waits():
                holder = os.read(descriptor, 20).decode().strip() or "unknown"
                raise Conflict(f"another {program} (pid {holder}) already serves this state ({serves})", retry=True)
            select.select((), (), (), _PAUSE)
        yield
    finally:
        os.close(descriptor)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return True


def tell(descriptor: int | None, words: bytes) -> None:
    """Write to whoever waits for us, if anybody still does."""
    if descriptor is not None:
        with contextlib.suppress(OSError):
            os.write(descriptor, words)
            os.close(descriptor)


def notify_service_manager(text: str) -> None:
    """Tell systemd (`READY=1`, `STOPPING=1`; sd_notify(3)), where it started us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notice, contextlib.suppress(OSError):
        notice.sendto(text.encode(), "\0" + address[1:] if address.startswith("@") else address)
