"""Networks on a bridge that somebody else made: used as it is, kept as it was, and waited for when its owner takes it away."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from netrt.paths import Paths
from tests.command import PROGRAM, Box, Netrt
from tests.e2e.conftest import HOST4, OUTSIDE4
from tests.host import Host
from tests.traffic import BRIEF, Place, seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root

NAME = "com.docker.network.bridge.name=br0"
BRIDGE = """\
link add br0 type bridge
link set br0 up
addr add 10.7.0.1/24 dev br0
link add vm0 address fe:54:00:12:34:56 type veth peer name eth0 netns vm
link set vm0 up master br0
"""
GUEST = "addr add 10.7.0.9/24 dev eth0\nlink set eth0 up\nroute add default via 10.7.0.1\n"


@dataclass(frozen=True, kw_only=True)
class Yard:
    """`br0` is somebody else's, with `vm` on it (10.7.0.9) and the host at 10.7.0.1; `outside` is beyond the uplink."""

    host: Host
    netrt: Netrt
    vm: Place
    here: Place
    outside: Place

    def bridge(self) -> dict[str, Any]:
        """All of the bridge that its owner could miss: MAC, MTU, addresses, settings."""
        (link,) = json.loads(self.host.run("ip", "-j", "-d", "addr", "show", "br0").stdout)
        kept = {"mac": link["address"], "mtu": link["mtu"], "up": "UP" in link["flags"]}
        kept["addresses"] = sorted(each["local"] for each in link["addr_info"] if each["scope"] != "link")
        settings = link["linkinfo"]["info_data"].items()
        kept["bridge"] = {key: value for key, value in settings if "timer" not in key and key != "fdb_n_learned"}
        for family in ("ipv4", "ipv6"):
            for file in sorted(Path(f"/proc/sys/net/{family}/conf/br0").iterdir()):
                if file.name not in ("forwarding", "mc_forwarding", "stable_secret"):  # of the whole host
                    kept[f"{family} {file.name}"] = file.read_text()
        return kept

    def box(self, name: str, *options: str) -> Box:
        return self.netrt.box(name, "--network", "yard", *options)


@pytest.fixture
def yard(host: Host, netrt: Netrt) -> Yard:
    outside = host.outside()
    vm = host.namespace("vm")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")  # a host with guests is a router
    host.run("ip", "-batch", "-", input=BRIDGE)
    host.run("ip", "-n", "vm", "-batch", "-", input=GUEST)
    return Yard(host=host, netrt=netrt, vm=Place(host, vm), here=Place(host), outside=Place(host, outside))


def test_the_bridge_is_used_as_it_is_and_stays_as_it_was(yard: Yard) -> None:
    """Its subnet and its address are those of the network; containers are neighbours of who is there already."""
    before = yard.bridge()
    yard.netrt("network", "create", "-o", NAME, "yard")
    (config,) = yard.netrt.inspect("yard")["IPAM"]["Config"]
    assert (config["Subnet"], config["Gateway"]) == ("10.7.0.0/24", "10.7.0.1")
    web, db = yard.box("web", "-p", "8080:80"), yard.box("db")
    yard.netrt("network", "create", "other")
    far = yard.netrt.box("far", "--network", "other", "-p", "8090:80")
    with web.tcp(80) as server, yard.vm.tcp(81) as theirs, far.tcp(80) as distant, yard.here.tcp(82) as ours:
        assert seen(db, web.ip4, 80, server) == db.ip4
        assert seen(yard.vm, web.ip4, 80, server) == "10.7.0.9"
        assert seen(web, "10.7.0.9", 81, theirs) == web.ip4
        # published, from everywhere
        assert seen(yard.outside, HOST4, 8080, server) == OUTSIDE4
        assert seen(yard.vm, "10.7.0.1", 8080, server)
        assert seen(far, HOST4, 8080, server) == far.ip4
        assert seen(web, HOST4, 8090, distant) == web.ip4
        # who is not ours does as before
        yard.host.run("ip", "-n", "outside", "route", "add", "10.7.0.0/24", "via", HOST4)
        assert seen(yard.outside, "10.7.0.9", 81, theirs) == OUTSIDE4
        assert seen(yard.vm, "10.7.0.1", 82, ours) == "10.7.0.9"
        assert seen(yard.outside, "10.7.0.1", 82, ours) == OUTSIDE4
        # isolation of ours holds
        assert not seen(web, far.ip4, 80, distant, BRIEF)
        assert not seen(far, web.ip4, 80, server, BRIEF)
        assert not seen(yard.outside, web.ip4, 80, server, BRIEF)
        assert not seen(web, "10.7.0.1", 82, ours, BRIEF)
        with yard.outside.udp(9) as away:
            assert seen(web, OUTSIDE4, 9, away) == HOST4, "hidden behind the host"
            assert seen(yard.vm, OUTSIDE4, 9, away) == "10.7.0.9", "and this one not"
    assert json.loads(yard.netrt("diff", "--format", "json")) == {"Lacking": [], "Stray": []}
    assert yard.bridge() == before
    yard.netrt("rm", "-f", "web", "db")
    yard.netrt("network", "rm", "yard")
    assert yard.bridge() == before
    assert "vm0" in yard.host.run("ip", "link", "show", "master", "br0").stdout


