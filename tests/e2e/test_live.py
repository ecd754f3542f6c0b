"""Changes of a container while it runs: what is spoken of changes, and a connection that is open goes on."""

from __future__ import annotations

import socket
import time

import pytest

from tests.command import Box
from tests.e2e.conftest import HOST4, HOST6, OUTSIDE4, OUTSIDE6, Site
from tests.snapshot import differences, snapshot
from tests.traffic import BRIEF, PATIENT, Place, conversation, seen

pytestmark = pytest.mark.root


def test_ports_come_and_go(site: Site) -> None:
    netrt, server = site.netrt, site.web.tcp(81)
    before = snapshot(site.netrt.host)
    with conversation(site.outside, HOST4, 8080, site.web, 80), conversation(site.peer, site.web.ip6, 82, site.web, 82):
        netrt("publish", "add", "web", "8081:81", "8082-8084:90-92/udp")
        assert seen(site.outside, HOST4, 8081, server) == OUTSIDE4
        assert seen(site.outside, HOST6, 8081, server) == OUTSIDE6
        assert seen(site.outside, HOST4, 8083, site.web.udp(91)) == OUTSIDE4
        assert "8081" in netrt("port", "web")
        netrt("publish", "rm", "web", "81", "8082-8084:90-92/udp")
        assert not seen(site.outside, HOST4, 8081, server, BRIEF)
    assert not differences(before, snapshot(site.netrt.host))
    assert "8081" not in netrt("port", "web")
    chosen = netrt("publish", "add", "web", "81") or netrt("port", "web", "81").rpartition(":")[2]
    assert seen(site.outside, HOST4, int(chosen), server) == OUTSIDE4


def test_a_connection_by_a_port_that_goes_ends(site: Site) -> None:
    listening = site.web.tcp(80)
    with site.outside.open(socket.AF_INET, socket.SOCK_STREAM) as asking:
        asking.settimeout(PATIENT)
        asking.connect((HOST4, 8080))
        talking, _ = listening.accept()
        site.netrt("publish", "rm", "web", "8080:80")
        asking.settimeout(BRIEF)
        asking.sendall(b"?")
        talking.settimeout(BRIEF)
        with pytest.raises(TimeoutError):
            talking.recv(1)


def test_what_cannot_be_published(site: Site) -> None:
    netrt = site.netrt
    netrt("container", "create", "--name", "side", "--network", "container:web")
    netrt("container", "create", "--name", "alone", "--network", "none")
    before = snapshot(netrt.host)
    cases: tuple[tuple[tuple[str, ...], str], ...] = (
        (("publish", "add", "web", "8080:81"), "8080/tcp is already allocated to"),
        (("publish", "add", "peer", "8080:80"), "already allocated to web"),
        (("publish", "add", "nobody", "1:1"), "no container named nobody"),
        (("publish", "add", "web", "1:x"), "use [HOST_IP:]HOST_PORT"),
        (("publish", "add", "side", "81:81"), "shares the namespace of web"),
        (("publish", "add", "alone", "81:81"), "it needs a network that leads outside"),
        (("publish", "rm", "web", "99"), "does not publish 99"),
        (("publish", "rm", "web", "8080:99"), "has: 8080/tcp to 80"),
        (("container", "update", "--bandwidth", "fast", "web"), "ingress=RATE"),
        (("container", "update", "--bandwidth", "ingress=1", "web"), "out of range"),
        (("container", "update", "--bandwidth", "ingress=1mbit,ingress=2mbit", "web"), "ingress=RATE"),
        (("container", "update", "--bandwidth", "ingress=1mbit", "alone"), "on no network"),
        (("container", "update", "--bandwidth", "ingress=1mbit", "--network", "other", "web"), "not on network other"),
        (("container", "create", "--network", "lan", "--bandwidth", "egress=x"), "egress=RATE"),
    )
    for words, part in cases:
        assert part in netrt.refused(*words)
    assert not differences(before, snapshot(netrt.host))


def megabits(client: Place, address: str, server: Place, port: int, size: int) -> float:
    """How fast `size` bytes come from there to the server."""
    listening = server.tcp(port)
    with client.open(socket.AF_INET, socket.SOCK_STREAM) as asking:
        asking.settimeout(30)
        asking.connect((address, port))
        talking, _ = listening.accept()
        talking.settimeout(30)
        began, left = time.monotonic(), size
        asking.setblocking(False)
        waiting = memoryview(bytes(size))
        while left:
            if waiting:
                try:
                    waiting = waiting[asking.send(waiting[:65536]) :]
                except BlockingIOError:
                    pass
                else:
                    continue
            left -= len(talking.recv(1 << 20))
        talking.close()
    listening.close()
    return size * 8 / (time.monotonic() - began) / 1e6


def test_limits_change_under_a_connection(site: Site) -> None:
    netrt = site.netrt
    before = snapshot(netrt.host)
    size = 600_000  # 2.4 seconds at 2 Mbit/s, much more than a burst
    with conversation(site.outside, HOST4, 8080, site.web, 80):
        netrt("container", "update", "--bandwidth", "ingress=2mbit", "web")
        assert megabits(site.peer, site.web.ip4, site.web, 90, size) < 3
        netrt("container", "update", "--bandwidth", "egress=2mbit", "web")
        assert netrt.inspect("web")["NetworkSettings"]["Networks"]["lan"]["DriverOpts"]["netrt.bandwidth"] == (
            "ingress=2000000,egress=2000000"
        )
        assert megabits(site.web, site.peer.ip4, site.peer, 91, size) < 3
        netrt("container", "update", "--bandwidth", "ingress=0,egress=0", "web")
        assert megabits(site.peer, site.web.ip4, site.web, 92, size) > 3
    assert not differences(before, snapshot(netrt.host))


def test_limits_from_the_start(site: Site) -> None:
    slow = site.netrt.box("slow", "--network", "lan", "--bandwidth", "ingress=2mbit")
    assert megabits(site.peer, slow.ip4, slow, 90, 600_000) < 3


def test_another_name(site: Site) -> None:
    with conversation(site.outside, HOST4, 8080, site.web, 80):
        site.netrt("rename", "web", "shop")
        assert Box(site.netrt.host, site.netrt.inspect("shop")).ip4 == site.web.ip4


def test_dry_run(site: Site) -> None:
    assert "add element ports4 { tcp . 81 : " in site.netrt("publish", "add", "--dry-run", "web", "81:81")
    said = site.netrt("container", "update", "--dry-run", "--bandwidth", "egress=2mbit", "web")
    assert "to 2000000 bit/s" in said
    assert "81" not in site.netrt("port", "web")
