"""What is mended beyond what is heard of, and who cannot keep others from being mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from netrt.api.client import Client
from tests.command import PROGRAM, Box, Netrt
from tests.e2e.vandals import figure, repairs
from tests.host import Host
from tests.traffic import seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root

LOG = Path("/run/netrt/netrtd.log")


def furnished(netrt: Netrt) -> tuple[Box, Box]:
    netrt("network", "create", "--ipv6", "lan")
    return netrt.box("web", "--network", "lan"), netrt.box("peer", "--network", "lan")


def test_what_nobody_tells_of_is_found_by_the_slow_comparison(host: Host, netrt: Netrt) -> None:
    Path("/etc/netrt/netrt.toml").write_text("compare_every = 1\n")
    furnished(netrt)
    (setting,) = [
        path for path in Path("/proc/sys/net/ipv4/conf").glob("nr*/route_localnet") if path.read_text() == "1\n"
    ]
    setting.write_text("0")
    for name in ("\udcff", "no\udcff"):  # names that are no text
        host.run("ip", "link", "add", name, "type", "bridge")
    host.run("ip", "link", "add", "stray", "type", "bridge")
    host.run("ip", "link", "set", "stray", "alias", "netrt:attachment:gone")
    wait_until(lambda: setting.read_text() == "1\n", 20, "the slow comparison")
    wait_until(lambda: not Path("/sys/class/net/stray").exists(), 20, "the end of what is nobody's")
    with Client() as client:
        assert repairs(client)["sysctl"] >= 1
        assert figure(client, "netrt_comparisons_total") == 0, "nothing of this was heard of"
        wait_until(lambda: figure(client, "netrt_full_comparisons_total") >= 1, 20, "the end of the comparison")
        assert 0 < figure(client, "netrt_full_comparison_seconds") < 20


def test_mending_can_be_left_to_the_next_start(host: Host, netrt: Netrt) -> None:
    """So that somebody can try things by hand."""
    Path("/etc/netrt/netrt.toml").write_text("mending = false\ncompare_every = 1\n")
    web, _ = furnished(netrt)
    host.run("ip", "-n", Path(web.path).name, "route", "flush", "table", "main")
    for _ in range(20):
        assert host.run(PROGRAM, "diff", check=False).returncode == 3
    netrt("daemon", "stop")
    netrt("ps")
    assert host.run(PROGRAM, "diff", check=False).returncode == 0


def test_a_container_that_refuses_keeps_nobody_else_from_being_mended(host: Host, netrt: Netrt) -> None:
    """One has put its own route in the place of ours, another its own link; the daemon says so, mends the others, and starts."""
    web, peer = furnished(netrt)
    bad = netrt.box("bad", "--network", "lan")
    host.run("ip", "-n", Path(peer.path).name, "route", "replace", "default", "via", web.ip4)
    own = "link del eth0\nlink add eth0 type bridge\n"
    wait_until(
        lambda: host.run("ip", "-n", Path(bad.path).name, "-batch", "-", input=own, check=False).returncode == 0,
        what="a moment in which nobody mends",
    )
    wait_until(lambda: "what is broken cannot be mended" in LOG.read_text(), 10, "the daemon's word")
    host.run("ip", "-n", Path(web.path).name, "addr", "flush", "dev", "eth0")
    assert seen(peer, web.ip4, 80, web.tcp(80)) == peer.ip4
    netrt("daemon", "stop")
    host.run("ip", "-n", Path(web.path).name, "route", "flush", "table", "main")
    assert {"web", "peer", "bad"} <= set(netrt("ps", "-a").split())
    assert "default via 172.20.0.1" in host.run("ip", "-n", Path(web.path).name, "route").stdout


def test_a_container_that_refuses_keeps_nobody_else_from_being_taken_away(host: Host, netrt: Netrt) -> None:
    """While no daemon ran, a namespace of somebody else's went, and our rules with it."""
    web, _ = furnished(netrt)
    guest = host.namespace("guest")
    netrt("container", "create", "--name", "lost", "--network", "lan", "--netns", guest)
    netrt("daemon", "stop")
    host.run("ip", "-n", Path(web.path).name, "route", "replace", "default", "via", "172.20.0.1", "proto", "static")
    host.run("ip", "netns", "del", "guest")
    host.run("nft", "flush", "ruleset")
    assert "lost" not in netrt("ps", "-a").split()
    assert "table inet netrt" in host.run("nft", "list", "tables").stdout
    netrt("gc", "--apply")
