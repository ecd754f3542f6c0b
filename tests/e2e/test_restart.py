"""The daemon stopped, killed, started again; the host rebooted: what people asked for stands, and traffic does not notice."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
from pathlib import Path

import pytest

from tests.command import Box, Netrt
from tests.e2e.conftest import HOST4, HOST6, OUTSIDE4, OUTSIDE6, Site
from tests.processes import daemon_pid, end
from tests.snapshot import differences, snapshot
from tests.traffic import seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root


def kill_daemon(netrt: Netrt) -> None:
    """As a crash does it; returns when it is gone."""
    end(daemon_pid(netrt))


class Stream:
    """A connection through the published port that never rests; any gap of a second breaks it."""

    def __init__(self, site: Site) -> None:
        self.end = threading.Event()
        self.rounds = 0
        server = site.web.tcp(80)
        self.client = site.outside.open(socket.AF_INET, socket.SOCK_STREAM)
        self.client.connect((HOST4, 8080))
        self.conversation, _ = server.accept()
        self.client.settimeout(1)
        self.thread = threading.Thread(target=self.flow)
        self.thread.start()

    def flow(self) -> None:
        while not self.end.is_set():
            self.client.sendall(b"x" * 1024)
            self.conversation.recv(65536)
            self.rounds += 1
            self.end.wait(0.002)

    def went_on(self) -> bool:
        """End it; whether it ran without a break until now."""
        before = self.rounds
        running = self.thread.is_alive()
        wait_until(lambda: self.rounds > before or not self.thread.is_alive(), what="the stream")
        self.end.set()
        self.thread.join()
        return running and self.rounds > before


def everyone_is_there(site: Site) -> None:
    tcp, udp = site.web.tcp(80), site.web.udp(53)
    assert seen(site.outside, HOST4, 8080, tcp) == OUTSIDE4
    assert seen(site.outside, HOST6, 5353, udp) == OUTSIDE6
    assert seen(site.peer, site.web.ip4, 80, tcp) == site.peer.ip4
    assert seen(site.web, OUTSIDE6, 7000, site.outside.tcp(7000)) == HOST6
    tcp.close()
    udp.close()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_the_daemon_ends_and_starts_again(site: Site, how: str) -> None:
    """Traffic flows all the time, and the new daemon finds nothing to do."""
    stream, before = Stream(site), snapshot(site.netrt.host)
    if how == "stopped":
        site.netrt("daemon", "stop")
    else:
        kill_daemon(site.netrt)
    assert not differences(before, snapshot(site.netrt.host))
    assert {"web", "peer", "far"} <= set(site.netrt("ps", "-a").split())
    assert not differences(before, snapshot(site.netrt.host))
    assert stream.went_on()
    everyone_is_there(site)


def reboot(netrt: Netrt) -> None:
    """What a reboot leaves: the disk. Links, namespaces, rules, sysctls and /run are gone."""
    host = netrt.host
    kill_daemon(netrt)
    host.run("nft", "flush", "ruleset")
    for pin in Path("/run/netns").glob("netrt-*"):
        host.run("ip", "netns", "del", pin.name)
    for link in json.loads(host.run("ip", "-j", "link", "show", "type", "bridge").stdout):
        host.run("ip", "link", "del", link["ifname"])
    wait_until(lambda: not [n for n in os.listdir("/sys/class/net") if n.startswith("nr")], what="the end of our links")
    for switch in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        Path("/proc/sys/net", switch).write_text("0")
    shutil.rmtree("/run/netrt")


def test_after_a_reboot_everything_comes_back(site: Site) -> None:
    """With the same names, addresses, MACs and ports."""
    before = snapshot(site.netrt.host)
    reboot(site.netrt)
    site.netrt("ps")
    assert not differences(before, snapshot(site.netrt.host))
    again = Site(
        netrt=site.netrt,
        here=site.here,
        outside=site.outside,
        web=Box(site.netrt.host, site.netrt.inspect("web")),
        peer=Box(site.netrt.host, site.netrt.inspect("peer")),
        far=Box(site.netrt.host, site.netrt.inspect("far")),
    )
    assert [(b.ip4, b.ip6, b.mac) for b in (again.web, again.peer, again.far)] == [
        (b.ip4, b.ip6, b.mac) for b in (site.web, site.peer, site.far)
    ]
    everyone_is_there(again)


def test_what_others_broke_is_repaired_at_start(site: Site) -> None:
    before, host = snapshot(site.netrt.host), site.netrt.host
    site.netrt("daemon", "stop")
    host.run("nft", "flush", "ruleset")
    host.run("ip", "-n", Path(site.web.path).name, "addr", "flush", "dev", "eth0")
    host.run("ip", "-n", Path(site.peer.path).name, "link", "del", "eth0")
    site.netrt("ps")
    assert not differences(before, snapshot(host))
    everyone_is_there(site)
