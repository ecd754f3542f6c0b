"""A container speaks for itself only: frames with another's MAC or addresses, answers for others, router advertisements and DHCP
answers do not arrive.

Each forged frame is sent between two honest ones; when the second honest one has arrived, the forged one would have, too."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

import pytest
from scapy.layers.dhcp6 import DHCP6_Advertise
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether

from tests.e2e.conftest import OUTSIDE4, OUTSIDE6, Site
from tests.traffic import Place, Wire, containing

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("bridge_netfilter")]

EVERYONE = "ff:ff:ff:ff:ff:ff"
ALL_NODES = "33:33:00:00:00:01"
FOREIGN_MAC = "02:42:ff:ff:ff:ff"


def link_local(place: Place, link: str = "eth0") -> str:
    """The link-local address of an interface."""
    name = ("-n", place.path.rpartition("/")[2]) if place.path else ()
    found = json.loads(place.host.run("ip", *name, "-6", "-j", "addr", "show", "dev", link, "scope", "link").stdout)
    return str(next(a["local"] for each in found for a in each.get("addr_info", ()) if "local" in a))


def bridge(site: Site) -> str:
    """The host's interface on `lan`."""
    words = site.netrt.host.run("ip", "-o", "route", "get", site.web.ip4).stdout.split()
    return words[words.index("dev") + 1]


def arrive(sender: Wire, receiver: Wire, frames: dict[str, Any], honest: Any) -> list[str]:
    """The names of those frames that `receiver` hears. `honest` is a frame that must get through; a word is put at its end."""
    heard: list[str] = []
    for name, frame in frames.items():
        word = os.urandom(8)
        sender.send(honest / os.urandom(8), frame, honest / word)
        inside = bytes(frame)[14:]
        if any(inside[:40] in raw for raw in receiver.heard_until(containing(word))):
            heard.append(name)
    return heard


def forged4(site: Site, target: str) -> dict[str, Any]:
    """IPv4 and ARP that `web` must not send to `target` (a MAC)."""
    web, peer, mine = site.web, site.peer, Ether(src=site.web.mac, dst=target)
    gateway, load = site.gateways[0], UDP(sport=1, dport=9) / b"forged"
    far = Ether(src=FOREIGN_MAC, dst=target)
    return {
        "the peer's address": mine / IP(src=peer.ip4, dst=gateway) / load,
        "the gateway's address": mine / IP(src=gateway, dst=peer.ip4) / load,
        "a free address": mine / IP(src=gateway.rpartition(".")[0] + ".200", dst=peer.ip4) / load,
        "a foreign address": mine / IP(src="203.0.113.7", dst=peer.ip4) / load,
        "no address": mine / IP(src="0.0.0.0", dst=peer.ip4) / load,
        "a loopback address": mine / IP(src="127.0.0.1", dst=peer.ip4) / load,
        "another MAC": far / IP(src=web.ip4, dst=peer.ip4) / load,
        "the peer's MAC": Ether(src=peer.mac, dst=target) / IP(src=web.ip4, dst=gateway) / load,
        "a DHCP answer": mine / IP(src=web.ip4, dst="255.255.255.255") / UDP(sport=67, dport=68) / b"offer",
        "ARP: I am the gateway": mine / ARP(op=2, hwsrc=web.mac, psrc=gateway, hwdst=target, pdst=peer.ip4),
        "ARP: I am the peer": mine / ARP(op=2, hwsrc=web.mac, psrc=peer.ip4, hwdst=target, pdst=gateway),
        "ARP: my address is elsewhere": mine / ARP(op=2, hwsrc=FOREIGN_MAC, psrc=web.ip4, hwdst=target, pdst=gateway),
        "ARP question as the gateway": mine / ARP(op=1, hwsrc=web.mac, psrc=gateway, pdst=peer.ip4),
        "behind a VLAN tag": mine / Dot1Q(vlan=1) / IP(src=gateway, dst=peer.ip4) / load,
        "behind a VLAN tag, ARP": mine / Dot1Q(vlan=0) / ARP(op=2, hwsrc=web.mac, psrc=gateway, pdst=peer.ip4),
    }


