"""The fixture that every packet test stands on: a host of one's own, and nothing left of it."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from tests.host import Host
from tests.namespaces import own_namespaces
from tests.waiting import wait_until

pytestmark = pytest.mark.root


def namespaces() -> tuple[str, str]:
    return os.readlink("/proc/self/ns/net"), os.readlink("/proc/self/ns/mnt")


def listing() -> dict[str, list[str]]:
    """What a test could leave behind on the machine."""
    kept = {directory: sorted(os.listdir(directory)) for directory in ("/sys/class/net", "/run", "/etc", "/var/lib")}
    kept["mounts"] = Path("/proc/self/mountinfo").read_text().splitlines()
    kept["namespaces"], kept["cwd"] = list(namespaces()), [os.getcwd()]
    kept["resolver"] = [Path("/etc/resolv.conf").read_text()]
    return kept


def test_nothing_is_left() -> None:
    before = listing()
    with own_namespaces():
        assert not set(namespaces()) & set(before["namespaces"])
        host = Host()
        host.outside()
        Path("/var/lib/netrt/netrt.db").touch()
        Path("/etc/netrt/netrt.toml").touch()
        Path("/etc/leftover").touch()
        Path("/run/netrt.sock").touch()
        os.chdir("/run")
    assert listing() == before


def test_a_failing_test_leaves_nothing_either() -> None:
    before = listing()
    with pytest.raises(ZeroDivisionError), own_namespaces():
        raise ZeroDivisionError
    assert listing() == before


def test_returns_while_a_thread_lives_on() -> None:
    before, end = namespaces(), threading.Event()
    with own_namespaces():
        thread = threading.Thread(target=end.wait)
        thread.start()
    try:
        assert namespaces() == before
    finally:
        end.set()
        thread.join()


def test_every_process_of_the_host_ends() -> None:
    """Also detached ones, and those in namespaces of their own."""
    with own_namespaces():
        host = Host()
        path = host.namespace("inner")
        detached = subprocess.Popen(["setsid", "sleep", "1000"])
        nested = subprocess.Popen(["nsenter", f"--net={path}", "unshare", "-m", "sleep", "1000"])
        wait_until(lambda: Path(f"/proc/{nested.pid}/comm").read_text() == "sleep\n", what="the nested process")
    assert detached.wait(5) == nested.wait(5) == -9


def test_the_host_is_empty_and_whole(host: Host) -> None:
    assert os.listdir("/run") == ["netns"]
    assert os.listdir("/var/lib/netrt") == os.listdir("/etc/netrt") == []
    assert "lo" in os.listdir("/sys/class/net")
    assert "uplink" not in os.listdir("/sys/class/net")
    assert "UP" in host.run("ip", "link", "show", "lo").stdout
    assert Path("/etc/passwd").exists()


def test_threads_and_commands_are_in_the_host(host: Host) -> None:
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(os.readlink("/proc/thread-self/ns/net")))
    thread.start()
    thread.join()
    assert seen == [os.readlink("/proc/self/ns/net")]
    assert host.run("readlink", "/proc/self/ns/net").stdout.strip() == seen[0]


def test_outside_answers(host: Host) -> None:
    path = host.outside()
    assert "uplink" in os.listdir("/sys/class/net")
    with host.inside(path) as call:
        server = call(socket.create_server, ("::", 7000), family=socket.AF_INET6, dualstack_ipv6=True)
    with server:
        for address, mine in (("192.0.2.2", "192.0.2.1"), ("2001:db8::2", "2001:db8::1")):
            with socket.create_connection((address, 7000), timeout=5) as client:
                assert client.getsockname()[0] == mine
    assert "192.0.2.2" in host.run("ip", "route", "get", "198.51.100.1").stdout
    assert "2001:db8::2" in host.run("ip", "route", "get", "2001:db8:ffff::1").stdout


def test_inside_leaves_the_main_thread_where_it_is(host: Host) -> None:
    path, before = host.namespace("inner"), namespaces()
    with host.inside(path) as call:
        inside = call(os.readlink, "/proc/thread-self/ns/net")
    assert inside == f"net:[{Path(path).stat().st_ino}]"
    assert namespaces() == before


def test_a_failing_command_shows_what_it_said(host: Host) -> None:
    with pytest.raises(AssertionError, match=r"exit status 1\n.*does not exist"):
        host.run("ip", "link", "show", "nothing")
