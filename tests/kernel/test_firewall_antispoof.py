"""Frames that a container must not send, each followed by one that it may: only the latter arrives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netrt.model.address import link_local
from tests.host import Host
from tests.kernel.lab import HOST4, HOST6, OUTSIDE4, OUTSIDE6, Box, Lab
from tests.traffic import PATIENT, Wire, seen

pytestmark = pytest.mark.root

ALL = "ff:ff:ff:ff:ff:ff"
FORGED = "02:42:66:66:66:66"


@pytest.fixture(params=["bridge netfilter on", "bridge netfilter off"])
def lab(host: Host, request: pytest.FixtureRequest) -> Lab:
    """Once as on a host that was a router before us, once as on one that was not."""
    on = request.param == "bridge netfilter on"
    return Lab(host, frozenset({4, 6} if on else ()), bridge_netfilter=on)


def bad_frames(evil: Box, peer: Box) -> Iterator[tuple[str, Any]]:
    """What the bridge drops at the port of `evil`, by what is wrong with it. Each ends in or contains its own name."""
    from scapy.layers.dhcp import BOOTP, DHCP
    from scapy.layers.dhcp6 import DHCP6_Advertise
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.inet6 import (
        ICMPv6EchoRequest,
        ICMPv6ND_NA,
        ICMPv6ND_NS,
        ICMPv6ND_RA,
        ICMPv6ND_Redirect,
        ICMPv6NDOptDstLLAddr,
        IPv6,
        IPv6ExtHdrDestOpt,
    )
    from scapy.layers.l2 import ARP, LLC, SNAP, Dot1Q, Ether
    from scapy.packet import Raw

    to, mine = Ether(src=evil.mac, dst=peer.mac), IP(src=evil.ip4, dst=peer.ip4)
    wide, local, mine6 = Ether(src=evil.mac, dst=ALL), link_local(evil.mac), IPv6(src=evil.ip6, dst=peer.ip6)
    gateway, udp = evil.lan.gateway4, UDP(sport=1, dport=2)
    yield "another address", to / IP(src="10.1.0.99", dst=peer.ip4) / udp
    yield "the peer's address", to / IP(src=peer.ip4, dst=peer.ip4) / TCP()
    yield "the gateway's address", to / IP(src=gateway, dst=peer.ip4) / ICMP()
    yield "no address", to / IP(src="0.0.0.0", dst="255.255.255.255") / udp
    yield "an outside address", to / IP(src=OUTSIDE4, dst=peer.ip4) / udp
    yield "another MAC", Ether(src=FORGED, dst=peer.mac) / mine / udp
    yield "the peer's MAC", Ether(src=peer.mac, dst=peer.mac) / mine / udp
    yield "another address 6", to / IPv6(src="fd00:1::99", dst=peer.ip6) / udp
    yield "the gateway's address 6", to / IPv6(src=evil.lan.gateway6, dst=peer.ip6) / udp
    yield "another link-local address", to / IPv6(src="fe80::66", dst=peer.ip6) / ICMPv6EchoRequest()
    yield "no address 6", to / IPv6(src="::", dst=peer.ip6) / udp
    yield "another MAC 6", Ether(src=FORGED, dst=peer.mac) / mine6 / udp
    yield "ARP for another", wide / ARP(op=2, hwsrc=evil.mac, psrc=gateway, pdst=peer.ip4)
    yield "ARP for another, asked", wide / ARP(op=1, hwsrc=evil.mac, psrc=peer.ip4, pdst=gateway)
    yield "ARP with another MAC inside", wide / ARP(op=2, hwsrc=FORGED, psrc=evil.ip4, pdst=peer.ip4)
    yield "ARP with another MAC outside", Ether(src=FORGED, dst=ALL) / ARP(op=1, hwsrc=evil.mac, psrc=evil.ip4)
    answer = ICMPv6ND_NA(tgt=evil.lan.gateway6, R=1, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=evil.mac)
    yield "advertisement for another", to / IPv6(src=evil.ip6, dst="ff02::1") / answer
    yield "the same from link-local", to / IPv6(src=local, dst="ff02::1") / answer
    yield "the same behind options", to / IPv6(src=local, dst="ff02::1") / IPv6ExtHdrDestOpt() / answer
    yield "detection for another", to / IPv6(src="::", dst="ff02::1:ff00:3") / ICMPv6ND_NS(tgt=peer.ip6)
    mine_too = ICMPv6ND_NS(tgt=evil.ip6)
    yield "detection with another MAC", Ether(src=FORGED, dst=ALL) / IPv6(src="::", dst="ff02::1") / mine_too
    yield "router advertisement", to / IPv6(src=local, dst="ff02::1", hlim=255) / ICMPv6ND_RA()
    redirect = ICMPv6ND_Redirect(tgt=local, dst=OUTSIDE6)
    yield "router redirect 6", to / IPv6(src=local, dst=peer.ip6, hlim=255) / redirect
    yield "router redirect", to / mine / ICMP(type=5, code=1, gw=evil.ip4) / mine / udp
    yield "router advertisement 4", to / mine / ICMP(type=9)
    offer = BOOTP(op=2, yiaddr=peer.ip4, siaddr=evil.ip4) / DHCP(options=[("message-type", "offer"), "end"])
    yield "DHCP offer", wide / IP(src=evil.ip4, dst="255.255.255.255") / UDP(sport=67, dport=68) / offer
    yield "DHCPv6 advertisement", to / mine6 / UDP(sport=547, dport=546) / DHCP6_Advertise()
    yield "VLAN tag", to / Dot1Q(vlan=1) / mine / udp
    yield "VLAN tag of priority only", to / Dot1Q(vlan=0, prio=3) / mine / udp
    yield "another ethertype", Ether(src=evil.mac, dst=peer.mac, type=0x88B5) / Raw(b"experiment")
    yield "spanning tree", Ether(src=evil.mac, dst="01:80:c2:00:00:00", type=4) / LLC(dsap=0x42, ssap=0x42, ctrl=3)
    yield "SNAP", Ether(src=evil.mac, dst=peer.mac, type=20) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(code=0x0800)


def good_frames(box: Box, peer: Box) -> Iterator[tuple[str, Any]]:
    """What the bridge passes on."""
    from scapy.layers.inet import ICMP, IP, UDP
    from scapy.layers.inet6 import (
        ICMPv6EchoRequest,
        ICMPv6MLReport2,
        ICMPv6ND_NA,
        ICMPv6ND_NS,
        IPv6,
        IPv6ExtHdrHopByHop,
    )
    from scapy.layers.l2 import ARP, Ether

    to, wide, udp = Ether(src=box.mac, dst=peer.mac), Ether(src=box.mac, dst=ALL), UDP(sport=1, dport=2)
    local, multicast = link_local(box.mac), Ether(src=box.mac, dst="33:33:00:00:00:01")
    yield "IPv4", to / IP(src=box.ip4, dst=peer.ip4) / udp
    yield "ICMP", to / IP(src=box.ip4, dst=peer.ip4) / ICMP()
    yield "IPv6", to / IPv6(src=box.ip6, dst=peer.ip6) / udp
    yield "IPv6 from link-local", to / IPv6(src=local, dst=peer.ip6) / ICMPv6EchoRequest()
    yield "ARP question", wide / ARP(op=1, hwsrc=box.mac, psrc=box.ip4, pdst=peer.ip4)
    yield "ARP announcement", wide / ARP(op=1, hwsrc=box.mac, psrc=box.ip4, pdst=box.ip4)
    yield "advertisement", multicast / IPv6(src=box.ip6, dst="ff02::1") / ICMPv6ND_NA(tgt=box.ip6, S=0, O=1)
    yield "advertisement of link-local", multicast / IPv6(src=local, dst="ff02::1") / ICMPv6ND_NA(tgt=local, S=0)
    yield "detection of its own", multicast / IPv6(src="::", dst="ff02::1") / ICMPv6ND_NS(tgt=box.ip6)
    report = IPv6ExtHdrHopByHop(options=[]) / ICMPv6MLReport2()
    yield "joining a group", multicast / IPv6(src="::", dst="ff02::16", hlim=1) / report


def test_bad_frames_end_at_the_port(lab: Lab) -> None:
    """Neither the neighbour nor the host sees one."""
    lan = lab.lan(1)
    evil, peer = lab.box(lan), lab.box(lan)
    wire, host_side, peer_side = Wire(evil, "eth0"), Wire(lab.here, "lan1"), Wire(peer, "eth0")
    (_, question), (_, announcement) = [pair for pair in good_frames(evil, peer) if pair[0].startswith("ARP")]
    good, last = bytes(question), bytes(announcement)
    for name, frame in bad_frames(evil, peer):
        bad = bytes(frame)
        wire.send(bad, good)
        assert bad not in peer_side.heard_until(lambda raw: raw == good), name
    wire.send(last)
    assert not {bytes(frame) for _, frame in bad_frames(evil, peer)} & set(host_side.heard_until(last.__eq__))


def test_good_frames_arrive(lab: Lab) -> None:
    lan = lab.lan(1)
    box, peer = lab.box(lan), lab.box(lan)
    wire, receiver = Wire(box, "eth0"), Wire(peer, "eth0")
    for _, frame in good_frames(box, peer):
        sent = bytes(frame)
        wire.send(sent)
        receiver.heard_until(lambda raw, sent=sent: raw == sent)  # type: ignore[misc]


def test_a_bridge_learns_no_forged_address(lab: Lab) -> None:
    """Frames with the peer's MAC do not draw the peer's traffic to another port."""
    from scapy.layers.l2 import ARP, Ether

    lan = lab.lan(1)
    evil, peer = lab.box(lan), lab.box(lan)
    server = peer.tcp(80)
    assert seen(lab.here, peer.ip4, 80, server)
    Wire(evil, "eth0").send(Ether(src=peer.mac, dst=ALL) / ARP(op=2, hwsrc=peer.mac, psrc=peer.ip4, pdst=evil.ip4))
    ports = lab.host.run("bridge", "fdb", "show", "br", "lan1").stdout
    learned = [line for line in ports.splitlines() if line.startswith(peer.mac) and evil.attachment.link in line]
    assert not learned
    assert seen(lab.here, peer.ip4, 80, server)


def test_no_way_around_the_bridge(lab: Lab) -> None:
    """A frame to a reserved group address leaves the bridge at its port, before our rules of the bridge family. It must not be
    taken by the host as from an interface that is not ours."""
    from scapy.layers.inet import IP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether

    box = lab.box(lab.lan(1, host_access="true"))
    for which in ("all", box.attachment.link):
        lab.sysctl(f"net/ipv4/conf/{which}/rp_filter", "0")
    service, wire = lab.here.udp(7070), Wire(box, "eth0")
    question = UDP(sport=1, dport=7070)
    for group in (0, 1, 2, 3, 0x0E, 0x21):
        to = Ether(src=FORGED, dst=f"01:80:c2:00:00:{group:02x}")
        for source in ("203.0.113.5", box.ip4):
            wire.send(to / IP(src=source, dst=HOST4) / question / b"bad")
        wire.send(to / IPv6(src=box.ip6, dst=HOST6) / question / b"bad")
    lan = Ether(src=box.mac, dst=Path("/sys/class/net/lan1/address").read_text().strip())
    wire.send(lan / IP(src=box.ip4, dst=HOST4) / question / b"end")
    service.settimeout(PATIENT)
    assert service.recv(16) == b"end"


def test_a_v4_only_network_has_no_ipv6(lab: Lab) -> None:
    from scapy.layers.inet import IP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether

    lan = lab.lan(1, ipv6=False)
    box, peer = lab.box(lan), lab.box(lan)
    wire, receiver = Wire(box, "eth0"), Wire(peer, "eth0")
    to = Ether(src=box.mac, dst=peer.mac)
    wire.send(to / IPv6(src=link_local(box.mac), dst=link_local(peer.mac)) / UDP(sport=1, dport=2) / b"bad")
    wire.send(to / IP(src=box.ip4, dst=peer.ip4) / UDP(sport=1, dport=2) / b"end")
    heard = receiver.heard_until(lambda raw: raw.endswith(b"end"))
    assert not [raw for raw in heard if raw.endswith(b"bad")]
