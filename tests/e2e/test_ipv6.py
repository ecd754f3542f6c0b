"""IPv6 in earnest: at once, off where it is not wanted, and in a subnet that is shared with the outside."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from netrt import Client
from netrt.firewall.nat import FROM_LOOPBACK6
from netrt.paths import Paths
from tests.command import PROGRAM, Netrt
from tests.e2e.conftest import HOST4, HOST6, OUTSIDE6
from tests.host import Host
from tests.namespaces import inhabitants
from tests.snapshot import differences, snapshot
from tests.traffic import BRIEF, Place, conversation, seen

pytestmark = pytest.mark.root

ETH_P_IPV6 = 0x86DD
PART = "2001:db8:0:0:1::/80"
"""A part of the uplink's 2001:db8::/64."""


def test_addresses_can_be_bound_at_once(host: Host, netrt: Netrt) -> None:
    """100 of 100, by whoever gets the answer that the container is there, and from the host they can be reached at once, too."""
    netrt("network", "create", "--ipv6", "app")
    with Client(Paths().socket) as client:
        for number in range(100):
            client.create_container(f"box{number}", networks=["app"])
            found = client.container(f"box{number}")["NetworkSettings"]
            box = Place(host, found["SandboxKey"])
            with contextlib.closing(box.tcp(80, found["Networks"]["app"]["GlobalIPv6Address"])) as server:
                assert number % 10 or seen(Place(host), server.getsockname()[0], 80, server, BRIEF)


def test_who_has_no_ipv6_never_says_a_word_of_it(host: Host, netrt: Netrt) -> None:
    """An interface that comes up with IPv6 joins groups and asks for routers: here nothing is heard, and with IPv6 it is."""
    netrt("network", "create", "four")
    netrt("network", "create", "--ipv6", "both")
    with (
        Client(Paths().socket) as client,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IPV6)) as ear,
    ):
        for number in range(20):
            client.create_container(f"quiet{number}", networks=["four"])
        assert not _heard(ear)
        client.create_container("loud", networks=["both"])
        assert _heard(ear)


def _heard(ear: socket.socket) -> bool:
    """Whether a frame comes within a moment that came from outside of the host's own namespace."""
    ear.settimeout(BRIEF)
    with contextlib.suppress(TimeoutError):
        while True:
            _, (_, _, direction, _, _) = ear.recvfrom(2048)
            if direction != socket.PACKET_OUTGOING:
                return True
    return False


def proxied(host: Host) -> list[str]:
    """The addresses that the host answers for on its uplink."""
    said = host.run("ip", "-6", "neigh", "show", "proxy", "dev", "uplink").stdout
    return sorted(line.split()[0] for line in said.splitlines())


def test_a_subnet_that_is_shared(host: Host, netrt: Netrt) -> None:
    outside = Place(host, host.outside())
    before = snapshot(host)
    assert Path("/proc/sys/net/ipv6/conf/uplink/proxy_ndp").read_text() == "0\n"
    for subnet, part in (
        ("2001:db8::/64", "is no part of 2001:db8::/64, which uplink has"),
        ("2001:db8::/80", "contains the host's own address 2001:db8::1"),
        ("fd00:1::/80", "is no part of 2001:db8::/64"),
    ):
        assert part in netrt.refused("network", "create", "-o", "ndp_proxy=uplink", "--subnet", subnet, "part")
    assert "no interface eth9" in netrt.refused("network", "create", "-o", "ndp_proxy=eth9", "--subnet", PART, "part")
    assert not differences(before, snapshot(host))
    netrt("network", "create", "-o", "ndp_proxy=uplink", "--subnet", PART, "part")
    web, peer = netrt.box("web", "--network", "part"), netrt.box("peer", "--network", "part")
    assert proxied(host) == [web.ip6, peer.ip6] == ["2001:db8::1:0:0:2", "2001:db8::1:0:0:3"]
    with conversation(outside, web.ip6, 81, web, 81), web.tcp(80) as server, outside.tcp(80) as theirs:
        assert seen(outside, web.ip6, 80, server) == OUTSIDE6
        assert seen(web, OUTSIDE6, 80, theirs) == web.ip6
        host.run("ip", "-6", "neigh", "add", "proxy", "2001:db8::77", "dev", "uplink")  # somebody else's
        host.run("ip", "-6", "neigh", "del", "proxy", peer.ip6, "dev", "uplink")
        assert "answer for 2001:db8::1:0:0:3 on uplink" in host.run(PROGRAM, "diff", check=False).stdout
        netrt("network", "update", "part", "--label", "a=b")
        netrt("rm", "-f", "peer")
    assert proxied(host) == sorted(("2001:db8::77", web.ip6))
    netrt("rm", "-f", "web")
    netrt("network", "rm", "part")
    assert proxied(host) == ["2001:db8::77"]


def test_published_ports_without_a_proxy(host: Host, netrt: Netrt) -> None:
    """On a network that has nothing but IPv6: from outside, from the host, from another network, under everybody's own address;
    nobody listens on the host, and no process stands between."""
    outside = Place(host, host.outside())
    netrt("network", "create", "--no-ipv4", "--ipv6", "six")
    netrt("network", "create", "--ipv6", "other")
    far = netrt.box("far", "--network", "other")
    before = inhabitants()
    web = netrt.box("web", "--network", "six", "-p", "8080:80", "-p", "5353:53/udp")
    with web.tcp(80) as tcp, web.udp(53) as udp:
        for server, port in ((tcp, 8080), (udp, 5353)):
            assert seen(outside, HOST6, port, server) == OUTSIDE6
            assert seen(Place(host), HOST6, port, server) == HOST6
            assert seen(Place(host), "::1", port, server) == FROM_LOOPBACK6
            assert seen(far, HOST6, port, server) == far.ip6
            assert not seen(outside, HOST4, port, server, BRIEF), "what has no IPv4 is published at none"
    assert inhabitants() == before
    for kind, port in (("tcp", 8080), ("tcp6", 8080), ("udp", 5353), ("udp6", 5353)):
        assert f":{port:04X} " not in Path(f"/proc/net/{kind}").read_text()
