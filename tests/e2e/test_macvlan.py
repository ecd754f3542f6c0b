"""macvlan networks, by packets: containers on a LAN beyond a link of the host (here a veth pair), with a gateway that is not the
host."""

from __future__ import annotations

import json
import select
import socket
from pathlib import Path

import pytest

from tests.asking import Asker
from tests.command import Box, Netrt
from tests.e2e.conftest import HOST4, HOST6, OUTSIDE4, OUTSIDE6
from tests.host import Host
from tests.kernel.lab import answering, nothing_arrives
from tests.snapshot import differences, snapshot
from tests.traffic import Place, Wire, seen

pytestmark = pytest.mark.root

LAN = ("--subnet", "192.0.2.0/24", "--gateway", OUTSIDE4, "--subnet", "2001:db8::/64", "--gateway", OUTSIDE6)
RTMGRP_LINK = 1
FAR4, FAR6 = "198.51.100.7", "2001:db8:7::7"


@pytest.fixture
def lan(host: Host) -> Place:
    """The LAN beyond `uplink`; its only other inhabitant is a router that has FAR4 and FAR6 behind it."""
    there = Place(host, host.outside())
    for address in (f"{FAR4}/32", f"{FAR6}/128"):
        host.run("ip", "-n", "outside", "addr", "add", address, "dev", "lo")
    return there


def create(netrt: Netrt, *options: str, driver: str = "macvlan", name: str = "lan", parent: str = "uplink") -> None:
    netrt("network", "create", "-d", driver, "-o", f"parent={parent}", *options, name)


def inner(host: Host, box: Box, ifname: str = "eth0") -> dict[str, object]:
    name = Path(box.path).name
    (link,) = json.loads(host.run("ip", "-n", name, "-j", "-d", "link", "show", ifname).stdout)
    return dict(link)


def test_on_the_lan_in_both_families(host: Host, netrt: Netrt, lan: Place) -> None:
    create(netrt, *LAN)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE) as announced:
        announced.bind((0, RTMGRP_LINK))
        box, peer = netrt.box("box", "--network", "lan"), netrt.box("peer", "--network", "lan")
        host.run("ip", "link", "set", "uplink", "alias", "heard")
        said = b"".join(iter(lambda: announced.recv(65536) if select.select([announced], [], [], 0)[0] else b"", b""))
    assert b"heard" in said
    assert b"macvlan" not in said, "the host never saw it: it is born inside"
    assert box.ip4.startswith("192.0.2.")
    assert box.ip6.startswith("2001:db8::")
    for near, far in ((OUTSIDE4, FAR4), (OUTSIDE6, FAR6)):
        assert seen(box, near, 7000, lan.tcp(7000)) in (box.ip4, box.ip6)
        assert seen(box, far, 7001, lan.tcp(7001)) in (box.ip4, box.ip6), "by its gateway, which is not the host"
    for own in (box.ip4, box.ip6):
        assert seen(lan, own, 80, box.tcp(80)) in (OUTSIDE4, OUTSIDE6), "reached at its own address"
        assert seen(peer, own, 81, box.tcp(81)) in (peer.ip4, peer.ip6)
    link = inner(host, box)
    assert link["linkinfo"]["info_kind"] == "macvlan"  # type: ignore[index]
    assert link["linkinfo"]["info_data"]["mode"] == "bridge"  # type: ignore[index]
    assert link["address"] == box.mac
    netrt("rm", "box")
    assert not seen(lan, box.ip4, 80, peer.tcp(80), 0.3)


def test_the_host_is_not_among_the_neighbours(host: Host, netrt: Netrt, lan: Place) -> None:
    create(netrt, *LAN)
    box, here = netrt.box("box", "--network", "lan"), Place(host)
    nothing_arrives(
        (box, HOST4, 7000, here.tcp(7000)),
        (box, HOST6, 7001, here.tcp(7001)),
        (here, box.ip4, 80, box.tcp(80)),
        (here, box.ip6, 81, box.tcp(81)),
    )


def test_names_where_the_host_has_no_address(host: Host, netrt: Netrt, lan: Place) -> None:
    create(netrt, *LAN)
    box = Asker(host, netrt.box("box", "--network", "lan").path)
    peer = netrt.box("peer", "--network", "lan", "--alias", "store")
    assert box.looked_up("store.lan") == [peer.ip4]
    assert box.looked_up("peer", "AAAA", tcp=True) == [peer.ip6]


