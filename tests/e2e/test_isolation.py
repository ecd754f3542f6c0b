"""Who does not reach whom: networks apart, internal ones closed, the host's own services, and containers from outside."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import Box, Netrt
from tests.e2e.conftest import HOST4, HOST6, OUTSIDE4, OUTSIDE6, Site
from tests.host import Host
from tests.traffic import BRIEF, PATIENT, Place, family, seen

pytestmark = pytest.mark.root
both_ways = pytest.mark.usefixtures("bridge_netfilter")


def reached(client: Place, server_place: Place, *addresses: str, port: int = 7200) -> list[str]:
    """At which of these addresses, by which protocol, a server in `server_place` is reached. Asked all at once, as what must
    fail: to arrive there is enough."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(server_place.tcp(port)), stack.enter_context(server_place.udp(port))]
        asked: dict[tuple[int, int], str] = {}
        for address, server in itertools.product(addresses, servers):
            asking = stack.enter_context(client.open(family(address), server.type))
            asking.setblocking(False)
            with contextlib.suppress(OSError):  # no way to there
                asking.connect_ex((address, port))
                asking.send(b"?")
            asked[server.type, asking.getsockname()[1]] = f"{server.type.name} {address}"
        return sorted(asked.get(arrived, f"from {arrived}") for arrived in arrivals(servers))


def arrivals(servers: list[socket.socket]) -> Iterator[tuple[int, int]]:
    """What comes to them within a while: by which protocol, from which port."""
    deadline = time.monotonic() + BRIEF
    while ready := select.select(servers, [], [], max(0, deadline - time.monotonic()))[0]:
        for server in ready:
            if server.type == socket.SOCK_STREAM:
                conversation, peer = server.accept()
                conversation.close()
            else:
                _, peer = server.recvfrom(64)
            yield server.type, peer[1]


def pings(place: Place, address: str, patience: float = PATIENT) -> bool:
    """Whether an ICMP echo request from there is answered."""
    word, deadline = os.urandom(8), time.monotonic() + patience
    if ":" in address:
        family, protocol, request, reply = socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129
    else:
        family, protocol, request, reply = socket.AF_INET, socket.IPPROTO_ICMP, 8, 0
    echo = bytes((request, 0, 0, 0, 0, 1, 0, 1)) + word
    if family == socket.AF_INET:
        echo = echo[:2] + checksum(echo) + echo[4:]
    with place.call(socket.socket, family, socket.SOCK_RAW, protocol) as asking:
        try:
            asking.sendto(echo, (address, 0))
            while (left := deadline - time.monotonic()) > 0:
                asking.settimeout(left)
                answer = asking.recv(256)
                if answer.endswith(word) and answer[-16] == reply:
                    return True
        except OSError:
            pass
    return False


def checksum(message: bytes) -> bytes:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total = sum(struct.unpack(f"!{len(message) // 2}H", message))
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF)


def route_from_outside(site: Site, *boxes: Box) -> None:
    """The outside knows the way to containers' addresses, as a neighbour who wants in."""
    for box in boxes:
        for address, via in ((box.ip4, HOST4), (box.ip6, HOST6)):
            if address:
                site.netrt.host.run("ip", "-n", "outside", "route", "add", address, "via", via)


@both_ways
def test_networks_are_apart(site: Site) -> None:
    ways = [f"SOCK_{kind} {address}" for kind in ("DGRAM", "STREAM") for address in (site.web.ip4, site.web.ip6)]
    assert reached(site.peer, site.web, site.web.ip4, site.web.ip6) == sorted(ways)
    assert not reached(site.web, site.far, site.far.ip4, site.far.ip6)
    assert not reached(site.far, site.web, site.web.ip4, site.web.ip6)
    assert not pings(site.web, site.far.ip4, BRIEF)
    assert not pings(site.web, site.far.ip6, BRIEF)


@both_ways
def test_one_network_holds_together(site: Site) -> None:
    tcp, udp = site.peer.tcp(7200), site.peer.udp(7200)
    for address, mine in ((site.peer.ip4, site.web.ip4), (site.peer.ip6, site.web.ip6)):
        assert seen(site.web, address, 7200, tcp) == seen(site.web, address, 7200, udp) == mine
        assert pings(site.web, address)


