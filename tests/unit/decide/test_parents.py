"""Networks that stand on a link of the host: which parents are refused, and what their containers get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from netrt.compile.host import compile_host
from netrt.dataplane.diff import plan
from netrt.dataplane.facts import HostFacts, Parent
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import HOST, STACKED, Foreign, Link, Neighbor, Route
from netrt.errors import Conflict, InUse, Invalid, NotFound
from netrt.model.command import Endpoint
from netrt.model.network import Mode, Network
from netrt.model.plugged import Bandwidth
from tests.strategies import ROOMY
from tests.unit.decide.asking import Asked

CARD = Parent(mac="02:00:00:00:01:00", addresses=("192.168.1.5/24", "2001:db8::5/64"))
FACTS = replace(
    ROOMY,
    routes=("192.168.1.0/24",),
    parents={
        "eth0": CARD,
        "wlan0": replace(CARD, wireless=True),
        "ens5": replace(CARD, cloud="Amazon EC2"),
        "eth1": replace(CARD, master="br0"),
        "lo": Parent(loopback=True, ethernet=False),
        "wg0": Parent(ethernet=False),
        "mac0": replace(CARD, kind="macvlan"),
        "nrbr": replace(CARD, kind="bridge", ours=True),
        "jumbo": Parent(mtu=9000),
    },
)
SUBNETS = ("192.168.1.0/24", "2001:db8::/64")


def asked(facts: HostFacts = FACTS) -> Asked:
    return Asked(facts)


def macvlan(host: Asked, name: str = "lan", *cidrs: str, mode: Mode = Mode.MACVLAN, **options: str) -> Network:
    return host.network(name, *(cidrs or SUBNETS), mode=mode, options={"parent": "eth0"} | options)


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"parent": "eth9"}, NotFound, "there is no interface eth9 on this host for network new"),
    ({"parent": "eth0.7"}, NotFound, "ip link add link eth0 name eth0.7 type vlan id 7"),
    ({"parent": "eth1"}, Conflict, "eth1 is a port of br0"),
    ({"parent": "lo"}, Invalid, "lo is no Ethernet interface"),
    ({"parent": "wg0"}, Invalid, "wg0 is no Ethernet interface"),
    ({"parent": "mac0"}, Invalid, "mac0 itself stands on another interface (macvlan)"),
    ({"parent": "nrbr"}, Invalid, "nrbr is netrt's own interface"),
    ({"parent": "wlan0"}, Invalid, "wlan0 is a Wi-Fi interface"),
    ({"parent": "ens5"}, Invalid, "ens5 is a network card of Amazon EC2"),
    ({"parent": "a/b"}, Invalid, "invalid interface name 'a/b'"),
    ({"parent": "eth0", "macvlan_mode": "vepa"}, InUse, "eth0 is the parent of network lan in mode bridge"),
    (
        {"parent": "eth0", "ipvlan_mode": "l3", "mode": Mode.IPVLAN},
        InUse,
        "network lan in mode macvlan, and one parent",
    ),
    ({"parent": "jumbo", "macvlan_mode": "quick"}, Invalid, "use bridge, private, vepa or passthru"),
    ({"parent": "jumbo", "ipvlan_mode": "l3"}, Invalid, "unknown option 'ipvlan_mode' for a macvlan network"),
    (
        {"parent": "jumbo", "macvlan_mode": "vepa", "host_access": "true"},
        Invalid,
        "host_access needs macvlan_mode=bridge",
    ),
]


@pytest.mark.parametrize(("options", "error", "words"), REFUSED, ids=[words for _, _, words in REFUSED])
def test_refused(options: dict[str, Any], error: type[Exception], words: str) -> None:
    host = asked()
    macvlan(host)
    before = host.state
    with pytest.raises(error) as refusal:
        macvlan(host, "new", "10.9.0.0/24", **options)
    assert words in str(refusal.value)
    assert host.state is before


def test_a_network_without_a_parent() -> None:
    with pytest.raises(Invalid, match="a macvlan network needs a parent"):
        asked().network("lan", mode=Mode.MACVLAN)


@pytest.mark.parametrize("mode", [Mode.MACVLAN, Mode.IPVLAN])
def test_a_kernel_that_lacks_it(mode: Mode) -> None:
    with pytest.raises(Invalid, match=f"this kernel has no {mode} devices .try `modprobe {mode}`"):
        macvlan(asked(replace(FACTS, lacking=frozenset({str(mode)}))), mode=mode)


def test_wireless_and_cloud_parents_that_work() -> None:
    host = asked()
    macvlan(host, "a", "10.1.0.0/24", parent="wlan0", mode=Mode.IPVLAN)
    macvlan(host, "b", "10.2.0.0/24", parent="ens5", any_parent="true")


def test_the_parents_own_subnet_is_what_it_is_for() -> None:
    """And the host's addresses in it are given to nobody."""
    network = macvlan(asked())
    assert [dict(subnet.auxiliary) for subnet in network.subnets] == [{"host": "192.168.1.5"}, {"host": "2001:db8::5"}]


