"""Who is seen under which address: masquerade, published ports from everywhere, and the source address kept where it can be."""

from __future__ import annotations

import json
import socket

import pytest

from netrt.firewall.nat import FROM_LOOPBACK6
from tests.e2e.conftest import HOST4, HOST6, OUTSIDE4, OUTSIDE6, Site
from tests.namespaces import inhabitants
from tests.traffic import BRIEF, Place, seen

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("bridge_netfilter")]

Matrix = dict[str, str]


def servers(place: Place) -> tuple[socket.socket, socket.socket]:
    """What `web` runs behind its published ports."""
    return place.tcp(80), place.udp(53)


def matrix(site: Site, server: socket.socket, port: int, host4: str = HOST4, host6: str = HOST6) -> Matrix:
    """From whom `server` sees a question to `port` of the host, asked from everywhere (`-` where it does not arrive)."""
    asked: dict[str, tuple[Place, str]] = {
        "outside": (site.outside, host4),
        "outside 6": (site.outside, host6),
        "host": (site.here, host4),
        "host 6": (site.here, host6),
        "loopback": (site.here, "127.0.0.1"),
        "loopback 6": (site.here, "::1"),
        "same network": (site.peer, host4),
        "same network 6": (site.peer, host6),
        "other network": (site.far, host4),
        "other network 6": (site.far, host6),
        "itself": (site.web, host4),
        "itself 6": (site.web, host6),
    }
    return {who: seen(place, address, port, server) or "-" for who, (place, address) in asked.items()}


def expected(site: Site) -> Matrix:
    """The source is kept, except where a reply would otherwise miss the host."""
    gateway4, gateway6 = site.gateways
    return {
        "outside": OUTSIDE4,
        "outside 6": OUTSIDE6,
        "host": HOST4,
        "host 6": HOST6,
        "loopback": gateway4,
        "loopback 6": FROM_LOOPBACK6,
        "same network": gateway4,
        "same network 6": gateway6,
        "other network": site.far.ip4,
        "other network 6": site.far.ip6,
        "itself": gateway4,
        "itself 6": gateway6,
    }


def test_published_ports_from_everywhere(site: Site) -> None:
    tcp, udp = servers(site.web)
    assert matrix(site, tcp, 8080) == expected(site)
    assert matrix(site, udp, 5353) == expected(site)


def test_inside_a_network_nothing_is_rewritten(site: Site) -> None:
    tcp, udp = servers(site.web)
    for address, mine in ((site.web.ip4, site.peer.ip4), (site.web.ip6, site.peer.ip6)):
        assert seen(site.peer, address, 80, tcp) == mine
        assert seen(site.peer, address, 53, udp) == mine


def test_masquerade_for_what_leaves(site: Site) -> None:
    """To the outside under the host's address; to the host's published port on another network under one's own."""
    for server in (site.outside.tcp(7000), site.outside.udp(7000)):
        assert seen(site.web, OUTSIDE4, 7000, server) == HOST4
        assert seen(site.web, OUTSIDE6, 7000, server) == HOST6


def test_no_masquerade_where_it_was_declined(site: Site) -> None:
    """Then the outside sees the container itself, and answers if it has a route."""
    site.netrt("network", "create", "--ipv6", "-o", "com.docker.network.bridge.enable_ip_masquerade=false", "plain")
    box = site.netrt.box("bare", "--network", "plain")
    for address, via in ((box.ip4, HOST4), (box.ip6, HOST6)):
        site.netrt.host.run("ip", "-n", "outside", "route", "add", address, "via", via)
    server = site.outside.udp(7000)
    assert seen(box, OUTSIDE4, 7000, server) == box.ip4
    assert seen(box, OUTSIDE6, 7000, server) == box.ip6


def test_a_port_on_one_host_address_only(site: Site) -> None:
    """`-p 192.0.2.1:…` answers at that address alone, wherever the question comes from."""
    host = site.netrt.host
    host.run("ip", "addr", "add", "192.0.2.9/24", "dev", "uplink")
    box = site.netrt.box("one", "--network", "lan", "-p", f"{HOST4}:8081:80", "-p", f"[{HOST6}]:8081:80")
    server, _ = servers(box)
    assert matrix(site, server, 8081) == expected(site) | {"loopback": "-", "loopback 6": "-"}
    assert not seen(site.outside, "192.0.2.9", 8081, server, BRIEF)
    assert not seen(site.here, "192.0.2.9", 8081, server, BRIEF)


def test_foreign_destinations_are_left_alone(site: Site) -> None:
    """A published port takes what is sent to the host, not what passes through it: 5353 at the outside stays there."""
    site.netrt.host.run("ip", "-n", "outside", "addr", "add", "198.51.100.1/32", "dev", "lo")
    _, own = servers(site.web)
    assert seen(site.far, "198.51.100.1", 5353, site.outside.udp(5353, "198.51.100.1")) == HOST4
    assert seen(site.peer, OUTSIDE6, 5353, site.outside.udp(5353, OUTSIDE6)) == HOST6
    own.setblocking(False)
    with pytest.raises(BlockingIOError):
        own.recv(64)


def test_one_range_is_one_element_and_no_process(site: Site) -> None:
    host = site.netrt.host
    before, ports = inhabitants(), "20000-29999:20000-29999"
    box = site.netrt.box("wide", "--network", "lan", "-p", ports, "-p", f"{ports}/udp")
    assert inhabitants() == before
    dump = json.loads(host.run("nft", "-j", "list", "table", "inet", "netrt").stdout)["nftables"]
    held = [m["map"] for m in dump if "map" in m] + [s["set"] for s in dump if "set" in s]
    naming = [e for each in held for e in each.get("elem", ()) if "20000" in json.dumps(e)]
    assert 2 <= len(naming) <= 4, f"one element each for tcp and udp, and no more than one for each family: {naming}"
    for port in (20000, 25000, 29999):
        tcp, udp = box.tcp(port), box.udp(port)
        assert seen(site.outside, HOST4, port, tcp) == OUTSIDE4
        assert seen(site.outside, HOST6, port, udp) == OUTSIDE6
        assert seen(site.here, "127.0.0.1", port, tcp) == site.gateways[0]
    edge = box.tcp(30000)
    assert not seen(site.outside, HOST4, 30000, edge, BRIEF)
