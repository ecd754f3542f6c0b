"""Connections forgotten: exactly those of a withdrawn port or address, by both ways that the kernel offers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyroute2.netlink import NETLINK_NETFILTER

from netrt.kernel import conntrack
from netrt.kernel.netlink import Netlink
from tests.host import Host
from tests.kernel.lab import HOST4, HOST6, OUTSIDE4, OUTSIDE6, Box, Lab
from tests.traffic import PATIENT, Place, Wire

pytestmark = pytest.mark.root

NUMBERS = {6: "tcp", 17: "udp", 132: "sctp"}

Flow = tuple[str, str, int, str]
"""Protocol, original destination and its port, and who answers."""


@pytest.fixture(params=["deleted by the kernel", "deleted one by one"])
def lab(host: Host, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Kernels before 6.11 know only the second way."""
    if request.param == "deleted one by one":
        monkeypatch.setattr(conntrack, "_flush", lambda netlink, patterns: False)
    return Lab(host)


def entries() -> list[conntrack._Entry]:
    """All that is tracked on this host, but for ICMP."""
    with Netlink(NETLINK_NETFILTER) as netlink:
        everything = [conntrack._Pattern(family=family) for family in (socket.AF_INET, socket.AF_INET6)]
        return [entry for entry in conntrack._matching(netlink, everything) if entry.protocol in NUMBERS]


def flows() -> set[Flow]:
    def text(raw: bytes) -> str:
        return socket.inet_ntop(socket.AF_INET6 if len(raw) == 16 else socket.AF_INET, raw)

    return {(NUMBERS[e.protocol], text(e.destination), e.port, text(e.answering)) for e in entries()}


@dataclass(frozen=True, kw_only=True)
class Ends:
    """The addresses of one family."""

    host: str
    outside: str
    web: str
    peer: str


def ends(version: int, web: Box, peer: Box) -> Ends:
    if version == 4:
        return Ends(host=HOST4, outside=OUTSIDE4, web=web.ip4, peer=peer.ip4)
    return Ends(host=HOST6, outside=OUTSIDE6, web=web.ip6, peer=peer.ip6)


