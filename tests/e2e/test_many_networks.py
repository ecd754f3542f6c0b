"""A container on several networks: which one is the way out, by which one it answers, what its interfaces are called."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from netrt import Client
from netrt.paths import Paths
from tests.command import Box, Netrt
from tests.e2e.conftest import HOST4, HOST6, OUTSIDE4, OUTSIDE6
from tests.host import Host
from tests.snapshot import differences, snapshot
from tests.traffic import Place, Wire, seen

pytestmark = pytest.mark.root


@pytest.fixture
def outside(host: Host, netrt: Netrt) -> Place:
    """Networks `front` and `back`, both leading there."""
    there = Place(host, host.outside())
    netrt("network", "create", "--subnet", "10.1.0.0/24", "--subnet", "fd00:1::/64", "front")
    netrt("network", "create", "--subnet", "10.2.0.0/24", "--subnet", "fd00:2::/64", "back")
    return there


def way_out(host: Host, box: Box, family: str = "-4") -> str:
    """The interface of the default route."""
    (route,) = json.loads(host.run("ip", "-n", Path(box.path).name, family, "-j", "route", "show", "default").stdout)
    return str(route["dev"])


def test_the_highest_priority_is_the_way_out(host: Host, netrt: Netrt, outside: Place) -> None:
    box = netrt.box("box", "--network", "front", "--network", "name=back,gw-priority=5", "-p", "8080:80")
    assert (way_out(host, box), way_out(host, box, "-6")) == ("eth1", "eth1")
    assert box.on("back")["GwPriority"] == 5
    server = box.tcp(80)
    assert seen(outside, HOST4, 8080, server) == OUTSIDE4
    assert seen(outside, HOST6, 8080, server) == OUTSIDE6
    netrt("network", "disconnect", "back", "box")
    assert way_out(host, box) == "eth0", "the way out moves when its network leaves"
    assert seen(outside, HOST4, 8080, server) == OUTSIDE4, "and so do the published ports"
    netrt("network", "connect", "--gw-priority", "1", "--ifname", "wan", "back", "box")
    assert (way_out(host, box), way_out(host, box, "-6")) == ("wan", "wan")
    assert seen(box, OUTSIDE4, 7000, outside.tcp(7000)) == HOST4


def test_an_equal_priority_leaves_the_first(host: Host, netrt: Netrt, outside: Place) -> None:
    box = netrt.box("box", "--network", "front", "--network", "back")
    assert way_out(host, box) == "eth0"
    low = netrt.box("low", "--network", "name=front,gw-priority=-1", "--network", "back")
    assert way_out(host, low) == "eth1"


def test_names_of_interfaces_are_chosen(host: Host, netrt: Netrt, outside: Place) -> None:
    box = netrt.box("box", "--network", "front", "--ifname", "lan0", "--network", "name=back,ifname=db0")
    links = json.loads(host.run("ip", "-n", Path(box.path).name, "-j", "link").stdout)
    assert [link["ifname"] for link in links] == ["lo", "lan0", "db0"]
    for options, words in (
        (("--ifname", "lo"), "loopback"),
        (("--ifname", "a" * 16), "1 to 15"),
        (("--ifname", "a/b"), "a/b"),
        (("--gw-priority", "99999999999"), "99999999999"),
    ):
        assert words in netrt.refused("container", "create", "--network", "front", *options)
    assert "lan0" in netrt.refused("network", "connect", "--ifname", "lan0", "bridge", "box")


def test_interfaces_are_the_same_after_each_start(host: Host, netrt: Netrt, outside: Place) -> None:
    """Names, order, MACs, addresses and the way out: 50 times after its process ended, and after what a reboot leaves."""
    host.run("ip", "link", "add", "card", "up", "type", "veth", "peer", "name", "far", "netns", "outside")
    netrt("network", "create", "-d", "macvlan", "-o", "parent=card", "--subnet", "10.9.0.0/24", "lan")
    wishes = {"back": {}, "lan": {"ifname": "wan"}, "front": {"gw_priority": 1}}
    netrt("network", "create", "more")

    def links() -> list[tuple[object, ...]]:
        found = json.loads(host.run("ip", "-n", "netrt-job", "-j", "addr").stdout)
        return [(link["ifname"], link["address"], *sorted(a["local"] for a in link["addr_info"])) for link in found]

    def ways() -> list[str]:
        return [host.run("ip", "-n", "netrt-job", *words, "route", "show", "default").stdout for words in ((), ("-6",))]

    with Client(Paths().socket) as client:
        client.create_container("job", ["sleep", "1000"], networks=wishes)
        client.connect("more", "job")
        client.start("job")
        before = links(), ways()
        assert [link[0] for link in before[0]] == ["lo", "eth0", "wan", "eth1", "eth2"]
        for _ in range(50):
            client.kill("job")
            client.start("job")
            assert links() == before[0]
        client.kill("job")
    for _ in range(2):
        netrt("daemon", "stop")
        host.run("ip", "netns", "del", "netrt-job")
        netrt("start", "job")
        assert (links(), ways()) == before
        netrt("stop", "-t", "0", "job")


@pytest.mark.parametrize("strict", ["0", "1", "2"])
def test_answers_leave_by_the_network_that_was_asked(host: Host, netrt: Netrt, outside: Place, strict: str) -> None:
    """The way out is a LAN of its own (macvlan); published ports lead to the bridge network, and so must their answers."""
    for name in ("all", "default"):
        Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text(strict)
    host.run("ip", "link", "add", "card", "up", "type", "veth", "peer", "name", "far", "netns", "outside")
    for words in (("addr", "add", "10.9.0.1/24", "dev", "far"), ("link", "set", "far", "up")):
        host.run("ip", "-n", "outside", *words)
    netrt("network", "create", "-d", "macvlan", "-o", "parent=card", "--subnet", "10.9.0.0/24", "lan")
    box = netrt.box(
        "box", "--network", "name=lan,gw-priority=1", "--network", "front", "-p", "8080:80", "-p", "53:53/udp"
    )
    assert way_out(host, box) == "eth0"
    wire = Wire(outside, "far")
    inside = str(box.on("front")["IPAddress"])
    assert seen(outside, HOST4, 8080, box.tcp(80)) == OUTSIDE4
    assert seen(outside, HOST4, 53, box.udp(53, inside)) == OUTSIDE4
    assert seen(box, "10.9.0.1", 7000, outside.tcp(7000)) == str(box.on("lan")["IPAddress"])
    # what was said from its address on `front` did not come by the LAN
    wire.socket.setblocking(False)
    frames = []
    while True:
        try:
            frames.append(wire.socket.recv(65536))
        except BlockingIOError:
            break
    wire.close()
    assert not [frame for frame in frames if frame[26:30] == socket.inet_aton(inside)]


LAN = ("--subnet", "192.0.2.0/24", "--gateway", OUTSIDE4, "--subnet", "2001:db8::/64", "--gateway", OUTSIDE6)


@pytest.mark.parametrize("way", ["front", "lan"])
def test_who_is_on_the_lan_is_answered_by_the_network_that_was_asked(
    host: Host, netrt: Netrt, outside: Place, way: str
) -> None:
    """A neighbour of the container asks the host instead, by a published port; the answer must not go to it directly."""
    netrt("network", "create", "-d", "macvlan", "-o", "parent=uplink", *LAN, "--ip-range", "192.0.2.128/25", "lan")
    wishes = (
        word
        for name in ("front", "back", "lan")
        for word in ("--network", f"name={name},gw-priority={int(name == way)}")
    )
    box = netrt.box("box", *wishes, "-p", "8080:80", "-p", "53:53/udp")
    for name in ("all", "default", "eth0", "eth2"):
        host.run("ip", "netns", "exec", "netrt-box", "sysctl", "-q", f"net.ipv4.conf.{name}.rp_filter=1")
    ends = ((HOST4, OUTSIDE4, "IPAddress"), (HOST6, OUTSIDE6, "GlobalIPv6Address"))
    with box.tcp(80) as server, outside.tcp(7000) as theirs:
        for asked, asking, address in ends:
            own = {name: str(box.on(name)[address]) for name in ("front", "lan")}
            with box.udp(53, own["front"]) as named:
                assert seen(outside, asked, 8080, server) == asking
                assert seen(outside, asked, 53, named) == asking
            assert seen(outside, own["lan"], 80, server) == asking, "and who asks it directly is answered so"
            assert seen(box, asking, 7000, theirs) == own["lan"], "and it asks neighbours itself, as before"
            assert seen(box, asking, 7000, theirs, source=own["front"]) == asked
        assert json.loads(netrt("diff", "--format", "json")) == {"Lacking": [], "Stray": []}
        netrt("network", "disconnect", "lan", "box")
        assert "7799" not in host.run("ip", "-n", "netrt-box", "rule").stdout
        assert seen(outside, HOST4, 8080, server) == OUTSIDE4
        netrt("network", "connect", "lan", "box")
        assert seen(outside, HOST6, 8080, server) == OUTSIDE6


@pytest.mark.parametrize("way", ["front", "back"])
def test_who_is_on_both_networks_is_asked_by_the_host(host: Host, netrt: Netrt, outside: Place, way: str) -> None:
    """A neighbour on either network uses the published port; the answer must not come around the host."""
    box = netrt.box("box", "--network", "front", "--network", "back", "-p", "8080:80")
    client = netrt.box("client", "--network", way)
    gateway = str(client.on()["Gateway"])
    assert seen(client, gateway, 8080, box.tcp(80)) == str(box.on("front")["Gateway"])


def test_routed_networks_are_answered_by(host: Host, netrt: Netrt, outside: Place) -> None:
    """Both addresses of a container are reached from outside, and each answers by its own network."""
    mode = ("-o", "com.docker.network.bridge.gateway_mode_ipv4=routed")
    netrt("network", "create", "--subnet", "10.5.0.0/24", *mode, "one")
    netrt("network", "create", "--subnet", "10.6.0.0/24", *mode, "two")
    host.run("ip", "-n", "outside", "route", "add", "10.5.0.0/16", "via", HOST4)
    host.run("ip", "-n", "outside", "route", "add", "10.6.0.0/16", "via", HOST4)
    for name in ("all", "default"):
        Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text("1")
    box = netrt.box("box", "--network", "one", "--network", "two")
    server = box.tcp(80)
    for network in ("one", "two"):
        assert seen(outside, str(box.on(network)["IPAddress"]), 80, server) == OUTSIDE4


def test_connect_and_disconnect_leave_nothing(host: Host, netrt: Netrt, outside: Place) -> None:
    box = netrt.box("box", "--network", "front")
    before = snapshot(host)
    rules = host.run("ip", "-n", Path(box.path).name, "rule").stdout
    netrt("network", "connect", "back", "box")
    assert "from 10.2.0.2 lookup" in host.run("ip", "-n", Path(box.path).name, "rule").stdout
    netrt("network", "disconnect", "back", "box")
    assert host.run("ip", "-n", Path(box.path).name, "rule").stdout == rules
    assert not differences(before, snapshot(host))
