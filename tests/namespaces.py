"""A host of one's own: network and mount namespaces that a test's main thread, and so every thread and process that it
starts, lives in from `own_namespaces` until its end. Nothing is left on the machine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.waiting import wait_until

CLONE_FS = 0x200
CLONE_NEWNS = 0x20000
CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Give the calling thread namespaces of its own. Raises OSError."""
    _checked("unshare", _libc.unshare(flags))


def setns(descriptor: int, kind: int) -> None:
    """Move the calling thread into a namespace (for CLONE_NEWNS root and working directory change too). Raises OSError."""
    _checked("setns", _libc.setns(descriptor, kind))


def mount(source: str, target: str, kind: str = "none", flags: int = 0, options: str = "") -> None:
    """mount(2). Raises OSError."""
    result = _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _checked(f"mount {kind} on {target}", result)


def _checked(what: str, result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


@contextlib.contextmanager
def own_namespaces() -> Iterator[None]:
    """The calling (main) thread in fresh network and mount namespaces, as an empty host.

    /run is empty, /etc and /var/lib are copies on write that die with the test, /sys shows the new network namespace, `lo` is
    up by the caller's care. At the end every process that lives in these namespaces, or in one pinned below /run/netns, is
    killed, and the thread returns to where it was.
    """
    assert threading.current_thread() is threading.main_thread(), "only a process's main thread can become a host"
    directory = os.getcwd()
    with contextlib.ExitStack() as stack:
        before = []
        for name, kind in (("net", CLONE_NEWNET), ("mnt", CLONE_NEWNS)):
            descriptor = os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            before.append((descriptor, kind))
        unshare(CLONE_NEWNET | CLONE_NEWNS)
        try:
            _furnish()
            yield
        finally:
            try:
                end_inhabitants()
            finally:
                unshare(CLONE_FS)  # else EINVAL while another thread shares our working directory
                for descriptor, kind in before:
                    setns(descriptor, kind)
                os.chdir(directory)


def _furnish() -> None:
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount("tmpfs", "/run", "tmpfs")
    for directory in ("/etc", "/var/lib"):
        layer = Path("/run", directory.replace("/", "_"))
        upper, work = layer / "upper", layer / "work"
        upper.mkdir(parents=True)
        work.mkdir()
        mount("overlay", directory, "overlay", options=f"lowerdir={directory},upperdir={upper},workdir={work}")
    mount("tmpfs", "/run", "tmpfs", options="mode=755")  # above the layers, which stay held by the overlays
    Path("/run/netns").mkdir()
    for directory in ("/var/lib/netrt", "/etc/netrt"):
        Path(directory).mkdir(exist_ok=True)
        mount("tmpfs", directory, "tmpfs", options="mode=755")
    mount("sysfs", "/sys", "sysfs")
    resolver = Path("/etc/resolv.conf")
    resolver.unlink(missing_ok=True)  # often a link into the /run of the machine
    resolver.write_text("nameserver 192.0.2.2\n")
    _open_to_all(Path(__file__).resolve().parents[1])


def _open_to_all(checkout: Path) -> None:
    """Let everybody reach the checkout, as tests that act as somebody else must: of a directory above it that keeps others out
    (/root, where root clones) there is only the way to it."""
    closed = [directory for directory in reversed(checkout.parents) if not directory.stat().st_mode & 0o001]
    if not closed:
        return
    held = os.open(checkout, os.O_PATH | os.O_CLOEXEC)
    try:
        mount("tmpfs", str(closed[0]), "tmpfs", options="mode=755")
        checkout.mkdir(parents=True)
        mount(f"/proc/self/fd/{held}", str(checkout), flags=MS_BIND | MS_REC)
    finally:
        os.close(held)


def end_inhabitants() -> None:
    """Kill every process of this host but ourselves, and wait until none is left."""

    def nobody_left() -> bool:
        killed = [pid for pid in _other_pids() if _kill_inhabitant(pid)]
        return not killed

    wait_until(nobody_left, 20, "the end of the host's processes")


def inhabitants() -> set[int]:
    """The processes of this host, without ourselves."""
    return {pid for pid in _other_pids() if _is_inhabitant(pid)}


def _is_inhabitant(pid: int) -> bool:
    try:
        return _lives_here(pid)
    except OSError:  # it has ended
        return False


def _other_pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid()]


def _kill_inhabitant(pid: int) -> bool:
    """Kill the process if it lives here; whether it does. A descriptor makes sure that we ask and kill the same one."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        here = _lives_here(pid)
        if here:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        return here
    except OSError:  # it ended by itself; a zombie has no namespaces
        return False
    finally:
        os.close(descriptor)


def _lives_here(pid: int) -> bool:
    """Whether it is in our mount or network namespace, or in a network namespace pinned below /run/netns. Raises OSError."""
    if os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt"):
        return True
    network = os.readlink(f"/proc/{pid}/ns/net")
    pinned = (f"net:[{pin.stat().st_ino}]" for pin in Path("/run/netns").iterdir())
    return network == os.readlink("/proc/self/ns/net") or network in pinned
