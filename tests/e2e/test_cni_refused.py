"""What a runtime must not ask, through the executables on a real host: refused in time, by name, and nothing is changed."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cni import BANDWIDTH, PLUGINS, PORTMAP, Cni, Config, bridge, network, port
from tests.command import Netrt
from tests.host import Host
from tests.snapshot import differences, snapshot

pytestmark = pytest.mark.root

WITHIN = 1.0
"""Seconds until an answer; on a busy machine the fastest of a few tries counts."""


@pytest.fixture
def cni(host: Host, netrt: Netrt) -> Iterator[Cni]:
    """With a daemon and a network, and nothing changed at the end."""
    made = Cni(host, netrt=netrt)
    made.add(network(bridge()), made.container("c0"))
    made.container("c1")
    before = snapshot(host)
    yield made
    assert not differences(before, snapshot(host))
    assert len(netrt("ps").splitlines()) == 2


def soon(cni: Cni, config: Config | bytes, verb: str = "ADD", **variables: str) -> Config:
    """The error, and that it came within a second."""
    took = []
    for _ in range(5):
        began = time.monotonic()
        error = cni.execute(verb, config, **variables).error
        took.append(time.monotonic() - began)
        if took[-1] < WITHIN:
            return error
    raise AssertionError(f"answers took {took}")


PLACES = {
    "file": "a file",
    "directory": "a directory",
    "fifo": "a FIFO",
    "socket": "a socket",
    "device": "a device",
    "missing": "No such file",
    "dangling": "No such file",
    "link to a file": "a file",
    "loop": "Too many levels",
    "uts": "another type",
    "mnt": "another type",
    "user": "another type",
    "host": "the host's own",
    "link to the host": "the host's own",
    "by process": "the host's own",
}


@contextlib.contextmanager
def place(kind: str) -> Iterator[str]:
    """A path that is no namespace for a container."""
    path = Path("/run/place")
    try:
        yield made(kind, path)
    finally:
        path.rmdir() if kind == "directory" else path.unlink(missing_ok=True)


def made(kind: str, path: Path) -> str:
    match kind:
        case "file":
            path.write_text("")
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(str(path))
        case "device":
            return "/dev/zero"
        case "dangling":
            path.symlink_to("/run/nothing")
        case "link to a file":
            path.symlink_to("/etc/passwd")
        case "loop":
            path.symlink_to(path)
        case "uts" | "mnt" | "user":
            return f"/proc/{os.getpid()}/ns/{kind}"
        case "host":
            return "/proc/self/ns/net"
        case "link to the host":
            path.symlink_to(f"/proc/{os.getpid()}/ns/net")
        case "by process":
            return f"/proc/{os.getpid()}/task/{os.getpid()}/ns/net"
    return str(path)


def test_a_namespace_that_is_none(cni: Cni) -> None:
    lan = network(bridge(), PORTMAP, BANDWIDTH)
    given = {"portMappings": [port(80, 80)], "bandwidth": {"ingressRate": 10**6}}
    plugins = (*lan["plugins"], {"type": "netrt", "mode": "bridge"}, {"type": "netrt-loopback"})
    requests = [cni.request(lan, plugin, given, {"cniVersion": "1.1.0"}) for plugin in plugins]
    for number, (kind, words) in enumerate(PLACES.items()):
        with place(kind) as path:
            for request in requests if number < 2 else requests[:1]:
                error = soon(cni, request, netns=path)
                assert error["code"] == 4, error
                assert "CNI_NETNS" in error["msg"]
                assert words in error["msg"], kind


def test_a_link_to_a_namespace_is_one(host: Host, netrt: Netrt) -> None:
    cni = Cni(host, netrt=netrt)
    one = cni.container("c1")
    Path("/run/link").symlink_to(one.path)
    request = cni.request(network(), bridge(), {}, None)
    assert cni.execute("ADD", request, netns="/run/link").status == 0
    assert "10.22.0.2" in host.run("ip", "-n", "c1", "addr").stdout


def test_closed_and_broken_standard_input(cni: Cni) -> None:
    """Closed, empty, endless."""
    asked = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": "/run/netns/c1", "CNI_IFNAME": "eth0"}

    def run(command: str) -> bytes:
        words = ["sh", "-c", f"exec {PLUGINS}/netrt-bridge {command}"]
        done = subprocess.run(words, env=asked, capture_output=True, timeout=20, check=False)
        assert done.returncode == 1, done.stdout
        return done.stdout

    assert b'"code":5' in run("<&-")
    assert b'"code":6' in run("</dev/null")
    assert b'"code":5' in run("</dev/zero")


def test_closed_standard_output(cni: Cni) -> None:
    """Nobody hears the answer: still nothing is changed by what is refused, and nothing hangs."""
    asked = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": "/run", "CNI_IFNAME": "eth0"}
    words = ["sh", "-c", f"exec {PLUGINS}/netrt-bridge >&-"]
    done = subprocess.run(words, env=asked, input=b"{}", capture_output=True, timeout=20, check=False)
    assert done.returncode != 0


WRONG: tuple[tuple[Config, str], ...] = (
    ({"type": "../netrt-bridge"}, "field type"),
    ({"name": "../x"}, "field name"),
    ({"ipam": {"type": "../../bin/sh"}}, "field ipam.type"),
    ({"ipam": {"type": "/bin/sh"}}, "field ipam.type"),
    ({"ipam": {"type": "no-such-plugin"}}, "field ipam.type"),
    ({"ipam": {"type": "netrt-host-local"}}, "field ipam.ranges"),
    ({"bridge": "a/b"}, "field bridge"),
    ({"bridge": "x" * 16}, "field bridge"),
    ({"vlan": 100}, "field vlan"),
    ({"runtimeConfig": {"portMappings": [{"hostPort": 70000, "containerPort": 80}]}}, "portMappings[0].hostPort"),
    ({"runtimeConfig": {"mac": "01:00:5e:00:00:01"}}, "runtimeConfig.mac"),
    ({"runtimeConfig": {"bandwidth": {"ingressRate": 1}}}, "runtimeConfig.bandwidth"),
)
"""Fields of netrt-bridge's configuration, and what is said of them."""


