"""One test for each way in which others' container networks were broken, as far as netrt has what it is about. The numbers S1 to
S25 are those of our list of advisories; what other files prove in depth is proven here once, by name.

Not here, because not there yet: S8 (overlay), S14 (policies), S21 (mesh). S15 is in the test of capabilities; the same holes at
other doors (DHCP, the OCI hook, files that are applied, captures) are in `test_cve_dhcp` and `test_cve_doors`."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path

import pytest
from scapy.layers.inet6 import ICMPv6ND_RA, IPv6
from scapy.layers.l2 import Ether

from netrt.dns.zone import ADDRESS
from netrt.paths import Paths
from tests.cni import Cni
from tests.command import PROGRAM, Netrt
from tests.e2e.conftest import HOST4, OUTSIDE4, OUTSIDE6, Site
from tests.e2e.test_capture import begun
from tests.host import Host
from tests.traffic import BRIEF, Place, seen

pytestmark = pytest.mark.root


class Barrage:
    """A datagram each millisecond from a place to an address, without a pause, until the end of the block."""

    def __init__(self, place: Place, address: str, port: int) -> None:
        self.socket = place.open(socket.AF_INET, socket.SOCK_DGRAM)
        self.where = address, port
        self.over = threading.Event()
        self.sent = 0
        self.thread = threading.Thread(target=self._fire)

    def _fire(self) -> None:
        while not self.over.wait(0.001):
            with contextlib.suppress(OSError):
                self.socket.sendto(b"forbidden", self.where)
                self.sent += 1

    def __enter__(self) -> Barrage:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
        self.socket.close()


def arrived(server: socket.socket) -> list[bytes]:
    """What has come so far."""
    found = []
    server.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(server.recv(64))
    return found


def reload_firewall(host: Host) -> None:
    """As others do it, a hundred times: everything away, and their own rules in."""
    rules = "flush ruleset; table inet others { chain f { type filter hook forward priority 0; policy accept; }; }"
    for _ in range(100):
        host.run("nft", "-f", "-", input=rules)


def route_loopback_here(host: Host, place: Place, via: str) -> None:
    name = Path(place.path).name
    place.call(Path("/proc/sys/net/ipv4/conf/all/route_localnet").write_text, "1")
    host.run("ip", "-n", name, "addr", "del", "127.0.0.1/8", "dev", "lo")
    host.run("ip", "-n", name, "route", "add", "127.0.0.0/8", "via", via)


def test_cve_moby_41872_loopback_ports_are_not_there_for_neighbours(site: Site) -> None:
    """S3, also moby#45610: a neighbour who routes 127.0.0.1 to us, and a container that does."""
    shy = site.netrt.box("shy", "--network", "lan", "-p", "127.0.0.1:8085:80")
    for place, via in ((site.outside, HOST4), (site.peer, site.gateways[0])):
        route_loopback_here(site.netrt.host, place, via)
        assert not seen(place, "127.0.0.1", 8085, shy.tcp(80), BRIEF)
    assert not seen(site.outside, HOST4, 8085, shy.tcp(80), BRIEF)


def test_cve_2025_54388_loopback_ports_stay_closed_while_the_firewall_is_reloaded(site: Site) -> None:
    """S1: S3's neighbour, meanwhile."""
    shy = site.netrt.box("shy", "--network", "lan", "-p", "127.0.0.1:8085:80/udp")
    route_loopback_here(site.netrt.host, site.outside, HOST4)
    server = shy.udp(80)
    with Barrage(site.outside, "127.0.0.1", 8085) as barrage:
        reload_firewall(site.netrt.host)
    assert barrage.sent > 50
    assert arrived(server) == []
    server.setblocking(True)
    assert seen(site.here, "127.0.0.1", 8085, server), "and it is open to whom it should be"


def test_cve_2025_54410_networks_stay_apart_while_the_firewall_is_reloaded(site: Site) -> None:
    """S2, and S23: no moment without isolation."""
    server = site.far.udp(7000)
    with Barrage(site.web, site.far.ip4, 7000) as barrage:
        reload_firewall(site.netrt.host)
    assert barrage.sent > 50
    assert arrived(server) == []


