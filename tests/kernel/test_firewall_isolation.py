"""Who does not reach whom, by packets under the ruleset alone. Each denial stands beside what must still work."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest

from netrt.firewall.nat import FROM_LOOPBACK6
from tests.host import Host
from tests.kernel.lab import HOST4, HOST6, OUTSIDE4, OUTSIDE6, Box, Lab, answering, nothing_arrives
from tests.traffic import PATIENT, Place, Wire, seen

pytestmark = pytest.mark.root


@pytest.fixture(params=["bridge netfilter on", "bridge netfilter off"])
def lab(host: Host, request: pytest.FixtureRequest) -> Lab:
    """Once as on a host that was a router before us, once as on one that was not."""
    on = request.param == "bridge netfilter on"
    return Lab(host, frozenset({4, 6} if on else ()), bridge_netfilter=on)


def mac_of(link: str) -> str:
    return Path(f"/sys/class/net/{link}/address").read_text().strip()


def routed_through(lab: Lab, *boxes: Box) -> None:
    """Teach the outside to send to containers, and to gateways, by the host."""
    for box in boxes:
        for subnet, via in ((f"10.{box.lan.number}.0.0/24", HOST4), (f"fd00:{box.lan.number}::/64", HOST6)):
            lab.host.run("ip", "-n", "outside", "route", "replace", subnet, "via", via)


def test_networks_do_not_reach_each_other(lab: Lab) -> None:
    first, second = lab.lan(1), lab.lan(2)
    web, peer, far = lab.box(first), lab.box(first), lab.box(second)
    lab.publish(web, "8080:80")
    server, datagrams = web.tcp(80), web.udp(53)
    for address in (web.ip4, web.ip6):
        assert seen(peer, address, 80, server)
        nothing_arrives((far, address, 80, server), (far, address, 53, datagrams))
    assert answering((peer, web.ip4), (peer, web.ip6)) == {web.ip4, web.ip6}
    assert not answering((far, web.ip4), (far, web.ip6))
    assert seen(far, HOST4, 8080, server) == far.ip4


def test_a_forged_error_does_not_reach_another_network(lab: Lab) -> None:
    """An ICMP error about somebody's connection is related to it; it passes only where the connection itself would."""
    from scapy.layers.inet import ICMP, IP, UDP
    from scapy.layers.l2 import Ether

    web, far = lab.box(lab.lan(1)), lab.box(lab.lan(2))
    server, receiver = lab.outside.udp(7000, "0.0.0.0"), Wire(web, "eth0")
    with web.open(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((web.ip4, 7001))
        client.sendto(b"?", (OUTSIDE4, 7000))
        server.recv(1)
        about = IP(src=web.ip4, dst=OUTSIDE4) / UDP(sport=7001, dport=7000)
        forged = Ether(src=far.mac, dst=mac_of("lan2")) / IP(src=far.ip4, dst=web.ip4) / ICMP(type=3, code=3) / about
        Wire(far, "eth0").send(forged)
        server.sendto(b"end", (HOST4, client.getsockname()[1]))
        heard = receiver.heard_until(lambda raw: raw.endswith(b"end"))
    assert not [raw for raw in heard if ICMP in Ether(raw)]


def test_internal_networks(lab: Lab) -> None:
    """Their containers reach each other and nothing else, although they try by way of the host; nothing reaches them, although
    the host has routes, IPv6 and even a published port for them."""
    inner, outer = lab.lan(1, internal=True), lab.lan(2)
    one, two, web = lab.box(inner), lab.box(inner), lab.box(outer)
    lab.publish(web, "8080:80")
    lab.publish(one, "8181:81")
    lab.sysctl("net/ipv6/conf/lan1/disable_ipv6", "0")
    server, outside, service = web.tcp(80), lab.outside.tcp(7000), lab.here.tcp(7070)
    mine = two.tcp(80)
    assert seen(one, two.ip4, 80, mine) == one.ip4
    assert seen(one, two.ip6, 80, mine) == one.ip6
    lan = mac_of("lan1")
    for via, address, family in (("10.1.0.1", one.ip4, "-4"), ("fd00:1::1", one.ip6, "-6")):
        lab.host.run("ip", family, "-n", one.name, "neigh", "add", via, "lladdr", lan, "dev", "eth0")
        lab.host.run("ip", family, "-n", one.name, "route", "add", "default", "via", via)
        lab.host.run("ip", family, "route", "add", address, "dev", "lan1")
    routed_through(lab, one)
    own = one.tcp(81)
    nothing_arrives(
        (one, OUTSIDE4, 7000, outside),
        (one, OUTSIDE6, 7000, outside),
        (one, HOST4, 8080, server),
        (one, HOST6, 8080, server),
        (one, "10.2.0.1", 8080, server),
        (one, HOST4, 7070, service),
        (one, "10.2.0.1", 7070, service),
        *((asking, address, 81, own) for asking in (lab.outside, web) for address in (one.ip4, one.ip6)),
        *((asking, address, 8181, own) for asking in (lab.outside, web) for address in (HOST4, HOST6)),
    )
    assert not answering((one, HOST4), (one, HOST6), (web, one.ip4), (lab.outside, one.ip6))
    assert seen(web, OUTSIDE4, 7000, outside) == HOST4


def test_an_isolated_family(lab: Lab) -> None:
    """`gateway_mode_ipv4=isolated` closes IPv4 and leaves IPv6."""
    web = lab.box(lab.lan(1, mode4="isolated"))
    server = lab.outside.tcp(7000)
    lab.host.run("ip", "-n", web.name, "neigh", "add", "10.1.0.1", "lladdr", mac_of("lan1"), "dev", "eth0")
    lab.host.run("ip", "-n", web.name, "route", "add", "default", "via", "10.1.0.1")
    nothing_arrives((web, OUTSIDE4, 7000, server))
    assert seen(web, OUTSIDE6, 7000, server) == HOST6


def test_services_of_the_host(lab: Lab) -> None:
    """A container reaches none, at no address of the host, but it may ping; with `host_access` it reaches all."""
    plain, trusted = lab.box(lab.lan(1)), lab.box(lab.lan(2, host_access="true"))
    tcp, udp = lab.here.tcp(7070), lab.here.udp(7071)
    addresses = {HOST4, HOST6, "10.1.0.1", "fd00:1::1", "10.2.0.1", "fd00:2::1"}
    nothing_arrives(*((plain, a, port, server) for a in addresses for port, server in ((7070, tcp), (7071, udp))))
    assert answering(*((plain, address) for address in addresses)) == addresses
    for address in addresses:
        assert seen(trusted, address, 7070, tcp) in (trusted.ip4, trusted.ip6)
    for address in (trusted.lan.gateway4, trusted.lan.gateway6):
        assert seen(trusted, address, 7071, udp) in (trusted.ip4, trusted.ip6)
    for address in addresses:
        assert seen(lab.here, address, 7070, tcp)
    mine = plain.tcp(80)
    assert seen(lab.here, plain.ip4, 80, mine) == "10.1.0.1"
    assert seen(lab.here, plain.ip6, 80, mine) == "fd00:1::1"


def test_from_outside_only_what_is_published(lab: Lab) -> None:
    """A neighbour that has routes to our networks reaches neither containers nor gateway addresses; in mode `routed`, all."""
    hidden, routed = lab.box(lab.lan(1)), lab.box(lab.lan(2, mode4="routed", mode6="routed"))
    plain = lab.box(lab.lan(3, masq="false"))
    routed_through(lab, hidden, routed, plain)
    service = lab.here.tcp(7070)
    for box in (hidden, plain):
        server, gateways, port = box.tcp(80), (box.lan.gateway4, box.lan.gateway6), 8080 + box.lan.number
        lab.publish(box, f"{port}:80", f"{gateways[0]}:9000:80", f"[{gateways[1]}]:9000:80")
        nothing_arrives(
            *((lab.outside, address, 80, server) for address in (box.ip4, box.ip6)),
            *((lab.outside, address, at, server) for address in gateways for at in (9000, port)),
            *((lab.outside, address, 7070, service) for address in gateways),
        )
        assert not answering(*((lab.outside, address) for address in (box.ip4, box.ip6, *gateways)))
        assert seen(box, gateways[0], 9000, server) == gateways[0]
        assert seen(box, gateways[1], 9000, server) == gateways[1]
        assert seen(lab.outside, HOST4, port, server) == OUTSIDE4
    server = routed.tcp(81)
    assert seen(lab.outside, routed.ip4, 81, server) == OUTSIDE4
    assert seen(lab.outside, routed.ip6, 81, server) == OUTSIDE6
    nothing_arrives((hidden, routed.ip4, 81, server), (hidden, routed.ip6, 81, server))
    outside = lab.outside.tcp(7000)
    for address, to in ((hidden.lan.gateway4, OUTSIDE4), (hidden.lan.gateway6, OUTSIDE6)):
        assert seen(lab.here, to, 7000, outside, source=address) == address, (
            "the host itself may use its gateway address"
        )
    assert seen(routed, OUTSIDE4, 7000, outside) == routed.ip4
    assert seen(routed, OUTSIDE6, 7000, outside) == routed.ip6
    lab.publish(routed, "8088:81")
    assert seen(lab.outside, HOST4, 8088, server) == OUTSIDE4
    assert seen(routed, HOST6, 8088, server) == routed.lan.gateway6


@pytest.mark.parametrize("opened", ["0", "1"])
def test_a_loopback_port_answers_to_nobody_else(lab: Lab, opened: str) -> None:
    """Not to a neighbour or a container that routes or forges loopback addresses, even if somebody opened them on that link."""
    from scapy.layers.inet import IP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether

    for setting in ("route_localnet", "accept_local"):
        lab.sysctl(f"net/ipv4/conf/uplink/{setting}", opened)
    first = lab.lan(1)
    web, peer, far = lab.box(first), lab.box(first), lab.box(lab.lan(2))
    lab.publish(web, "127.0.0.1:5353:53/udp", "[::1]:5353:53/udp", "5454:53/udp")
    server, service, receiver = web.udp(53), lab.here.udp(7070), Wire(web, "eth0")
    assert seen(lab.here, "127.0.0.1", 5353, server) == first.gateway4
    assert seen(lab.here, "::1", 5353, server) == FROM_LOOPBACK6
    for place, interface, target in ((lab.outside, "eth0", "uplink"), (peer, "eth0", "lan1"), (far, "eth0", "lan2")):
        mine4, mine6 = (place.ip4, place.ip6) if isinstance(place, Box) else (OUTSIDE4, OUTSIDE6)
        wire = Wire(place, interface)
        to = Ether(src=place.mac if isinstance(place, Box) else "02:00:00:00:00:99", dst=mac_of(target))
        for port in (5353, 5454, 7070):
            bad = UDP(sport=9, dport=port) / b"bad"
            wire.send(to / IP(src=mine4, dst="127.0.0.1") / bad, to / IP(src="127.0.0.1", dst=HOST4) / bad)
            wire.send(to / IP(src="127.0.0.1", dst="127.0.0.1") / bad, to / IPv6(src=mine6, dst="::1") / bad)
            wire.send(to / IPv6(src="::1", dst=HOST6) / bad, to / IPv6(src=mine6, dst=FROM_LOOPBACK6) / bad)
            wire.send(to / IPv6(src=FROM_LOOPBACK6, dst=HOST6) / bad)
        wire.send(to / IP(src=mine4, dst=HOST4) / UDP(sport=9, dport=5454) / b"end")
        heard = receiver.heard_until(lambda raw: raw.endswith(b"end"))
        assert not [raw for raw in heard if raw.endswith(b"bad")]
    service.setblocking(False)
    with pytest.raises(BlockingIOError):
        service.recv(16)


def test_an_answer_for_loopback_comes_from_a_bridge(lab: Lab) -> None:
    """A neighbour that forges the container's answer to a connection from ::1 is not heard."""
    from scapy.layers.inet import UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether

    web = lab.box(lab.lan(1))
    lab.publish(web, "[::1]:5353:53/udp")
    with web.udp(53) as server, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        server.settimeout(PATIENT)
        client.settimeout(PATIENT)
        client.connect(("::1", 5353))
        client.send(b"?")
        _, peer = server.recvfrom(1)
        forged = IPv6(src=web.ip6, dst=FROM_LOOPBACK6) / UDP(sport=53, dport=peer[1]) / b"bad"
        published = IPv6(src=OUTSIDE6, dst=HOST6) / UDP(sport=9, dport=7070) / b"end"
        with lab.here.udp(7070) as service:
            service.settimeout(PATIENT)
            Wire(lab.outside, "eth0").send(*(Ether(dst=mac_of("uplink")) / packet for packet in (forged, published)))
            assert service.recv(3) == b"end"
        server.sendto(b"good", peer)
        assert client.recv(4) == b"good"


def test_containers_of_one_network_kept_apart(host: Host) -> None:
    """`enable_icc=false`: also not by way of the gateway; published ports are for them too (not with bridge netfilter)."""
    lab = Lab(host, bridge_netfilter=False)
    first = lab.lan(1, icc="false")
    web, peer = lab.box(first), lab.box(first)
    lab.publish(web, "8080:80")
    server = web.tcp(80)
    nothing_arrives((peer, web.ip4, 80, server), (peer, web.ip6, 80, server))
    for family, address, via in (("-4", web.ip4, first.gateway4), ("-6", web.ip6, first.gateway6)):
        lab.host.run("ip", family, "-n", peer.name, "route", "add", address, "via", via)
    nothing_arrives((peer, web.ip4, 80, server), (peer, web.ip6, 80, server))
    assert seen(peer, HOST4, 8080, server) == first.gateway4
    assert seen(web, HOST6, 8080, server) == first.gateway6
    assert seen(peer, OUTSIDE4, 7000, lab.outside.tcp(7000)) == HOST4


def test_no_icc_with_bridge_netfilter_fails_closed(host: Host) -> None:
    """There the bridge passes on what was led to a neighbour, and the ports stay apart."""
    lab = Lab(host, bridge_netfilter=True)
    first = lab.lan(1, icc="false")
    web, peer = lab.box(first), lab.box(first)
    lab.publish(web, "8080:80")
    server = web.tcp(80)
    nothing_arrives((peer, web.ip4, 80, server), (peer, HOST4, 8080, server), (peer, HOST6, 8080, server))
    assert seen(lab.outside, HOST4, 8080, server) == OUTSIDE4


def foreign_links(lab: Lab) -> tuple[Place, Place, Place]:
    """Somebody else's: two routed neighbours beside us, and one more on the bridge of the first."""
    lab.host.run("ip", "link", "add", "br-else", "type", "bridge")
    lab.host.run("ip", "addr", "add", "172.20.0.1/24", "dev", "br-else")
    lab.host.run("ip", "link", "set", "br-else", "up")
    places = []
    for number, (address, master) in enumerate(
        (("172.20.0.2", "br-else"), ("172.20.0.3", "br-else"), ("172.21.0.2", ""))
    ):
        path = lab.host.namespace(f"else{number}")
        link = f"nrelse{number}"
        lab.host.run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", f"else{number}")
        lab.host.run("ip", "link", "set", link, "up", *(["master", master] if master else []))
        if not master:
            lab.host.run("ip", "addr", "add", "172.21.0.1/24", "dev", link)
        lab.host.run("ip", "-n", f"else{number}", "addr", "add", f"{address}/24", "dev", "eth0")
        lab.host.run("ip", "-n", f"else{number}", "link", "set", "eth0", "up")
        gateway = address.rpartition(".")[0] + ".1"
        lab.host.run("ip", "-n", f"else{number}", "route", "add", "default", "via", gateway)
        places.append(Place(lab.host, path))
    return places[0], places[1], places[2]


@pytest.mark.parametrize("bridge_netfilter", [True, False])
@pytest.mark.parametrize("guarded", [True, False])
def test_others_are_left_alone(host: Host, bridge_netfilter: bool, guarded: bool) -> None:
    """Somebody else's bridge, forged frames, host services and routes, whatever their interfaces are called; but where we turned
    forwarding on, the host does not become a router for others."""
    lab = Lab(host, frozenset({4, 6} if guarded else ()), bridge_netfilter=bridge_netfilter)
    web = lab.box(lab.lan(1))
    lab.publish(web, "8080:80")
    one, two, three = foreign_links(lab)
    assert seen(one, "172.20.0.3", 80, two.tcp(80)) == "172.20.0.2"
    assert seen(one, "172.20.0.1", 7070, lab.here.tcp(7070)) == "172.20.0.2"
    assert seen(one, HOST4, 8080, web.tcp(80)) == "172.20.0.2"
    lab.host.run("ip", "-n", "else0", "addr", "add", "172.20.0.77/24", "dev", "eth0")
    assert seen(one, "172.20.0.3", 81, two.tcp(81), source="172.20.0.77") == "172.20.0.77"
    server = three.tcp(80)
    if guarded:
        nothing_arrives((one, "172.21.0.2", 80, server))
    else:
        assert seen(one, "172.21.0.2", 80, server) == "172.20.0.2"
    outside = lab.outside.tcp(7000)
    assert seen(web, OUTSIDE4, 7000, outside) == seen(lab.here, OUTSIDE4, 7000, outside) == HOST4
    assert seen(web, OUTSIDE6, 7000, outside) == seen(lab.here, OUTSIDE6, 7000, outside) == HOST6
    assert seen(lab.here, "172.21.0.2", 80, server) == "172.21.0.1"


def test_a_guarded_host_still_joins_groups(host: Host) -> None:
    """Its reports to routers on the uplink go out."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether

    lab = Lab(host, frozenset({4, 6}))
    receiver, uplink = Wire(lab.outside, "eth0"), mac_of("uplink")
    with lab.here.udp(7000, "0.0.0.0") as four, lab.here.udp(7001) as six:
        request = socket.inet_aton("239.1.2.3") + socket.inet_aton(HOST4)
        four.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        receiver.heard_until(
            lambda raw: IP in Ether(raw) and (Ether(raw).src, Ether(raw)[IP].proto) == (uplink, socket.IPPROTO_IGMP)
        )
        group = socket.inet_pton(socket.AF_INET6, "ff05::1234")
        wanted = group + struct.pack("=I", socket.if_nametoindex("uplink"))
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, wanted)
        receiver.heard_until(lambda raw: Ether(raw).src == uplink and IPv6 in Ether(raw) and group in raw)
