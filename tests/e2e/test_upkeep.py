"""`netrt diff`, `netrt gc` and `netrt doctor` where things go wrong: what is named, what is left alone, and what helps."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netrt.paths import Paths
from tests.command import PROGRAM, Netrt
from tests.host import Host
from tests.traffic import Place, seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root

UNLOCKED = "lock_rules = false\nmending = false\n"


@pytest.fixture
def others(host: Host, netrt: Netrt) -> Host:
    """A host with a network, a published container, and an outside, where others can change our tables, and what they break stays
    so."""
    Path(Paths().configuration).write_text(UNLOCKED)
    host.outside()
    netrt("network", "create", "--subnet", "10.1.0.0/24", "app")
    netrt("container", "create", "--name", "web", "--network", "app", "-p", "8080:80")
    return host


def found(host: Host, verb: str, status: int) -> Any:
    """What it says in JSON, with this exit status."""
    done = host.run(PROGRAM, verb, "--format", "json", check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


def bridge(host: Host) -> str:
    (link,) = json.loads(host.run("ip", "-j", "link", "show", "type", "bridge").stdout)
    return str(link["ifname"])


def stray(host: Host) -> None:
    """A bridge with our mark, of a network that is no more."""
    host.run("ip", "link", "add", "nrstray0", "type", "bridge")
    host.run("ip", "link", "set", "nrstray0", "alias", "netrt:network:gone")


# diff and gc


def test_diff_names_each_thing_that_differs(others: Host) -> None:
    assert found(others, "diff", 0) == {"Lacking": [], "Stray": []}
    # so that it cannot be mended, and all at once
    in_the_way = "link add way type bridge\nlink set eth0 down\nlink set eth0 name old\nlink set way name eth0\n"
    others.run("ip", "-n", "netrt-web", "-batch", "-", input=in_the_way)
    stray(others)
    done = others.run(PROGRAM, "diff", check=False)
    assert done.returncode == 3
    assert "- address 10.1.0.2/24 of eth0 in /run/netns/netrt-web is missing" in done.stdout.splitlines()


def test_gc_shows_first_and_then_takes_away(others: Host) -> None:
    gone = Paths().container("f" * 64)
    Path(gone).mkdir(parents=True)
    Path("/run/netns/netrt-husk").touch()
    stray(others)
    what = {each["What"] for each in found(others, "gc", 0)}
    assert what == {"interface nrstray0 on the host", "file /run/netns/netrt-husk", f"files of container {'f' * 12}"}
    assert Path(gone).exists()
    assert Path("/sys/class/net/nrstray0").exists(), "shown, and nothing else"
    assert {
        each["What"] for each in json.loads(others.run(PROGRAM, "gc", "--apply", "--format", "json").stdout)
    } == what
    assert not Path(gone).exists()
    assert not Path("/run/netns/netrt-husk").exists()
    assert not Path("/sys/class/net/nrstray0").exists()
    assert found(others, "gc", 0) == []


def test_gc_frees_what_the_dead_hold_and_never_what_the_living_do(others: Host, netrt: Netrt) -> None:
    """A namespace whose path is gone lives on while a process is in it (`ip netns delete` under a running container)."""
    for name in ("alive", "dead"):
        others.namespace(name)
        netrt("container", "create", "--name", name, "--network", "app", "--netns", f"/run/netns/{name}", "-p", "80")
    dweller = others.spawn("ip", "netns", "exec", "alive", sys.executable, "-c", "print('in', flush=True); input()")
    assert dweller.stdout is not None
    assert dweller.stdout.readline() == "in\n"
    for name in ("alive", "dead"):
        others.run("ip", "netns", "delete", name)
    (dead,) = wait_until(
        lambda: [e for e in found(others, "gc", 0) if e["What"].startswith("container")], what="its end"
    )
    assert dead["What"] == "container dead"
    assert "nobody lives in namespace" in dead["Proof"]
    assert any(held.endswith("on app") for held in dead["Holds"])
    netrt("gc", "--apply")
    netrt("daemon", "stop")
    assert found(others, "diff", 0) == {"Lacking": [], "Stray": []}, "nor does a new daemon touch it"
    assert "eth0" in Path(f"/proc/{dweller.pid}/net/dev").read_text(), "the living keep what they have"
    assert {"alive", "web"} <= set(netrt("ps", "-a").split())
    assert "dead" not in netrt("ps", "-a").split()


# doctor


def test_a_host_without_faults(others: Host) -> None:
    Path("/etc/resolv.conf").write_text("nameserver 192.0.2.2\n")
    errors = [each for each in found(others, "doctor", 0) if each["Level"] == "error"]
    assert not errors


FOREIGN = """\
table inet x {
	chain other { type filter hook forward priority 10; policy accept; }
	chain f { type filter hook forward priority 0; policy drop; ct state established,related accept; iifname "lo" accept; }
}
"""


def test_a_foreign_chain_that_drops_is_named_and_left_alone_and_the_remedy_helps(others: Host, netrt: Netrt) -> None:
    netrt("network", "create", "back")
    others.run("nft", "-f", "-", input=FOREIGN)
    before = others.run("nft", "-a", "list", "table", "inet", "x").stdout
    handle = next(line for line in before.splitlines() if "chain f" in line).rpartition(" ")[2]
    (finding,) = [each for each in found(others, "doctor", 3) if each["Check"] == "foreign chains"]
    assert f"chain inet x f (handle {handle}) drops by its policy" in finding["Text"]
    assert "what containers send out and what comes to published ports" in finding["Text"]
    assert finding["Networks"] == ["app", "back"]
    assert others.run("nft", "-a", "list", "table", "inet", "x").stdout == before
    web, outside = Place(others, "/run/netns/netrt-web"), Place(others, "/run/netns/outside")
    with web.tcp(80) as server:
        assert not seen(outside, "192.0.2.1", 8080, server, patience=0.3)
        for command in finding["Remedy"].split("; "):
            others.run(*shlex.split(command))
        assert seen(outside, "192.0.2.1", 8080, server) == "192.0.2.2"
    assert not [each for each in found(others, "doctor", 0) if each["Check"] == "foreign chains"]


def by_rule(host: Host) -> None:
    host.run("nft", "-f", "-", input="table ip filter { chain FORWARD { type filter hook forward priority 0; }; }")
    host.run("nft", "add", "rule", "ip", "filter", "FORWARD", "oifname", bridge(host), "counter", "drop")


def vpn(host: Host) -> None:
    host.run("ip", "link", "add", "tun9", "type", "veth", "peer", "name", "tun8")
    host.run("ip", "link", "set", "tun9", "up")
    host.run("ip", "route", "add", "10.1.0.0/25", "dev", "tun9")


def no_resolver(host: Host) -> None:
    Path("/etc/resolv.conf").write_text("# nobody\n")


def two_ways(host: Host) -> None:
    vpn(host)
    host.run("ip", "route", "del", "10.1.0.0/25")
    host.run("ip", "route", "add", "default", "dev", "tun9", "metric", "9")
    Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("1")


def narrow(host: Host) -> None:
    host.run(PROGRAM, "network", "create", "-o", "com.docker.network.driver.mtu=1500", "wide")
    host.run("ip", "link", "set", "uplink", "mtu", "1400")


def no_forwarding(host: Host) -> None:
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")


def husk(host: Host) -> None:
    Path("/run/netns/netrt-husk").touch()


def same_address(host: Host) -> None:
    lan = ("--subnet", "192.0.2.0/24", "--gateway", "192.0.2.2", "--ip-range", "192.0.2.128/25", "lan")
    host.run(PROGRAM, "network", "create", "-d", "macvlan", "-o", "parent=uplink", *lan)
    host.run(PROGRAM, "container", "create", "--name", "tv", "--network", "lan")
    host.run("ip", "addr", "add", "192.0.2.128/24", "dev", "uplink")


def no_gateway(host: Host) -> None:
    host.run("ip", "-batch", "-", input="link add br9 type bridge\nlink set br9 up\naddr add 10.77.0.1/24 dev br9\n")
    host.run(PROGRAM, "network", "create", "-o", "com.docker.network.bridge.name=br9", "yard")
    host.run("ip", "addr", "flush", "dev", "br9")


@pytest.mark.parametrize(
    ("harm", "check", "words"),
    [
        (by_rule, "foreign chains", "chain ip filter FORWARD has a rule (handle "),
        (vpn, "overlap", "network app (10.1.0.0/24) overlaps with route 10.1.0.0/25 by tun9"),
        (no_resolver, "dns", "names no resolver"),
        (two_ways, "rp_filter", "rp_filter is 1 and default routes lead to tun9 and uplink"),
        (narrow, "mtu", "network wide has an MTU of 1500, the way outside one of 1400"),
        (no_forwarding, "forwarding", "net.ipv4.ip_forward is 0: nothing reaches containers from outside"),
        (husk, "stale pins", "/run/netns/netrt-husk"),
        (same_address, "address", "address 192.0.2.128 is the host's (uplink) and container tv's (network lan)"),
        (no_gateway, "gateway", "bridge br9 has address 10.77.0.1 no more, the gateway of network yard"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_wrong_is_named_with_its_remedy(
    others: Host, harm: Callable[[Host], None], check: str, words: str
) -> None:
    harm(others)
    status = others.run(PROGRAM, "doctor", "--format", "json", check=False)
    findings = [each for each in json.loads(status.stdout) if each["Check"] == check]
    assert [each for each in findings if words in each["Text"]], status.stdout
    assert all(each["Remedy"] for each in findings)
    assert status.returncode == (3 if any(e["Level"] == "error" for e in json.loads(status.stdout)) else 0)