def test_cve_2020_8558_route_localnet_exposes_no_service_of_the_host(site: Site) -> None:
    """S4: a service at 127.0.0.1 of the host, asked by a container and by a neighbour."""
    site.netrt.box("shy", "--network", "lan", "-p", "127.0.0.1:8085:80")
    assert Path("/proc/sys/net/ipv4/conf/all/route_localnet").read_text() == "0\n"
    secret = site.here.tcp(7300, "127.0.0.1")
    for place, via in ((site.outside, HOST4), (site.peer, site.gateways[0])):
        route_loopback_here(site.netrt.host, place, via)
        assert not seen(place, "127.0.0.1", 7300, secret, BRIEF)


def test_cve_2024_29018_internal_networks_ask_nobody_outside(host: Host, netrt: Netrt) -> None:
    """S5: an unknown name is refused, and no question reaches the host's resolver."""
    outside = Place(host, host.outside())
    resolver = outside.udp(53)
    netrt("network", "create", "--internal", "vault")
    box = netrt.box("box", "--network", "vault")
    asker = box.open(socket.AF_INET, socket.SOCK_DGRAM)
    asker.settimeout(5)
    asker.sendto(
        bytes.fromhex("000101000001000000000000") + b"\x06secret\x07example\x00\x00\x01\x00\x01", (ADDRESS, 53)
    )
    assert asker.recv(512)[3] & 15 == 5, "REFUSED"
    assert arrived(resolver) == []


def test_cve_2024_32473_a_network_without_ipv6_has_none(netrt: Netrt) -> None:
    """S6."""
    netrt("network", "create", "old")
    box = netrt.box("box", "--network", "old")
    assert box.call(Path("/proc/thread-self/net/if_inet6").read_text).count("eth0") == 0
    assert box.call(Path("/proc/sys/net/ipv6/conf/eth0/disable_ipv6").read_text) == "1\n"


def test_cve_2020_13401_router_advertisements_of_a_container_reach_nobody(site: Site) -> None:
    """S7, also CVE-2020-10749 and CVE-2020-11091: neither peers nor the host learn a route."""
    wire = site.web.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind(("eth0", 0))
    advertisement = Ether(src=site.web.mac, dst="33:33:00:00:00:01") / IPv6(src="fe80::1", dst="ff02::1")
    host, before = site.netrt.host, {}
    for name in ("", "netrt-peer"):
        before[name] = host.run("ip", *(("-n", name) if name else ()), "-6", "route").stdout
    for _ in range(5):
        wire.send(bytes(advertisement / ICMPv6ND_RA(routerlifetime=9000)))
    assert seen(site.web, site.peer.ip6, 80, site.peer.tcp(80)), "what came later has arrived"
    for name in ("", "netrt-peer"):
        assert host.run("ip", *(("-n", name) if name else ()), "-6", "route").stdout == before[name]


def test_cve_2025_67499_transit_is_not_led_astray(site: Site) -> None:
    """S9: `web` publishes 53/udp (as 5353) and 8080; who asks somebody else at these ports gets there."""
    for port in (5353, 8080):
        server = site.outside.udp(port)
        assert seen(site.peer, OUTSIDE4, port, server) == HOST4
        server.close()


def test_cve_2019_9946_rules_of_others_keep_their_place(site: Site) -> None:
    """S10: nothing of ours is in a chain of anybody else, before or after theirs."""
    host = site.netrt.host
    host.run("nft", "-f", "-", input="table ip nat { chain PREROUTING { type nat hook prerouting priority -100; }; }")
    host.run("nft", "add", "rule", "ip", "nat", "PREROUTING", "tcp", "dport", "8080", "counter")
    before = host.run("nft", "-s", "-a", "list", "table", "ip", "nat").stdout
    site.netrt.box("more", "--network", "lan", "-p", "8090:80")
    site.netrt("rm", "more")
    assert host.run("nft", "-s", "-a", "list", "table", "ip", "nat").stdout == before


