"""How large packets are: as the way to the outside takes them, whatever that is and becomes; and smaller where it narrows."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from tests.command import Box, Netrt
from tests.e2e.conftest import HOST4, HOST6, OUTSIDE4, OUTSIDE6
from tests.host import Host
from tests.traffic import Place, conversation, family
from tests.waiting import wait_until

pytestmark = pytest.mark.root

TEN = 10 * 1000 * 1000
FAR4, FAR6 = "198.51.100.2", "2001:db8:100::2"

FRAGMENTS = """
table inet fragments {
	counter seen { }
	chain before_they_are_joined {
		type filter hook prerouting priority -450; policy accept;
		ip frag-off & 0x3fff != 0 counter name seen
		exthdr frag exists counter name seen
	}
}
"""
NO_WORD_OF_IT = """
table inet silent {
	chain output { type filter hook output priority 0; icmp type destination-unreachable drop; icmpv6 type packet-too-big drop; }
}
"""
"""A host that tells nobody that a packet was too large."""

NARROW = """\
link add narrow mtu 1280 type veth peer name eth0 mtu 1280 netns far
addr add 198.51.100.1/24 dev narrow
addr add 2001:db8:100::1/64 dev narrow nodad
link set narrow up
"""
VPN = """\
link add vpn mtu 1420 type veth peer name vpn-peer mtu 1420
addr add 10.99.0.1/24 dev vpn
link set vpn-peer up
link set vpn up
"""
FAR = """\
addr add 198.51.100.2/24 dev eth0
addr add 2001:db8:100::2/64 dev eth0 nodad
link set eth0 mtu 9000 up
route add default via 198.51.100.1
route add default via 2001:db8:100::1
"""


def watch(host: Host, *namespaces: str) -> None:
    """Count fragments that arrive in these namespaces and in the host."""
    host.run("nft", "-f", "-", input=FRAGMENTS)
    for name in namespaces:
        host.run("ip", "netns", "exec", name, "nft", "-f", "-", input=FRAGMENTS)


def fragments(host: Host, *namespaces: str) -> int:
    """How many there were."""
    found = 0
    for where in ((), *(("ip", "netns", "exec", name) for name in namespaces)):
        said = json.loads(host.run(*where, "nft", "-j", "list", "counters", "table", "inet", "fragments").stdout)
        found += sum(each["counter"]["packets"] for each in said["nftables"] if "counter" in each)
    return found


def transferred(client: Place, address: str, port: int, server: Place, server_port: int) -> tuple[int, int]:
    """Ten megabytes each way over one connection, and the size of segments that each side sends."""
    with server.tcp(server_port) as listening, client.open(family(address), socket.SOCK_STREAM) as asking:
        asking.settimeout(20)
        listening.settimeout(20)
        asking.connect((address, port))
        answering, _ = listening.accept()
        answering.settimeout(20)
        with answering:
            for sender, receiver in ((asking, answering), (answering, asking)):
                sending = threading.Thread(target=sender.sendall, args=(bytes(TEN),))
                sending.start()
                left = TEN
                while left:
                    got = len(receiver.recv(1 << 20))
                    assert got, f"{left} bytes are missing"
                    left -= got
                sending.join()
            sizes = [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) for each in (asking, answering)]
    return sizes[0], sizes[1]


def _mtu(box: Box) -> int:
    (link,) = json.loads(box.host.run("ip", "-n", box.path.rpartition("/")[2], "-j", "link", "show", "eth0").stdout)
    return int(link["mtu"])


def resize(host: Host, mtu: int) -> None:
    """The uplink takes packets of this size from now on, at both ends."""
    host.run("ip", "link", "set", "uplink", "mtu", str(mtu))
    host.run("ip", "-n", "outside", "link", "set", "eth0", "mtu", str(mtu))


def follows(box: Box, mtu: int) -> None:
    wait_until(lambda: _mtu(box) == mtu, what=f"an MTU of {mtu} in {box.name}")


def test_any_uplink(host: Host, netrt: Netrt) -> None:
    outside = Place(host, host.outside())
    watch(host, "outside")
    netrt("network", "create", "--ipv6", "app")
    netrt("network", "create", "-o", "com.docker.network.driver.mtu=1450", "given")
    web, fixed = netrt.box("web", "--network", "app", "-p", "8080:80"), netrt.box("fixed", "--network", "given")
    repairs = netrt("metrics").count("netrt_repairs_total{")
    with conversation(outside, HOST4, 8080, web, 80), conversation(web, OUTSIDE6, 81, outside, 81):
        for mtu in (1280, 9000, 1400, 1500):
            resize(host, mtu)
            follows(web, mtu)
            for there, header in ((OUTSIDE4, 52), (OUTSIDE6, 72)):
                assert transferred(web, there, 82, outside, 82) == (mtu - header, mtu - header)
            assert transferred(outside, HOST4, 8080, web, 80) == (mtu - 52, mtu - 52)
            assert transferred(outside, HOST6, 8080, web, 80) == (mtu - 72, mtu - 72)
            netrt("diff")
            assert _mtu(fixed) == 1450
    assert not fragments(host, "outside")
    assert netrt("metrics").count("netrt_repairs_total{") == repairs, "nobody broke anything"
    resize(host, 1280)
    follows(web, 1280)
    assert _mtu(netrt.box("new", "--network", "app")) == 1280
    resize(host, 1000)  # the kernel has no IPv6 on smaller links than 1280
    assert _mtu(netrt.box("newest", "--network", "app")) == 1280


def test_another_way_out(host: Host, netrt: Netrt) -> None:
    host.outside()
    netrt("network", "create", "app")
    web = netrt.box("web", "--network", "app")
    host.run("ip", "-batch", "-", input=VPN)
    for change, mtu in (
        ("route add 128.0.0.0/1 via 10.99.0.2", 1420),
        ("route del 128.0.0.0/1", 1500),
        ("route add 128.0.0.0/1 via 10.99.0.2 mtu 1300", 1300),
        ("link set vpn down", 1500),
        ("link set vpn up", 1500),
        ("route add default via 10.99.0.2 table 99", 1500),
        ("rule add from all table 99 priority 50", 1420),
        ("link set vpn mtu 1410", 1410),
        ("rule del priority 50", 1500),
        ("route replace default via 10.99.0.2", 1410),
        ("-6 route del default", 1410),
        ("route del default", 1410),
    ):
        host.run("ip", *change.split())
        follows(web, mtu)
    netrt("diff")


def test_a_smaller_hop_follows(host: Host, netrt: Netrt) -> None:
    """Both sides are told, for nothing else tells them: the host sends no word of packets that are too large."""
    host.outside()
    host.namespace("far")
    host.run("ip", "-batch", "-", input=NARROW)
    host.run("ip", "-n", "far", "-batch", "-", input=FAR)
    watch(host, "far")
    far = Place(host, "/run/netns/far")
    for number, mtu in enumerate(("", "9000")):
        options = ("-o", f"com.docker.network.driver.mtu={mtu}") if mtu else ()
        netrt("network", "create", "--ipv6", *options, f"net{number}")
        web = netrt.box(f"web{number}", "--network", f"net{number}", "-p", f"808{number}:80")
        assert _mtu(web) == int(mtu or 1500)
        if not number:
            host.run("nft", "-f", "-", input=NO_WORD_OF_IT)
        for way, header in (
            ((web, FAR4, 82, far, 82), 52),
            ((web, FAR6, 82, far, 82), 72),
            ((far, "198.51.100.1", 8080 + number, web, 80), 52),
            ((far, "2001:db8:100::1", 8080 + number, web, 80), 72),
        ):
            assert transferred(*way) == (1280 - header, 1280 - header)
    assert not fragments(host, "far")


def test_a_parent(host: Host, netrt: Netrt) -> None:
    host.outside()
    netrt("network", "create", "-d", "macvlan", "-o", "parent=uplink", "--subnet", "192.0.2.0/24", "lan")
    box = netrt.box("box", "--network", "lan")
    for mtu in (1400, 9000, 1500):
        resize(host, mtu)
        follows(box, mtu)