def test_passthru_takes_one() -> None:
    host = asked()
    macvlan(host, macvlan_mode="passthru")
    host.run("one", "lan")
    assert host.on("one")[0].mac == CARD.mac
    with pytest.raises(InUse, match="network lan is passthru and takes one container, which is one"):
        host.run("two", "lan")
    with pytest.raises(InUse, match="mode passthru, which nobody shares"):
        macvlan(host, "more", "10.9.0.0/24", macvlan_mode="passthru")


WISHES: list[tuple[Callable[[Asked], Any], str]] = [
    (lambda host: host.connect("box", "six", mac="02:00:00:00:00:01"), "is that of its parent"),
    (lambda host: host.connect("box", "lan", bandwidth=Bandwidth(ingress_rate=10**6)), "bandwidth cannot be limited"),
    (lambda host: host.run("new", "lan", publish=["80:80"]), "reached at their own addresses: lan"),
]


@pytest.mark.parametrize(("wish", "words"), WISHES, ids=[words for _, words in WISHES])
def test_what_cannot_be_had(wish: Callable[[Asked], Any], words: str) -> None:
    host = asked()
    host.network("back")
    macvlan(host)
    macvlan(host, "six", "10.6.0.0/24", parent="jumbo", mode=Mode.IPVLAN)
    host.run("box", "back")
    with pytest.raises(Invalid, match=words):
        wish(host)


def test_a_parent_that_went_is_named_when_a_container_comes() -> None:
    host = asked()
    macvlan(host)
    host.facts = replace(FACTS, parents={})
    with pytest.raises(NotFound, match="there is no interface eth0 on this host for network lan"):
        host.run("box", "lan")


def test_ports_lead_to_the_network_that_the_host_is_the_gateway_of() -> None:
    host = asked()
    macvlan(host)
    host.network("back", "10.2.0.0/24")
    host.run("web", "lan", endpoints=(Endpoint(network="lan"), Endpoint(network="back")), publish=["8080:80"])
    things = compile_host(host.state, FACTS)
    assert ("10.2.0.2", "80") in {e.value for e in things if getattr(e, "set", "") == "ports4"}
    defaults = {route.link for route in things.all(Route) if route.dst == "0.0.0.0/0" and not route.table}
    assert defaults == {"eth0"}, "the way out is that of the network which came first"


# what is wanted of the kernel


def test_the_objects_of_a_container_and_of_the_shim() -> None:
    host = asked()
    macvlan(host, host_access="true")
    assert not list(compile_host(host.state, FACTS).all(Link)), "nothing before there is a container"
    box = host.run("box", "lan")
    things = compile_host(host.state, FACTS)
    inner, shim = sorted(things.all(Link), key=lambda link: link.netns == HOST)
    assert (inner.netns, inner.lower, inner.flavour, inner.mac) == (
        box.sandbox.path,
        "eth0",
        "bridge",
        "02:42:c0:a8:01:02",
    )
    assert shim.lower == "eth0"
    assert {(n.netns == HOST, n.address, n.mac) for n in things.all(Neighbor)} == {
        (True, "192.168.1.2", inner.mac),
        (True, "2001:db8::2", inner.mac),
        (False, "192.168.1.5", shim.mac),
        (False, "2001:db8::5", shim.mac),
    }
    routes = {(r.dst, r.src) for r in things.all(Route) if r.netns == HOST}
    assert routes == {("192.168.1.2/32", "192.168.1.5"), ("2001:db8::2/128", "2001:db8::5")}
    host.remove("box")
    assert not list(compile_host(host.state, FACTS).all(Link))


@pytest.mark.parametrize(("said", "parent", "mtu"), [("", 1500, 1500), ("1400", 1500, 1400), ("9000", 1500, 1500)])
def test_the_mtu_is_at_most_the_parents(said: str, parent: int, mtu: int) -> None:
    host = asked()
    macvlan(host, **({"com.docker.network.driver.mtu": said} if said else {}))
    host.run("box", "lan")
    facts = replace(FACTS, parents={"eth0": replace(CARD, mtu=parent)})
    assert [link.mtu for link in compile_host(host.state, facts).all(Link)] == [mtu]


def test_what_stands_on_a_parent_that_is_away_waits() -> None:
    host = asked()
    macvlan(host, host_access="true")
    host.run("box", "lan")
    wanted = compile_host(host.state, FACTS)
    done = [type(op).__name__ for op in plan(HostState(), wanted)]
    assert done == ["PinNamespace", "PutNamePort"], "its sandbox is made, and no link in it"
    seen = HostState.of([Foreign(netns=HOST, name="eth0")])
    assert [op.link for op in plan(seen, wanted) if hasattr(op, "link")] == [
        link for link in wanted.all(Link) if link.kind in STACKED
    ]
