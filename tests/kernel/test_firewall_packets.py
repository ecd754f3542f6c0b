"""Published ports and masquerade, by packets from everywhere, under the ruleset alone."""

from __future__ import annotations

import random
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from netrt.firewall.elements import crossing_elements
from netrt.firewall.nat import FROM_LOOPBACK6
from netrt.model.address import link_local
from tests.host import Host
from tests.kernel.lab import HOST4, HOST6, OUTSIDE4, OUTSIDE6, Box, Lab, nothing_arrives
from tests.traffic import PATIENT, Place, Wire, seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root


@pytest.fixture(params=["bridge netfilter on", "bridge netfilter off"])
def lab(host: Host, request: pytest.FixtureRequest) -> Lab:
    """Once as on a host that was a router before us, once as on one that was not."""
    on = request.param == "bridge netfilter on"
    return Lab(host, frozenset({4, 6} if on else ()), bridge_netfilter=on)


def asked_from_everywhere(lab: Lab, server: socket.socket, port: int, web: Box, peer: Box, far: Box) -> dict[str, str]:
    asked: dict[str, tuple[Place, str]] = {
        "outside": (lab.outside, HOST4),
        "outside 6": (lab.outside, HOST6),
        "host": (lab.here, HOST4),
        "host 6": (lab.here, HOST6),
        "host at the gateway": (lab.here, web.lan.gateway4),
        "loopback": (lab.here, "127.0.0.1"),
        "loopback, another": (lab.here, "127.1.2.3"),
        "loopback 6": (lab.here, "::1"),
        "same network": (peer, HOST4),
        "same network 6": (peer, HOST6),
        "same network at the gateway": (peer, web.lan.gateway4),
        "other network": (far, HOST4),
        "other network 6": (far, HOST6),
        "other network at its gateway": (far, far.lan.gateway4),
        "other network at the first gateway 6": (far, web.lan.gateway6),
        "itself": (web, HOST4),
        "itself 6": (web, HOST6),
    }
    return {who: seen(place, address, port, server) or "-" for who, (place, address) in asked.items()}


def expected(web: Box, far: Box) -> dict[str, str]:
    """The source is kept, but for the container's own network and for loopback: there the host stands in."""
    gateway4, gateway6 = web.lan.gateway4, web.lan.gateway6
    return {
        "outside": OUTSIDE4,
        "outside 6": OUTSIDE6,
        "host": HOST4,
        "host 6": HOST6,
        "host at the gateway": gateway4,
        "loopback": gateway4,
        "loopback, another": gateway4,
        "loopback 6": FROM_LOOPBACK6,
        "same network": gateway4,
        "same network 6": gateway6,
        "same network at the gateway": gateway4,
        "other network": far.ip4,
        "other network 6": far.ip6,
        "other network at its gateway": far.ip4,
        "other network at the first gateway 6": far.ip6,
        "itself": gateway4,
        "itself 6": gateway6,
    }


@pytest.mark.parametrize("rp_filter", ["0", "1", "2"])
def test_published_ports_from_everywhere(lab: Lab, rp_filter: str) -> None:
    for which in ("all", "default", "uplink"):
        lab.sysctl(f"net/ipv4/conf/{which}/rp_filter", rp_filter)
    first, second = lab.lan(1), lab.lan(2)
    web, peer, far = lab.box(first), lab.box(first), lab.box(second)
    lab.publish(web, "8080:80", "5353:53/udp", "9000-9100:9000-9100", "9000-9100:9000-9100/udp")
    for server, port in ((web.tcp(80), 8080), (web.udp(53), 5353)):
        assert asked_from_everywhere(lab, server, port, web, peer, far) == expected(web, far)
    for server, port in ((web.tcp(9050), 9050), (web.udp(9100), 9100)):
        assert seen(lab.outside, HOST4, port, server) == OUTSIDE4
        assert seen(lab.outside, HOST6, port, server) == OUTSIDE6
        assert seen(lab.here, "::1", port, server) == FROM_LOOPBACK6
        assert seen(web, HOST4, port, server) == first.gateway4


EVERY = {HOST4, "127.0.0.1", "10.1.0.1", HOST6, "::1", "fd00:1::1"}


