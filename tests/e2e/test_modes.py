"""Where a container can be: on the default network, on none, in the host's namespace, in another's, or in one that somebody else
made; and what `ip netns` and `nsenter` see of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.command import Box, Netrt
from tests.e2e.conftest import HOST4, OUTSIDE4
from tests.host import Host
from tests.traffic import BRIEF, PATIENT, Place, seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root


def links(netrt: Netrt, container: str) -> dict[str, list[str]]:
    """The interfaces of a container and their addresses, asked from inside."""
    found = json.loads(netrt("exec", container, "ip", "-j", "addr"))
    return {link["ifname"]: [a["local"] for a in link["addr_info"]] for link in found}


def namespace(netrt: Netrt, container: str) -> str:
    return netrt("exec", container, "readlink", "/proc/self/ns/net")


def idle(netrt: Netrt, name: str, *options: str) -> dict[str, Any]:
    """A container that runs and does nothing; what `inspect` says of it."""
    netrt("run", "-d", "--name", name, *options, "--", "sleep", "1000")
    return netrt.inspect(name)


def test_the_default_network_is_made_on_first_use(host: Host, netrt: Netrt) -> None:
    outside = Place(host, host.outside())
    assert "bridge" not in host.run("ip", "-br", "link", "show", "type", "bridge").stdout
    box = netrt.box("first")
    assert list(box.networks) == ["bridge"]
    assert seen(box, OUTSIDE4, 7000, outside.tcp(7000)) == HOST4
    assert len(host.run("ip", "-br", "link", "show", "type", "bridge").stdout.splitlines()) == 1
    second = netrt.box("second", "--network", "bridge")
    assert seen(second, box.ip4, 80, box.tcp(80)) == second.ip4


def test_none_is_a_loopback_and_nothing_else(netrt: Netrt) -> None:
    idle(netrt, "alone", "--network", "none")
    assert links(netrt, "alone") == {"lo": ["127.0.0.1", "::1"]}


def test_host_is_the_host(host: Host, netrt: Netrt) -> None:
    idle(netrt, "same", "--network", "host")
    assert namespace(netrt, "same") == os.readlink("/proc/self/ns/net")
    netrt("rm", "-f", "same")
    assert "lo" in host.run("ip", "-br", "link").stdout


def test_two_containers_in_one_sandbox(host: Host, netrt: Netrt) -> None:
    outside = Place(host, host.outside())
    idle(netrt, "owner", "-p", "8080:80")
    idle(netrt, "member", "--network", "container:owner")
    assert namespace(netrt, "member") == namespace(netrt, "owner")
    box = Box(host, netrt.inspect("owner"))
    server = box.tcp(80)
    assert seen(outside, HOST4, 8080, server) == OUTSIDE4
    # the owner's process ends: its port is closed, its sandbox and the member stay
    netrt("stop", "-t", "0", "owner")
    assert namespace(netrt, "member") == f"net:[{Path(box.path).stat().st_ino}]"
    assert not seen(outside, HOST4, 8080, server, BRIEF)
    assert seen(box, OUTSIDE4, 7000, outside.tcp(7000)) == HOST4
    # and starts again
    netrt("start", "owner")
    assert namespace(netrt, "owner") == namespace(netrt, "member")
    assert Box(host, netrt.inspect("owner")).ip4 == box.ip4
    assert seen(outside, HOST4, 8080, server) == OUTSIDE4


def test_the_sandbox_of_nobody(netrt: Netrt) -> None:
    assert "no container named nobody" in netrt.refused("container", "create", "--network", "container:nobody")


def test_a_namespace_of_ours_by_another_path(host: Host, netrt: Netrt) -> None:
    netrt("network", "create", "lan")
    web = netrt.box("web", "--network", "lan")
    asleep = host.spawn("ip", "netns", "exec", Path(web.path).name, "sleep", "60")
    wait_until(lambda: os.stat(f"/proc/{asleep.pid}/ns/net").st_ino == os.stat(web.path).st_ino)
    for path in (f"/var{web.path}", f"/proc/{asleep.pid}/ns/net"):
        words = netrt.refused("container", "create", "--name", "other", "--network", "none", "--netns", path)
        assert "is already that of container web" in words


def test_an_owner_with_members_is_not_removed(netrt: Netrt) -> None:
    netrt.box("owner")
    netrt("container", "create", "--name", "member", "--network", "container:owner")
    assert "member" in netrt.refused("rm", "owner")
    netrt("rm", "member")
    netrt("rm", "owner")


def test_what_others_see(host: Host, netrt: Netrt) -> None:
    box = netrt.box("web")
    name = Path(box.path).name
    assert name in host.run("ip", "netns", "list").stdout
    mine = f"{box.ip4}/"
    assert mine in host.run("ip", "netns", "exec", name, "ip", "-4", "addr", "show", "eth0").stdout
    assert mine in host.run("nsenter", f"--net={box.path}", "ip", "-4", "addr", "show", "eth0").stdout
    netrt("rm", "web")
    assert not Path(box.path).exists()
    assert name not in host.run("ip", "netns", "list").stdout


def test_a_namespace_of_somebody_else(host: Host, netrt: Netrt) -> None:
    """Adopted by path: attached, and given back as it was."""
    path = host.namespace("theirs")
    before = host.run("ip", "-n", "theirs", "-br", "addr").stdout
    netrt("network", "create", "lan")
    box = netrt.box("guest", "--netns", path, "--network", "lan", "-p", "8080:80")
    other = netrt.box("other", "--network", "lan")
    assert box.path == path
    assert seen(other, box.ip4, 80, Place(host, path).tcp(80)) == other.ip4
    netrt("rm", "guest")
    assert Path(path).exists()
    assert host.run("ip", "-n", "theirs", "-br", "addr").stdout == before
    assert host.run("ip", "netns", "exec", "theirs", "true").returncode == 0


def test_the_namespace_of_a_process(host: Host, netrt: Netrt) -> None:
    process = host.spawn("unshare", "--net", "sleep", "1000")
    own = Path(f"/proc/{process.pid}/ns/net")
    wait_until(lambda: own.readlink() != Path("/proc/self/ns/net").readlink(), PATIENT, "the process's own namespace")
    netrt("container", "create", "--name", "guest", "--pid", str(process.pid))
    inside = host.run("nsenter", f"--net={own}", "ip", "-4", "-br", "addr", "show", "eth0").stdout
    assert netrt.inspect("guest")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] in inside
    netrt("rm", "-f", "guest")
    assert process.poll() is None
    assert "eth0" not in host.run("nsenter", f"--net={own}", "ip", "-br", "link").stdout


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/proc/self/ns/mnt", "/nowhere", "/run/netns", "/dev/null", "/proc/self/ns/uts"]
)
def test_what_is_no_network_namespace_is_not_entered(netrt: Netrt, path: str) -> None:
    message = netrt.refused("container", "create", "--name", "guest", "--netns", path)
    assert path in message
    assert "guest" not in netrt.names("-a")


def test_a_process_that_is_not_there(netrt: Netrt) -> None:
    assert "4194303" in netrt.refused("container", "create", "--pid", "4194303")


def test_several_networks_in_order(host: Host, netrt: Netrt) -> None:
    """The first that leads outside gives the default route; names, order and MACs are the same after a restart."""
    for name in ("one", "two", "three"):
        netrt("network", "create", name)
    idle(netrt, "web", "--network", "two", "--network", "one")
    netrt("network", "connect", "three", "web")
    first = netrt.inspect("web")["NetworkSettings"]["Networks"]
    assert list(first) == ["two", "one", "three"]
    assert set(links(netrt, "web")) == {"lo", "eth0", "eth1", "eth2"}
    route = netrt("exec", "web", "ip", "route", "show", "default")
    assert f"via {first['two']['Gateway']} dev eth0" in route
    netrt("stop", "-t", "0", "web")
    netrt("start", "web")
    again = netrt.inspect("web")["NetworkSettings"]["Networks"]
    assert {n: (e["IPAddress"], e["MacAddress"]) for n, e in again.items()} == {
        n: (e["IPAddress"], e["MacAddress"]) for n, e in first.items()
    }
    assert list(again) == list(first)
    assert route == netrt("exec", "web", "ip", "route", "show", "default")
    # the way out moves to the next network when the first is left
    netrt("network", "disconnect", "two", "web")
    assert f"via {first['one']['Gateway']} dev eth1" in netrt("exec", "web", "ip", "route", "show", "default")
