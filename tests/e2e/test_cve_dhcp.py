"""The ways in which others' container networks were broken, tried from a LAN: by its DHCP server, and by containers that are
neighbours of the host there. Numbers S1 to S25 as in `test_cve`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6NDOptPrefixInfo, IPv6
from scapy.layers.l2 import Ether

from netrt.paths import Paths
from tests.command import Netrt
from tests.dhcpserver import Manner, Server
from tests.e2e.conftest import HOST4
from tests.host import Host
from tests.snapshot import differences, snapshot
from tests.traffic import Place, Wire, seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root

ROUTER = "10.77.0.1"
ASKED = [("-6", "ra"), ("-6", "redirect"), ("-4", "redirect"), ("-4", "boot")]
LAN = ("network", "create", "-d", "macvlan", "-o", "parent=uplink")


# DHCP servers


@pytest.fixture
def lan(host: Host, netrt: Netrt) -> Place:
    """The LAN beyond `uplink`, `lan` on it, and a bridge network `back` with `db`."""
    there = Place(host, host.outside())
    host.run("ip", "-n", "outside", "addr", "add", f"{ROUTER}/24", "dev", "eth0")
    netrt(*LAN, "--ipam-driver", "dhcp", "-o", "host_access=true", "lan")
    netrt("network", "create", "--subnet", "10.5.0.0/24", "back")
    return there


@pytest.fixture
def server(lan: Place) -> Iterator[Server]:
    made = Server(lan, "eth0", Manner(gives=[], says=[("router", ROUTER), ("lease_time", 600)]))
    yield made
    made.close()


def ways_of(host: Host, place: Place) -> dict[str, str]:
    rows = json.loads(host.run("ip", "-n", Path(place.path).name, "-j", "route").stdout)
    return {row["dst"]: row["dev"] for row in rows}


def test_cve_2024_3661_a_dhcp_server_gets_nothing_that_is_for_other_networks(
    host: Host, netrt: Netrt, lan: Place, server: Server
) -> None:
    """TunnelVision: option 121 says that the LAN is the way to other networks of the container, or to everything."""
    db = netrt.box("db", "--network", "back")
    server.manner.gives = ["10.77.0.10"]
    router = bytes([10, 77, 0, 1])
    bad = [bytes([32, 10, 5, 0, 2]), bytes([1, 0]), bytes([1, 128]), bytes([25, 10, 5, 0, 0])]
    good = bytes([24, 203, 0, 113])
    server.manner.says = [("lease_time", 600), (121, b"".join(way + router for way in (*bad, good, b"\0")))]
    box = netrt.box("box", "--network", "lan", "--network", "name=back,gw-priority=1")
    found = ways_of(host, box)
    assert found == {"default": "eth1", "10.77.0.0/24": "eth0", "203.0.113.0/24": "eth0", "10.5.0.0/24": "eth1"}
    assert seen(box, db.ip4, 80, db.tcp(80)) == box.on("back")["IPAddress"]


def test_cve_2024_3661_nor_an_address_in_their_midst(host: Host, netrt: Netrt, lan: Place, server: Server) -> None:
    """By `host_access` the host itself would go to the LAN for it. The network's own server gives others, which are taken."""
    netrt.box("db", "--network", "back")
    host.run("ip", "link", "add", "office", "type", "bridge")
    host.run("ip", "addr", "add", "10.66.0.1/24", "dev", "office")
    before = snapshot(host)
    for address, words in (
        ("10.5.0.2", "overlaps network back"),
        ("192.0.2.1", "an address of this host"),
        ("10.66.0.9", "overlaps 10.66.0.0/24"),
    ):
        server.forget()
        server.manner.gives = [address]
        said = netrt.refused("container", "create", "--network", "lan")
        assert f"the DHCP server gave {address}/24 on network lan, which" in said
        assert words in said
        assert not differences(before, snapshot(host))
    server.forget()
    server.manner.gives = ["10.77.0.10"]
    box = netrt.box("box", "--network", "lan")
    server.forget()
    server.manner.gives, server.manner.refuses = [box.ip4, "10.5.0.2"], True
    netrt("daemon", "stop")
    netrt("ps")
    wait_until(lambda: not netrt.inspect("box")["NetworkSettings"]["Networks"]["lan"]["IPAddress"], what="a refusal")
    server.manner.refuses = False
    wait_until(lambda: "gave 10.5.0.2/24" in Path(Paths().daemon_log).read_text(), what="another lease")
    assert "inet " not in host.run("ip", "-n", Path(box.path).name, "addr", "show", "eth0").stdout


