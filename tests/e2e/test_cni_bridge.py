"""netrt-bridge and netrt, through the executables: what is made, who reaches whom, and what is left."""

from __future__ import annotations

import json

import pytest

from tests.cni import PORTMAP, Cni, Container, bridge, network, port
from tests.command import Netrt
from tests.e2e.conftest import HOST4, OUTSIDE4
from tests.host import Host
from tests.snapshot import differences, snapshot
from tests.traffic import BRIEF, Place, seen

pytestmark = pytest.mark.root


@pytest.fixture
def cni(host: Host, netrt: Netrt) -> Cni:
    return Cni(host, netrt=netrt)


@pytest.fixture
def one(cni: Cni) -> Container:
    return cni.container("c1")


@pytest.fixture
def two(cni: Cni) -> Container:
    return cni.container("c2")


def inside(host: Host, container: Container, *words: str) -> str:
    return host.run("ip", "-n", container.name, *words).stdout


def test_an_interface_with_address_route_and_result(cni: Cni, one: Container, host: Host) -> None:
    made = cni.add(network(bridge()), one)
    (eth0,) = json.loads(inside(host, one, "-j", "-4", "addr", "show", "eth0"))
    assert [f"{a['local']}/{a['prefixlen']}" for a in eth0["addr_info"]] == ["10.22.0.2/16"]
    assert "default via 10.22.0.1 dev eth0" in inside(host, one, "route")
    first, second, third = made.result["interfaces"]
    (cni0,) = json.loads(host.run("ip", "-j", "link", "show", "cni0").stdout)
    assert (first["name"], first["mac"]) == ("cni0", cni0["address"])
    (pair,) = json.loads(host.run("ip", "-j", "link", "show", second["name"]).stdout)
    assert (second["mac"], pair["master"]) == (pair["address"], "cni0")
    mac = json.loads(inside(host, one, "-j", "link", "show", "eth0"))[0]["address"]
    assert third == {"name": "eth0", "mac": mac, "mtu": 1500, "sandbox": one.path}
    assert made.result["ips"] == [{"address": "10.22.0.2/16", "gateway": "10.22.0.1", "interface": 2}]
    assert made.result["routes"] == [{"dst": "0.0.0.0/0"}]


def test_containers_reach_each_other_the_host_and_the_outside(
    cni: Cni, one: Container, two: Container, host: Host
) -> None:
    outside = Place(host, host.outside())
    first, second = cni.add(network(bridge()), one), cni.add(network(bridge()), two)
    with two.tcp(80) as server:
        assert seen(one, second.ip4, 80, server) == first.ip4
        assert seen(Place(host), second.ip4, 80, server) == "10.22.0.1"
        host.run("ip", "-n", "outside", "route", "add", "10.22.0.0/16", "via", HOST4)
        assert seen(outside, second.ip4, 80, server) == OUTSIDE4, "the reference leaves containers open"
    with outside.tcp(80) as server:
        assert seen(one, OUTSIDE4, 80, server) == HOST4, "ipMasq"
    with Place(host).tcp(81) as server:
        assert seen(one, "10.22.0.1", 81, server) == first.ip4, "containers reach the host"
        assert seen(one, HOST4, 81, server) == first.ip4


def test_without_masquerade_the_own_address_is_seen(cni: Cni, one: Container, host: Host) -> None:
    outside = Place(host, host.outside())
    made = cni.add(network(bridge(ipMasq=False)), one)
    host.run("ip", "-n", "outside", "route", "add", "10.22.0.0/16", "via", HOST4)
    with outside.tcp(80) as server:
        assert seen(one, OUTSIDE4, 80, server) == made.ip4


def test_two_networks_reach_each_other_unless_they_are_fenced(cni: Cni, one: Container, two: Container) -> None:
    fence = {"type": "netrt-firewall", "ingressPolicy": "same-bridge"}
    other = bridge(subnet="10.23.0.0/16", bridge="cni1")
    first = cni.add(network(bridge()), one)
    second = cni.add(network(other, name="other"), two)
    with two.tcp(80) as server:
        assert seen(one, second.ip4, 80, server) == first.ip4
        second.delete()
        second = cni.add(network(other, fence, name="other"), two)
        assert seen(one, second.ip4, 80, server) == first.ip4, "only one has the policy"
        first.delete()
        first = cni.add(network(bridge(), fence), one)
        assert not seen(one, second.ip4, 80, server, patience=BRIEF)
        first.check()