def says(place: Place, kind: int, address: str, port: int) -> socket.socket:
    """A client that has sent a first packet."""
    client = place.open(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    client.setblocking(False)
    client.connect_ex((address, port))
    if kind == socket.SOCK_DGRAM:
        client.send(b"?")
    return client


def test_a_port_and_no_other(lab: Lab) -> None:
    """Not another port of the same container, nor that number at another address, inside, or outside."""
    lan = lab.lan(1)
    web, peer = lab.box(lan), lab.box(lan)
    lab.publish(web, "5353:53/udp", "5454:53/udp", "5353:53")
    lab.publish(peer, "5555:53/udp")
    keep = [web.tcp(53), web.tcp(5353), lab.outside.tcp(5353)]
    for version in (4, 6):
        at = ends(version, web, peer)
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            keep += [says(lab.outside, kind, at.host, 5353), says(peer, kind, at.outside, 5353)]
            keep += [says(peer, kind, at.web, 5353), says(lab.here, kind, at.outside, 5353)]
        keep += [says(lab.outside, socket.SOCK_DGRAM, at.host, port) for port in (5454, 5555)]
        keep += [says(lab.here, socket.SOCK_DGRAM, at.web, 53), says(peer, socket.SOCK_DGRAM, at.web, 53)]
        before = flows()
        gone = {("udp", at.host, 5353, at.web)}
        assert gone < before
        conntrack.forget_port("udp", "", 5353, 5353, at.peer)
        conntrack.forget_port("sctp", "", 5353, 5353, at.web)
        conntrack.forget_port("udp", OUTSIDE4 if version == 4 else OUTSIDE6, 5353, 5353, at.web)
        assert flows() == before
        conntrack.forget_port("udp", "", 5353, 5353, at.web)
        assert before - flows() == gone
        before = flows()
        conntrack.forget_port("tcp", at.host, 5353, 5353, at.web)
        assert before - flows() == {("tcp", at.host, 5353, at.web)}


@pytest.mark.parametrize("last", [9009, 9999])
def test_a_range(lab: Lab, last: int) -> None:
    web = lab.box(lab.lan(1))
    ports = f"9000-{last}:9000-{last}"
    lab.publish(web, f"{ports}/udp", "8999:8999/udp", "10000:10000/udp")
    keep = []
    for host, to in ((HOST4, web.ip4), (HOST6, web.ip6)):
        keep += [says(lab.outside, socket.SOCK_DGRAM, host, port) for port in (8999, 9000, 9004, last, 10000)]
        before = flows()
        conntrack.forget_port("udp", "", 9000, last, to)
        assert before - flows() == {("udp", host, port, to) for port in (9000, 9004, last)}


def test_an_address_and_no_other(lab: Lab) -> None:
    """From and to it, translated or not; its neighbour's stay."""
    lan = lab.lan(1)
    web, peer = lab.box(lan), lab.box(lan)
    lab.publish(web, "5353:53/udp", "8080:80")
    lab.publish(peer, "5454:53/udp")
    keep = [lab.outside.tcp(7000), web.tcp(7001), peer.tcp(7001), web.tcp(80)]
    for version in (4, 6):
        at = ends(version, web, peer)
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            keep += [says(place, kind, at.outside, 7000) for place in (web, peer)]
            keep += [says(lab.here, kind, address, 7001) for address in (at.web, at.peer)]
        keep += [says(lab.outside, socket.SOCK_DGRAM, at.host, port) for port in (5353, 5454)]
        keep += [says(lab.outside, socket.SOCK_STREAM, at.host, 8080)]
        count = len(entries())
        conntrack.forget_address(at.web)
        left = flows()
        assert not [flow for flow in left if at.web in flow]
        assert {("udp", at.host, 5454, at.peer), ("udp", at.peer, 7001, at.peer)} <= left
        assert {("udp", at.outside, 7000, at.outside), ("tcp", at.outside, 7000, at.outside)} <= left, "the peer's"
        assert len(entries()) == count - 6


def test_before_the_publication(lab: Lab) -> None:
    """What reached the host's own port, and no connection through it or from it."""
    web = lab.box(lab.lan(1))
    lab.publish(web, "192.0.2.1:5353:53/udp")
    lab.host.run("ip", "addr", "add", "192.0.2.9/24", "dev", "uplink")
    keep = []
    for host, outside in ((HOST4, OUTSIDE4), (HOST6, OUTSIDE6)):
        keep += [says(lab.outside, socket.SOCK_DGRAM, host, 5454), says(lab.here, socket.SOCK_DGRAM, host, 5454)]
        keep += [says(place, socket.SOCK_DGRAM, outside, 5454) for place in (web, lab.here)]
    keep += [says(lab.outside, socket.SOCK_DGRAM, "192.0.2.9", 5454), says(lab.outside, socket.SOCK_DGRAM, HOST4, 5353)]

    def gone(action: Callable[[], Any]) -> set[Flow]:
        before = flows()
        action()
        return before - flows()

    assert not gone(lambda: conntrack.forget_port("udp", "", 5353, 5353, ""))
    assert gone(lambda: conntrack.forget_port("udp", "192.0.2.9", 5454, 5454, "")) == {
        ("udp", "192.0.2.9", 5454, "192.0.2.9")
    }
    assert gone(lambda: conntrack.forget_port("udp", "::", 5454, 5454, "")) == {("udp", HOST6, 5454, HOST6)}
    assert gone(lambda: conntrack.forget_port("udp", "", 5454, 5454, "")) == {("udp", HOST4, 5454, HOST4)}
    assert {("udp", OUTSIDE4, 5454, OUTSIDE4), ("udp", OUTSIDE6, 5454, OUTSIDE6)} <= flows()


def test_a_steady_caller_finds_the_next_container(lab: Lab) -> None:
    """It keeps its source port, and never stops; the container's port is not the host's."""
    lan = lab.lan(1)
    old, new = lab.box(lan), lab.box(lan)
    for host in (HOST4, HOST6):
        first = lab.publish(old, "5353:53/udp")
        server, client = old.udp(53), says(lab.outside, socket.SOCK_DGRAM, host, 5353)
        server.settimeout(PATIENT)
        assert server.recv(1) == b"?"
        lab.remove(*first)
        second = lab.publish(new, "5353:53/udp")
        follower = new.udp(53)
        follower.settimeout(PATIENT)
        client.send(b"lost")
        assert server.recv(4) == b"lost", "the entry still leads there"
        conntrack.forget_port("udp", "", 5353, 5353, old.ip4 if host == HOST4 else old.ip6)
        client.send(b"next")
        assert follower.recv(4) == b"next"
        lab.remove(*second)
        server.close()
        follower.close()


def test_sctp(lab: Lab) -> None:
    from scapy.layers.inet import IP
    from scapy.layers.l2 import Ether
    from scapy.layers.sctp import SCTP, SCTPChunkInit

    web = lab.box(lab.lan(1))
    lab.publish(web, "9100:90/sctp")
    target, heard = Path("/sys/class/net/uplink/address").read_text().strip(), Wire(web, "eth0")
    chunk = SCTPChunkInit(init_tag=1, a_rwnd=65536, n_out_streams=1, n_in_streams=1)
    Wire(lab.outside, "eth0").send(
        Ether(dst=target) / IP(src=OUTSIDE4, dst=HOST4) / SCTP(sport=4000, dport=9100, tag=0) / chunk
    )
    heard.heard_until(lambda raw: SCTP in Ether(raw))
    assert ("sctp", HOST4, 9100, web.ip4) in flows()
    conntrack.forget_port("sctp", "", 9100, 9100, web.ip4)
    assert ("sctp", HOST4, 9100, web.ip4) not in flows()


def test_nothing_to_forget(lab: Lab) -> None:
    """Also for addresses that nobody has, and again."""
    for address in ("10.9.9.9", "fd00:9::9"):
        for _ in range(2):
            conntrack.forget_address(address)
            conntrack.forget_port("tcp", "", 80, 80, address)
            conntrack.forget_port("tcp", "127.0.0.1" if "." in address else "::1", 80, 90, address)
    conntrack.forget_port("udp", "", 1, 65535, "")


def test_it_costs_the_same_among_many(host: Host) -> None:
    """The kernel looks through them; what is not meant never comes to us."""
    lab = Lab(host)
    web = lab.box(lab.lan(1))

    def best() -> float:
        taken = []
        for _ in range(25):
            begun = time.thread_time()
            conntrack.forget_port("udp", "", 5353, 5353, web.ip4)
            conntrack.forget_port("udp", "", 5353, 5353, web.ip6)
            taken.append(time.thread_time() - begun)
        return min(taken)

    few = best()
    with lab.here.open(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for number in range(5000):
            client.sendto(b"?", (f"127.0.{number >> 8}.{number & 255}", 7000))
    assert best() < 2 * few + 0.005
