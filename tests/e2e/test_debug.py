"""`netrt debug` on the real daemon: what is found inside, who answers, and what was dropped and why."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Dot1Q, Ether

from tests.command import PROGRAM
from tests.e2e.conftest import HOST4, Site
from tests.traffic import Wire
from tests.waiting import wait_until

pytestmark = pytest.mark.root


def debug(site: Site, name: str, status: int = 0) -> Any:
    """What it says in JSON, with this exit status."""
    done = site.netrt.host.run(PROGRAM, "debug", "--format", "json", name, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


def tried(found: Any, about: str) -> dict[str, tuple[bool, str]]:
    """By address: whether it answers, and what was said."""
    rows = [each for each in found["Outcomes"] if each["Probe"]["About"] == about]
    return {each["Probe"]["Address"]: (each["Works"], each["Said"]) for each in rows}


def findings(found: Any, check: str) -> list[str]:
    assert all(each["Remedy"] for each in found["Findings"])
    return [each["Text"] for each in found["Findings"] if each["Check"] == check]


@pytest.fixture
def sought(site: Site) -> Site:
    Path("/etc/resolv.conf").write_text("nameserver 192.0.2.2\n")
    return site


def test_what_is_inside_and_who_answers(sought: Site) -> None:
    web, peer = sought.web, sought.peer
    with web.tcp(80), sought.outside.udp(53) as resolver:
        # somebody who answers any question, with the question
        resolver.setblocking(False)
        child = sought.netrt.host.spawn(PROGRAM, "debug", "--format", "json", "web")
        wait_until(lambda: answered(resolver), what="a question to the forwarder")
        said, _ = child.communicate(timeout=30)
    found = json.loads(said)
    assert child.returncode == 0, said
    (eth0,) = [link for link in found["Interfaces"] if link["Name"] == "eth0"]
    assert (eth0["Network"], eth0["Mac"]) == ("lan", web.mac)
    assert Path(f"/sys/class/net/{eth0['HostLink']}").exists()
    assert {f"{web.ip4}/24", f"{web.ip6}/64"} <= set(eth0["Addresses"])
    assert ("0.0.0.0/0", sought.gateways[0]) in {(way["Destination"], way["Via"]) for way in found["Ways"]}
    assert (peer.ip4, peer.mac) in {(each["Address"], each["Mac"]) for each in found["Neighbours"]}
    assert {"Protocol": "tcp", "Address": "::", "Port": 80} in found["Servers"]
    assert tried(found, "gateway") == dict.fromkeys(sought.gateways, (True, ""))
    assert tried(found, "peer") == {peer.ip4: (True, ""), peer.ip6: (True, "")}
    assert tried(found, "port") == dict.fromkeys(sought.gateways, (True, ""))
    assert tried(found, "names") == {"127.0.0.11": (True, "NOERROR")}
    assert tried(found, "forwarder") == {"192.0.2.2": (True, "NOERROR")}
    assert findings(found, "port") == ["published port 5353/udp leads to port 53, and nobody listens there"]


def answered(resolver: socket.socket) -> bool:
    try:
        question, asker = resolver.recvfrom(512)
    except BlockingIOError:
        return False
    resolver.sendto(question[:2] + b"\x81\x80" + question[4:12] + question[12:], asker)
    return True


def test_what_is_wrong_is_named_with_its_remedy(sought: Site) -> None:
    """A peer that hears nothing, one that answers no pings, a server at the loopback only, a resolver that is none."""
    host, web, peer = sought.netrt.host, sought.web, sought.peer
    quiet = sought.netrt.box("quiet", "--network", "lan")
    quiet.call(Path("/proc/sys/net/ipv4/icmp_echo_ignore_all").write_text, "1")
    host.run("ip", "netns", "exec", "netrt-peer", "nft", "add table netdev deaf; add chain netdev deaf in "
             "{ type filter hook ingress device eth0 priority 0; policy drop; }")  # fmt: skip
    with web.tcp(80, "127.0.0.1"):
        found = debug(sought, "web")
    assert tried(found, "peer")[peer.ip4] == (False, "nobody has this address")
    assert tried(found, "peer")[quiet.ip4] == (False, "somebody has this address, and does not answer")
    assert f"peer on lan ({peer.ip4}) does not answer: nobody has this address" in findings(found, "peer")
    assert "published port 8080/tcp: the server at port 80 listens at 127.0.0.1 only" in findings(found, "port")
    assert findings(found, "forwarder") == ["forwarder (192.0.2.2) does not answer: Connection refused"]


def test_who_answers_for_names_of_a_container_that_has_ended(sought: Site) -> None:
    """Its own name is not served any more, and nobody outside answers."""
    sought.netrt("run", "--name", "ended", "--network", "lan", "--", "true")
    with sought.outside.udp(53):
        found = debug(sought, "ended")
    assert tried(found, "names") == {"127.0.0.11": (True, "NOERROR")}


def test_a_gateway_that_is_shut_off_is_an_error(sought: Site) -> None:
    rules = (
        "table inet x { chain f { type filter hook input priority 0; meta l4proto { icmp, icmpv6 } iif != lo drop; }; }"
    )
    sought.netrt.host.run("nft", "-f", "-", input=rules)
    found = debug(sought, "web", 3)
    gateway4, gateway6 = sought.gateways
    assert findings(found, "gateway")[0].startswith(f"gateway of lan ({gateway4}) does not answer: somebody has this")
    assert findings(found, "gateway")[1].startswith(f"gateway of lan ({gateway6}) does not answer: nobody has this")
    words = sought.netrt.host.run(PROGRAM, "debug", "web", check=False)
    assert words.returncode == 3
    assert f"error: gateway: gateway of lan ({gateway4}) does not answer" in words.stdout
    assert "    remedy: netrt doctor" in words.stdout


def test_each_drop_is_counted_with_its_reason_and_what_cannot_be_looked_at_is_refused(sought: Site) -> None:
    web, far = sought.web, sought.far
    sought.netrt("network", "create", "--internal", "closed")
    sought.netrt.box("inner", "--network", "closed")
    wire = Wire(web, "eth0")
    frame = Ether(src=web.mac, dst="ff:ff:ff:ff:ff:ff")
    wire.send(frame / IP(src="10.99.0.1", dst="10.99.0.2") / ICMP())
    wire.send(*2 * [frame / IP(src=web.ip4, dst="255.255.255.255") / udp(67)], frame / Dot1Q(vlan=7) / IP() / ICMP())
    wire.close()
    with web.open(socket.AF_INET, socket.SOCK_DGRAM) as asking, far.open(socket.AF_INET6, socket.SOCK_DGRAM) as other:
        for address, times in ((HOST4, 3), (far.ip4, 4)):
            for _ in range(times):
                asking.sendto(b"?", (address, 9))
        other.sendto(b"?", (web.ip6, 9))
    with sought.outside.open(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        sought.netrt.host.run("ip", "-n", "outside", "route", "add", f"{web.ip4}/32", "via", HOST4)
        for _ in range(5):
            asking.sendto(b"?", (web.ip4, 80))
    expected = {("source", ""): 1, ("service", ""): 2, ("frame", ""): 1, ("host", web.ip4): 3, ("apart", web.ip4): 4,
                ("outside", web.ip4): 5}  # fmt: skip

    def counts(name: str) -> dict[tuple[str, str], int]:
        rows = debug(sought, name)["Dropped"]
        return {(r["Reason"], r["At"] if "." in r["At"] or ":" in r["At"] else ""): r["Packets"] for r in rows}

    assert counts("web") == expected
    assert counts("far") == {("apart", far.ip6): 1}
    assert counts("peer") == {}
    assert counts("inner") == {}
    found = debug(sought, "web")
    assert f"4 packets of {web.ip4} dropped: sent to a network that this one is kept apart from" in findings(
        found, "dropped"
    )
    assert json.loads(sought.netrt("diff", "--format", "json")) == {"Lacking": [], "Stray": []}, "counts are nobody's"
    sought.netrt("container", "create", "--name", "free", "--network", "host")
    assert "lives in the network of the host itself" in sought.netrt.refused("debug", "free")
    assert "nobody" in sought.netrt.refused("debug", "nobody")
    assert "has no interface on which packets" in sought.netrt.refused("capture", "free")


def udp(port: int) -> Any:
    from scapy.layers.inet import UDP

    return UDP(sport=port, dport=68)