def test_nobody_gets_an_address_of_the_host_or_the_gateway(netrt: Netrt, lan: Place) -> None:
    create(netrt, "--subnet", "192.0.2.0/29", "--gateway", OUTSIDE4)
    given = [netrt.box(f"box{number}", "--network", "lan").ip4 for number in range(4)]
    assert given == [f"192.0.2.{number}" for number in (3, 4, 5, 6)]
    assert "host" in netrt.refused("container", "create", "--network", "lan", "--ip", HOST4)


def test_nobody_gets_an_address_that_the_host_has_since_then(host: Host, netrt: Netrt, lan: Place) -> None:
    create(netrt, *LAN, "--ip-range", "192.0.2.128/25", "--ip-range", "2001:db8::80/121")
    for address in ("192.0.2.128/24", "2001:db8::80/64", "2001:db8::81/64"):
        host.run("ip", "addr", "add", address, "dev", "uplink")
    box = netrt.box("box", "--network", "lan")
    assert (box.ip4, box.ip6) == ("192.0.2.129", "2001:db8::82")
    for option, address in (("--ip", "192.0.2.128"), ("--ip6", "2001:db8::81")):
        refused = netrt.refused("container", "create", "--network", "lan", option, address)
        assert f"{address} is an address of this host" in refused
    host.run("ip", "addr", "del", "192.0.2.128/24", "dev", "uplink")
    assert netrt.box("more", "--network", "lan").ip4 == "192.0.2.128"


def test_an_attach_is_announced(host: Host, netrt: Netrt, lan: Place) -> None:
    """By a gratuitous ARP and an unsolicited neighbour advertisement: the LAN forgets who had the address before."""
    create(netrt, *LAN)
    for number, family in enumerate(("4", "6")):
        old = "02:00:00:00:00:99"
        address = ("192.0.2.77", "2001:db8::77")[number]
        host.run("ip", "-n", "outside", "neigh", "add", address, "lladdr", old, "dev", "eth0", "nud", "reachable")
        assert old in host.run("ip", "-n", "outside", f"-{family}", "neigh", "show", address).stdout
    wire = Wire(lan, "eth0")
    box = netrt.box("box", "--network", "lan", "--ip", "192.0.2.77", "--ip6", "2001:db8::77")
    mac = bytes.fromhex(box.mac.replace(":", ""))
    arp = socket.inet_aton("192.0.2.77")
    heard = wire.heard_until(
        lambda frame: frame[6:12] == mac and frame[12:14] == b"\x86\xdd" and frame[54:55] == b"\x88"
    )
    assert any(f[12:14] == b"\x08\x06" and f[:6] == b"\xff" * 6 and f[28:32] == f[38:42] == arp for f in heard)
    wire.close()
    for family, address in (("-4", box.ip4), ("-6", box.ip6)):
        assert box.mac in host.run("ip", "-n", "outside", family, "neigh", "show", address).stdout


def test_addresses_are_usable_at_once(host: Host, netrt: Netrt, lan: Place) -> None:
    create(netrt, *LAN)
    box = netrt.box("box", "--network", "lan")
    box.udp(5000, box.ip6).close()
    shown = host.run("ip", "-n", Path(box.path).name, "-6", "addr", "show", "tentative").stdout
    assert box.ip6 not in shown


@pytest.mark.parametrize("mode", ["private", "vepa"])
def test_modes_in_which_neighbours_do_not_meet(host: Host, netrt: Netrt, lan: Place, mode: str) -> None:
    """private: never; vepa: only by way of a switch that sends back, which this LAN's is not."""
    create(netrt, *LAN, "-o", f"macvlan_mode={mode}")
    box, peer = netrt.box("box", "--network", "lan"), netrt.box("peer", "--network", "lan")
    assert inner(host, box)["linkinfo"]["info_data"]["mode"] == mode  # type: ignore[index]
    nothing_arrives((box, peer.ip4, 80, peer.tcp(80)), (box, peer.ip6, 81, peer.tcp(81)))
    assert seen(box, OUTSIDE4, 7000, lan.tcp(7000)) == box.ip4


