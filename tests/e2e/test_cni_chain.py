"""The plugins that add to others: published ports, limits, settings, addresses and loopback, after our own bridge and after one
that somebody else made."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.cni import BANDWIDTH, PORTMAP, Cni, Config, Container, bridge, network, port
from tests.command import Netrt
from tests.e2e.conftest import HOST4, HOST6, OUTSIDE4
from tests.host import Host
from tests.snapshot import differences, snapshot
from tests.traffic import BRIEF, Place, seen

pytestmark = pytest.mark.root

HAND_MADE = """\
link add ref0 type bridge
addr add 10.33.0.1/16 dev ref0
link set ref0 up
"""


@pytest.fixture
def cni(host: Host, netrt: Netrt) -> Cni:
    return Cni(host, netrt=netrt)


@pytest.fixture
def one(cni: Cni) -> Container:
    return cni.container("c1")


@pytest.fixture
def two(cni: Cni) -> Container:
    return cni.container("c2")


def restarted(netrt: Netrt) -> None:
    """A new daemon brings everything to what it should be."""
    netrt("daemon", "stop")
    netrt("ps")


def by_hand(host: Host, container: Container, number: int) -> Config:
    """What a bridge plugin of somebody else makes, and its result."""
    if number == 2:
        host.run("ip", "-batch", "-", input=HAND_MADE)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    pair = f"veth{number}"
    host.run("ip", "link", "add", pair, "type", "veth", "peer", "name", "eth0", "netns", container.name)
    host.run("ip", "link", "set", pair, "master", "ref0", "up")
    inner = f"addr add 10.33.0.{number}/16 dev eth0\nlink set eth0 up\nroute add default via 10.33.0.1\n"
    host.run("ip", "-n", container.name, "-batch", "-", input=inner)
    mac = json.loads(host.run("ip", "-n", container.name, "-j", "link", "show", "eth0").stdout)[0]["address"]
    return {
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "ref0"}, {"name": pair}, {"name": "eth0", "mac": mac, "sandbox": container.path}],
        "ips": [{"address": f"10.33.0.{number}/16", "gateway": "10.33.0.1", "interface": 2}],
        "routes": [{"dst": "0.0.0.0/0"}],
    }


def add_after(cni: Cni, container: Container, before: Config, plugin: Config) -> Config:
    """ADD of one chained plugin."""
    config = {"cniVersion": "1.0.0", "name": "refnet", "prevResult": before, **plugin}
    return cni.execute("ADD", config, container=container.id, netns=container.path).result


def verb_after(cni: Cni, verb: str, container: Container, before: Config, plugin: Config) -> str:
    config = {"cniVersion": "1.0.0", "name": "refnet", "prevResult": before, **plugin}
    answer = cni.execute(verb, config, container=container.id, netns=container.path)
    return "" if answer.status == 0 else str(answer.error["msg"])


# portmap


def test_published_ports(cni: Cni, one: Container, two: Container, host: Host) -> None:
    outside, here = Place(host, host.outside()), Place(host)
    ranges = [[{"subnet": "10.22.0.0/16"}], [{"subnet": "fd00:22::/64"}]]
    lan = network(bridge(ipam={"type": "netrt-host-local", "ranges": ranges}, isDefaultGateway=True), PORTMAP)
    made = cni.add(
        lan,
        one,
        portMappings=[
            port(8080, 80),
            port(5353, 53, "udp"),
            port(9000, 9000),
            port(9001, 9001),
            port(7000, 70, hostIP="127.0.0.1"),
        ],
    )
    cni.add(lan, two)
    with one.tcp(80) as web, one.udp(53) as names, one.tcp(9001) as ranged, one.tcp(70) as local:
        assert seen(outside, HOST4, 8080, web) == OUTSIDE4
        assert seen(outside, HOST6, 8080, web)
        assert seen(outside, HOST4, 5353, names) == OUTSIDE4
        assert seen(outside, HOST4, 9001, ranged) == OUTSIDE4
        assert seen(here, "127.0.0.1", 8080, web)
        assert seen(here, "::1", 8080, web)
        assert seen(here, "127.0.0.1", 7000, local)
        assert not seen(outside, HOST4, 7000, local, patience=BRIEF)
        assert seen(two, HOST4, 8080, web), "a neighbour"
        assert seen(one, HOST4, 8080, web), "itself"
        made.check()
        made.delete()
        assert not seen(outside, HOST4, 8080, web, patience=BRIEF)


def test_masq_all_hides_who_asks(cni: Cni, one: Container, host: Host) -> None:
    outside = Place(host, host.outside())
    cni.add(network(bridge(), {**PORTMAP, "masqAll": True}), one, portMappings=[port(8080, 80)])
    with one.tcp(80) as web:
        assert seen(outside, HOST4, 8080, web) == "10.22.0.1"


def test_a_port_belongs_to_one(cni: Cni, one: Container, two: Container, host: Host) -> None:
    lan = network(bridge(), PORTMAP)
    cni.add(lan, one, portMappings=[port(8080, 80)])
    error = cni.try_add(lan, two, portMappings=[port(8080, 80)]).error
    assert error["code"] == 102
    assert "8080" in error["msg"]
    assert "c1" in error["msg"]
    with Place(host).tcp(8090):
        error = cni.try_add(network(bridge(), PORTMAP, name="mynet"), two, portMappings=[port(8090, 80)]).error
    assert "8090" in error["msg"] or error["code"] == 101


def test_the_capability_may_be_that_of_the_bridge(cni: Cni, one: Container, host: Host) -> None:
    outside = Place(host, host.outside())
    plugin = bridge() | {"capabilities": {"portMappings": True, "bandwidth": True, "ips": True, "mac": True}}
    made = cni.add(
        network(plugin),
        one,
        portMappings=[port(8080, 80)],
        ips=["10.22.3.4/16"],
        mac="02:00:00:00:01:02",
        bandwidth={"ingressRate": 1_000_000, "egressRate": 1_000_000},
    )
    assert made.addresses == ["10.22.3.4"]
    assert made.result["interfaces"][2]["mac"] == "02:00:00:00:01:02"
    with one.tcp(80) as web:
        assert seen(outside, HOST4, 8080, web) == OUTSIDE4
    made.check()


def test_ports_after_somebody_elses_bridge(cni: Cni, one: Container, two: Container, host: Host) -> None:
    outside, here = Place(host, host.outside()), Place(host)
    before = by_hand(host, one, 2)
    by_hand(host, two, 3)
    plugin = {"type": "netrt-portmap", "runtimeConfig": {"portMappings": [port(8080, 80)]}}
    result = add_after(cni, one, before, plugin)
    assert result["ips"] == before["ips"]
    with one.tcp(80) as web:
        assert seen(outside, HOST4, 8080, web) == OUTSIDE4
        assert seen(here, "127.0.0.1", 8080, web)
        assert seen(two, "10.33.0.1", 8080, web), "a neighbour on that bridge"
        assert not verb_after(cni, "CHECK", one, before, plugin)
        assert not verb_after(cni, "DEL", one, before, plugin)
        assert not seen(outside, HOST4, 8080, web, patience=BRIEF)


def test_a_foreign_bridge_that_is_gone_stops_nothing(cni: Cni, one: Container, host: Host, netrt: Netrt) -> None:
    before = by_hand(host, one, 2)
    ports: Config = {"type": "netrt-portmap", "runtimeConfig": {"portMappings": [port(8080, 80)]}}
    limits: Config = {"type": "netrt-bandwidth", "ingressRate": 1_000_000, "egressRate": 1_000_000}
    tuning: Config = {"type": "netrt-tuning", "mtu": 1300}
    for plugin in (ports, limits, tuning):
        before = add_after(cni, one, before, plugin)
    host.run("ip", "link", "del", "veth2")
    host.run("ip", "link", "del", "ref0")
    restarted(netrt)
    two = cni.container("c2")
    cni.add(network(bridge()), two).check()
    assert "veth2" in verb_after(cni, "CHECK", one, before, limits)
    for plugin in (tuning, limits, ports):
        assert not verb_after(cni, "DEL", one, before, plugin)


# bandwidth

RATE = 10_000_000


def flood(sending: socket.socket, receiving: socket.socket, seconds: float) -> int:
    """Send as much as possible for so long. How many bytes were received meanwhile."""
    sending.setblocking(False)
    receiving.setblocking(False)
    chunk, count, end = b"x" * 65536, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(BlockingIOError):
            sending.send(chunk)
        with contextlib.suppress(BlockingIOError):
            count += len(receiving.recv(1 << 20))
    return count


def passed(host: Host, *link: str) -> tuple[float, int]:
    """When, and how many bytes a link has received so far: what is on the wire. A stream stands still behind a lost packet and
    jumps after it."""
    (shown,) = json.loads(host.run("ip", *link[:-1], "-j", "-s", "link", "show", link[-1]).stdout)
    return time.monotonic(), shown["stats64"]["rx"]["bytes"]


def connected(client: Place, server: Place, address: str) -> tuple[socket.socket, socket.socket]:
    with server.tcp(5001) as listener:
        asking = client.open(socket.AF_INET, socket.SOCK_STREAM)
        asking.connect((address, 5001))
        return asking, listener.accept()[0]


@pytest.mark.parametrize("way", ["ingress", "egress"])
def test_a_limit_of_ten_megabits(cni: Cni, one: Container, host: Host, way: str) -> None:
    lan = network(bridge(), BANDWIDTH)
    made = cni.add(lan, one, bandwidth={f"{way}Rate": RATE, f"{way}Burst": (1 << 32) - 1})
    here = Place(host)
    sender, receiver, address = (here, one, made.ip4) if way == "ingress" else (one, here, "10.22.0.1")
    sending, receiving = connected(sender, receiver, address)
    link = ("-n", "c1", "eth0") if way == "ingress" else ("cni0",)
    with sending, receiving:
        samples, got = [passed(host, *link)], 0
        for _ in range(4):
            got += flood(sending, receiving, 1)
            samples.append(passed(host, *link))
    rates = [8 * (b - a) / (t - s) / RATE for (s, a), (t, b) in pairwise(samples)]
    assert rates[0] < 1.2, rates
    assert all(0.9 < rate < 1.05 for rate in rates[1:]), rates
    assert 0.9 < 8 * got / (samples[-1][0] - samples[0][0]) / RATE < 1.05, "of all that was sent little is sent again"
    made.check()


def test_a_limit_is_the_containers_own(cni: Cni, one: Container, two: Container, host: Host) -> None:
    lan = network(bridge(), BANDWIDTH)
    made = cni.add(lan, one, bandwidth={"ingressRate": RATE, "egressRate": RATE})
    other = cni.add(lan, two)
    sending, receiving = connected(Place(host), two, other.ip4)
    with sending, receiving:
        assert 8 * flood(sending, receiving, 1) > 10 * RATE
    before = snapshot(host)
    made.delete()
    assert "ifb" not in host.run("ip", "-d", "link").stdout
    assert differences(before, snapshot(host))


@pytest.mark.parametrize(
    ("vandalism", "words"),
    [
        ("tc qdisc del dev {pair} root", "limit of {pair}"),
        ("tc qdisc del dev {pair} ingress", "comes in by {pair}"),
        ("tc qdisc change dev {ifb} root tbf rate 99mbit burst 50k latency 1s", "limit of {ifb}"),
        ("ip link del {ifb}", "{ifb}"),
    ],
)
def test_check_sees_that_a_limit_is_gone(
    cni: Cni, one: Container, host: Host, netrt: Netrt, vandalism: str, words: str
) -> None:
    cni.left_broken()
    made = cni.add(network(bridge(), BANDWIDTH), one, bandwidth={"ingressRate": RATE, "egressRate": RATE})
    names = {"pair": made.result["interfaces"][1]["name"], "ifb": made.result["interfaces"][3]["name"]}
    host.run(*vandalism.format(**names).split())
    assert words.format(**names) in made.complaint()
    restarted(netrt)
    made.check()


# tuning


def test_tuning(cni: Cni, one: Container, host: Host) -> None:
    tuning = {
        "type": "netrt-tuning",
        "sysctl": {"net.core.somaxconn": "500", "net.ipv4.conf.IFNAME.arp_filter": "1"},
        "mac": "02:11:22:33:44:55",
        "mtu": 1400,
        "promisc": True,
        "allmulti": True,
        "txQLen": 77,
    }
    made = cni.add(network(bridge(), tuning), one)
    (eth0,) = json.loads(host.run("ip", "-n", "c1", "-j", "link", "show", "eth0").stdout)
    assert (eth0["address"], eth0["mtu"], eth0["txqlen"]) == ("02:11:22:33:44:55", 1400, 77)
    assert {"PROMISC", "ALLMULTI"} <= set(eth0["flags"])
    said = one.call(Path("/proc/thread-self/net").exists)
    assert said
    assert one.call(Path("/proc/sys/net/core/somaxconn").read_text).strip() == "500"
    assert one.call(Path("/proc/sys/net/ipv4/conf/eth0/arp_filter").read_text).strip() == "1"
    assert made.result["interfaces"][2]["mac"] == "02:11:22:33:44:55"
    made.check()
    with one.tcp(80) as web:
        assert seen(Place(host), made.ip4, 80, web)


@pytest.mark.parametrize(
    ("vandalism", "words"),
    [
        ("ip -n c1 link set eth0 address 02:00:00:00:00:99", "mac"),
        ("ip -n c1 link set eth0 mtu 1300", "mtu"),
        ("ip -n c1 link set eth0 promisc off", "promisc"),
        ("ip -n c1 link set eth0 txqueuelen 5", "queue"),
        ("ip netns exec c1 sysctl -q net.core.somaxconn=9", "somaxconn"),
    ],
)
def test_check_sees_each_setting(cni: Cni, one: Container, host: Host, vandalism: str, words: str) -> None:
    tuning = {"type": "netrt-tuning", "sysctl": {"net.core.somaxconn": "500"}, "promisc": True, "txQLen": 77}
    cni.left_broken()
    made = cni.add(network(bridge(), tuning), one)
    host.run(*vandalism.split())
    assert words in made.complaint()


def test_a_setting_that_the_kernel_does_not_take(cni: Cni, one: Container, host: Host) -> None:
    lan = network(bridge(), {"type": "netrt-tuning", "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "many"}})
    error = cni.try_add(lan, one).error
    assert "arp_filter" in error["msg"]
    lan = network(bridge(), {"type": "netrt-tuning", "sysctl": {"net.core.nosuchthing": "1"}})
    assert "nosuchthing" in cni.execute("ADD", cni.request(lan, lan["plugins"][1], {}, {"ips": []})).error["msg"]


def test_only_settings_of_the_network(cni: Cni, one: Container) -> None:
    for name in ("kernel.hostname", "net/../kernel/hostname", "net.", "vm.swappiness", "net.core.a b"):
        plugin = {"cniVersion": "1.0.0", "name": "x", "type": "netrt-tuning", "sysctl": {name: "1"}, "prevResult": {}}
        error = cni.execute("ADD", plugin).error
        assert error["code"] == 7
        assert "sysctl" in error["msg"]


# host-local and loopback


def test_host_local_by_itself(cni: Cni, one: Container, two: Container, netrt: Netrt) -> None:
    ipam = {"type": "netrt-host-local", "ranges": [[{"subnet": "10.44.0.0/29"}]], "routes": [{"dst": "0.0.0.0/0"}]}
    config = {"cniVersion": "1.0.0", "name": "refnet", "type": "bridge", "ipam": ipam}

    def run(verb: str, container: Container, **more: str) -> Config:
        answer = cni.execute(
            verb, config, container=container.id, netns=container.path, plugin="netrt-host-local", **more
        )
        return answer.result if verb == "ADD" else {"status": answer.status, "said": answer.output}

    assert run("ADD", one) == {
        "cniVersion": "1.0.0",
        "ips": [{"address": "10.44.0.2/29", "gateway": "10.44.0.1"}],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    assert run("ADD", two, args="IP=10.44.0.5")["ips"][0]["address"] == "10.44.0.5/29"
    assert "10.44.0.2" in netrt("ps")
    assert run("CHECK", one)["status"] == 0
    for _ in range(2):
        assert run("DEL", one)["status"] == 0
    assert "no address" in run("CHECK", one)["said"]
    assert run("ADD", one)["ips"][0]["address"] == "10.44.0.2/29", "who comes again gets the same address"


def test_resolv_conf(cni: Cni, one: Container) -> None:
    Path("/run/resolv.conf").write_text("nameserver 192.0.2.53\nsearch a.test b.test\noptions ndots:2\n")
    ipam = {"type": "netrt-host-local", "subnet": "10.22.0.0/16", "resolvConf": "/run/resolv.conf"}
    made = cni.add(network(bridge(ipam=ipam)), one)
    dns = {"nameservers": ["192.0.2.53"], "search": ["a.test", "b.test"], "options": ["ndots:2"]}
    assert made.result["dns"] == dns


def test_loopback(cni: Cni, host: Host) -> None:
    host.run("ip", "netns", "add", "bare")
    config = {"cniVersion": "1.0.0", "name": "lo", "type": "netrt-loopback"}

    def run(verb: str, **more: str) -> Config:
        answer = cni.execute(verb, config, netns="/run/netns/bare", ifname="lo", **more)
        return answer.result if verb == "ADD" and not answer.status else {"status": answer.status}

    assert run("CHECK")["status"] == 1
    assert run("ADD") == {
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "lo", "mac": "00:00:00:00:00:00", "sandbox": "/run/netns/bare"}],
        "ips": [{"address": "127.0.0.1/8", "interface": 0}, {"address": "::1/128", "interface": 0}],
    }
    assert run("CHECK")["status"] == 0
    assert run("DEL")["status"] == 0
    assert "UP" not in json.loads(host.run("ip", "-n", "bare", "-j", "link", "show", "lo").stdout)[0]["flags"]
    assert cni.execute("DEL", config, netns="/run/netns/none", ifname="lo").status == 0
    assert cni.execute("DEL", config, netns="", ifname="lo").status == 0
