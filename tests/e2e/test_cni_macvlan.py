"""netrt-macvlan: containers of a runtime on the LAN, by the reference plugin's configuration."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cni import PORTMAP, Cni, Config, network, port
from tests.command import Netrt
from tests.dhcpserver import Manner, Server
from tests.e2e.conftest import OUTSIDE4, OUTSIDE6
from tests.host import Host
from tests.snapshot import differences, snapshot
from tests.traffic import BRIEF, Place, seen

pytestmark = pytest.mark.root

IPAM: Config = {
    "type": "netrt-host-local",
    "ranges": [
        [{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100", "gateway": OUTSIDE4}],
        [{"subnet": "2001:db8::/64", "rangeStart": "2001:db8::100", "gateway": OUTSIDE6}],
    ],
    "routes": [{"dst": "0.0.0.0/0"}],
}


def macvlan(**more: Any) -> Config:
    return {"type": "netrt-macvlan", "master": "uplink", "ipam": IPAM, **more}


@pytest.fixture
def cni(host: Host, netrt: Netrt) -> Cni:
    host.outside()
    return Cni(host, netrt=netrt)


def test_on_the_lan(cni: Cni, host: Host, netrt: Netrt) -> None:
    cni.left_broken()
    lan, outside = network(macvlan()), Place(host, "/run/netns/outside")
    cni.add(lan, cni.container("c1")).delete()
    before = snapshot(host)
    one = cni.add(lan, cni.container("c2"))
    two = cni.add(lan, cni.container("c3"))
    assert one.addresses == ["192.0.2.101", "2001:db8::101"]
    (inner,) = one.result["interfaces"]
    assert (inner["name"], inner["sandbox"]) == ("eth0", one.container.path)
    assert one.result["routes"] == [{"dst": "0.0.0.0/0"}]
    assert f"default via {OUTSIDE4} dev eth0" in host.run("ip", "-n", "c2", "route").stdout
    with one.container.tcp(80) as server:
        assert seen(outside, one.ip4, 80, server) == OUTSIDE4
        assert seen(outside, one.ip6, 80, server) == OUTSIDE6
        assert seen(two.container, one.ip4, 80, server) == two.ip4
        assert not seen(Place(host), one.ip4, 80, server, patience=BRIEF), "as with the reference plugin"
    one.check()
    host.run("ip", "-n", "c2", "addr", "del", "192.0.2.101/24", "dev", "eth0")
    assert "192.0.2.101/24" in one.complaint()
    one.delete()
    two.delete()
    after = snapshot(host)
    assert not differences({"links ": before["links "]}, {"links ": after["links "]})
    assert "c2" not in netrt.names()


def test_without_a_master_it_is_that_of_the_default_route(cni: Cni, host: Host) -> None:
    made = cni.add(network(macvlan(master="", mtu=1400, mac="02:00:00:00:00:55")), cni.container("c1"))
    (shown,) = json.loads(host.run("ip", "-n", "c1", "-j", "-d", "link", "show", "eth0").stdout)
    assert (shown["mtu"], shown["address"]) == (1400, "02:00:00:00:00:55")
    assert shown["linkinfo"]["info_data"]["mode"] == "bridge"
    with made.container.tcp(80) as server:
        assert seen(Place(host, "/run/netns/outside"), made.ip4, 80, server) == OUTSIDE4


def test_private_containers_do_not_meet(cni: Cni, host: Host) -> None:
    lan = network(macvlan(mode="private"))
    one, two = cni.add(lan, cni.container("c1")), cni.add(lan, cni.container("c2"))
    with one.container.tcp(80) as server:
        assert not seen(two.container, one.ip4, 80, server, patience=BRIEF)
        assert seen(Place(host, "/run/netns/outside"), one.ip4, 80, server) == OUTSIDE4


def test_after_a_namespace_is_gone(cni: Cni, host: Host, netrt: Netrt) -> None:
    made = cni.add(network(macvlan()), cni.container("c1"))
    host.run("ip", "netns", "del", "c1")
    made.delete()
    assert "c1" not in netrt.names()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"master": "none"}, "none"),
        ({"master": "a/b"}, "field master"),
        ({"mode": "x"}, "field mode"),
        ({"mtu": 7}, "field mtu"),
        ({"linkInContainer": True}, "field linkInContainer: true"),
        ({"mac": "x"}, "field mac"),
        ({"master": "lo"}, "lo"),
        ({"runtimeConfig": {"portMappings": [port(80, 80)]}}, "portMappings"),
    ],
)
def test_what_cannot_be_had(cni: Cni, host: Host, wrong: Config, words: str) -> None:
    cni.container("c1")
    before = snapshot(host)
    error = cni.execute("ADD", {"cniVersion": "1.0.0", "name": "x", **macvlan(**wrong)}).error
    assert error["code"] in (2, 7, 104)
    assert words in error["msg"]
    assert not differences(before, snapshot(host))


def test_by_the_dhcp_server_of_the_lan(cni: Cni, host: Host, netrt: Netrt) -> None:
    """ADD yields what the server said, DEL gives it back, also of a namespace that is gone."""
    host.run("ip", "-n", "outside", "addr", "add", "10.77.0.1/24", "dev", "eth0")
    outside = Place(host, "/run/netns/outside")
    says = [("router", "10.77.0.1"), ("name_server", "10.77.0.1"), ("lease_time", 600)]
    by_dhcp = network(macvlan(ipam={"type": "netrt-dhcp"}))
    with closing(Server(outside, "eth0", Manner(gives=["10.77.0.10", "10.77.0.11"], says=says))) as server:
        made = cni.add(by_dhcp, cni.container("c1"))
        assert made.addresses == ["10.77.0.10"]
        assert made.result["ips"][0]["gateway"] == "10.77.0.1"
        assert made.result["routes"] == [{"dst": "0.0.0.0/0", "gw": "10.77.0.1"}]
        assert made.result["dns"] == {"nameservers": ["10.77.0.1"]}
        with made.container.tcp(80) as listener:
            assert seen(outside, made.ip4, 80, listener) == "10.77.0.1"
        made.check()
        made.delete()
        server.until("release", own="10.77.0.10")
        other = cni.add(by_dhcp, cni.container("c2"))
        host.run("ip", "netns", "del", "c2")
        other.delete()
        server.until("release", own="10.77.0.11")
        server.manner.deaf = "all"
        Path("/etc/netrt/netrt.toml").write_text("[dhcp]\nwait = 1\n")
        netrt("daemon", "stop")
        error = cni.try_add(by_dhcp, cni.container("c3")).error
        assert "no DHCP server answered within 1 s" in error["msg"]
        assert "c3" not in netrt.names("-a")
    bridge = {"type": "netrt-bridge", "ipam": {"type": "netrt-dhcp"}}
    assert "netrt-dhcp is for netrt-macvlan" in cni.try_add(network(bridge), cni.container("c4")).error["msg"]


def test_ports_need_a_bridge(cni: Cni) -> None:
    error = cni.try_add(network(macvlan(), PORTMAP), cni.container("c1"), portMappings=[port(8080, 80)]).error
    assert error["code"] == 7
    assert "8080" in error["msg"] or "port" in error["msg"]