def test_who_is_on_the_bridge_too_answers_by_the_network_that_was_asked(yard: Yard) -> None:
    """Published ports lead to the first network, and the bridge is no way back to who asked by the host."""
    yard.netrt("network", "create", "--subnet", "10.1.0.0/24", "front")
    yard.netrt("network", "create", "-o", NAME, "yard")
    box = yard.netrt.box("box", "--network", "front", "--network", "yard", "-p", "8080:80")
    with box.tcp(80) as server, yard.vm.tcp(81) as theirs:
        assert seen(yard.here, "10.7.0.1", 8080, server) == "10.7.0.1"
        assert seen(yard.vm, "10.7.0.1", 8080, server)
        assert seen(yard.vm, HOST4, 8080, server)
        assert seen(yard.vm, str(box.on("yard")["IPAddress"]), 80, server) == "10.7.0.9"
        assert seen(box, "10.7.0.9", 81, theirs) == box.on("yard")["IPAddress"]


def test_nobody_gets_an_address_that_the_bridge_has_since_then(yard: Yard) -> None:
    yard.netrt("network", "create", "-o", NAME, "yard")
    yard.host.run("ip", "addr", "add", "10.7.0.2/24", "dev", "br0")
    assert "10.7.0.2 is an address of this host" in yard.netrt.refused(
        "container", "create", "--network", "yard", "--ip", "10.7.0.2"
    )
    yard.netrt("network", "create", "other")
    box = yard.netrt.box("box", "--network", "other")
    yard.netrt("network", "connect", "yard", "box")
    assert yard.netrt.inspect(box.name)["NetworkSettings"]["Networks"]["yard"]["IPAddress"] == "10.7.0.3"


def test_a_gateway_that_is_lacking_comes_and_goes_with_the_network(yard: Yard) -> None:
    before = yard.bridge()
    refused = yard.netrt.refused("network", "create", "-o", NAME, "--subnet", "10.8.0.0/24", "yard")
    assert "bridge br0, which somebody else made, has no address in subnet 10.8.0.0/24" in refused
    yard.netrt("network", "create", "-o", NAME, "--subnet", "10.8.0.0/24", "--gateway", "10.8.0.1", "yard")
    assert yard.bridge()["addresses"] == ["10.7.0.1", "10.8.0.1"]
    web = yard.box("web")
    with yard.outside.udp(9) as away:
        assert seen(web, OUTSIDE4, 9, away) == HOST4
    yard.netrt("rm", "-f", "web")
    yard.netrt("network", "rm", "yard")
    assert yard.bridge() == before


