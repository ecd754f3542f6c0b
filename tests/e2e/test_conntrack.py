"""Tracked connections: those of a withdrawn port or address are forgotten, exactly those, so that no client talks to a ghost."""

from __future__ import annotations

import re
import socket

import pytest

from tests.command import Box
from tests.e2e.conftest import HOST4, HOST6, OUTSIDE4, Site
from tests.traffic import PATIENT, seen

pytestmark = pytest.mark.root


def tracked(site: Site, *words: str) -> set[str]:
    """The tracked connections whose text has all of these words (`dport=53`), without what changes by itself."""
    lines = []
    for family in ("ipv4", "ipv6"):
        lines += site.netrt.host.run("conntrack", "-L", "-f", family, check=False).stdout.splitlines()
    kept = (re.sub(r"^(\w+ +\d+) \d+", r"\1", line) for line in lines)
    return {line for line in kept if all(word in line.split() for word in words)}


class Caller:
    """A UDP client outside with one fixed source port, as a long-lived tunnel has."""

    def __init__(self, site: Site, address: str, port: int, source: int) -> None:
        self.socket = site.outside.udp(source, "0.0.0.0" if "." in address else "::")
        self.socket.connect((address, port))
        self.socket.settimeout(PATIENT)

    def call(self, word: bytes) -> None:
        """Say something; that nobody listens is no matter."""
        try:
            self.socket.send(word)
        except ConnectionRefusedError:
            self.socket.send(word)

    def talk(self, server: socket.socket) -> str:
        """One question and answer: from which address the server saw it."""
        server.settimeout(PATIENT)
        self.call(b"question")
        word, peer = server.recvfrom(64)
        assert word == b"question"
        server.sendto(b"answer", peer)
        assert self.socket.recv(64) == b"answer"
        return str(peer[0]).removeprefix("::ffff:")


def replaced(site: Site, name: str, port: str) -> Box:
    """The container removed, and another in its place under another address."""
    site.netrt("rm", "-f", name)
    site.netrt.box(f"{name}-holder", "--network", "lan")
    return site.netrt.box(f"{name}-next", "--network", "lan", "-p", port)


@pytest.mark.parametrize("address", [HOST4, HOST6])
def test_a_caller_reaches_the_next_container_at_once(site: Site, address: str) -> None:
    """The host's port differs from the container's, and the client keeps its source port."""
    caller = Caller(site, address, 5353, 40001)
    caller.talk(site.web.udp(53))
    unrelated = Caller(site, address, 5454, 40002)
    beside = site.netrt.box("beside", "--network", "lan", "-p", "5454:53/udp")
    beside_server = beside.udp(53)
    unrelated.talk(beside_server)
    kept = tracked(site, "dport=5454")
    assert len(kept) == 1
    following = replaced(site, "web", "5353:53/udp")
    assert following.ip4 != site.web.ip4
    caller.talk(following.udp(53))
    assert tracked(site, "dport=5454") == kept
    unrelated.talk(beside_server)


def test_a_caller_from_before_the_publication(site: Site) -> None:
    """It spoke to the host's own closed port, over and over; the entry of that must not outlive the publication."""
    caller = Caller(site, HOST4, 5555, 40003)
    caller.call(b"anybody?")
    caller.call(b"anybody?")
    box = site.netrt.box("late", "--network", "lan", "-p", "5555:53/udp")
    assert caller.talk(box.udp(53)) == OUTSIDE4


def test_a_withdrawn_port_ends_its_connections(site: Site) -> None:
    server, other = site.web.tcp(80), site.outside.tcp(7000)
    client = site.outside.open(socket.AF_INET, socket.SOCK_STREAM)
    client.connect((HOST4, 8080))
    conversation, _ = server.accept()
    outgoing = site.peer.open(socket.AF_INET, socket.SOCK_STREAM)
    outgoing.connect((OUTSIDE4, 7000))
    other.accept()
    assert len(tracked(site, "dport=8080", "[ASSURED]")) == 1
    kept = tracked(site, "dport=7000")
    site.netrt("rm", "-f", "web")
    assert tracked(site, "dport=8080") == set()
    assert tracked(site, f"dst={site.web.ip4}") == tracked(site, f"src={site.web.ip4}") == set()
    assert tracked(site, "dport=7000") == kept
    conversation.close()


def test_a_disconnected_address_is_forgotten(site: Site) -> None:
    server = site.outside.udp(7000)
    site.netrt("network", "connect", "other", "web")
    for box in (site.web, site.peer):
        assert seen(box, OUTSIDE4, 7000, server) == HOST4
    assert len(tracked(site, f"src={site.web.ip4}")) == len(tracked(site, f"src={site.peer.ip4}")) == 1
    kept = tracked(site, f"src={site.peer.ip4}")
    site.netrt("network", "disconnect", "lan", "web")
    assert tracked(site, f"src={site.web.ip4}") == set()
    assert tracked(site, f"src={site.peer.ip4}") == kept


def test_the_host_keeps_its_own(site: Site) -> None:
    """Connections of the host and through other publications stay through creations and removals."""
    listener = site.here.tcp(7100)
    client = site.outside.open(socket.AF_INET, socket.SOCK_STREAM)
    client.connect((HOST4, 7100))
    conversation, _ = listener.accept()
    assert seen(site.outside, HOST4, 8080, site.web.tcp(80))
    kept = tracked(site, "dport=7100") | tracked(site, "dport=8080")
    assert kept
    site.netrt.box("passing", "--network", "lan", "-p", "7100:80/udp", "-p", "8081:80")
    site.netrt("rm", "-f", "passing")
    assert tracked(site, "dport=7100") | tracked(site, "dport=8080") == kept
    client.sendall(b"x")
    assert conversation.recv(1) == b"x"
