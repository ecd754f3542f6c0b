"""The forms in which a port is published, the addresses at which it answers, and who is told that it is taken."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from tests.e2e.conftest import HOST4, HOST6, OUTSIDE4, Site
from tests.traffic import BRIEF, PATIENT, Place, Wire, seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root


EVERYWHERE = {HOST4, "127.0.0.1", HOST6, "::1"}
FORMS = [
    ("9001:80", "tcp", 80, 9001, EVERYWHERE),
    ("9002:80/tcp", "tcp", 80, 9002, EVERYWHERE),
    ("9003:80/udp", "udp", 80, 9003, EVERYWHERE),
    ("9010-9012:80-82", "tcp", 81, 9011, EVERYWHERE),
    ("9020-9022:90-92/udp", "udp", 92, 9022, EVERYWHERE),
    ("0.0.0.0:9008:80", "tcp", 80, 9008, {HOST4, "127.0.0.1"}),
    ("127.0.0.1:9004:80", "tcp", 80, 9004, {"127.0.0.1"}),
    (f"{HOST4}:9005:80", "tcp", 80, 9005, {HOST4}),
    ("[::1]:9006:80", "tcp", 80, 9006, {"::1"}),
    (f"[{HOST6}]:9007:80", "tcp", 80, 9007, {HOST6}),
]
"""Specification, protocol, a port inside, the same outside, and the addresses of the host at which it answers."""


def test_every_form_of_docker(site: Site) -> None:
    def answering(place: Place, addresses: set[str], port: int, server: socket.socket, sure: set[str]) -> set[str]:
        return {a for a in addresses if seen(place, a, port, server, PATIENT if a in sure else BRIEF)}

    for form, protocol, inside, outside, expected in FORMS:
        box = site.netrt.box("form", "--network", "lan", "-p", form)
        server = box.tcp(inside) if protocol == "tcp" else box.udp(inside)
        assert answering(site.here, EVERYWHERE, outside, server, expected) == expected, form
        reachable = expected & {HOST4, HOST6}
        assert answering(site.outside, {HOST4, HOST6}, outside, server, reachable) == reachable, form
        site.netrt("rm", "-f", "form")
        assert not answering(site.here, expected, outside, server, set()), f"{form} answers after its end"


def test_a_port_alone_is_a_free_one(site: Site) -> None:
    box = site.netrt.box("free", "--network", "lan", "-p", "80", "-p", "53/udp")
    shown = dict(line.split(" -> ") for line in site.netrt("port", "free").splitlines() if "[::]" not in line)
    assert set(shown) == {"80/tcp", "53/udp"}
    tcp, udp = (int(shown[inside].rpartition(":")[2]) for inside in ("80/tcp", "53/udp"))
    assert seen(site.outside, HOST4, tcp, box.tcp(80)) == OUTSIDE4
    assert seen(site.outside, HOST4, udp, box.udp(53)) == OUTSIDE4


def test_sctp_is_led_in(site: Site) -> None:
    """This kernel may have no SCTP sockets; a chunk that opens an association must arrive, translated, all the same."""
    from scapy.layers.inet import IP
    from scapy.layers.l2 import Ether
    from scapy.layers.sctp import SCTP, SCTPChunkInit

    box = site.netrt.box("phone", "--network", "lan", "-p", "9100:90/sctp")
    sender, receiver = Wire(site.outside, "eth0"), Wire(box, "eth0")
    target = Path("/sys/class/net/uplink/address").read_text().strip()
    frame = (
        Ether(dst=target)
        / IP(src=OUTSIDE4, dst=HOST4)
        / SCTP(sport=4000, dport=9100, tag=0)
        / SCTPChunkInit(init_tag=1, a_rwnd=65536, n_out_streams=1, n_in_streams=1)
    )

    def arrived(raw: bytes) -> bool:
        packet = Ether(raw)
        return IP in packet and packet[IP].dst == box.ip4 and SCTP in packet and packet[SCTP].dport == 90

    sender.send(frame)
    assert Ether(receiver.heard_until(arrived)[-1])[IP].src == OUTSIDE4


def test_taken_by_a_container(site: Site) -> None:
    message = site.netrt.refused("container", "create", "--name", "late", "--network", "lan", "-p", "8080:80")
    assert "port 8080/tcp is already allocated to web" in message
    message = site.netrt.refused("container", "create", "--network", "lan", "-p", "8000-8100:8000-8100")
    assert "8080/tcp is already allocated to web" in message
    message = site.netrt.refused("container", "create", "--network", "lan", "-p", "127.0.0.1:5353:1/udp")
    assert "5353/udp is already allocated to web" in message
    assert "late" not in site.netrt("ps", "-a")
    site.netrt("container", "create", "--network", "lan", "-p", "8080:80/udp")


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "127.0.0.1"])
def test_taken_by_a_process_of_the_host(site: Site, address: str) -> None:
    """Who has it is said: this very process."""
    listener = site.here.tcp(9200, address)
    message = site.netrt.refused("container", "create", "--network", "lan", "-p", "9200:80")
    assert re.search(r"port 9200/tcp is already allocated to .*(python|pytest)", message)
    listener.close()
    wait_until(lambda: site.netrt("container", "create", "--network", "lan", "-p", "9200:80"), what="the port")


def test_not_taken_by_a_listener_elsewhere(site: Site) -> None:
    """A listener at one address is no conflict for a publication at another; nor is one inside a container."""
    site.here.tcp(9300, HOST4)
    site.peer.tcp(9301)
    box = site.netrt.box("beside", "--network", "lan", "-p", "127.0.0.1:9300:80", "-p", "9301:80")
    server = box.tcp(80)
    assert seen(site.here, "127.0.0.1", 9300, server) == site.gateways[0]
    assert seen(site.outside, HOST4, 9301, server) == OUTSIDE4


def test_addresses_of_the_host_that_come_and_go(site: Site) -> None:
    """Whoever gave the host an address can publish on it at once; and nobody on one that it has no more."""
    late = "192.0.2.11"
    server = site.web.tcp(80)
    site.netrt.host.run("ip", "addr", "add", f"{late}/24", "dev", "uplink")
    site.netrt("publish", "add", "web", f"{late}:8502:80")
    assert seen(site.outside, late, 8502, server) == OUTSIDE4
    site.netrt("run", "--name", "once", "--network", "lan", "-p", f"{late}:8503:80", "--", "true")
    site.netrt.host.run("ip", "addr", "del", f"{late}/24", "dev", "uplink")
    lost = f"host address {late} is not an address of this host"
    assert lost in site.netrt.refused("publish", "add", "web", f"{late}:8504:80")
    assert lost in site.netrt.refused("container", "create", "--network", "lan", "-p", f"{late}:8505:80")
    assert lost in site.netrt.refused("start", "once")


def test_a_restart_of_the_daemon_keeps_the_port(site: Site) -> None:
    server = site.web.tcp(80)
    assert seen(site.outside, HOST4, 8080, server) == OUTSIDE4
    with socket.create_connection((HOST4, 8080), timeout=PATIENT) as client:
        conversation, _ = server.accept()
        site.netrt("daemon", "stop")
        client.sendall(b"still here")
        assert conversation.recv(64) == b"still here"
        assert seen(site.outside, HOST4, 8080, server) == OUTSIDE4
        site.netrt("ps")
        client.sendall(b"again")
        assert conversation.recv(64) == b"again"
    assert seen(site.outside, HOST4, 8080, server) == OUTSIDE4