def test_an_isolated_network_keeps_its_containers_apart(cni: Cni, one: Container, two: Container, host: Host) -> None:
    lan = network(bridge(), {"type": "netrt-firewall", "ingressPolicy": "isolated"})
    cni.add(lan, one)
    second = cni.add(lan, two)
    with two.tcp(80) as server:
        assert not seen(one, second.ip4, 80, server, patience=BRIEF)
        assert seen(Place(host), second.ip4, 80, server) == "10.22.0.1"


def test_a_native_network_stays_closed_to_open_ones(cni: Cni, one: Container, netrt: Netrt) -> None:
    netrt("network", "create", "--subnet", "10.40.0.0/24", "closed")
    box = netrt.box("box", "--network", "closed")
    cni.add(network(bridge()), one)
    with box.tcp(80) as server:
        assert not seen(one, box.ip4, 80, server, patience=BRIEF)


def test_both_families(cni: Cni, one: Container, two: Container, host: Host) -> None:
    ranges = [[{"subnet": "10.22.0.0/16"}], [{"subnet": "fd00:22::/64"}]]
    ipam = {"type": "netrt-host-local", "ranges": ranges}
    lan = network(bridge(isDefaultGateway=True, ipam=ipam))
    first, second = cni.add(lan, one), cni.add(lan, two)
    assert first.addresses == ["10.22.0.2", "fd00:22::2"]
    assert {"dst": "::/0", "gw": "fd00:22::1"} in first.result["routes"]
    assert "default via fd00:22::1 dev eth0" in inside(host, one, "-6", "route")
    with two.tcp(80) as server:
        assert seen(one, second.ip6, 80, server) == first.ip6


def test_several_addresses_of_a_family(cni: Cni, one: Container, two: Container, host: Host) -> None:
    ranges = [[{"subnet": "10.22.0.0/24"}], [{"subnet": "10.23.0.0/24"}, {"subnet": "10.24.0.0/24"}]]
    lan = network(bridge(ipam={"type": "netrt-host-local", "ranges": ranges}))
    first, second = cni.add(lan, one), cni.add(lan, two)
    assert first.addresses == ["10.22.0.2", "10.23.0.2"]
    assert second.addresses == ["10.22.0.3", "10.23.0.3"]
    with two.tcp(80) as server:
        assert seen(one, "10.23.0.3", 80, server) == "10.23.0.2"
        assert seen(Place(host), "10.23.0.3", 80, server) == "10.23.0.1"


def test_ranges_and_routes(cni: Cni, one: Container, host: Host) -> None:
    section = {"subnet": "10.22.0.0/16", "rangeStart": "10.22.7.5", "rangeEnd": "10.22.7.6", "gateway": "10.22.9.9"}
    routes = [
        {"dst": "10.50.0.0/16", "gw": "10.22.0.77", "mtu": 1300, "advmss": 1200, "priority": 50},
        {"dst": "10.60.0.0/16", "table": 100},
    ]
    lan = network(bridge(ipam={"type": "netrt-host-local", "ranges": [[section]], "routes": routes}))
    made = cni.add(lan, one)
    assert made.addresses == ["10.22.7.5"]
    assert made.result["ips"][0]["gateway"] == "10.22.9.9"
    assert made.result["routes"] == routes
    shown = inside(host, one, "route", "show", "table", "all")
    assert "10.50.0.0/16 via 10.22.0.77 dev eth0 proto 78 metric 50 mtu 1300 advmss 1200" in " ".join(shown.split())
    assert "10.60.0.0/16 via 10.22.9.9 dev eth0 table 100" in shown
    made.check()