def test_passthru_gives_the_parent_to_one(host: Host, netrt: Netrt, lan: Place) -> None:
    create(netrt, *LAN, "-o", "macvlan_mode=passthru")
    before = snapshot(host)
    box = netrt.box("box", "--network", "lan")
    assert box.mac == Path("/sys/class/net/uplink/address").read_text().strip()
    assert seen(box, OUTSIDE4, 7000, lan.tcp(7000)) == box.ip4
    assert "box" in netrt.refused("container", "create", "--network", "lan")
    netrt("rm", "box")
    assert not differences(before, snapshot(host))


def test_connect_and_disconnect_while_running(host: Host, netrt: Netrt, lan: Place) -> None:
    create(netrt, *LAN)
    netrt("network", "create", "back")
    before = snapshot(host)
    netrt("run", "-d", "--name", "box", "--network", "back", "--", "sleep", "1000")
    netrt("network", "connect", "lan", "box")
    box = Box(host, netrt.inspect("box"))
    own = str(box.on("lan")["IPAddress"])
    assert seen(lan, own, 80, box.tcp(80)) == OUTSIDE4
    assert inner(host, box, "eth1")["linkinfo"]["info_kind"] == "macvlan"  # type: ignore[index]
    netrt("network", "disconnect", "lan", "box")
    assert "eth1" not in host.run("ip", "-n", Path(box.path).name, "-br", "link").stdout
    netrt("network", "connect", "lan", "box")
    netrt("rm", "-f", "box")
    assert not differences(before, snapshot(host))


def test_a_namespace_of_somebody_else(host: Host, netrt: Netrt, lan: Place) -> None:
    path = host.namespace("theirs")
    create(netrt, *LAN)
    before = snapshot(host)
    box = netrt.box("guest", "--netns", path, "--network", "lan")
    assert seen(lan, box.ip4, 80, Place(host, path).tcp(80)) == OUTSIDE4
    netrt("rm", "guest")
    assert not differences(before, snapshot(host))


def test_the_mtu_is_the_parents(host: Host, netrt: Netrt, lan: Place) -> None:
    host.run("ip", "link", "set", "uplink", "mtu", "1400")
    create(netrt, *LAN)
    assert inner(host, netrt.box("box", "--network", "lan"))["mtu"] == 1400
    host.run("ip", "link", "set", "uplink", "mtu", "9000")
    assert inner(host, netrt.box("jumbo", "--network", "lan"))["mtu"] == 9000
    host.run("ip", "link", "set", "uplink", "mtu", "1300")
    create(netrt, "--subnet", "10.9.0.0/24", "-o", "com.docker.network.driver.mtu=1500", name="small")
    assert inner(host, netrt.box("least", "--network", "small"))["mtu"] == 1300


def test_an_internal_network_has_no_gateway(host: Host, netrt: Netrt, lan: Place) -> None:
    create(netrt, *LAN, "--internal")
    box = netrt.box("box", "--network", "lan")
    assert not host.run("ip", "-n", Path(box.path).name, "route", "show", "default").stdout
    assert seen(box, OUTSIDE4, 7000, lan.tcp(7000)) == box.ip4


# host access


def test_host_access(host: Host, netrt: Netrt, lan: Place) -> None:
    """Host and containers reach each other at their own addresses, in both families; the LAN does not learn of it, and with the
    last container all of it is gone."""
    create(netrt, *LAN, "-o", "host_access=true")
    before, here = snapshot(host), Place(host)
    box, peer = netrt.box("box", "--network", "lan"), netrt.box("peer", "--network", "lan")
    for own, mine in ((HOST4, box.ip4), (HOST6, box.ip6)):
        assert seen(box, own, 7000, here.tcp(7000)) == mine
        assert seen(here, mine, 80, box.tcp(80)) == own
    uplink = Path("/sys/class/net/uplink/address").read_text().strip()
    host.run("ip", "-n", "outside", "neigh", "flush", "dev", "eth0")
    assert answering((lan, HOST4), (lan, HOST6)) == {HOST4, HOST6}
    for family, address in (("-4", HOST4), ("-6", HOST6)):
        assert uplink in host.run("ip", "-n", "outside", family, "neigh", "show", address).stdout
    routes = host.run("ip", "route", "show", "proto", "78").stdout
    assert box.ip4 in routes
    assert peer.ip4 in routes
    netrt("rm", "box")
    assert box.ip4 not in host.run("ip", "route", "show", "proto", "78").stdout
    assert seen(here, peer.ip4, 80, peer.tcp(80)) == HOST4, "what others have stays"
    netrt("rm", "peer")
    assert not differences(before, snapshot(host))
    assert seen(lan, HOST4, 7000, here.tcp(7000)) == OUTSIDE4