def test_a_field_that_is_wrong(cni: Cni) -> None:
    for wrong, words in WRONG:
        error = soon(cni, {"cniVersion": "1.1.0", "name": "mynet", **bridge(), **wrong}, plugin="netrt-bridge")
        assert error["code"] in (2, 6, 7)
        assert words in error["msg"]


def test_a_gateway_and_a_subnet_that_take_what_a_container_holds(cni: Cni) -> None:
    for wrong in ({"subnet": "10.22.0.0/16", "gateway": "10.22.0.2"}, {"subnet": "10.22.0.0/24"}):
        ipam = {"type": "netrt-host-local", **wrong}
        error = soon(cni, {"cniVersion": "1.1.0", "name": "mynet", **bridge(ipam=ipam)})
        assert error["code"] == 102
        assert "c0 holds" in error["msg"], error


def test_resolv_conf_that_is_none(cni: Cni) -> None:
    os.mkfifo("/run/fifo")
    for path in ("/run/fifo", "/dev/zero", "/run", "/run/none", "x\0y", 7):
        ipam = {"type": "netrt-host-local", "subnet": "10.22.0.0/16", "resolvConf": path}
        error = soon(cni, {"cniVersion": "1.1.0", "name": "mynet", **bridge(ipam=ipam)})
        assert error["code"] in (6, 7)
        assert "resolvConf" in error["msg"]


def test_what_is_not_for_this_version(cni: Cni, host: Host) -> None:
    for version, verb in (("0.3.1", "CHECK"), ("1.0.0", "GC"), ("1.0.0", "STATUS")):
        error = soon(cni, cni.request(network(version=version), bridge(), {}, None), verb)
        assert error["code"] == 1
        assert verb in error["msg"]
        assert error["cniVersion"] == version


def test_check_of_what_is_not_there(cni: Cni, host: Host) -> None:
    request = cni.request(network(), bridge(), {}, {"cniVersion": "1.1.0", "ips": []})
    assert soon(cni, request, "CHECK")["code"] == 3
    without = cni.request(network(), bridge(), {}, None)
    error = soon(cni, without, "CHECK", container="c0", netns="/run/netns/c0")
    assert "prevResult" in error["msg"]


def test_a_container_of_two_names(cni: Cni) -> None:
    """One namespace, two container ids."""
    error = soon(
        cni, cni.request(network(), bridge(), {}, None), container="other", netns="/run/netns/c0", ifname="eth9"
    )
    assert error["code"] == 101
    assert "c0" in error["msg"]
