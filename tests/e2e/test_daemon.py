"""The daemon comes and goes; traffic and what was asked for stay."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.command import Netrt
from tests.host import Host
from tests.processes import daemon_pid, end
from tests.snapshot import differences, snapshot
from tests.traffic import Place, seen

pytestmark = pytest.mark.root

DAEMON = str(Path(sys.executable).with_name("netrtd"))


def furnish(netrt: Netrt) -> None:
    netrt("network", "create", "--ipv6", "app")
    netrt("network", "create", "--internal", "back")
    netrt.box("web", "--network", "app", "-p", "8080:80")
    netrt.box("db", "--network", "app", "--network", "back", "--ip", "172.20.0.77")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_end_of_the_daemon_disturbs_no_traffic(host: Host, netrt: Netrt, number: int) -> None:
    outside = Place(host, host.outside())
    furnish(netrt)
    web, db = netrt.box("peer", "--network", "app"), netrt.inspect("web")
    server = Place(host, db["NetworkSettings"]["SandboxKey"]).tcp(80)
    held = outside.open(socket.AF_INET, socket.SOCK_STREAM)
    held.settimeout(5)
    held.connect(("192.0.2.1", 8080))
    conversation, _ = server.accept()
    before = snapshot(host)

    end(daemon_pid(netrt), number)

    held.sendall(b"still there")
    assert conversation.recv(20) == b"still there"
    assert seen(outside, "192.0.2.1", 8080, server), "a new connection while no daemon runs"
    assert seen(web, db["NetworkSettings"]["Networks"]["app"]["IPAddress"], 80, server)
    assert not differences(before, snapshot(host))

    netrt("network", "ls")  # starts a daemon
    assert not differences(before, snapshot(host)), "a restart changes nothing in the kernel"
    conversation.sendall(b"and back")
    assert held.recv(20) == b"and back"


def test_after_a_reboot_everything_is_there_again(host: Host, netrt: Netrt) -> None:
    outside = Place(host, host.outside())
    furnish(netrt)
    before = snapshot(host)
    inspected = netrt.inspect("web"), netrt.inspect("db"), netrt.inspect("app")
    end(daemon_pid(netrt), signal.SIGKILL)

    for name in os.listdir("/run/netns"):
        if name.startswith("netrt-"):
            host.run("ip", "netns", "delete", name)
    for link in json.loads(host.run("ip", "-j", "link", "show").stdout):
        if link["ifname"].startswith("nr"):
            host.run("ip", "link", "delete", link["ifname"], check=False)
    host.run("nft", "flush", "ruleset")
    host.run("sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0")
    host.run("rm", "-rf", "/run/netrt")

    netrt("network", "ls")  # starts a daemon
    assert not differences(before, snapshot(host))
    assert (netrt.inspect("web"), netrt.inspect("db"), netrt.inspect("app")) == inspected
    server = Place(host, inspected[0]["NetworkSettings"]["SandboxKey"]).tcp(80)
    assert seen(outside, "192.0.2.1", 8080, server) == "192.0.2.2"


def test_a_deleted_bridge_is_mended_by_the_next_attach(host: Host, netrt: Netrt) -> None:
    furnish(netrt)
    web = netrt.inspect("web")
    bridge = next(
        link["ifname"]
        for link in json.loads(host.run("ip", "-j", "link", "show", "type", "bridge").stdout)
        if link["ifname"].startswith("nr")
    )
    before = snapshot(host)
    host.run("ip", "link", "delete", bridge)
    peers = [netrt.box(f"peer-{network}", "--network", network) for network in ("app", "back")]
    server = Place(host, web["NetworkSettings"]["SandboxKey"]).tcp(80)
    assert seen(peers[0], web["NetworkSettings"]["Networks"]["app"]["IPAddress"], 80, server)
    for peer in peers:
        netrt("rm", peer.name)
    assert not differences(before, snapshot(host))


def test_a_second_daemon_says_who_serves_this_state(host: Host, netrt: Netrt) -> None:
    netrt("network", "ls")
    pid = daemon_pid(netrt)
    done = host.run(DAEMON, check=False)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"pid {pid}" in done.stderr
    assert daemon_pid(netrt) == pid


def test_everything_removed_leaves_the_host_as_it_was(host: Host, netrt: Netrt) -> None:
    host.outside()
    host.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    before = snapshot(host)
    furnish(netrt)
    netrt("rm", "web", "db")
    netrt("network", "rm", "app", "back")
    assert not differences(before, snapshot(host))
