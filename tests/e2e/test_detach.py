"""Taken off a network: by the time that this is answered it is done, though the kernel has yet to free what it was made of."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from netrt.api.client import Client
from tests.cni import Cni, bridge, network
from tests.command import Netrt
from tests.e2e.conftest import HOST4, OUTSIDE4, Site
from tests.e2e.test_restart import kill_daemon
from tests.e2e.vandals import figure
from tests.host import Host
from tests.snapshot import differences, snapshot
from tests.traffic import BRIEF, seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root

PORT = 9
TIMES = 50


def now() -> bytes:
    return time.monotonic_ns().to_bytes(8, "big")


class Flood:
    """Datagrams to one address without a pause, each of which says when it was sent."""

    def __init__(self, asking: socket.socket, address: str) -> None:
        self.sent = 0
        self._asking, self._address = asking, address
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def _send(self) -> None:
        while not self._ended.is_set():
            try:
                self._asking.sendto(now(), (self._address, PORT))
            except OSError:  # nobody is there any more
                self._ended.wait(0.001)
            self.sent += 1

    @contextmanager
    def going_on(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._thread.join()

    def more(self, count: int) -> None:
        """Wait until so many more were sent."""
        goal = self.sent + count
        wait_until(lambda: self.sent >= goal, 20)


def arrived(server: socket.socket) -> list[int]:
    """When those were sent that wait to be read."""
    found = []
    while True:
        try:
            found.append(int.from_bytes(server.recv(8), "big"))
        except BlockingIOError:
            return found


def test_nothing_arrives_once_it_is_answered(site: Site) -> None:
    server = site.web.udp(PORT)
    server.setblocking(False)
    flood = Flood(site.peer.open(socket.AF_INET6, socket.SOCK_DGRAM), site.web.ip6)
    with flood.going_on(), Client() as client:
        wait_until(lambda: arrived(server), what="the first datagrams")
        client.disconnect("lan", "web")
        answered = int.from_bytes(now(), "big")
        flood.more(200)
    late = [sent for sent in arrived(server) if sent >= answered]
    assert not late, f"{len(late)} arrived that were sent after the answer"


def test_off_and_on_again_at_once(site: Site) -> None:
    """Fifty times, with one link under the same names; what was deleted is freed, and nothing is left of it."""
    netrt, server = site.netrt, site.web.tcp(80)
    before = snapshot(netrt.host)
    with Client() as client:
        for _ in range(TIMES):
            client.disconnect("lan", "web")
            client.connect("lan", "web")
        assert seen(site.peer, site.web.ip4, 80, server) == site.peer.ip4
        assert seen(site.outside, HOST4, 8080, server) == OUTSIDE4
        assert not differences(before, snapshot(netrt.host))
        wait_until(lambda: figure(client, "netrt_deletions_unfreed") == 0)


def test_killed_right_after_the_answer(site: Site) -> None:
    """Nothing is left for the next daemon to do, and the address, the port and the link's name can be had again."""
    netrt = site.netrt
    with Client() as client:
        client.disconnect("lan", "web")
        off = snapshot(netrt.host)
        client.connect("lan", "web")
        on = snapshot(netrt.host)
        client.disconnect("lan", "web")
    kill_daemon(netrt)
    assert not differences(off, snapshot(netrt.host))
    netrt("network", "connect", "lan", "web")
    assert not differences(on, snapshot(netrt.host))
    assert seen(site.outside, HOST4, 8080, site.web.tcp(80)) == OUTSIDE4
    netrt("network", "disconnect", "lan", "web")
    assert not seen(site.outside, HOST4, 8080, site.web.tcp(80), BRIEF)


def test_del_and_add_of_one_interface_at_once(host: Host, netrt: Netrt) -> None:
    cni = Cni(host)
    pod, lan = cni.container("c1"), network(bridge())
    for _ in range(TIMES // 5):
        cni.add(lan, pod).delete()
    made = cni.add(lan, pod)
    made.check()
    assert "eth0" in host.run("ip", "-n", "c1", "link").stdout


def test_whatever_was_done_inside_goes_along(host: Host, netrt: Netrt) -> None:
    """Nobody looks into a sandbox that goes: what stands there goes with it, or with the other end of its link."""
    netrt("network", "create", "lan")
    before = snapshot(host)
    words = ("--network", "lan", "--ip", "172.20.0.9", "-p", "8080:80", "--mac-address", "02:00:00:00:00:09")
    web = netrt.box("web", *words)
    name = os.path.basename(web.path)
    host.run("ip", "-n", name, "addr", "add", "10.9.9.9/24", "dev", "eth0")
    host.run("ip", "-n", name, "route", "replace", "default", "via", "10.9.9.1")
    host.run("ip", "-n", name, "link", "add", "over", "link", "eth0", "type", "macvlan")
    host.namespace("elsewhere")
    host.run("ip", "-n", name, "link", "set", "eth0", "netns", "elsewhere")
    netrt("rm", "-f", "web")
    assert "eth0" not in host.run("ip", "-n", "elsewhere", "link").stdout
    host.run("ip", "netns", "del", "elsewhere")
    assert not differences(before, snapshot(host))
    again = netrt.box("again", *words)
    assert again.ip4 == "172.20.0.9"
