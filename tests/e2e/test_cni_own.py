"""The plugin `netrt`: a runtime's containers on netrt's own networks, those that people made and those that a configuration
defines."""

from __future__ import annotations

import pytest

from tests.asking import Asker
from tests.cni import Cni, Config, network, port
from tests.command import Netrt
from tests.e2e.conftest import HOST4, OUTSIDE4
from tests.host import Host
from tests.traffic import BRIEF, Place, seen

pytestmark = pytest.mark.root

CAPABILITIES = {"portMappings": True, "ips": True, "mac": True, "aliases": True, "dns": True, "bandwidth": True}

OWN: Config = {"type": "netrt", "capabilities": CAPABILITIES}


@pytest.fixture
def cni(host: Host, netrt: Netrt) -> Cni:
    return Cni(host, netrt=netrt)


def test_on_a_network_that_people_made(cni: Cni, netrt: Netrt) -> None:
    outside = Place(cni.host, cni.host.outside())
    netrt("network", "create", "--subnet", "10.40.0.0/24", "backend")
    db = netrt.box("db", "--network", "backend")
    made = cni.add(
        network(OWN, name="backend"),
        cni.container("c1"),
        portMappings=[port(8080, 80)],
        ips=["10.40.0.77"],
        mac="02:00:00:00:00:77",
        aliases=["www"],
    )
    assert made.addresses == ["10.40.0.77"]
    assert made.result["routes"] == [{"dst": "0.0.0.0/0", "gw": "10.40.0.1"}]
    assert made.result["interfaces"][-1]["mac"] == "02:00:00:00:00:77"
    with made.container.tcp(80) as web:
        assert seen(db, made.ip4, 80, web) == db.ip4
        assert seen(outside, HOST4, 8080, web) == OUTSIDE4
        made.check()
        made.delete()
        assert not seen(outside, HOST4, 8080, web, patience=BRIEF)
    assert "backend" in netrt("network", "ls"), "what people made stays"


def test_names_where_the_network_has_them(cni: Cni, netrt: Netrt) -> None:
    netrt("network", "create", "--subnet", "10.40.0.0/24", "backend")
    db = netrt.box("db", "--network", "backend")
    made = cni.add(network(OWN, name="backend"), cni.container("c1"), aliases=["www"])
    assert made.result["dns"] == {"nameservers": ["127.0.0.11"], "options": ["ndots:0"]}
    assert Asker(cni.host, made.container.path).looked_up("db") == [db.ip4]
    assert Asker(cni.host, db.path).looked_up("www") == [made.ip4]
    other = cni.add(network({**OWN, "dns": {"nameservers": ["192.0.2.9"]}}, name="backend"), cni.container("c2"))
    assert other.result["dns"] == {"nameservers": ["192.0.2.9"]}, "as configured"
    said = cni.add(network(OWN, name="backend"), cni.container("c3"), dns={"servers": ["192.0.2.8"], "searches": ["a"]})
    assert said.result["dns"] == {"nameservers": ["192.0.2.8"], "search": ["a"]}, "as the runtime says"


def test_a_network_that_the_configuration_defines(cni: Cni, netrt: Netrt) -> None:
    defined = {**OWN, "mode": "bridge", "subnets": ["10.41.0.0/24", "fd00:41::/64"], "labels": {"tier": "back"}}
    lan = network(defined, name="shop")
    one, two = cni.add(lan, cni.container("c1"), aliases=["one"]), cni.add(lan, cni.container("c2"))
    assert two.addresses == ["10.41.0.3", "fd00:41::3"]
    with one.container.tcp(80) as server:
        assert seen(two.container, one.ip4, 80, server) == two.ip4
        assert seen(two.container, one.ip6, 80, server) == two.ip6
    assert Asker(cni.host, two.container.path).looked_up("one") == [one.ip4]
    assert netrt.inspect("shop")["Labels"] == {"tier": "back"}
    native = netrt.box("native", "--network", "shop")
    with one.container.tcp(80) as server:
        assert seen(native, one.ip4, 80, server) == native.ip4
    one.check()


def test_by_another_name_and_internal(cni: Cni, netrt: Netrt) -> None:
    outside = Place(cni.host, cni.host.outside())
    netrt("network", "create", "--subnet", "10.40.0.0/24", "--internal", "backend")
    made = cni.add(network({**OWN, "network": "backend"}, name="list"), cni.container("c1"))
    assert made.addresses == ["10.40.0.2"]
    assert "routes" not in made.result
    with outside.tcp(80) as server:
        assert not seen(made.container, OUTSIDE4, 80, server, patience=BRIEF)
    made.check()
    made.delete()


def test_a_network_that_is_not_there(cni: Cni) -> None:
    error = cni.try_add(network(OWN, name="none"), cni.container("c1")).error
    assert error["code"] == 7
    assert "none" in error["msg"]