@pytest.mark.parametrize(
    ("spec", "kind", "inside", "outside", "answering"),
    [
        ("8080:80", "tcp", 80, 8080, EVERY),
        ("8080:80/udp", "udp", 80, 8080, EVERY),
        ("127.0.0.1:8080:80", "tcp", 80, 8080, {"127.0.0.1"}),
        ("127.0.0.1:8080:80/udp", "udp", 80, 8080, {"127.0.0.1"}),
        ("[::1]:8080:80", "tcp", 80, 8080, {"::1"}),
        ("[::1]:8080:80/udp", "udp", 80, 8080, {"::1"}),
        (f"{HOST4}:8080:80", "tcp", 80, 8080, {HOST4}),
        (f"[{HOST6}]:8080:80", "tcp", 80, 8080, {HOST6}),
        ("0.0.0.0:8080:80", "tcp", 80, 8080, {HOST4, "127.0.0.1", "10.1.0.1"}),
        ("[::]:8080:80", "tcp", 80, 8080, {HOST6, "::1", "fd00:1::1"}),
        ("8080-8090:80-90", "tcp", 84, 8084, EVERY),
        ("8080-8090:8080-8090", "tcp", 8090, 8090, EVERY),
        (f"{HOST4}:8080-8090:8080-8090", "tcp", 8080, 8080, {HOST4}),
        ("[::1]:8080-8090:8080-8090", "tcp", 8081, 8081, {"::1"}),
    ],
)
def test_a_form_answers_where_it_says(
    host: Host, spec: str, kind: str, inside: int, outside: int, answering: set[str]
) -> None:
    """And nowhere any more when it is withdrawn."""
    lab = Lab(host)
    web = lab.box(lab.lan(1))
    elements = lab.publish(web, spec)
    server = web.tcp(inside) if kind == "tcp" else web.udp(inside)
    reachable = answering & {HOST4, HOST6}
    nothing_arrives(*((lab.here, address, outside, server) for address in EVERY - answering))
    nothing_arrives(*((lab.outside, address, outside, server) for address in EVERY - reachable))
    assert {address for address in answering if seen(lab.here, address, outside, server)} == answering
    assert {address for address in reachable if seen(lab.outside, address, outside, server)} == reachable
    lab.remove(*elements)
    nothing_arrives(*((lab.here, address, outside, server) for address in answering))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_much_through_loopback(lab: Lab, address: str) -> None:
    """Megabytes there and back, whole, in seconds."""
    web = lab.box(lab.lan(1))
    lab.publish(web, "8080:80")
    sent = random.Random(1).randbytes(4_000_000)
    with web.tcp(80) as server, socket.create_connection((address, 8080), timeout=PATIENT) as client:
        conversation, _ = server.accept()

        def echo() -> None:
            while data := conversation.recv(1 << 16):
                conversation.sendall(data)
            conversation.close()

        with ThreadPoolExecutor(2) as threads:
            threads.submit(echo)
            sending = threads.submit(lambda: (client.sendall(sent), client.shutdown(socket.SHUT_WR)))
            got = b"".join(iter(lambda: client.recv(1 << 16), b""))
            sending.result()
    assert got == sent


def test_the_networks_own_binding_address(host: Host) -> None:
    """`host_binding_ipv4` limits mappings that name no address, and closes IPv6 for them."""
    lab = Lab(host)
    web = lab.box(lab.lan(1))
    lab.publish(web, "8080:80", "0.0.0.0:8081:80", host_binding="127.0.0.1")
    server = web.tcp(80)
    assert seen(lab.here, "127.0.0.1", 8080, server) == "10.1.0.1"
    assert seen(lab.outside, HOST4, 8081, server) == OUTSIDE4
    nothing_arrives((lab.outside, HOST4, 8080, server), (lab.outside, HOST6, 8080, server))


def test_between_containers_that_share_another_network(lab: Lab) -> None:
    """A port leads to `web` on its first network; `peer` asks from the second, where it could be answered around the host."""
    first, second = lab.lan(1), lab.lan(2)
    web, peer = lab.box(first), lab.box(second)
    lab.join(web, second)
    lab.publish(web, "8080:80")
    for address in (web.ip4, web.ip6):
        lab.add(*crossing_elements(address, [second.bridge]))
    server = web.tcp(80)
    assert seen(peer, HOST4, 8080, server) == first.gateway4
    assert seen(peer, HOST6, 8080, server) == first.gateway6
    assert seen(lab.outside, HOST4, 8080, server) == OUTSIDE4
    assert seen(peer, "10.2.0.2", 80, server) == peer.ip4


def test_sctp_is_led_in(host: Host) -> None:
    """This kernel may have no SCTP sockets; a chunk that opens an association must arrive, translated, all the same."""
    from scapy.layers.inet import IP
    from scapy.layers.l2 import Ether
    from scapy.layers.sctp import SCTP, SCTPChunkInit

    lab = Lab(host)
    web = lab.box(lab.lan(1))
    lab.publish(web, "9100:90/sctp")
    sender, receiver = Wire(lab.outside, "eth0"), Wire(web, "eth0")
    target = Path("/sys/class/net/uplink/address").read_text().strip()
    chunk = SCTPChunkInit(init_tag=1, a_rwnd=65536, n_out_streams=1, n_in_streams=1)
    sender.send(Ether(dst=target) / IP(src=OUTSIDE4, dst=HOST4) / SCTP(sport=4000, dport=9100, tag=0) / chunk)
    frame = Ether(receiver.heard_until(lambda raw: SCTP in Ether(raw) and Ether(raw)[SCTP].dport == 90)[-1])
    assert (frame[IP].src, frame[IP].dst) == (OUTSIDE4, web.ip4)