def test_a_bridge_that_its_owner_takes_away_is_missed_and_used_again_when_it_is_back(yard: Yard) -> None:
    yard.netrt("network", "create", "-o", NAME, "--gateway", "10.8.0.1", "--subnet", "10.8.0.0/24", "yard")
    web, db = yard.box("web"), yard.box("db")
    log = Path(Paths().daemon_log)
    with web.tcp(80) as server, yard.outside.udp(9) as away:
        yard.host.run("ip", "link", "delete", "br0")
        wait_until(lambda: "bridge br0 is gone, which somebody else made" in log.read_text(), what="a word in the log")
        assert not Path("/sys/class/net/br0").exists(), "it is not ours to make"
        done = yard.host.run(PROGRAM, "doctor", check=False)
        assert done.returncode == 3
        assert "error: bridge: bridge br0 is gone, which somebody else made and network yard stands on" in done.stdout
        assert "no bridge br0 on this host for network yard" in yard.netrt.refused(
            "container", "create", "--name", "late", "--network", "yard"
        )
        yard.host.run("ip", "link", "add", "br0", "type", "bridge")
        yard.host.run("ip", "link", "set", "br0", "up")
        wait_until(lambda: seen(db, web.ip4, 80, server, BRIEF) == db.ip4, what="neighbours")
        assert seen(web, OUTSIDE4, 9, away) == HOST4
        assert "bridge br0, which network yard stands on, is there again" in log.read_text()
        assert json.loads(yard.netrt("diff", "--format", "json")) == {"Lacking": [], "Stray": []}
        # away while the daemon is, too
        yard.netrt("daemon", "stop")
        yard.host.run("ip", "link", "delete", "br0")
        yard.netrt("ps")
        yard.host.run("ip", "link", "add", "br0", "type", "bridge")
        yard.host.run("ip", "link", "set", "br0", "up")
        wait_until(lambda: seen(db, web.ip4, 80, server, BRIEF) == db.ip4, what="neighbours")
    yard.netrt("network", "rm", "-f", "yard")
    assert Path("/sys/class/net/br0").exists()


def test_what_is_no_bridge_of_others_is_refused(yard: Yard) -> None:
    yard.host.run("ip", "link", "add", "tap9", "type", "veth", "peer", "name", "tap8")
    other = NAME.replace("br0", "tap9")
    assert "interface tap9 exists on this host and is a veth link" in yard.netrt.refused(
        "network", "create", "-o", other, "x"
    )
    other = NAME.replace("br0", "br9")
    assert "there is no bridge br9 on this host for network x" in yard.netrt.refused(
        "network", "create", "-o", other, "-o", "existing_bridge=true", "x"
    )
    yard.netrt("network", "create", "-o", NAME, "yard")
    assert "bridge name br0 is in use by network yard" in yard.netrt.refused("network", "create", "-o", NAME, "again")


def test_namespaces_that_others_made(yard: Yard) -> None:
    """That of a process, of which nothing is below /run/netns: so are those of LXC and libvirt."""
    yard.netrt("network", "create", "-o", NAME, "yard")
    child = yard.host.spawn("unshare", "-n", "sh", "-c", "echo ready; exec cat")
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    yard.netrt("container", "create", "--name", "lxc", "--network", "yard", "--pid", str(child.pid))
    found = yard.netrt.inspect("lxc")["NetworkSettings"]["Networks"]["yard"]
    inside = Place(yard.host, f"/proc/{child.pid}/ns/net")
    with inside.tcp(80) as server:
        assert seen(yard.vm, found["IPAddress"], 80, server) == "10.7.0.9"
    assert inside.call(lambda: dict(map(reversed, socket.if_nameindex())))["eth0"]
    assert yard.netrt.refused("container", "create", "--name", "twin", "--pid", str(child.pid))
    yard.netrt("rm", "-f", "lxc")
    assert "eth0" not in inside.call(lambda: [name for _, name in socket.if_nameindex()])
    assert child.poll() is None, "nor is it ours to end"