def test_without_icc_containers_of_one_network_are_apart(site: Site, bridge_netfilter: bool) -> None:
    """They still reach the outside, and each other's published ports, unless bridge netfilter keeps such packets inside the
    bridge, where the two are apart."""
    netrt = site.netrt
    netrt("network", "create", "--ipv6", "-o", "com.docker.network.bridge.enable_icc=false", "apart")
    one, two = netrt.box("one", "--network", "apart", "-p", "8088:80"), netrt.box("two", "--network", "apart")
    assert not reached(two, one, one.ip4, one.ip6)
    assert seen(two, OUTSIDE4, 7000, site.outside.tcp(7000)) == HOST4
    server = one.tcp(80)
    if not bridge_netfilter:
        assert seen(two, HOST4, 8088, server) == one.on()["Gateway"]
        assert seen(two, HOST6, 8088, server) == one.on()["IPv6Gateway"]


@both_ways
def test_internal_is_closed_both_ways(site: Site) -> None:
    netrt = site.netrt
    netrt("network", "create", "--internal", "--ipv6", "vault")
    assert "vault" in netrt.refused("container", "create", "--network", "vault", "-p", "8099:7200")
    gold, silver = netrt.box("gold", "--network", "vault"), netrt.box("silver", "--network", "vault")
    route_from_outside(site, gold)
    # inside it all is well
    assert seen(silver, gold.ip4, 7200, gold.tcp(7200)) == silver.ip4
    assert seen(silver, gold.ip6, 7200, gold.udp(7200)) == silver.ip6
    # nothing out, even with a route of the container's own
    host = netrt.host
    for box in (gold, silver):
        name = Path(box.path).name
        host.run("ip", "-n", name, "route", "add", "default", "dev", "eth0", check=False)
        host.run("ip", "-n", name, "-6", "route", "add", "default", "dev", "eth0", check=False)
    addresses4 = [a["local"] for link in json.loads(host.run("ip", "-j", "addr").stdout) for a in link["addr_info"]]
    assert not reached(silver, site.outside, OUTSIDE4, OUTSIDE6)
    assert not reached(silver, site.here, *(a for a in addresses4 if not a.startswith(("127.", "::1", "fe80"))))
    assert not reached(silver, site.web, site.web.ip4, site.web.ip6)
    # nothing in
    for client in (site.outside, site.here, site.web):
        assert not reached(client, gold, gold.ip4, gold.ip6, port=7201)


@both_ways
def test_the_host_answers_to_ping_and_published_ports_only(site: Site) -> None:
    """On any of its addresses: this network's gateway, another's, and those of its uplink."""
    gateways = [*site.gateways, str(site.far.on()["Gateway"]), str(site.far.on()["IPv6Gateway"])]
    assert not reached(site.web, site.here, *gateways, HOST4, HOST6)
    for address in site.gateways:
        assert pings(site.web, address)
    server = site.web.tcp(80)
    assert seen(site.far, gateways[2], 8080, server) == site.far.ip4
    assert seen(site.far, gateways[3], 8080, server) == site.far.ip6
    # while others are answered as before, and the host reaches its containers
    assert seen(site.outside, HOST4, 7201, site.here.tcp(7201)) == OUTSIDE4
    assert seen(site.here, site.web.ip4, 80, server) == site.gateways[0]
    assert seen(site.here, site.web.ip6, 80, server) == site.gateways[1]


def test_host_access_opens_the_host(site: Site) -> None:
    site.netrt("network", "create", "--ipv6", "-o", "host_access=true", "friendly")
    friend = site.netrt.box("friend", "--network", "friendly")
    server = site.here.tcp(7201)
    assert seen(friend, str(friend.on()["Gateway"]), 7201, server) == friend.ip4
    assert seen(friend, str(friend.on()["IPv6Gateway"]), 7201, server) == friend.ip6


