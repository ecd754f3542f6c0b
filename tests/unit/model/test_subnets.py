"""Which subnets, gateways, ranges and options a network may have."""

from __future__ import annotations

import pytest

from netrt.errors import Invalid
from netrt.model.address import check_mac, link_local, mac_for, parse_ip, parse_network
from netrt.model.network import BRIDGE_OPTIONS, GatewayMode, Mode, Network, Subnet, bridge_options


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"cidr": "10.1.0.1/24"}, "host bits set (did you mean 10.1.0.0/24?)"),
        ({"cidr": "10.1.0.0/31"}, "too small"),
        ({"cidr": "10.1.0.0"}, "too small"),
        ({"cidr": "fd00::/127"}, "too small"),
        ({"cidr": "fd00::%eth0/64"}, "invalid subnet"),
        ({"cidr": "10.1.0.0/33"}, "invalid subnet"),
        ({"cidr": "app"}, "invalid subnet"),
        ({"cidr": "0.0.0.0/0"}, "cannot be used"),
        ({"cidr": "224.0.0.0/8"}, "cannot be used"),
        ({"cidr": "127.0.0.0/8"}, "cannot be used"),
        ({"cidr": "fe80::/64"}, "cannot be used"),
        ({"cidr": "10.1.0.0/24", "gateway": "10.2.0.1"}, "gateway 10.2.0.1 is outside of subnet 10.1.0.0/24"),
        ({"cidr": "10.1.0.0/24", "gateway": "fd00::1"}, "gateway fd00::1 is outside of subnet 10.1.0.0/24"),
        ({"cidr": "10.1.0.0/24", "gateway": "10.1.0.255"}, "network or broadcast address"),
        ({"cidr": "10.1.0.0/24", "gateway": "10.1.0.0"}, "network or broadcast address"),
        ({"cidr": "10.1.0.0/24", "gateway": "one"}, "invalid gateway"),
        ({"cidr": "10.1.0.0/24", "ip_range": "10.2.0.0/25"}, "ip-range 10.2.0.0/25 is outside of subnet 10.1.0.0/24"),
        ({"cidr": "10.1.0.0/24", "ip_range": "10.0.0.0/8"}, "outside of subnet"),
        ({"cidr": "10.1.0.0/24", "ip_range": "fd00::/64"}, "outside of subnet"),
        ({"cidr": "10.1.0.0/24", "auxiliary": {"dns": "10.2.0.1"}}, "aux-address 10.2.0.1 is outside of subnet"),
    ],
)
def test_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Subnet(**given)  # type: ignore[arg-type]
    assert says in str(refusal.value)


def test_what_is_given_out_and_what_never() -> None:
    subnet = Subnet(cidr="10.1.0.0/29", gateway="10.1.0.1", ip_range="10.1.0.4/30", auxiliary={"router": "10.1.0.5"})
    assert list(subnet.dynamic) == [0x0A010004, 0x0A010005, 0x0A010006, 0x0A010007]
    assert subnet.reserved == {
        0x0A010000: "network address",
        0x0A010001: "gateway",
        0x0A010005: "auxiliary address router",
        0x0A010007: "broadcast address",
    }
    assert set(Subnet(cidr="fd00:1::/126").reserved) == {0xFD000001 << 96}


def test_the_list_of_known_options_is_shown() -> None:
    with pytest.raises(Invalid) as refusal:
        bridge_options({"mtu": "1400"})
    known = str(refusal.value).partition("(known: com.docker.network.{")[2]
    assert known.startswith("bridge.name, bridge.enable_icc, ")
    assert "driver.mtu" in known.partition("}")[0]
    assert known.endswith(", ndp_proxy, congctl)")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("com.docker.network.driver.mtu", "1279"),
        ("com.docker.network.driver.mtu", "65536"),
        ("com.docker.network.driver.mtu", "9k"),
        ("com.docker.network.bridge.name", "a/b"),
        ("com.docker.network.bridge.name", "x" * 16),
        ("com.docker.network.bridge.enable_icc", "maybe"),
        ("com.docker.network.bridge.host_binding_ipv4", "::1"),
        ("com.docker.network.bridge.host_binding_ipv4", "1.2.3"),
        ("com.docker.network.bridge.gateway_mode_ipv4", "bridged"),
        ("com.docker.network.container_iface_prefix", "x" * 13),
        ("com.docker.network.container_iface_prefix", 'e"'),
    ],
)
def test_values_of_options(key: str, text: str) -> None:
    assert key in BRIDGE_OPTIONS
    with pytest.raises(Invalid):
        Network(id="0" * 64, name="app", mode=Mode.BRIDGE, created="", options={key: text})


@pytest.mark.parametrize(
    ("more", "leads"),
    [
        ({}, True),
        ({"internal": True}, False),
        ({"options": {"com.docker.network.bridge.gateway_mode_ipv4": "routed"}}, True),
        ({"options": {"com.docker.network.bridge.gateway_mode_ipv4": GatewayMode.ISOLATED}}, False),
        ({"mode": Mode.HOST}, False),
    ],
)
def test_which_networks_lead_outside(more: dict[str, object], leads: bool) -> None:
    known = {
        "id": "0" * 64,
        "name": "app",
        "mode": Mode.BRIDGE,
        "created": "",
        "subnets": (Subnet(cidr="10.1.0.0/24"),),
    }
    network = Network(**{**known, **more})  # type: ignore[arg-type]
    assert network.leads_outside(4) == leads
    assert not network.leads_outside(6)


def test_macs() -> None:
    assert mac_for("10.1.0.2") == "02:42:0a:01:00:02"
    assert check_mac(mac_for("fd00::2")) == mac_for("fd00::2") != mac_for("fd00::3")
    assert check_mac("02-42-0A-01-00-02") == "02:42:0a:01:00:02"
    assert link_local("02:42:0a:01:00:02") == "fe80::42:aff:fe01:2"
    for bad in (
        "01:00:5e:00:00:01",
        "00:00:00:00:00:00",
        "02:42:0a:01:00",
        "02:42:0a:01:00:02\n",
        "x",
        "ff:ff:ff:ff:ff:ff",
    ):
        with pytest.raises(Invalid, match="invalid MAC address"):
            check_mac(bad)


@pytest.mark.parametrize("bad", ["", "10.1", "10.1.0.2/24", "fe80::1%eth0", "::ffff:10.0.0.1", "a\nb", "010.1.0.1"])
def test_addresses(bad: str) -> None:
    with pytest.raises(Invalid, match="invalid address"):
        parse_ip("address", bad)


def test_canonical_text() -> None:
    assert str(parse_network("subnet", "FD00:0::/64")) == "fd00::/64"
    assert str(parse_ip("address", "FD00::0001")) == "fd00::1"