def test_an_interface_without_addresses(cni: Cni, one: Container, two: Container, host: Host) -> None:
    lan = network(bridge(isGateway=False, ipMasq=False, ipam=None))
    first, second = cni.add(lan, one), cni.add(lan, two)
    assert "ips" not in first.result
    first.check()
    for container, address in ((one, "192.168.7.1/24"), (two, "192.168.7.2/24")):
        inside(host, container, "addr", "add", address, "dev", "eth0")
    with two.tcp(80) as server:
        assert seen(one, "192.168.7.2", 80, server) == "192.168.7.1", "and it may send what it likes"
    second.delete()


def test_a_disabled_interface_is_down(cni: Cni, one: Container, host: Host) -> None:
    made = cni.add(network(bridge(isGateway=False, ipam=None, disableContainerInterface=True)), one)
    assert "UP" not in json.loads(inside(host, one, "-j", "link", "show", "eth0"))[0]["flags"]
    made.check()


def test_options_of_the_bridge_and_its_ports(cni: Cni, one: Container, host: Host) -> None:
    made = cni.add(network(bridge(hairpinMode=True, mtu=1420, portIsolation=True)), one)
    pair = made.result["interfaces"][1]["name"]
    (shown,) = json.loads(host.run("ip", "-j", "-d", "link", "show", pair).stdout)
    assert (shown["mtu"], shown["linkinfo"]["info_slave_data"]["hairpin"]) == (1420, True)
    assert shown["linkinfo"]["info_slave_data"]["isolated"] is True
    made.delete()
    cni.add(network(bridge(promiscMode=True)), one)
    assert "PROMISC" in json.loads(host.run("ip", "-j", "link", "show", "cni0").stdout)[0]["flags"]


def test_macspoofchk_binds_the_mac_and_nothing_else(cni: Cni, one: Container, two: Container, host: Host) -> None:
    cni.left_broken()
    lan = network(bridge(macspoofchk=True))
    cni.add(lan, one)
    second = cni.add(lan, two)
    with two.tcp(80) as server:
        inside(host, one, "addr", "add", "10.22.9.9/16", "dev", "eth0")
        assert seen(one, second.ip4, 80, server, source="10.22.9.9") == "10.22.9.9"
        inside(host, one, "link", "set", "eth0", "address", "02:00:00:00:00:77")
        host.run("ip", "-n", "c2", "neigh", "flush", "all")
        assert not seen(one, second.ip4, 80, server, patience=BRIEF)


def test_a_bridge_that_was_there_before_is_used_and_left_alone(cni: Cni, one: Container, host: Host) -> None:
    host.run("ip", "link", "add", "cni0", "type", "bridge")
    host.run("ip", "link", "set", "cni0", "up", "mtu", "1450")
    host.run("ip", "addr", "add", "10.77.0.1/24", "dev", "cni0")
    made = cni.add(network(bridge()), one)
    with one.tcp(80) as server:
        assert seen(Place(host), made.ip4, 80, server) == "10.22.0.1"
    made.check()
    made.delete()
    (cni0,) = json.loads(host.run("ip", "-j", "addr", "show", "cni0").stdout)
    assert "ifalias" not in cni0
    assert "10.77.0.1" in [address["local"] for address in cni0["addr_info"]]


def test_a_foreign_link_of_the_bridges_name_is_refused(cni: Cni, one: Container, host: Host) -> None:
    host.run("ip", "link", "add", "cni0", "type", "veth", "peer", "name", "other")
    before = snapshot(host)
    error = cni.try_add(network(bridge()), one).error
    assert error["code"] == 104
    assert "cni0" in error["msg"]
    assert not differences(before, snapshot(host))


def test_a_second_add_says_so_and_changes_nothing(cni: Cni, one: Container, host: Host) -> None:
    made = cni.add(network(bridge()), one)
    before = snapshot(host)
    error = cni.try_add(network(bridge()), one).error
    assert error["code"] == 101
    assert "already" in error["msg"]
    assert not differences(before, snapshot(host))
    made.check()


def test_an_interface_that_is_there_already_is_refused(cni: Cni, one: Container, host: Host) -> None:
    inside(host, one, "link", "add", "eth0", "type", "bridge")
    error = cni.try_add(network(bridge()), one).error
    assert error["code"] == 104
    assert "eth0" in error["msg"]
    assert "eth0" in inside(host, one, "link")


