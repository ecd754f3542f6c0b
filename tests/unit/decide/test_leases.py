"""What DHCP servers say, as part of the State."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netrt.compile.host import compile_host
from netrt.compile.names import Resolving, compile_names
from netrt.dataplane.facts import HostFacts, Parent
from netrt.dataplane.objects import Address, Link, Route, Rule
from netrt.decide.decide import decide
from netrt.decide.leases import wants_leases, with_leases, yet_to_lease
from netrt.decide.networks import initial_state
from netrt.errors import Conflict, InUse, Invalid, NetrtError
from netrt.model.command import (
    Command,
    Connect,
    CreateContainer,
    CreateNetwork,
    Disconnect,
    Endpoint,
    NoteLease,
    RemoveContainer,
    UpdateNetwork,
)
from netrt.model.lease import DhcpLease
from netrt.model.network import Mode, Subnet
from netrt.model.plugged import Way
from netrt.model.state import State, check_invariants
from tests.strategies import NOW, ROOMY, identifier, state_after

LAN = CreateNetwork(id=identifier(1), name="lan", mode=Mode.MACVLAN, options={"parent": "up0"}, dhcp=True)
BACK = CreateNetwork(id=identifier(2), name="back")


def lease(address: str = "10.7.0.5/24", router: str = "10.7.0.1", **more: Any) -> DhcpLease:
    return DhcpLease(
        client="00", address=address, server="10.7.0.1", server_mac="02:00:00:00:00:99", router=router, **more
    )


def box(number: int, name: str, given: DhcpLease | None = None, **more: Any) -> CreateContainer:
    wish = Endpoint(network="lan", dhcp=given, **more)
    return CreateContainer(id=identifier(number), name=name, network_mode="lan", endpoints=(wish,))


def note(number: int, given: DhcpLease | None) -> NoteLease:
    return NoteLease(container=identifier(number), ifname="eth0", lease=given)


def test_a_lease_goes_where_it_belongs() -> None:
    """Rehearsed without, decided with: the same MAC and interface; the network has the subnet, the sandbox all of it."""
    state = state_after([BACK, LAN])
    asked = CreateContainer(
        id=identifier(9), name="web", network_mode="back", endpoints=(Endpoint(network="lan", aliases=("www",)),)
    )
    assert wants_leases(state, asked)
    assert not wants_leases(state, CreateContainer(id=identifier(8), name="x", network_mode="back"))
    rehearsed = decide(state, asked, ROOMY, NOW).state
    (wish,) = yet_to_lease(state, rehearsed)
    got = lease(mtu=1300, routes=(Way(dst="10.8.0.0/16"),), dns=("10.7.0.2",))
    after = decide(state, with_leases(rehearsed, asked, {wish.network_id: got}), ROOMY, NOW).state
    attachment = after.attachments[wish.key]
    assert (attachment.mac, attachment.ifname) == (wish.mac, wish.ifname)
    assert (attachment.address4, attachment.dhcp, attachment.aliases) == ("10.7.0.5/24", got, ("www",))
    assert [(s.cidr, s.gateway) for s in after.networks[LAN.id].subnets] == [("10.7.0.0/24", "10.7.0.1")]
    check_invariants(after)
    wanted, path = compile_host(after, ROOMY), after.containers[identifier(9)].sandbox.path
    (link,) = [thing for thing in wanted.all(Link) if thing.netns == path and thing.name == "eth1"]
    assert link.mtu == 1300
    assert "10.8.0.0/16" in {route.dst for route in wanted.all(Route) if route.netns == path}
    assert "10.7.0.5/24" in {address.address for address in wanted.all(Address) if address.netns == path}
    view = compile_names(after, Resolving()).views[path]
    assert [upstream.address for upstream in view.upstreams] == ["10.7.0.2"]


def test_the_network_of_the_mode_alone() -> None:
    state = state_after([LAN])
    asked = CreateContainer(id=identifier(9), name="web", network_mode="lan")
    complete = with_leases(state, asked, {LAN.id: lease()})
    assert decide(state, complete, ROOMY, NOW).state.attachments_of(identifier(9))[0].address4 == "10.7.0.5/24"
    joined = with_leases(state, Connect(container="web", endpoint=Endpoint(network="lan")), {LAN.id: lease()})
    assert isinstance(joined, Connect)
    assert joined.endpoint.dhcp == lease()


def test_what_changes_nothing_in_the_kernel_touches_nobody() -> None:
    state = state_after([LAN, box(1, "web", lease()), box(2, "db", lease("10.7.0.6/24"))])
    renewed = decide(state, note(1, lease(renew=5, rebind=6, expires=7)), ROOMY, NOW)
    assert not renewed.touched.containers
    assert renewed.state.attachments[identifier(1), "eth0"].dhcp.expires == 7  # type: ignore[union-attr]
    moved = decide(state, note(1, lease("10.7.0.9/24")), ROOMY, NOW)
    assert moved.touched.containers == {identifier(1)}
    assert set(moved.state.addresses) == {(LAN.id, "10.7.0.9"), (LAN.id, "10.7.0.6")}
    other = decide(state, note(1, lease(router="10.7.0.254")), ROOMY, NOW)
    assert other.touched.containers == {identifier(1), identifier(2)}, "the router is everybody's"
    lost = decide(state, note(1, None), ROOMY, NOW)
    assert lost.touched.containers == {identifier(1)}
    assert not lost.state.attachments[identifier(1), "eth0"].addresses
    assert decide(state, note(7, None), ROOMY, NOW).state is state, "who has gone meanwhile is fine"


@pytest.mark.parametrize(
    ("command", "error", "words"),
    [
        (box(3, "c", lease()), InUse, "gave 10.7.0.5 on network lan, which is held by web"),
        (note(2, lease()), InUse, "held by web"),
        (
            box(3, "c", lease("10.7.0.8/24"), address4="10.7.0.9"),
            Conflict,
            "gave 10.7.0.8 on network lan, not 10.7.0.9",
        ),
        (box(3, "c", address6="fd00::9"), Invalid, "fd00::9 cannot be chosen"),
        (box(3, "c", address4="fd00::9"), Invalid, "fd00::9 is not an IPv4"),
        (UpdateNetwork(network="lan", add=(Subnet(cidr="10.8.0.0/24"),)), Invalid, "are those of a DHCP server"),
        (UpdateNetwork(network="lan", ipv6=True), Invalid, "are those of a DHCP server"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused(command: Command, error: type[NetrtError], words: str) -> None:
    state = state_after([LAN, box(1, "web", lease()), box(2, "db", lease("10.7.0.6/24"))])
    with pytest.raises(error, match=words):
        decide(state, command, ROOMY, NOW)


leases = st.builds(
    lease,
    address=st.sampled_from(("10.7.0.5/24", "10.7.0.6/24", "10.7.0.5/16", "10.9.0.5/24")),
    router=st.sampled_from(("", "10.7.0.1", "10.9.0.1")),
    expires=st.integers(0, 3),
)
numbers = st.integers(1, 3)
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(note, numbers, st.one_of(st.none(), leases)),
    st.builds(lambda n, given: box(n, f"c{n}", given), numbers, st.one_of(st.none(), leases)),
    st.builds(lambda n: Disconnect(network="lan", container=f"c{n}"), numbers),
    st.builds(
        lambda n, given: Connect(container=f"c{n}", endpoint=Endpoint(network="lan", dhcp=given)), numbers, leases
    ),
    st.builds(lambda n: RemoveContainer(container=f"c{n}"), numbers),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(commands, max_size=12))
def test_every_state_keeps_the_invariants(history: list[Command]) -> None:
    """And what is touched is all that changes in the kernel."""
    state: State = state_after([LAN])
    for command in history:
        try:
            decision = decide(state, command, ROOMY, NOW)
        except NetrtError:
            continue
        check_invariants(decision.state)
        before, after = compile_host(state, ROOMY), compile_host(decision.state, ROOMY)
        for container in state.containers.keys() & decision.state.containers.keys() - decision.touched.containers:
            path = state.containers[container].sandbox.path
            mine = [{thing for thing in held if getattr(thing, "netns", "") == path} for held in (before, after)]
            assert mine[0] == mine[1]
        state = decision.state
    assert initial_state(NOW).networks.keys() <= state.networks.keys()


def test_a_lease_has_no_say_about_other_networks() -> None:
    """Rule 4: not in the midst of theirs, of an address of the host, or (where that goes there) of its routes; nor by routes."""
    back = CreateNetwork(id=identifier(2), name="back", subnets=(Subnet(cidr="10.5.0.0/24"),))
    near = HostFacts(
        parents={"up0": Parent(addresses=("10.7.0.2/24",))},
        addresses=("10.7.0.2",),
        routes=("10.7.0.0/24", "10.9.0.0/24"),
    )
    shared = dataclasses.replace(LAN, options={"parent": "up0", "host_access": "true"})
    for made, address, error, words in (
        (LAN, "10.5.0.9/24", InUse, "overlaps network back"),
        (LAN, "10.5.0.129/25", InUse, "overlaps network back"),
        (LAN, "10.7.0.2/24", Conflict, "an address of this host"),
        (shared, "10.9.0.9/24", Conflict, "overlaps 10.9.0.0/24"),
    ):
        state = decide(state_after([back]), made, near, NOW).state
        with pytest.raises(error, match=words):
            decide(state, box(9, "web", lease(address, router="")), near, NOW)
        state = decide(state, box(9, "web", lease()), near, NOW).state
        with pytest.raises(error, match=words):
            decide(state, note(9, lease(address, router="")), near, NOW)
        decide(state, note(9, lease("10.7.0.6/24")), near, NOW)
    decide(decide(state_after([]), LAN, near, NOW).state, box(9, "web", lease("10.9.0.9/24", router="")), near, NOW)


def test_routes_of_a_lease_lead_away_nothing_of_others() -> None:
    """CVE-2024-3661. What is wider than all of a network loses to it anyway; half of the world counts where the LAN is the way
    out."""
    back = CreateNetwork(id=identifier(2), name="back", subnets=(Subnet(cidr="10.5.0.0/24"),))
    given = ("10.5.0.9/32", "10.5.0.0/24", "10.5.0.0/16", "0.0.0.0/1", "203.0.113.0/24")
    told = lease(routes=tuple(Way(dst=dst, via="10.7.0.1") for dst in given))
    for priority, kept in ((0, given[2:]), (1, (given[2], given[4]))):
        wishes = (Endpoint(network="lan", dhcp=told), Endpoint(network="back", gw_priority=priority))
        asked = CreateContainer(id=identifier(9), name="web", network_mode="lan", endpoints=wishes)
        state = decide(state_after([back, LAN]), asked, ROOMY, NOW).state
        routes = compile_host(state, ROOMY).all(Route)
        assert sorted(r.dst for r in routes if r.via == "10.7.0.1" and r.dst != "0.0.0.0/0") == sorted(kept)


def test_who_is_on_the_lan_is_answered_by_the_network_that_was_asked() -> None:
    """Wherever the LAN is by lease; by IPv6 that is what its routers say. Neighbours of the other network stay neighbours."""
    back = dataclasses.replace(BACK, subnets=(Subnet(cidr="10.5.0.0/24"), Subnet(cidr="fd00:5::/64")))
    told = lease(routes=(Way(dst="10.0.0.0/8", via="10.7.0.9"),))
    wishes = (Endpoint(network="back"), Endpoint(network="lan", dhcp=told))
    asked = CreateContainer(id=identifier(9), name="web", network_mode="back", endpoints=wishes)
    state = state_after([back, dataclasses.replace(LAN, ipv6=True), asked])
    wanted, path = compile_host(state, ROOMY), state.containers[identifier(9)].sandbox.path
    rules = [rule for rule in wanted.all(Rule) if rule.src in ("10.5.0.2/32", "fd00:5::2/128")]
    assert [rule.dst for rule in rules] == ["10.7.0.0/24", "10.0.0.0/8", ""]
    (table,) = {rule.table for rule in rules}
    ways = [route for route in wanted.all(Route) if (route.netns, route.table) == (path, table)]
    assert {(way.dst, way.via, way.link) for way in ways} == {
        ("0.0.0.0/0", "10.5.0.1", "eth0"),
        ("10.5.0.0/24", "", "eth0"),
        ("::/0", "fd00:5::1", "eth0"),
        ("fd00:5::/64", "", "eth0"),
    }
