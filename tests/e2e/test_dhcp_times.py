"""A DHCP lease in the course of time, by a server of the test's own that gives it for seconds: renewed, rebound, lost, got."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.asking import Asker
from tests.command import PROGRAM, Box, Netrt
from tests.dhcpserver import Manner, Server
from tests.host import Host
from tests.processes import daemon_pid, end
from tests.snapshot import differences, snapshot
from tests.traffic import PATIENT, Place, seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root

ROUTER, OTHER = "10.77.0.1", "10.77.0.2"
SECONDS = [("router", ROUTER), ("renewal_time", 1), ("rebinding_time", 2), ("lease_time", 4)]
LONG = [("router", ROUTER), ("lease_time", 600)]


@pytest.fixture
def lan(host: Host, netrt: Netrt) -> Place:
    """The LAN beyond `uplink`, and a network on it."""
    there = Place(host, host.outside())
    host.run("ip", "-n", "outside", "addr", "add", f"{ROUTER}/24", "dev", "eth0")
    netrt("network", "create", "-d", "macvlan", "--ipam-driver", "dhcp", "-o", "parent=uplink", "lan")
    return there


@pytest.fixture
def server(lan: Place) -> Iterator[Server]:
    """It has three addresses to give."""
    made = Server(lan, "eth0", Manner(gives=["10.77.0.10", "10.77.0.11", "10.77.0.12"], says=LONG))
    yield made
    made.close()


def test_renewed_rebound_lost_and_got_anew(host: Host, netrt: Netrt, lan: Place, server: Server) -> None:
    """RFC 2131, section 4.4.5: at T1 the server alone is asked, at T2 everybody, at the end the address is given up at once; then
    whoever gives one is taken. A connection lives as long as the lease."""
    server.manner.says = SECONDS
    box = netrt.box("box", "--network", "lan")
    assert box.ip4 == "10.77.0.10"
    listener, client = box.tcp(80), lan.open(socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(PATIENT)
    client.connect((box.ip4, 80))
    conversation, _ = listener.accept()

    renewals = server.count("request", own=box.ip4, to_all=False)
    server.until("request", renewals + 1, own=box.ip4, to_all=False)  # renewed twice
    assert not server.count("request", own=box.ip4, to_all=True), "who answers is asked again, and nobody else"
    server.manner.deaf = "alone"
    server.until("request", own=box.ip4, to_all=True)  # rebound

    def shown() -> dict[str, object]:
        return dict(Box(host, netrt.inspect("box")).on())

    assert shown()["DHCP"]["ServerID"] == ROUTER  # type: ignore[index]
    server.manner.server = OTHER
    server.until("request", server.count("request", own=box.ip4, to_all=True), own=box.ip4, to_all=True)
    wait_until(lambda: shown()["DHCP"]["ServerID"] == OTHER, what="the other server's lease")  # type: ignore[index]
    client.sendall(b"all the time")
    conversation.settimeout(PATIENT)
    assert conversation.recv(100) == b"all the time"
    assert server.count("discover") == 1

    server.manner.deaf = "all"
    wait_until(lambda: not shown()["IPAddress"], timeout=10, what="the end of the lease")
    assert "10.77.0.10" not in host.run("ip", "-n", Path(box.path).name, "addr").stdout
    assert not host.run("ip", "-n", Path(box.path).name, "route").stdout
    assert "10.77.0.10" not in Asker(host, box.path).looked_up("box"), "nor does a name lead there"
    assert not netrt("diff")
    server.manner.says, server.manner.server = LONG, ROUTER
    server.forget()
    server.manner.deaf = ""
    assert wait_until(lambda: shown()["IPAddress"], timeout=15, what="another lease") == "10.77.0.11"
    again = Box(host, netrt.inspect("box"))
    assert seen(lan, again.ip4, 81, again.tcp(81)) == ROUTER
    assert Asker(host, box.path).looked_up("box") == ["10.77.0.11"]
    netrt("rm", "box")
    server.until("release", own="10.77.0.11")


def test_refused_when_renewed(host: Host, netrt: Netrt, lan: Place, server: Server) -> None:
    """A NAK ends a lease at once, and the next one moves the container to another subnet, with its way out."""
    server.manner.says = SECONDS
    box = netrt.box("box", "--network", "lan")
    server.manner.gives = ["10.78.0.10"] * 9
    server.manner.refuses = True
    server.manner.says = [("router", "10.78.0.1"), ("lease_time", 600)]
    server.until("request", own=box.ip4)
    server.manner.refuses = False
    moved = wait_until(
        lambda: (now := Box(host, netrt.inspect("box"))).ip4 == "10.78.0.10" and now, timeout=15, what="the move"
    )
    assert moved.on()["Gateway"] == "10.78.0.1"
    assert "default via 10.78.0.1 " in host.run("ip", "-n", Path(box.path).name, "route").stdout
    host.run("ip", "-n", "outside", "addr", "add", "10.78.0.1/24", "dev", "eth0")
    assert seen(lan, moved.ip4, 80, moved.tcp(80)) == "10.78.0.1"
    assert not netrt("diff")


def test_offers_that_cannot_be_used(host: Host, netrt: Netrt, lan: Place, server: Server) -> None:
    """They are no offers; what is wrong with them is said where there is no other."""
    Path("/etc/netrt/netrt.toml").write_text("[dhcp]\nwait = 1\n")
    netrt("daemon", "stop")
    netrt("ps")
    before = snapshot(host)
    server.manner.gives = ["10.77.0.0"] * 9
    assert "has the address 10.77.0.0" in netrt.refused("container", "create", "--network", "lan")
    server.manner.gives, server.manner.mask = ["10.77.0.10"] * 9, ""
    assert "names no netmask" in netrt.refused("container", "create", "--network", "lan")
    server.manner.mask, server.manner.says = "255.255.255.0", [("router", ROUTER)]
    assert "names no time" in netrt.refused("container", "create", "--network", "lan")
    server.manner.says, server.manner.refuses = LONG, True
    asked = server.count("discover")
    assert "took back its offer" in netrt.refused("container", "create", "--network", "lan")
    assert server.count("discover") <= asked + 2, "a server that refuses is asked again at once"
    assert not differences(before, snapshot(host))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_the_daemon_ends_while_an_attach_waits(
    host: Host, netrt: Netrt, lan: Place, server: Server, how: signal.Signals
) -> None:
    """Nobody waits on for the client, and nothing is left of who asked: the next one has the same MAC."""
    before = snapshot(host)
    server.manner.deaf = "all"
    mac = "02:00:00:00:00:42"
    asking = host.spawn(PROGRAM, "container", "create", "--name", "box", "--network", "lan", "--mac-address", mac)
    server.until("discover", mac=mac)
    end(daemon_pid(netrt), how)
    assert asking.wait(PATIENT) != 0
    netrt("ps")
    assert not differences(before, snapshot(host))
    server.manner.deaf = ""
    assert netrt.box("box", "--network", "lan", "--mac-address", mac).ip4 == "10.77.0.10"


def test_an_address_that_a_neighbour_here_has(host: Host, netrt: Netrt, lan: Place, server: Server) -> None:
    netrt("container", "create", "--name", "box", "--network", "lan")
    server.manner.gives = ["10.77.0.10"]
    message = netrt.refused("container", "create", "--name", "other", "--network", "lan")
    assert "the DHCP server gave 10.77.0.10 on network lan, which is held by box" in message
    assert server.count("release", own="10.77.0.10") == 1