def test_a_container_on_two_networks_and_twice_on_one(cni: Cni, one: Container, host: Host) -> None:
    lan, other = network(bridge()), network(bridge(subnet="10.23.0.0/16", bridge="cni1"), name="other")
    first, second, third = cni.add(lan, one), cni.add(lan, one, "eth1"), cni.add(other, one, "net0")
    assert [a.addresses for a in (first, second, third)] == [["10.22.0.2"], ["10.22.0.3"], ["10.23.0.2"]]
    second.delete()
    first.check()
    third.check()
    assert "eth1" not in inside(host, one, "link")


def test_nothing_is_left_but_the_network(cni: Cni, one: Container, two: Container, host: Host, netrt: Netrt) -> None:
    lan = network(bridge(), PORTMAP)
    cni.add(lan, two, portMappings=[port(9000, 80)])
    before = snapshot(host)
    for _ in range(2):
        made = cni.add(lan, one, portMappings=[port(8080, 80), port(8081, 81), port(5353, 53, "udp")])
        made.delete()
        assert not differences(before, snapshot(host))
    assert "c1" not in netrt.names()
    assert "c2" in netrt.names()


def test_a_container_shows_in_ps_and_inspect(cni: Cni, one: Container, netrt: Netrt) -> None:
    pod = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0;K8S_POD_UID=abc;OTHER=1"
    plugin = bridge() | {"args": {"cni": {"labels": [{"key": "tier", "value": "front"}]}}}
    cni.add(network(plugin), one, args=pod)
    shown = netrt.inspect("cart-0")
    assert shown["NetworkSettings"]["SandboxKey"] == one.path
    assert shown["NetworkSettings"]["Networks"]["mynet"]["IPAddress"] == "10.22.0.2"
    assert shown["Config"]["Labels"] == {
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.name": "cart-0",
        "io.kubernetes.pod.uid": "abc",
        "tier": "front",
    }


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"])
def test_each_version(cni: Cni, one: Container, version: str) -> None:
    made = cni.add(network(bridge(), PORTMAP, version=version), one, portMappings=[port(8080, 80)])
    assert made.result["cniVersion"] == version
    shown = made.result["ip4"]["ip"] if version < "0.3.0" else made.result["ips"][0]["address"]
    assert shown == "10.22.0.2/16"
    if version >= "0.4.0":
        made.check()
    made.delete()


@pytest.mark.parametrize(
    ("vandalism", "words"),
    [
        ("ip -n c1 addr del 10.22.0.2/16 dev eth0", "address 10.22.0.2/16 of eth0"),
        ("ip -n c1 route del default", "route 0.0.0.0/0 by eth0"),
        ("ip -n c1 link set eth0 address 02:00:00:00:00:99", "02:00:00:00:00:99"),
        ("ip -n c1 link set eth0 down", "eth0"),
        ("ip link set {pair} nomaster", "{pair}"),
        ("ip link set {pair} down", "{pair}"),
        ("ip link del {pair}", "{pair}"),
        ("ip addr del 10.22.0.1/16 dev cni0", "address 10.22.0.1/16 of cni0"),
        ("ip link del cni0", "cni0"),
        ("nft delete element inet netrt ports4 {{ tcp . 8080 }}", "8080"),
        ("nft flush chain inet netrt forward", "table netrt has other rules"),
        ("nft delete table inet netrt", "netrt"),
    ],
)
def test_check_says_what_somebody_took_away(
    cni: Cni, one: Container, two: Container, host: Host, vandalism: str, words: str
) -> None:
    cni.left_broken()
    lan = network(bridge(), PORTMAP)
    made, other = cni.add(lan, one, portMappings=[port(8080, 80)]), cni.add(lan, two)
    names = {"pair": made.result["interfaces"][1]["name"]}
    made.check()
    host.run(*vandalism.format(**names).split())
    assert words.format(**names) in made.complaint()
    if "{pair}" in vandalism or "c1" in vandalism:
        other.check()
