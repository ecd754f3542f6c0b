"""macvlan networks whose addresses a DHCP server of the LAN gives: dnsmasq from Debian, in the namespace beyond the parent."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.asking import Asker
from tests.command import Box, Netrt
from tests.host import Host
from tests.processes import daemon_pid, end
from tests.snapshot import differences, snapshot
from tests.traffic import PATIENT, Place, Wire, seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root

ROUTER = "10.77.0.1"
FAR = "198.51.100.7"


class Dnsmasq:
    """The DHCP and DNS server of the LAN; its table and its log."""

    def __init__(self, host: Host, *options: str) -> None:
        self.table, self.log = Path("/run/dnsmasq.leases"), Path("/run/dnsmasq.log")
        self.log.write_text("")
        words = [
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--no-ping",
            "--interface=eth0", "--bind-interfaces", "--user=root", "--pid-file", f"--log-facility={self.log}",
            "--dhcp-range=10.77.0.100,10.77.0.120,255.255.255.0,2m", "--dhcp-authoritative", "--log-dhcp",
            f"--dhcp-leasefile={self.table}", "--address=/tv.home/10.77.0.7", *options,
        ]  # fmt: skip
        self.process = host.spawn("ip", "netns", "exec", "outside", *words)
        wait_until(lambda: self.said("DHCP, IP range"), what="dnsmasq")

    def leases(self) -> dict[str, tuple[str, str]]:
        """Client identifier (as text) and host name, by address."""
        rows = [row.split() for row in self.table.read_text().splitlines() if row.startswith("1")]
        return {row[2]: (bytes.fromhex(row[4].replace(":", ""))[1:].decode(), row[3]) for row in rows}

    def said(self, what: str) -> int:
        """How many lines of its log say so."""
        return sum(what in line for line in self.log.read_text().splitlines())


@pytest.fixture
def lan(host: Host) -> Place:
    """The LAN beyond `uplink`, whose router has 10.77.0.1, and FAR behind it."""
    there = Place(host, host.outside())
    host.run("ip", "-n", "outside", "addr", "add", f"{ROUTER}/24", "dev", "eth0")
    host.run("ip", "-n", "outside", "addr", "add", f"{FAR}/32", "dev", "lo")
    return there


def create(netrt: Netrt, *options: str, name: str = "lan") -> None:
    netrt("network", "create", "-d", "macvlan", "--ipam-driver", "dhcp", "-o", "parent=uplink", *options, name)


def inner(host: Host, box: Box, *words: str) -> Any:
    """What `ip -j` says inside."""
    return json.loads(host.run("ip", "-n", Path(box.path).name, "-j", *words).stdout)


def kill(netrt: Netrt) -> None:
    """The daemon, as a crash does it."""
    end(daemon_pid(netrt))


def test_what_the_server_says_is_what_the_container_has(host: Host, netrt: Netrt, lan: Place) -> None:
    """Address, way out, routes, resolvers and MTU; by an identifier and a host name of the container's; until it leaves."""
    routes = f"--dhcp-option=121,203.0.113.0/24,10.77.0.9,0.0.0.0/0,{ROUTER}"
    server = Dnsmasq(host, "--dhcp-option=option:mtu,1400", routes)
    create(netrt)
    before, wire = snapshot(host), Wire(lan, "eth0")
    box = netrt.box("box", "--network", "lan")
    assert server.leases() == {box.ip4: (f"netrt/{box.id[:12]}/eth0", "box")}
    mac, own = bytes.fromhex(box.mac.replace(":", "")), socket.inet_aton(box.ip4)
    wire.heard_until(lambda f: f[6:14] == mac + b"\x08\x06" and f[28:32] == f[38:42] == own)  # it is announced
    wire.close()
    (link,) = inner(host, box, "addr", "show", "dev", "eth0")
    assert (link["mtu"], link["address"]) == (1400, box.mac)
    assert [(a["local"], a["prefixlen"]) for a in link["addr_info"]] == [(box.ip4, 24)], "and no IPv6"
    ways = {way["dst"]: way.get("gateway") for way in inner(host, box, "route")}
    assert ways == {"default": ROUTER, "203.0.113.0/24": "10.77.0.9", "10.77.0.0/24": None}
    assert seen(box, FAR, 7000, lan.tcp(7000)) == box.ip4
    assert seen(lan, box.ip4, 80, box.tcp(80)) == ROUTER
    asker = Asker(host, box.path)
    assert asker.looked_up("tv.home") == ["10.77.0.7"], "the LAN's resolver is asked"
    assert asker.looked_up("box") == [box.ip4]
    shown = box.on("lan")["DHCP"]
    assert (shown["ServerID"], shown["DNS"], shown["MTU"]) == (ROUTER, [ROUTER], 1400)
    (network,) = json.loads(netrt("network", "inspect", "lan"))
    assert network["IPAM"]["Driver"] == "dhcp"
    assert network["IPAM"]["Config"] == [{"Subnet": "10.77.0.0/24", "Gateway": ROUTER}]
    netrt("rm", "box")
    wait_until(lambda: not server.leases(), what="its lease is given back")
    assert not differences(before, snapshot(host))


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_lease_outlives_the_daemon(host: Host, netrt: Netrt, lan: Place, how: str) -> None:
    """The next one knows it and renews it at once; address and connections stay."""
    server = Dnsmasq(host)
    create(netrt)
    box = netrt.box("box", "--network", "lan")
    listener, client = box.tcp(80), lan.open(socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(PATIENT)
    client.connect((box.ip4, 80))
    conversation, _ = listener.accept()
    conversation.settimeout(PATIENT)
    before, asked = snapshot(host), server.said("DHCPREQUEST")
    if how == "stopped":
        netrt("daemon", "stop")
    else:
        kill(netrt)
    assert not differences(before, snapshot(host))
    assert "box" in netrt.names()
    wait_until(lambda: server.said("DHCPREQUEST") > asked, what="a renewal")
    after = wait_until(
        lambda: (now := Box(host, netrt.inspect("box"))).on()["DHCP"] != box.on()["DHCP"] and now, what="a later end"
    )
    assert after.ip4 == box.ip4
    assert after.on()["DHCP"]["ExpiresAt"] > box.on()["DHCP"]["ExpiresAt"]
    assert server.leases().keys() == {box.ip4}
    assert not server.said("DHCPRELEASE")
    assert not differences(before, snapshot(host))
    client.sendall(b"still here")
    assert conversation.recv(100) == b"still here"


def test_each_way_to_leave_gives_back(host: Host, netrt: Netrt, lan: Place) -> None:
    """Disconnected while it runs, with its network, with its process; what was refused after the lease, too."""
    server = Dnsmasq(host)
    create(netrt)
    before = snapshot(host)
    netrt("run", "-d", "--name", "job", "--network", "none", "--", "sleep", "1000")
    netrt("network", "connect", "lan", "job")
    assert len(server.leases()) == 1
    netrt("network", "disconnect", "lan", "job")
    wait_until(lambda: not server.leases(), what="disconnect")
    netrt("network", "connect", "lan", "job")
    netrt("rm", "-f", "job")
    wait_until(lambda: not server.leases(), what="rm")
    guests = host.namespace("theirs")
    host.run("ip", "-n", "theirs", "link", "add", "eth0", "type", "bridge")
    given = server.said("DHCPACK")
    assert "eth0 exists" in netrt.refused("container", "create", "--netns", guests, "--network", "lan")
    assert server.said("DHCPACK") == given + 1
    wait_until(lambda: not server.leases(), what="what was refused")
    host.run("ip", "netns", "del", "theirs")
    assert not differences(before, snapshot(host))
    netrt.box("one", "--network", "lan")
    netrt.box("two", "--network", "lan")
    assert len(server.leases()) == 2
    netrt("network", "rm", "-f", "lan")
    wait_until(lambda: not server.leases(), what="network rm -f")


def test_a_chosen_address_is_asked_for(host: Host, netrt: Netrt, lan: Place) -> None:
    server = Dnsmasq(host)
    create(netrt)
    box = netrt.box("box", "--network", "lan", "--ip", "10.77.0.117", "--mac-address", "02:00:00:00:00:42")
    assert (box.ip4, box.mac) == ("10.77.0.117", "02:00:00:00:00:42")
    assert "02:00:00:00:00:42 10.77.0.117" in server.table.read_text()
    Path("/run/site.yaml").write_text(netrt("export"))
    assert "ipam_driver: dhcp" in Path("/run/site.yaml").read_text()
    assert "0 added, 0 changed, 0 removed" in netrt("apply", "-f", "/run/site.yaml")
    before = snapshot(host)
    message = netrt.refused("container", "create", "--network", "lan", "--ip", "10.77.0.117")
    assert f"the DHCP server {ROUTER} offers 10.77.0." in message
    assert "not 10.77.0.117" in message
    assert not differences(before, snapshot(host))


def test_beside_other_networks(host: Host, netrt: Netrt, lan: Place) -> None:
    """Which way leads out, and that answers leave by the network that was asked, as with any two; the host is reached, too."""
    host.run("ip", "addr", "add", "10.77.0.3/24", "dev", "uplink")
    Dnsmasq(host)
    create(netrt, "-o", "host_access=true")
    netrt("network", "create", "--subnet", "10.5.0.0/24", "back")
    box = netrt.box("box", "--network", "back", "--network", "name=lan,gw-priority=1", "-p", "8080:80")
    address = str(box.on("lan")["IPAddress"])
    assert seen(box, FAR, 7000, lan.tcp(7000)) == address
    assert seen(lan, "192.0.2.1", 8080, box.tcp(80)) == "192.0.2.2"
    assert seen(Place(host), address, 81, box.tcp(81)) == "10.77.0.3"
    netrt("network", "disconnect", "lan", "box")
    assert seen(box, FAR, 7001, lan.tcp(7001)) == "192.0.2.1", "the way out moved"


def test_ipv6_by_the_routers_of_the_lan(host: Host, netrt: Netrt, lan: Place) -> None:
    """With --ipv6; what a router tells the container stays, whatever is mended."""
    host.run("ip", "-n", "outside", "addr", "add", "2001:db8:77::1/64", "dev", "eth0", "nodad")
    Dnsmasq(host, "--enable-ra", "--dhcp-range=2001:db8:77::,ra-only,64")
    create(netrt, "--ipv6")
    box = netrt.box("box", "--network", "lan")

    def told() -> list[str]:
        links = inner(host, box, "-6", "addr", "show", "dev", "eth0", "scope", "global")
        return [a["local"] for link in links for a in link.get("addr_info", ()) if a and not a.get("tentative")]

    (address,) = wait_until(lambda: [a for a in told() if a.startswith("2001:db8:77:")], 10, "router advertisement")
    assert seen(lan, address, 80, box.tcp(80)).startswith("2001:db8:")
    assert seen(box, "2001:db8:77::1", 7000, lan.tcp(7000)) == address
    assert "via" in host.run("ip", "-n", Path(box.path).name, "-6", "route", "show", "default").stdout
    assert not netrt("diff")
    netrt("daemon", "stop")
    netrt("ps")
    assert address in told()


def test_what_cannot_be(host: Host, netrt: Netrt, lan: Place) -> None:
    """Where no server answers, attaching says so and leaves nothing; what makes no sense is refused at once."""
    Path("/etc/netrt").mkdir(parents=True, exist_ok=True)
    Path("/etc/netrt/netrt.toml").write_text("[dhcp]\nwait = 1\n")
    create(netrt)
    netrt("run", "-d", "--name", "job", "--network", "none", "--", "sleep", "1000")
    before = snapshot(host)
    for words in (("container", "create", "--network", "lan"), ("network", "connect", "lan", "job")):
        message = netrt.refused(*words)
        assert "network lan: no DHCP server answered within 1 s" in message
        assert "the LAN of uplink" in message
    made = ("network", "create", "--ipam-driver", "dhcp")
    for words, parts in (
        ((*made, "new"), ("bridge", "DHCP", "-d macvlan")),
        ((*made, "-d", "macvlan", "-o", "parent=uplink", "--subnet", "10.9.0.0/24", "new"), ("10.9.0.0/24", "says")),
        ((*made, "-d", "macvlan", "-o", "parent=uplink", "--no-ipv4", "--ipv6", "new"), ("IPv4",)),
        (("network", "create", "--ipam-driver", "radius", "new"), ("radius", "default, dhcp")),
        (("container", "create", "--network", "lan", "--ip6", "2001:db8::9"), ("2001:db8::9", "--ipv6")),
        (("container", "create", "--network", "lan", "--ip", "10.77.0.999"), ("10.77.0.999",)),
        (("container", "create", "--network", "lan", "-p", "80:80"), ("reached at their own addresses",)),
    ):
        message = netrt.refused(*words)
        assert not [part for part in parts if part not in message], message
    assert not differences(before, snapshot(host))
