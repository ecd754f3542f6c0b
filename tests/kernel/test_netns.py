"""Namespaces: what is one and what only looks so, and threads that enter and end."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from netrt.errors import Invalid
from netrt.kernel import netns
from tests.host import Host
from tests.waiting import wait_until

pytestmark = pytest.mark.root


def plain_file() -> str:
    Path("/run/file").write_text("x")
    return "/run/file"


def fifo() -> str:
    os.mkfifo("/run/fifo")
    return "/run/fifo"


def unix_socket() -> str:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("/run/listener")
    return "/run/listener"


def link_to_another_type() -> str:
    os.symlink("/proc/self/ns/uts", "/run/uts")
    return "/run/uts"


def link_to_the_host() -> str:
    os.symlink("/proc/self/ns/net", "/run/host")
    return "/run/host"


def loop() -> str:
    os.symlink("/run/loop", "/run/loop")
    return "/run/loop"


NOT_A_SANDBOX = {
    plain_file: "is a file, not a network namespace",
    fifo: "is a FIFO, not",
    unix_socket: "is a socket, not",
    (lambda: "/run"): "is a directory, not",
    (lambda: "/dev/null"): "is a device, not",
    (lambda: "/run/nowhere"): "No such file or directory",
    (lambda: ""): "No such file or directory",
    (lambda: "/run/\0"): "null (byte|character)",
    loop: "Too many levels of symbolic links",
    (lambda: "/proc/self/ns/mnt"): "namespace of another type",
    link_to_another_type: "namespace of another type",
    (lambda: "/proc/self/ns/net"): "is the host's own network namespace",
    link_to_the_host: "is the host's own network namespace",
}


@pytest.mark.parametrize("make", NOT_A_SANDBOX)
def test_identify_refuses(host: Host, make: object) -> None:
    assert callable(make)
    with pytest.raises(Invalid, match=NOT_A_SANDBOX[make]) as refusal:  # type: ignore[index]
        netns.identify(make())
    assert "\n" not in str(refusal.value)


def test_identify_follows_no_link_of_others(host: Host) -> None:
    """Nor one that others could have put there; root's own are followed, as /var/run has always been one."""
    target = host.namespace("target")
    inode = os.stat(target).st_ino
    for name, uid, mode in (("theirs", 1000, 0o755), ("roots", 0, 0o777)):
        Path(f"/run/{name}").mkdir()
        os.symlink(target, f"/run/{name}/link")
        os.symlink("/run/netns", f"/run/{name}/directory")
        for link in ("link", "directory"):
            os.chown(f"/run/{name}/{link}", uid, uid, follow_symlinks=False)
        os.chmod(f"/run/{name}", mode)
        for path in (f"/run/{name}/link", f"/run/{name}/directory/target"):
            with pytest.raises(Invalid, match=r"a link of user 1000 is not followed|Too many levels"):
                netns.identify(path)
    os.chmod("/run/roots", 0o755)
    assert netns.identify("/run/roots/link") == netns.identify("/run/roots/directory/target") == inode


def test_identify_follows_what_people_use(host: Host) -> None:
    path = host.namespace("theirs")
    child = host.spawn("nsenter", f"--net={path}", "sleep", "60")
    proc = f"/proc/{child.pid}/ns/net"
    wait_until(lambda: os.stat(proc).st_ino == os.stat(path).st_ino, what="a process in the namespace")
    os.symlink(path, "/run/link")
    assert netns.identify(proc) == netns.identify("/run/link") == netns.identify(path) == os.stat(path).st_ino


def test_what_was_checked_is_what_is_entered(host: Host) -> None:
    """A path that leads elsewhere between look and hand changes nothing: the open file is entered, not the path."""
    one, two = host.namespace("one"), host.namespace("two")
    os.symlink(one, "/run/link")
    with netns.opened("/run/link") as descriptor:
        os.unlink("/run/link")
        os.symlink(two, "/run/link")
        inside = netns.run_inside(descriptor, lambda: os.stat("/proc/thread-self/ns/net").st_ino)
    assert inside == os.stat(one).st_ino


def test_no_other_thread_ever_moves(host: Host) -> None:
    path = host.namespace("theirs")
    before, threads = namespaces_of_threads(), threading.active_count()
    with netns.opened(path) as descriptor:
        assert netns.run_inside(descriptor, threading.current_thread) is not threading.current_thread()
        with pytest.raises(ZeroDivisionError):
            netns.run_inside(descriptor, lambda: 1 // 0)
    assert threading.active_count() == threads
    wait_until(lambda: namespaces_of_threads() == before, what="the end of the thread that had moved")


def test_a_thread_that_was_away_is_back(host: Host) -> None:
    """Whatever happened there; the main thread sends another one."""
    path = host.namespace("theirs")
    own = "/proc/thread-self/ns/net"

    def visit(descriptor: int) -> tuple[int, int]:
        def look() -> tuple[int, int]:
            netns.enter(descriptor)
            return os.stat(own).st_ino, threading.get_native_id()

        def fail() -> None:
            netns.enter(descriptor)
            raise ZeroDivisionError

        there, thread = netns.away(look)
        assert there == os.fstat(descriptor).st_ino
        with pytest.raises(ZeroDivisionError):
            netns.away(fail)
        return os.stat(own).st_ino, thread

    with netns.opened(path) as descriptor, ThreadPoolExecutor(1) as one:
        home = os.stat(own).st_ino
        assert one.submit(visit, descriptor).result() == (home, one.submit(threading.get_native_id).result())
        back, thread = visit(descriptor)
        assert back == home
        assert thread != threading.get_native_id()


def namespaces_of_threads() -> set[int]:
    found = set()
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError):  # it ended meanwhile
            found.add(os.stat(f"/proc/self/task/{task}/ns/net").st_ino)
    return found


def test_the_main_thread_never_enters(host: Host) -> None:
    with netns.opened(host.namespace("theirs")) as descriptor, pytest.raises(AssertionError):
        netns.enter(descriptor)