@pytest.mark.parametrize("kind", ["../../bin/sh", "/bin/sh", "a/b", "..", "sh\0"])
def test_cve_2021_20206_a_plugin_is_named_and_not_a_path(host: Host, netrt: Netrt, kind: str) -> None:
    """S11: the IPAM plugin that ours hands work on to."""
    netrt("network", "ls")
    cni = Cni(host)
    pod = cni.container("pod")
    config = {"cniVersion": "1.1.0", "name": "n", "type": "netrt-bridge", "bridge": "b0", "ipam": {"type": kind}}
    answer = cni.execute("ADD", config, container=pod.id, netns=pod.path, ifname="eth0")
    assert answer.error["code"] in (4, 6, 7)
    assert "No such file" not in answer.output


def test_cve_2025_52889_nothing_is_believed_before_its_sender_is(site: Site) -> None:
    """S12: an answer to an established flow with a forged sender ends at the port."""
    server = site.peer.udp(7000)
    forger = site.web.open(socket.AF_INET, socket.SOCK_DGRAM)
    site.netrt.host.run("ip", "-n", "netrt-web", "addr", "add", "10.99.0.9/32", "dev", "eth0")
    forger.bind(("10.99.0.9", 0))
    forger.sendto(b"forged", (site.peer.ip4, 7000))
    assert seen(site.web, site.peer.ip4, 7000, server) == site.web.ip4
    assert arrived(server) == []


def test_cve_2024_8418_one_client_of_dns_blocks_nobody(site: Site) -> None:
    """S13: a connection that says nothing, beside questions that are answered."""
    with contextlib.closing(site.web.open(socket.AF_INET, socket.SOCK_STREAM)) as idle:
        idle.connect((ADDRESS, 53))
        idle.sendall(b"\x00")
        asker = site.web.open(socket.AF_INET, socket.SOCK_DGRAM)
        asker.settimeout(2)
        for number in range(20):
            asker.sendto(
                bytes([0, number]) + bytes.fromhex("01000001000000000000") + b"\x04peer\x00\x00\x01\x00\x01",
                (ADDRESS, 53),
            )
            assert asker.recv(512)[1] == number


def listeners() -> dict[str, set[str]]:
    """Ports that something of this namespace listens at, by kind of socket: from /proc, as the kernel has them."""
    found = {}
    for kind, state in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07"), ("raw", ""), ("raw6", "")):
        rows = Path(f"/proc/thread-self/net/{kind}").read_text().splitlines()[1:]
        found[kind] = {row.split()[1] for row in rows if not state or row.split()[3] == state}
    return found


def test_cve_2025_9074_the_daemon_listens_at_no_address(site: Site) -> None:
    """S16, and S20 (CVE-2021-4024): not on the host, whose every address a container can ask, nor inside, but for DNS."""
    assert not any(listeners().values()), listeners()
    inside = site.web.call(listeners)
    assert inside["tcp"] | inside["udp"] == {"0B00007F:4E55"}, "127.0.0.11:20053"
    assert not inside["tcp6"] | inside["udp6"] | inside["raw"] | inside["raw6"]


def test_cve_2021_4024_control_is_for_nobody_beside_the_host(site: Site) -> None:
    """S20: what listens on the host for a process, published ports and a capture: unix sockets, and nothing else."""
    site.netrt("run", "-d", "--name", "job", "--network", "lan", "-p", "8090:90", "--", "sleep", "600")
    child = begun(site.netrt.host, "web")
    for place, address in ((site.web, site.gateways[0]), (site.outside, HOST4)):
        for port in (2375, 2376, 7080, 9090):
            with place.open(socket.AF_INET, socket.SOCK_STREAM) as asking:
                asking.settimeout(BRIEF / 4)
                assert asking.connect_ex((address, port)) != 0
    assert not any(listeners().values()), listeners()
    child.kill()


def test_cve_2021_20199_remote_clients_never_come_from_loopback(site: Site) -> None:
    """S17."""
    assert seen(site.outside, HOST4, 8080, site.web.tcp(80)) == OUTSIDE4
    assert seen(site.outside, "2001:db8::1", 5353, site.web.udp(53)) == OUTSIDE6