def test_cve_s24_what_a_dhcp_server_says_becomes_no_text_of_a_file(
    host: Host, netrt: Netrt, lan: Place, server: Server
) -> None:
    """S24: names, domains and search lists of a LAN are in no file; its resolvers are addresses, and none is ourselves."""
    hostile = b"evil\nnameserver 10.77.0.66\n# $(touch /run/owned)"
    server.manner.gives = ["10.77.0.10"]
    server.manner.says += [
        ("name_server", ROUTER, "127.0.0.11"), ("hostname", hostile), ("domain", hostile), (119, hostile), (252, hostile)
    ]  # fmt: skip
    netrt("run", "-d", "--name", "box", "--network", "lan", "--", "sleep", "600")
    for name in ("resolv.conf", "hosts", "hostname"):
        text = (Path(Paths().container(netrt.inspect("box")["Id"])) / name).read_text()
        assert not [word for word in ("evil", "10.77.0.66", "owned") if word in text], text
    resolver = netrt("exec", "box", "cat", "/etc/resolv.conf").splitlines()
    assert [line for line in resolver if line.startswith("nameserver")] == ["nameserver 127.0.0.11"]
    assert netrt.inspect("box")["NetworkSettings"]["Networks"]["lan"]["DHCP"]["DNS"] == [ROUTER]
    assert not Path("/run/owned").exists()


def test_cve_2020_13401_the_host_learns_nothing_of_containers_on_a_lan(host: Host, netrt: Netrt) -> None:
    """S7 where the host has a link beside them: router advertisements, and redirects, of a container."""
    host.outside()
    subnets = (
        "--subnet",
        "192.0.2.0/24",
        "--gateway",
        "192.0.2.2",
        "--subnet",
        "2001:db8::/64",
        "--gateway",
        "2001:db8::2",
    )
    netrt(*LAN, *subnets, "-o", "host_access=true", "lan")
    box = netrt.box("box", "--network", "lan")
    for name in ("all", "default", "uplink"):
        Path(f"/proc/sys/net/ipv6/conf/{name}/forwarding").write_text("0")
    before = [host.run("ip", family, "route", "show", "proto", proto).stdout for family, proto in ASKED]
    wire = Wire(box, "eth0")
    group, router = Ether(src=box.mac, dst="33:33:00:00:00:01"), IPv6(src="fe80::1", dst="ff02::1")
    told = ICMPv6ND_RA(routerlifetime=9000) / ICMPv6NDOptPrefixInfo(prefix="fd66::", prefixlen=64)
    (shim,) = json.loads(host.run("ip", "-j", "link", "show", "type", "macvlan").stdout)
    to_host = Ether(src=box.mac, dst=shim["address"]) / IP(src="192.0.2.2", dst=HOST4)
    about = IP(src=HOST4, dst="198.51.100.7") / ICMP()
    for _ in range(5):
        wire.send(group / router / told, to_host / ICMP(type=5, code=1, gw=box.ip4) / about)
    wire.close()
    assert seen(box, HOST4, 7000, Place(host).tcp(7000)) == box.ip4, "what came later has arrived"
    assert [host.run("ip", family, "route", "show", "proto", proto).stdout for family, proto in ASKED] == before
    assert "fd66" not in host.run("ip", "-6", "addr").stdout
    assert "192.0.2.2" in host.run("ip", "route", "get", "198.51.100.7").stdout
