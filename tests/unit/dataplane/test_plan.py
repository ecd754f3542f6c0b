"""The laws of planning, for hosts of random bridges, sandboxes and attachments."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netrt.dataplane import ops
from netrt.dataplane.diff import plan
from netrt.dataplane.flows import forget
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import (
    HOST,
    MARK,
    Address,
    Element,
    Link,
    LinkKind,
    Object,
    Pin,
    Route,
    Skeleton,
    Sysctl,
)
from netrt.dataplane.step import steps
from netrt.errors import Conflict, KernelRefused

BRIDGES = ("nrb1", "nrb2")
SANDBOXES = ("/run/netns/netrt-c1", "/run/netns/netrt-c2")


def bridge(name: str, mtu: int = 1500) -> list[Object]:
    number = BRIDGES.index(name) + 1
    return [
        Link(
            netns=HOST, name=name, kind=LinkKind.BRIDGE, mac=f"02:42:00:00:00:0{number}", mtu=mtu, alias=f"{MARK}{name}"
        ),
        Address(netns=HOST, link=name, address=f"10.{number}.0.1/24"),
        Sysctl(netns=HOST, name=f"net/ipv6/conf/{name}/accept_ra", value="0"),
        Element(table="inet", set="bridges", at=(name,)),
    ]


def attachment(sandbox: str, ifname: str, on: str, host: int, *, isolated: bool, published: bool) -> list[Object]:
    link, number = f"nr{sandbox[-2:]}{ifname}", BRIDGES.index(on) + 1
    address = f"10.{number}.0.{host}"
    return [
        Link(
            netns=HOST,
            name=link,
            kind=LinkKind.VETH,
            alias=f"{MARK}{link}",
            master=on,
            isolated=isolated,
            peer=(sandbox, ifname),
        ),
        Link(netns=sandbox, name=ifname, kind=LinkKind.VETH, mac=f"02:42:0a:00:00:{host:02x}", peer=(HOST, link)),
        Address(netns=sandbox, link=ifname, address=f"{address}/24"),
        Sysctl(netns=sandbox, name=f"net/ipv6/conf/{ifname}/disable_ipv6", value="1"),
        *([Route(netns=sandbox, dst="0.0.0.0/0", via=f"10.{number}.0.1", link=ifname)] if ifname == "eth0" else []),
        Element(table="bridge", set="macs", at=(link, f"02:42:0a:00:00:{host:02x}")),
        *(
            [Element(table="inet", set="ports4", at=("tcp", f"80{sandbox[-1]}"), value=(address, "80"))]
            if published
            else []
        ),
    ]


@st.composite
def hosts(draw: st.DrawFn) -> HostState:
    """What some State compiles to."""
    bridges = draw(st.lists(st.sampled_from(BRIDGES), unique=True))
    groups: list[list[Object]] = [bridge(name, draw(st.sampled_from((1500, 1400)))) for name in bridges]
    for sandbox in draw(st.lists(st.sampled_from(SANDBOXES), unique=True)):
        groups.append([Pin(path=sandbox)])
        for ifname in draw(st.sampled_from(((), ("eth0",), ("eth0", "eth1")))) if bridges else ():
            on = draw(st.sampled_from(bridges))
            host = draw(st.integers(2, 4)) + 10 * int(sandbox[-1])
            isolated, published = draw(st.booleans()), draw(st.booleans()) and ifname == "eth0"
            groups.append(attachment(sandbox, ifname, on, host, isolated=isolated, published=published))
    if bridges:
        groups.append([Skeleton(seal=draw(st.sampled_from(("one", "two"))))])
    return HostState.of(*groups)


def same(one: HostState, wanted: HostState) -> bool:
    """Equal but for sysctls that nobody wants any more: they are never lowered."""
    stray = [k for k in one.objects if k[0] == "sysctl" and k not in wanted.objects]
    return one.replaced(stray).objects == wanted.objects


@given(hosts())
def test_nothing_is_planned_for_what_is_as_it_should_be(host: HostState) -> None:
    assert plan(host, host) == ()


@given(hosts(), hosts())
def test_a_plan_leads_to_what_is_wanted(seen: HostState, wanted: HostState) -> None:
    after = steps(seen, plan(seen, wanted))
    assert same(after, wanted)
    assert plan(after, wanted) == ()


@given(hosts(), hosts())
def test_from_every_half_done_state_a_plan_leads_forward_and_back(seen: HostState, wanted: HostState) -> None:
    half = seen
    for op in plan(seen, wanted):
        assert same(steps(half, plan(half, wanted)), wanted)
        assert same(steps(half, plan(half, seen)), seen)
        half = steps(half, (op,))


@given(hosts(), st.randoms(use_true_random=False))
def test_random_loss_is_repaired(host: HostState, random: Random) -> None:
    """Vandalism: links, addresses, routes and elements vanish one by one, as the kernel lets them vanish."""
    vandal: list[ops.Op] = []
    for thing in host:
        if random.random() < 0.3:
            match thing:
                case Link(netns=netns, name=name):
                    vandal.append(ops.DelLink(netns, name))
                case Address():
                    vandal.append(ops.DelAddress(thing))
                case Route():
                    vandal.append(ops.DelRoute(thing))
                case Element():
                    vandal.append(ops.ChangeElements((thing,), ()))
    hurt = host
    for op in vandal:
        try:
            hurt = steps(hurt, (op,))
        except KernelRefused:
            continue  # gone already, with something else
    assert same(steps(hurt, plan(hurt, host)), host)


@given(hosts(), hosts())
def test_no_link_is_up_and_no_port_open_before_its_rules(seen: HostState, wanted: HostState) -> None:
    half = seen
    for op in plan(seen, wanted):
        half = steps(half, (op,))
        if isinstance(op, ops.SetLink) and op.up and op.netns == HOST:
            rules = [e for e in wanted.all(Element) if op.name in e.at]
            assert all(half.objects.get(e.key) == e for e in rules)


def test_a_foreign_interface_under_a_wanted_name_is_a_conflict() -> None:
    foreign = HostState.of([Link(netns=HOST, name="nrb1", kind=LinkKind.OTHER)])
    with pytest.raises(Conflict, match="nrb1 exists on this host and is not ours"):
        plan(foreign, HostState.of(bridge("nrb1")))


def test_a_foreign_interface_inside_the_sandbox_is_a_conflict() -> None:
    sandbox = SANDBOXES[0]
    inside = [Pin(path=sandbox), Link(netns=sandbox, name="eth0", kind=LinkKind.OTHER)]
    wanted = [
        *bridge("nrb1"),
        Pin(path=sandbox),
        *attachment(sandbox, "eth0", "nrb1", 2, isolated=False, published=False),
    ]
    with pytest.raises(Conflict, match="eth0 exists in the namespace"):
        plan(HostState.of(bridge("nrb1"), inside), HostState.of(wanted))


def test_forgotten_flows_of_a_shifted_range_are_one_operation() -> None:
    gone = [
        Element(table="inet", set="ports4", at=("udp", str(8000 + n)), value=("10.1.0.2", str(80 + n)))
        for n in range(100)
    ]
    assert forget(gone, ()) == (ops.ForgetPort("udp", "", 8000, 8099, "10.1.0.2"),)
    assert forget((), gone) == (ops.ForgetPort("udp", "", 8000, 8099, ""),)


def test_an_address_that_goes_takes_its_ports_along() -> None:
    gone = [
        Address(netns=SANDBOXES[0], link="eth0", address="10.1.0.2/24"),
        Element(table="inet", set="ports4", at=("tcp", "8080"), value=("10.1.0.2", "80")),
    ]
    assert forget(gone, ()) == (ops.ForgetAddress("10.1.0.2"),)