@pytest.mark.parametrize("strict", ["0", "1", "2"])
def test_host_access_with_reverse_path_filters(host: Host, netrt: Netrt, lan: Place, strict: str) -> None:
    for name in ("all", "default"):
        Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text(strict)
    create(netrt, *LAN, "-o", "host_access=true")
    box, here = netrt.box("box", "--network", "lan"), Place(host)
    assert seen(box, HOST4, 7000, here.tcp(7000)) == box.ip4
    assert seen(here, box.ip4, 80, box.tcp(80)) == HOST4


# repair


def test_what_was_taken_away_comes_back(host: Host, netrt: Netrt, lan: Place) -> None:
    create(netrt, *LAN, "-o", "host_access=true")
    box = netrt.box("box", "--network", "lan")
    before = snapshot(host)
    netrt("daemon", "stop")
    for where in (("-n", Path(box.path).name), ()):
        for link in json.loads(host.run("ip", *where, "-j", "-d", "link", "show", "type", "macvlan").stdout):
            host.run("ip", *where, "link", "delete", link["ifname"])
    netrt("ps")
    assert not differences(before, snapshot(host))
    assert seen(lan, box.ip4, 80, box.tcp(80)) == OUTSIDE4
    assert seen(Place(host), box.ip4, 81, box.tcp(81)) == HOST4


def test_a_parent_that_is_away_is_waited_for(host: Host, netrt: Netrt, lan: Place) -> None:
    host.run("ip", "link", "add", "card", "type", "veth", "peer", "name", "far", "netns", "outside")
    create(netrt, "--subnet", "10.9.0.0/24", parent="card", name="away")
    box = netrt.box("box", "--network", "away")
    netrt("daemon", "stop")
    host.run("ip", "link", "delete", "card")
    assert "box" in netrt.names("-a")
    assert "card" in netrt.refused("container", "create", "--name", "other", "--network", "away")
    netrt("daemon", "stop")
    host.run("ip", "link", "add", "card", "up", "type", "veth", "peer", "name", "far", "netns", "outside")
    for words in (("addr", "add", "10.9.0.1/24", "dev", "far"), ("link", "set", "far", "up")):
        host.run("ip", "-n", "outside", *words)
    netrt("ps", "-a")
    assert seen(lan, box.ip4, 80, box.tcp(80)) == "10.9.0.1"


# refused


def dressed(host: Host, device: str, *, wireless: bool = False, vendor: str = "") -> None:
    """Signs of a device that cannot be had here, where the kernel shows them: /sys, bound over for this host alone."""
    signs = Path("/run/class")
    (signs / "net" / device / ("phy80211" if wireless else "device")).mkdir(parents=True)
    (signs / "dmi/id").mkdir(parents=True)
    (signs / "dmi/id/sys_vendor").write_text(f"{vendor}\n")
    host.run("mount", "--bind", str(signs), "/sys/class")