def forged6(site: Site, target: str) -> dict[str, Any]:
    """IPv6, neighbour discovery included, that `web` must not send to `target` (a MAC)."""
    web, peer, mine = site.web, site.peer, Ether(src=site.web.mac, dst=target)
    gateway, load, own = site.gateways[1], UDP(sport=1, dport=9) / b"forged", link_local(site.web)
    nodes, elsewhere = Ether(src=web.mac, dst=ALL_NODES), ICMPv6NDOptDstLLAddr(lladdr=FOREIGN_MAC)
    prefix = (
        ICMPv6ND_RA()
        / ICMPv6NDOptPrefixInfo(prefix="2001:db8:bad::", prefixlen=64)
        / ICMPv6NDOptSrcLLAddr(lladdr=web.mac)
    )
    answer = IPv6(src=own, dst=peer.ip6, hlim=255)
    return {
        "the peer's address": mine / IPv6(src=peer.ip6, dst=gateway) / load,
        "the gateway's address": mine / IPv6(src=gateway, dst=peer.ip6) / load,
        "a foreign address": mine / IPv6(src="2001:db8:bad::7", dst=peer.ip6) / load,
        "another link-local address": mine / IPv6(src="fe80::bad", dst=peer.ip6) / load,
        "another MAC": Ether(src=FOREIGN_MAC, dst=target) / IPv6(src=web.ip6, dst=peer.ip6) / load,
        "a DHCPv6 answer": mine / IPv6(src=own, dst=peer.ip6) / UDP(sport=547, dport=546) / DHCP6_Advertise(),
        "NA: I am the gateway": mine / answer / ICMPv6ND_NA(tgt=gateway, R=0) / ICMPv6NDOptDstLLAddr(lladdr=web.mac),
        "NA: I am the peer": mine / answer / ICMPv6ND_NA(tgt=peer.ip6, R=0) / ICMPv6NDOptDstLLAddr(lladdr=web.mac),
        "router advertisement": nodes / IPv6(src=own, dst="ff02::1", hlim=255) / prefix,
        "router advertisement to one": mine / IPv6(src=own, dst=peer.ip6, hlim=255) / prefix,
        "router advertisement behind options": nodes
        / IPv6(src=own, dst="ff02::1", hlim=255)
        / IPv6ExtHdrDestOpt()
        / prefix,
        "router advertisement behind hops": nodes
        / IPv6(src=own, dst="ff02::1", hlim=255)
        / IPv6ExtHdrHopByHop()
        / prefix,
        "redirect": mine / IPv6(src=own, dst=peer.ip6, hlim=255) / ICMPv6ND_Redirect(tgt=own, dst=OUTSIDE6) / elsewhere,
        "behind a VLAN tag": mine / Dot1Q(vlan=0) / IPv6(src=own, dst="ff02::1", hlim=255) / prefix,
    }


def honest4(site: Site, target: str) -> Any:
    return Ether(src=site.web.mac, dst=target) / IP(src=site.web.ip4, dst=site.peer.ip4) / UDP(sport=2, dport=9)


def honest6(site: Site, target: str) -> Any:
    return Ether(src=site.web.mac, dst=target) / IPv6(src=site.web.ip6, dst=site.peer.ip6) / UDP(sport=2, dport=9)


def test_a_peer_is_not_deceived(site: Site) -> None:
    sender, receiver = Wire(site.web, "eth0"), Wire(site.peer, "eth0")
    peer = site.peer.mac
    assert arrive(sender, receiver, forged4(site, peer), honest4(site, peer)) == []
    assert arrive(sender, receiver, forged6(site, peer), honest6(site, peer)) == []