@both_ways
def test_containers_are_not_reached_by_routing_to_them(site: Site) -> None:
    """Neither at a port of no publication nor at the inner port of one."""
    route_from_outside(site, site.web, site.peer)
    for port in (80, 7200):
        assert not reached(site.outside, site.web, site.web.ip4, site.web.ip6, port=port)
    assert not reached(site.outside, site.peer, site.peer.ip4, site.peer.ip6)
    assert not pings(site.outside, site.web.ip4, BRIEF)
    assert not pings(site.outside, site.web.ip6, BRIEF)
    # nor is the host at its gateway addresses, which are for its containers
    for gateway, via in zip(site.gateways, (HOST4, HOST6), strict=True):
        site.netrt.host.run("ip", "-n", "outside", "route", "add", gateway, "via", via)
    assert not reached(site.outside, site.here, *site.gateways)
    assert not [a for a in site.gateways if seen(site.outside, a, 8080, site.web.tcp(81), BRIEF)]
    # what was asked for from inside comes back
    assert seen(site.web, OUTSIDE4, 7000, site.outside.tcp(7000)) == HOST4


@both_ways
def test_routed_containers_are(site: Site) -> None:
    options = [f"-ocom.docker.network.bridge.gateway_mode_ipv{version}=routed" for version in (4, 6)]
    site.netrt("network", "create", "--ipv6", *options, "open")
    box = site.netrt.box("bare", "--network", "open")
    route_from_outside(site, box)
    tcp, udp = box.tcp(7200), box.udp(7200)
    assert seen(site.outside, box.ip4, 7200, tcp) == seen(site.outside, box.ip4, 7200, udp) == OUTSIDE4
    assert seen(site.outside, box.ip6, 7200, tcp) == seen(site.outside, box.ip6, 7200, udp) == OUTSIDE6
    assert seen(box, OUTSIDE4, 7000, site.outside.tcp(7000)) == box.ip4
    assert seen(box, OUTSIDE6, 7001, site.outside.tcp(7001)) == box.ip6
    assert not reached(site.far, box, box.ip4, box.ip6, port=7300), "still another network"


@both_ways
def test_isolated_gateway_mode_has_no_host_on_the_bridge(site: Site) -> None:
    options = [f"-ocom.docker.network.bridge.gateway_mode_ipv{version}=isolated" for version in (4, 6)]
    site.netrt("network", "create", "--ipv6", *options, "island")
    one, two = site.netrt.box("one", "--network", "island"), site.netrt.box("two", "--network", "island")
    assert seen(one, two.ip4, 7200, two.tcp(7200)) == one.ip4
    assert not reached(one, site.outside, OUTSIDE4, OUTSIDE6)
    assert not reached(site.here, one, one.ip4, one.ip6)


def second_uplink(host: Host) -> Place:
    """One more neighbour, on a link `lab` of the host: 198.51.100.2 and 2001:db8:1::2, with routes back through the host."""
    path = host.namespace("lab")
    host.run("ip", "link", "add", "lab", "type", "veth", "peer", "name", "eth0", "netns", "lab")
    for where, link, end in ((), "lab", 1), (("-n", "lab"), "eth0", 2):
        host.run("ip", *where, "addr", "add", f"198.51.100.{end}/24", "dev", link)
        host.run("ip", *where, "addr", "add", f"2001:db8:1::{end}/64", "dev", link, "nodad")
        host.run("ip", *where, "link", "set", link, "up")
    host.run("ip", "-n", "lab", "route", "add", "default", "via", "198.51.100.1")
    host.run("ip", "-n", "lab", "route", "add", "default", "via", "2001:db8:1::1")
    host.run("ip", "-n", "outside", "route", "add", "198.51.100.0/24", "via", HOST4)
    host.run("ip", "-n", "outside", "route", "add", "2001:db8:1::/64", "via", HOST6)
    return Place(host, path)


@pytest.mark.parametrize("router", [False, True], ids=["the host was no router", "the host was a router"])
def test_the_host_routes_for_others_only_if_it_did_before(host: Host, netrt: Netrt, router: bool) -> None:
    outside, lab = Place(host, host.outside()), second_uplink(host)
    for switch in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        Path("/proc/sys/net", switch).write_text(str(int(router)))
    netrt("network", "create", "--ipv6", "lan")
    box = netrt.box("web", "--network", "lan")
    server = lab.tcp(7000)
    patience = PATIENT if router else BRIEF
    assert bool(seen(outside, "198.51.100.2", 7000, server, patience)) == router
    assert bool(seen(outside, "2001:db8:1::2", 7000, server, patience)) == router
    assert seen(box, "198.51.100.2", 7000, server) == "198.51.100.1"
    assert seen(box, "2001:db8:1::2", 7000, server) == "2001:db8:1::1"