def test_parents_that_cannot_be(host: Host, netrt: Netrt, lan: Place) -> None:
    host.run("ip", "link", "add", "br0", "type", "bridge")
    host.run("ip", "link", "add", "port0", "master", "br0", "type", "veth", "peer", "name", "port1")
    host.run("ip", "link", "add", "child", "link", "port1", "type", "macvlan")
    host.run("ip", "tuntap", "add", "tun0", "mode", "tun")
    netrt("network", "create", "-o", "com.docker.network.bridge.name=ours0", "ours")
    create(netrt, *LAN, name="first")
    before = snapshot(host)
    cases = {
        (): ("parent",),
        ("-o", "parent=eth9"): ("eth9", "no interface"),
        ("-o", "parent=uplink.50"): ("uplink.50", "vlan id 50"),
        ("-o", "parent=port0"): ("port0", "port of br0", "use br0"),
        ("-o", "parent=lo"): ("lo", "no Ethernet"),
        ("-o", "parent=tun0"): ("tun0", "no Ethernet"),
        ("-o", "parent=child"): ("child", "macvlan"),
        ("-o", "parent=ours0"): ("ours0", "netrt's own"),
        ("-o", "parent=uplink", "-o", "macvlan_mode=vepa"): ("uplink", "first", "bridge", "one mode"),
        ("-o", "parent=port1", "-o", "macvlan_mode=fast"): ("fast", "passthru"),
        ("-o", "parent=port1", "-o", "macvlan_mode=vepa", "-o", "host_access=true"): ("host_access", "vepa"),
        ("-o", "parent=port1", "-o", "com.docker.network.bridge.name=x"): ("bridge.name", "macvlan_mode"),
    }
    for options, parts in cases.items():
        message = netrt.refused("network", "create", "-d", "macvlan", "--subnet", "10.9.0.0/24", *options, "new")
        assert not [part for part in parts if part not in message], message
    assert "first" in netrt.refused("network", "create", "-d", "macvlan", "-o", "parent=uplink", *LAN, "second")
    assert "reached at their own addresses" in netrt.refused("container", "create", "--network", "first", "-p", "80:80")
    assert not differences(before, snapshot(host))


def test_ipvlan_where_the_kernel_has_it_or_not(host: Host, netrt: Netrt, lan: Place) -> None:
    has = host.run("ip", "link", "add", "probe", "link", "uplink", "type", "ipvlan", check=False).returncode == 0
    if has:
        host.run("ip", "link", "delete", "probe")
        create(netrt, *LAN, driver="ipvlan")
        box = netrt.box("box", "--network", "lan")
        assert seen(lan, box.ip4, 80, box.tcp(80)) == OUTSIDE4
        assert seen(lan, box.ip6, 81, box.tcp(81)) == OUTSIDE6
    else:
        message = netrt.refused("network", "create", "-d", "ipvlan", "-o", "parent=uplink", *LAN, "lan")
        assert "this kernel has no ipvlan devices" in message
        assert "modprobe ipvlan" in message


@pytest.mark.parametrize(
    ("sign", "words"),
    [
        ({"wireless": True}, ("Wi-Fi", "access points")),
        ({"vendor": "Amazon EC2"}, ("Amazon EC2", "any_parent=true")),
        ({"vendor": "Google"}, ("Google Cloud", "any_parent=true")),
    ],
    ids=["Wi-Fi", "Amazon", "Google"],
)
def test_parents_whose_medium_drops_other_macs(
    host: Host, netrt: Netrt, lan: Place, sign: dict[str, bool], words: tuple[str, ...]
) -> None:
    dressed(host, "uplink", **sign)  # type: ignore[arg-type]
    message = netrt.refused("network", "create", "-d", "macvlan", "-o", "parent=uplink", *LAN, "lan")
    assert not [word for word in ("uplink", *words) if word not in message], message
    if "vendor" in sign:
        create(netrt, *LAN, "-o", "any_parent=true")


def test_a_mac_that_cannot_be_chosen(netrt: Netrt, lan: Place) -> None:
    create(netrt, *LAN, "-o", "macvlan_mode=passthru")
    message = netrt.refused("container", "create", "--network", "lan", "--mac-address", "02:00:00:00:00:09")
    assert "that of its parent" in message


def test_an_interface_of_that_name_is_there(host: Host, netrt: Netrt, lan: Place) -> None:
    path = host.namespace("theirs")
    host.run("ip", "link", "add", "eth0", "netns", "theirs", "link", "uplink", "type", "macvlan", "mode", "bridge")
    create(netrt, *LAN)
    before = snapshot(host)
    assert "eth0 exists" in netrt.refused("container", "create", "--netns", path, "--network", "lan")
    assert not differences(before, snapshot(host))


def test_dry_run(netrt: Netrt, lan: Place) -> None:
    create(netrt, *LAN)
    plan = netrt("container", "create", "--dry-run", "--name", "box", "--network", "lan")
    assert "add macvlan eth0 mode bridge on uplink mac" in plan
    assert "announce 192.0.2.3/24 by eth0" in plan
    assert "box" not in netrt.names("-a")
