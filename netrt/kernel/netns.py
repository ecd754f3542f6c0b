"""Network namespaces: made, pinned, told apart from everything else, entered.

Rule 1: nothing is entered before its open file has proved to be a network namespace, and what was proved is what is entered: a
path that changes meanwhile, or leads through links, makes no difference. Rule 2: the host's own namespace is never a sandbox.
Rule 3: the main thread, of which /proc/self speaks, never changes its namespace; a thread that does comes back before anything
else is done by it, or ends there.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from netrt.dataplane.objects import PIN_DIRECTORY, PIN_PREFIX
from netrt.errors import Invalid
from netrt.kernel.path import open_path
from netrt.kernel.refused import unseen

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
_NS_GET_NSTYPE = 0xB703
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
OWN_PINS = f"{PIN_DIRECTORY}/{PIN_PREFIX}"
_OWN = "/proc/thread-self/ns/net"
_HOST = "/proc/self/ns/net"  # that of the main thread, which never moves

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, what: str) -> None:
    """Raises OSError where a function of `libc` says that it failed."""
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


# tell apart


@contextlib.contextmanager
def opened(path: str) -> Iterator[int]:
    """The network namespace that a path leads to, as an open file. Raises Invalid where it leads to anything else, to nothing, or
    to the host's own namespace (that of the main thread), KernelRefused where there are no more open files."""
    descriptor = open_namespace(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_namespace(path: str) -> int:
    """As `opened`; the caller closes it."""
    try:
        bare = _bare(path)
        try:
            found, host = os.fstat(bare), os.stat(_HOST)
            if found.st_dev != host.st_dev:  # all namespaces are in one file system, nsfs
                raise Invalid(f"{path[:200]!r} is {_kind(bare)}, not a network namespace", hint=_WHERE)
            descriptor = os.open(f"/proc/self/fd/{bare}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(bare)
    except (OSError, ValueError) as error:
        raise unseen(path, error) or Invalid(f"no network namespace at {path[:200]!r}: {_reason(error)}") from None
    refused = ""
    if fcntl.ioctl(descriptor, _NS_GET_NSTYPE) != CLONE_NEWNET:
        refused = "is a namespace of another type, not a network namespace"
    elif found.st_ino == host.st_ino:
        refused = "is the host's own network namespace"
    if refused:
        os.close(descriptor)
        raise Invalid(f"{path[:200]!r} {refused}", hint=_WHERE)
    return descriptor


def _bare(path: str) -> int:
    """What is at a path, opened with O_PATH, which does not wake a device or FIFO. Raises OSError, ValueError."""
    directory, _, name = path.rpartition("/")
    if directory not in _OF_ROOT or name in ("", ".", ".."):
        return open_path(path)
    found = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISLNK(os.fstat(found).st_mode):
        return found
    os.close(found)
    if path.startswith(OWN_PINS):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return open_path(path)


_OF_ROOT = (PIN_DIRECTORY, f"/var{PIN_DIRECTORY}")
"""Directories to which nobody but root can bend the way, so that it need not be walked name by name."""

_WHERE = "expected is a path such as /run/netns/NAME or /proc/PID/ns/net"


def _kind(descriptor: int) -> str:
    mode = os.fstat(descriptor).st_mode
    names = {
        stat.S_IFDIR: "a directory",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFLNK: "a link",
    }
    return names.get(stat.S_IFMT(mode), "a file")


def _reason(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def identify(path: str) -> int:
    """The inode number that identifies the network namespace at this path. Raises Invalid as `opened` does."""
    with opened(path) as descriptor:
        return os.fstat(descriptor).st_ino


# enter


def run_inside(netns: int, work: Callable[[], T]) -> T:
    """The result of `work`, done on a thread that enters this namespace (an open file) and ends there."""

    def visit() -> T:
        enter(netns)
        return work()

    return on_thread(visit)


def enter(netns: int) -> None:
    """Move the calling thread, which `on_thread` or `away` looks after, into this namespace (an open file). Raises OSError."""
    assert threading.get_native_id() != os.getpid(), "the main thread stays where it is"
    checked(libc.setns(netns, CLONE_NEWNET), "setns")


def away(work: Callable[[], T]) -> T:
    """The result of `work`, which may enter namespaces; the calling thread is back in its own one afterwards.

    Two system calls, where a thread for it costs 0.1 ms, and several on a busy machine. A thread that cannot come back would do
    everything else in the wrong place, so then the process ends."""
    if threading.get_native_id() == os.getpid():
        return on_thread(work)
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return work()
    finally:
        if libc.setns(home, CLONE_NEWNET) and not os.path.samestat(os.stat(_OWN), os.fstat(home)):
            os.abort()  # without the privilege to come back it had none to leave
        os.close(home)


def on_thread(work: Callable[[], T]) -> T:
    """The result of `work`, done on a thread of its own, which may enter namespaces and ends with it."""
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(work())
        except BaseException as error:  # handed over to who waits, whatever it is
            errors.append(error)

    thread = threading.Thread(target=body, name="netns", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # "can't start new thread"
        raise OSError(errno.EAGAIN, "no more threads can be started") from None
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


# make


def new_namespace() -> int:
    """Move the calling thread, which `on_thread` or `away` looks after, into a new namespace with its loopback up, and return
    that as an open file. Raises OSError."""
    checked(libc.unshare(CLONE_NEWNET), "unshare")
    _loopback_up()
    return os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