def test_what_passes_through_is_not_taken(lab: Lab) -> None:
    """A published port takes what is sent to the host; port 53 of the outside stays there."""
    first, second = lab.lan(1), lab.lan(2)
    web, far = lab.box(first), lab.box(second)
    lab.publish(web, "53:53/udp", "1-52:1-52/udp")
    own, server = web.udp(53), lab.outside.udp(53)
    for asking in (web, far, lab.here):
        assert seen(asking, OUTSIDE4, 53, server) == HOST4
        assert seen(asking, OUTSIDE6, 53, server) == HOST6
    own.setblocking(False)
    with pytest.raises(BlockingIOError):
        own.recv(64)


def test_masquerade_for_what_leaves(lab: Lab) -> None:
    """To the outside under the host's address; inside a network and by the host's ports under one's own."""
    first = lab.lan(1)
    web, peer, plain = lab.box(first), lab.box(first), lab.box(lab.lan(2, masq="false"))
    for address, via in ((plain.ip4, HOST4), (plain.ip6, HOST6)):
        lab.host.run("ip", "-n", "outside", "route", "add", address, "via", via)
    for server in (lab.outside.tcp(7000), lab.outside.udp(7000)):
        assert seen(web, OUTSIDE4, 7000, server) == HOST4
        assert seen(web, OUTSIDE6, 7000, server) == HOST6
        assert seen(plain, OUTSIDE4, 7000, server) == plain.ip4
        assert seen(plain, OUTSIDE6, 7000, server) == plain.ip6
    for server, port in ((web.tcp(80), 80), (web.udp(53), 53)):
        assert seen(peer, web.ip4, port, server) == peer.ip4
        assert seen(peer, web.ip6, port, server) == peer.ip6


def test_nothing_leaves_untranslated(lab: Lab) -> None:
    """A packet that connection tracking calls invalid is not translated; it must not leave with a container's address."""
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether

    web = lab.box(lab.lan(1))
    sender, receiver = Wire(web, "eth0"), Wire(lab.outside, "eth0")
    to = Ether(src=web.mac, dst=Path("/sys/class/net/lan1/address").read_text().strip())
    bad, good = TCP(sport=1, dport=7000, flags="SA", chksum=1), UDP(sport=1, dport=7001)
    for packet, kind, expected in (
        (IP(src=web.ip4, dst=OUTSIDE4), IP, HOST4),
        (IPv6(src=web.ip6, dst=OUTSIDE6), IPv6, HOST6),
    ):
        end = expected.encode()
        sender.send(to / packet / bad, to / packet / good / end)
        heard = map(Ether, receiver.heard_until(lambda raw, end=end: raw.endswith(end)))  # type: ignore[misc]
        assert {frame[kind].src for frame in heard if TCP in frame or UDP in frame} == {expected}


def test_somebody_elses_translation_goes_on(lab: Lab) -> None:
    """A foreign table that leads a port of the host to a container of ours is let through, like a published port."""
    web = lab.box(lab.lan(1))
    chain = "type nat hook prerouting priority -100;"
    lab.nft(f"table ip foreign {{ chain in {{ {chain} tcp dport 7070 dnat to {web.ip4}:80; }}\n}}")
    assert seen(lab.outside, HOST4, 7070, web.tcp(80)) == OUTSIDE4


def ask(client: socket.socket, address: str) -> None:
    client.connect((address, 8081))
    client.send(b"?")
    client.recv(1)


def test_errors_find_their_way_back(lab: Lab) -> None:
    """A closed port behind a published one, or outside: the asker is told."""
    web = lab.box(lab.lan(1))
    lab.publish(web, "8081:81/udp", "8081:81")
    for asking, address in (
        (lab.outside, HOST4),
        (lab.outside, HOST6),
        (lab.here, "127.0.0.1"),
        (lab.here, "::1"),
        (web, OUTSIDE4),
        (web, OUTSIDE6),
        (web, HOST4),
    ):
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with asking.open(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as client:
                client.settimeout(PATIENT)
                with pytest.raises(ConnectionRefusedError):
                    ask(client, address)


def test_a_link_local_address_refuses(host: Host) -> None:
    """What comes from such an address cannot be led on; a client is refused at once, and need not wait."""
    lab = Lab(host)
    web = lab.box(lab.lan(1))
    lab.publish(web, "8080:80")
    server = web.tcp(80)
    address = link_local(Path("/sys/class/net/uplink/address").read_text().strip())
    index = lab.outside.call(socket.if_nametoindex, "eth0")

    wait_until(lambda: "tentative" not in lab.host.run("ip", "addr", "show", "uplink").stdout, what="the address")
    with server, lab.outside.open(socket.AF_INET6, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENT)
        with pytest.raises(ConnectionRefusedError):
            client.connect((address, 8080, 0, index))


def test_the_way_to_a_container_may_be_narrow(lab: Lab) -> None:
    """`fragmentation needed` from beyond reaches the container whose packet was too big."""
    lab.host.run("ip", "link", "set", "uplink", "mtu", "1400")
    web = lab.box(lab.lan(1))
    with web.open(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.IPPROTO_IP, 10, struct.pack("=i", 2))  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
        client.settimeout(PATIENT)
        client.connect((OUTSIDE4, 7000))
        client.send(bytes(1450))
        with pytest.raises(OSError, match=r"Message too long|Connection refused"):
            client.recv(1)