def test_cve_2020_15257_there_are_no_abstract_sockets(site: Site) -> None:
    """S18: of daemon, resolver and supervisor."""
    site.netrt("run", "-d", "--name", "job", "--network", "lan", "--", "sleep", "600")
    rows = Path("/proc/net/unix").read_text().splitlines()[1:]
    assert not [row for row in rows if len(row.split()) > 7 and row.split()[7].startswith("@")]


def test_cve_2020_8554_a_port_is_published_at_an_address_of_the_host(site: Site) -> None:
    """S19: not at somebody else's, whose traffic it would take."""
    before = site.netrt("ps", "-aq")
    assert "8.8.8.8" in site.netrt.refused("container", "create", "--network", "lan", "-p", "8.8.8.8:53:53/udp")
    assert site.netrt("ps", "-aq") == before


def test_cve_moby_52224_the_gateway_is_not_there_for_the_lan(site: Site) -> None:
    """S22: a neighbour with a route to the network reaches neither containers nor the host at its address there."""
    subnet = site.web.ip4.rpartition(".")[0] + ".0/24"
    site.netrt.host.run("ip", "-n", "outside", "route", "add", subnet, "via", HOST4)
    for place, address in ((site.here, site.gateways[0]), (site.web, site.web.ip4)):
        assert not seen(site.outside, address, 7400, place.tcp(7400), BRIEF)


def test_cve_k3s_13432_no_window_at_the_start_of_a_container(site: Site) -> None:
    """S23: from before its link is up, a container reaches nothing on another network."""
    server, host = site.far.udp(7000), site.netrt.host
    for number in range(5):
        path = host.namespace(f"early{number}")
        with Barrage(Place(host, path), site.far.ip4, 7000):
            site.netrt("container", "create", "--name", f"early{number}", "--network", "lan", "--netns", path)
    assert arrived(server) == []


HOSTILE = ["a b", 'a"; flush ruleset; "', "a\nb", "$(touch /run/owned)", "a}", "é", "a" * 300, "../x", "-o", ""]


@pytest.mark.parametrize("text", HOSTILE)
def test_cve_s24_injection_by_names(host: Host, netrt: Netrt, text: str) -> None:
    """S24: names, aliases and host names reach rules, files, links and DNS only as what they are."""
    netrt("network", "create", "ok")
    before = host.run("nft", "-s", "list", "ruleset").stdout
    tries: list[tuple[str, ...]] = [
        ("network", "create", "--", text),
        ("container", "create", f"--name={text}", "--network", "ok"),
        ("container", "create", "--network", "ok", f"--hostname={text}"),
        ("container", "create", "--network", "ok", f"--network-alias={text}"),
    ]
    for words in tries[: 2 if not text else None]:
        done = host.run(PROGRAM, *words, check=False)
        assert done.returncode in (1, 2) or text == "", (words, done.stdout)
        assert "Traceback" not in done.stderr
    assert not Path("/run/owned").exists()
    if text:
        assert host.run("nft", "-s", "list", "ruleset").stdout == before


def modes() -> dict[str, int]:
    paths = Paths()
    every = [Path(paths.lib), *Path(paths.lib).rglob("*"), *Path(paths.run).glob("*")]
    return {str(path): path.lstat().st_mode & 0o777 for path in every}


def test_cve_s25_symlinks_and_modes_of_state(site: Site) -> None:
    """S25: what is kept is root's alone, what is shared is written by root only, and a link in its place is not followed."""
    found, paths = modes(), Paths()
    assert found[paths.lib] == 0o755 or found[paths.lib] == 0o700
    kept = {path: mode for path, mode in found.items() if path.startswith(paths.lib + "/") and Path(path).is_file()}
    assert {path: oct(mode) for path, mode in kept.items() if mode & 0o077 and path != paths.lock} == {}
    assert found[paths.socket] == 0o660
    assert not [path for path, mode in found.items() if mode & 0o002]
    os.symlink("/proc/self/ns/net", "/run/elsewhere")
    assert "host's own" in site.netrt.refused("container", "create", "--network", "lan", "--netns", "/run/elsewhere")
    os.chown("/run/elsewhere", 1000, 1000, follow_symlinks=False)
    said = site.netrt.refused("container", "create", "--network", "lan", "--netns", "/run/elsewhere")
    assert "a link of user 1000 is not followed" in said
