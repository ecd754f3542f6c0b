"""A port published at a loopback address answers to the host alone: not to a neighbour who routes 127.0.0.1 to us, and not to one
who forges it, on the wire or in a container; nor do other loopback services of the host."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from netrt.firewall.nat import FROM_LOOPBACK6
from tests.e2e.conftest import HOST4, HOST6, OUTSIDE4, OUTSIDE6, Site
from tests.traffic import BRIEF, Place, Wire, seen

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("bridge_netfilter")]

LOCAL4, LOCAL6 = 8085, 8086


@pytest.fixture
def local(site: Site) -> Site:
    """The site, with a container that publishes at 127.0.0.1 and at ::1."""
    site.netrt("container", "create", "--name", "shy", "--network", "lan", "-p", f"127.0.0.1:{LOCAL4}:80",
               "-p", f"[::1]:{LOCAL6}:80")  # fmt: skip
    return site


def mac(name: str) -> str:
    return Path(f"/sys/class/net/{name}/address").read_text().strip()


def lan_bridge(site: Site) -> str:
    """The host's interface on `lan`."""
    routes = site.netrt.host.run("ip", "-o", "route", "get", site.web.ip4).stdout.split()
    return routes[routes.index("dev") + 1]


def test_a_neighbour_who_routes_it_here(local: Site) -> None:
    shy = local.netrt.inspect("shy")["NetworkSettings"]["SandboxKey"]
    server = Place(local.netrt.host, shy).tcp(80)
    host = local.netrt.host
    secret = local.here.tcp(7300, "127.0.0.1")
    for where, via in ((local.outside, HOST4), (local.peer, local.gateways[0])):
        name = Path(where.path).name
        where.call(Path("/proc/sys/net/ipv4/conf/all/route_localnet").write_text, "1")
        host.run("ip", "-n", name, "addr", "del", "127.0.0.1/8", "dev", "lo")
        host.run("ip", "-n", name, "route", "add", "127.0.0.0/8", "via", via)
        for port, listening in ((LOCAL4, server), (7300, secret)):
            assert not seen(where, "127.0.0.1", port, listening, BRIEF), f"{name} reaches port {port}"
    assert seen(local.here, "127.0.0.1", LOCAL4, server) == local.gateways[0]
    assert seen(local.here, "::1", LOCAL6, server) == FROM_LOOPBACK6


def forged(source4: str, source6: str, port: int, marker: bytes) -> list[Any]:
    """What a neighbour may send at a loopback publication: to 127.0.0.1 and ::1, and from there."""
    tcp, udp = TCP(sport=4000, dport=port, flags="S"), UDP(sport=4000, dport=port)
    return [
        *(IP(src=source4, dst="127.0.0.1") / over / marker for over in (tcp, udp)),
        *(IP(src="127.0.0.1", dst=dst) / over / marker for over in (tcp, udp) for dst in (HOST4, "127.0.0.1")),
        *(IPv6(src=source6, dst="::1") / over / marker for over in (tcp, udp)),
        *(IPv6(src="::1", dst=dst) / over / marker for over in (tcp, udp) for dst in (HOST6, "::1")),
    ]


@pytest.mark.parametrize("port", [LOCAL4, LOCAL6])
def test_a_neighbour_who_forges_it(local: Site, port: int) -> None:
    """Nothing of it arrives in the container; what is allowed and sent afterwards does."""
    host, marker = local.netrt.host, b"forged!!"
    shy = Place(host, local.netrt.inspect("shy")["NetworkSettings"]["SandboxKey"])
    server, ear = shy.tcp(80), Wire(shy, "eth0")
    bridge = lan_bridge(local)
    outside_mac = local.outside.call(mac_inside, local, "outside")
    attacks = [
        (Wire(local.outside, "eth0"), outside_mac, mac("uplink"), OUTSIDE4, OUTSIDE6),
        (Wire(local.peer, "eth0"), local.peer.mac, mac(bridge), local.peer.ip4, local.peer.ip6),
    ]
    for wire, source, target, source4, source6 in attacks:
        wire.send(*(Ether(src=source, dst=target) / packet for packet in forged(source4, source6, port, marker)))
    at, gateway = ("127.0.0.1", local.gateways[0]) if port == LOCAL4 else ("::1", FROM_LOOPBACK6)
    assert seen(local.here, at, port, server) == gateway
    with contextlib.closing(ear.socket):
        heard = ear.heard_until(lambda raw: bool(Ether(raw).haslayer(TCP)))
    assert not [Ether(raw).summary() for raw in heard if marker in raw]


def mac_inside(site: Site, name: str) -> str:
    """The MAC of eth0 in a namespace, asked of `ip`."""
    words = site.netrt.host.run("ip", "-n", name, "-br", "link", "show", "eth0").stdout.split()
    return words[2]