def test_everyone_is_not_deceived(site: Site) -> None:
    """Broadcast: gratuitous ARP and unsolicited advertisements reach all ports of a bridge."""
    web, gateway4, gateway6 = site.web, *site.gateways
    sender, receiver = Wire(web, "eth0"), Wire(site.peer, "eth0")
    to_all, to_nodes = Ether(src=web.mac, dst=EVERYONE), Ether(src=web.mac, dst=ALL_NODES)
    frames = {
        "ARP": to_all / ARP(op=1, hwsrc=web.mac, psrc=gateway4, pdst=gateway4),
        "ARP of the peer": to_all / ARP(op=2, hwsrc=web.mac, psrc=site.peer.ip4, pdst=site.peer.ip4),
        "NA": to_nodes
        / IPv6(src=link_local(web), dst="ff02::1", hlim=255)
        / ICMPv6ND_NA(tgt=gateway6)
        / ICMPv6NDOptDstLLAddr(lladdr=web.mac),
    }
    assert arrive(sender, receiver, frames, honest4(site, site.peer.mac)) == []


def test_the_host_is_not_deceived(site: Site) -> None:
    """What comes up from the bridge: neither forged frames to the host nor claims of others' addresses."""
    name = bridge(site)
    sender, receiver = Wire(site.web, "eth0"), Wire(site.here, name)
    with open(f"/sys/class/net/{name}/address") as address:
        host = address.read().strip()
    honest = Ether(src=site.web.mac, dst=host) / IP(src=site.web.ip4, dst=site.gateways[0]) / ICMP() / b"echo"
    assert arrive(sender, receiver, forged4(site, host), honest) == []
    honest = Ether(src=site.web.mac, dst=host) / IPv6(src=site.web.ip6, dst=site.gateways[1]) / ICMPv6EchoRequest()
    assert arrive(sender, receiver, forged6(site, host), honest) == []


def test_the_outside_is_not_deceived(site: Site) -> None:
    """Nothing leaves the host under a source that is not the container's (then masqueraded) own."""
    name = bridge(site)
    sender, receiver = Wire(site.web, "eth0"), Wire(site.outside, "eth0")
    with open(f"/sys/class/net/{name}/address") as address:
        frame = Ether(src=site.web.mac, dst=address.read().strip())
    load = UDP(sport=3, dport=9)
    sources = {site.peer.ip4, site.far.ip4, "203.0.113.7", OUTSIDE4, "192.0.2.1"}
    for number, source in enumerate(sources):
        word, honest = f"forged {number} ".encode(), os.urandom(8)
        sender.send(frame / IP(src=source, dst=OUTSIDE4) / load / word)
        sender.send(frame / IP(src=site.web.ip4, dst=OUTSIDE4) / load / honest)
        heard = receiver.heard_until(containing(honest))
        assert not [raw for raw in heard if word in raw], f"{source} got out"


def test_honest_frames_arrive(site: Site) -> None:
    """ARP and neighbour discovery about oneself, and duplicate address detection."""
    web, peer = site.web, site.peer
    sender, receiver = Wire(web, "eth0"), Wire(peer, "eth0")
    to_all, own = Ether(src=web.mac, dst=EVERYONE), link_local(web)
    answer = ICMPv6ND_NA(tgt=web.ip6, S=1) / ICMPv6NDOptDstLLAddr(lladdr=web.mac)
    frames = {
        "ARP question": to_all / ARP(op=1, hwsrc=web.mac, psrc=web.ip4, pdst=peer.ip4),
        "gratuitous ARP": to_all / ARP(op=1, hwsrc=web.mac, psrc=web.ip4, pdst=web.ip4),
        "NS": Ether(src=web.mac, dst=peer.mac)
        / IPv6(src=own, dst=peer.ip6, hlim=255)
        / ICMPv6ND_NS(tgt=peer.ip6)
        / ICMPv6NDOptSrcLLAddr(lladdr=web.mac),
        "NA": Ether(src=web.mac, dst=peer.mac) / IPv6(src=web.ip6, dst=peer.ip6, hlim=255) / answer,
        "duplicate address detection": Ether(src=web.mac, dst=ALL_NODES)
        / IPv6(src="::", dst="ff02::1", hlim=255)
        / ICMPv6ND_NS(tgt=web.ip6),
        "DHCP question": Ether(src=web.mac, dst=peer.mac)
        / IP(src=web.ip4, dst=peer.ip4)
        / UDP(sport=68, dport=67)
        / b"discover",
    }
    with contextlib.closing(sender.socket), contextlib.closing(receiver.socket):
        assert arrive(sender, receiver, frames, honest4(site, peer.mac)) == list(frames)
