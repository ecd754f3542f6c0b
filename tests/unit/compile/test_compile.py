"""What States compile to: whole, in part, and with what effect."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from netrt.compile.host import MODES, compile_host, widened
from netrt.dataplane.diff import plan
from netrt.dataplane.facts import HostFacts
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import HOST, Address, Foreign, Link, Pin, Route, Rule, Sysctl
from netrt.dataplane.step import steps
from netrt.decide.decide import decide
from netrt.decide.networks import initial_state
from netrt.errors import NetrtError
from netrt.model.address import alone
from netrt.model.command import Command, CreateContainer, CreateNetwork, Endpoint
from netrt.model.network import Mode
from netrt.model.port import parse_port
from netrt.model.state import State
from tests.strategies import IDS, NOW, PARENTS, ROOMY, commands, states

FACTS = HostFacts(mtu=1400)


def kept(host: HostState) -> dict[tuple[str, ...], object]:
    """All but what others made, and the sysctls of the host as a whole: they are raised for the first network, and never
    lowered."""
    things = host.objects.items()
    return {k: o for k, o in things if not (isinstance(o, Foreign) or (isinstance(o, Sysctl) and o.netns == HOST))}


def standing(host: HostState) -> HostState:
    """With the links that others made there."""
    return host.replaced(added=[Foreign(netns=HOST, name=name) for name in PARENTS])


@given(states(), commands)
def test_what_a_command_does_not_touch_does_not_change(state: State, command: Command) -> None:
    """The law that lets an attach look at nothing but itself."""
    try:
        decision = decide(state, command, ROOMY, NOW)
    except NetrtError:
        return
    before, after = kept(compile_host(state, FACTS)), kept(compile_host(decision.state, FACTS))
    touched = widened(decision.touched, state, decision.state)
    scoped = {
        *compile_host(state, FACTS, touched).objects,
        *compile_host(decision.state, FACTS, touched).objects,
    }
    differing = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    assert differing <= scoped


@given(states(), commands)
def test_a_scoped_plan_does_what_a_whole_plan_does(state: State, command: Command) -> None:
    try:
        decision = decide(state, command, ROOMY, NOW)
    except NetrtError:
        return
    whole, goal = standing(compile_host(state, FACTS)), compile_host(decision.state, FACTS)
    touched = widened(decision.touched, state, decision.state)
    had = standing(compile_host(state, FACTS, touched))
    wanted = compile_host(decision.state, FACTS, touched)
    if ("skeleton",) in whole.objects and ("skeleton",) in goal.objects:
        assert kept(steps(whole, plan(had, wanted))) == kept(goal)
    else:
        assert kept(steps(whole, plan(whole, goal))) == kept(goal)


@settings(max_examples=50)
@given(states(), states())
def test_any_host_can_become_any_other(one: State, other: State) -> None:
    a, b = standing(compile_host(one, FACTS)), compile_host(other, FACTS)
    after = steps(a, plan(a, b))
    stray = [k for k in after.objects if k[0] == "sysctl" and k not in b.objects]  # they go with their link
    assert kept(after.replaced(stray)) == kept(b)
    assert plan(b, b) == ()


def test_every_mode_is_compiled() -> None:
    assert set(MODES) == set(Mode)


def made(*commands: Command) -> State:
    state = initial_state(NOW)
    for command in commands:
        state = decide(state, command, ROOMY, NOW).state
    return state


def test_the_first_attachment_that_leads_outside_has_the_default_route_and_the_ports() -> None:
    state = made(
        CreateNetwork(id=IDS[0], name="back", internal=True),
        CreateNetwork(id=IDS[1], name="front", ipv6=True),
        CreateNetwork(id=IDS[2], name="third"),
        CreateContainer(
            id=IDS[3],
            name="app",
            network_mode="back",
            endpoints=tuple(Endpoint(network=n) for n in ("back", "front", "third")),
            ports=(parse_port("8080:80"),),
        ),
    )
    host = compile_host(state, FACTS)
    front = next(a for a in state.attachments.values() if a.network_id == IDS[1])
    main = [route for route in host.all(Route) if not route.table]
    assert {(r.dst, r.link) for r in main} == {("0.0.0.0/0", "eth1"), ("::/0", "eth1")}
    third = next(a for a in state.attachments.values() if a.network_id == IDS[2])
    (own,) = (route for route in host.all(Route) if route.table)
    assert (own.dst, own.link) == ("0.0.0.0/0", "eth2")
    assert {(rule.src, rule.table) for rule in host.all(Rule)} == {
        ("0.0.0.0/0", 0),
        (alone(third.address4), own.table),
    }
    ports = {o.value for o in host if getattr(o, "set", "") in ("ports4", "ports6")}
    assert ports == {(front.address4.partition("/")[0], "80"), (front.address6.partition("/")[0], "80")}


def test_an_internal_network_has_no_address_on_the_host() -> None:
    host = compile_host(made(CreateNetwork(id=IDS[0], name="back", internal=True, ipv6=True)), FACTS)
    assert not list(host.all(Address))
    assert not any(s.name.endswith(("ip_forward", "forwarding", "route_localnet")) for s in host.all(Sysctl))


def test_the_mtu_is_that_of_the_way_out_unless_given() -> None:
    option = {"com.docker.network.driver.mtu": "9000"}
    state = made(CreateNetwork(id=IDS[0], name="app"), CreateNetwork(id=IDS[1], name="big", options=option))
    assert [link.mtu for link in compile_host(state, FACTS).all(Link)] == [1400, 9000]


def test_members_of_a_sandbox_and_of_the_host_add_nothing() -> None:
    alone = made(CreateContainer(id=IDS[1], name="web", network_mode="none"))
    state = made(
        CreateContainer(id=IDS[1], name="web", network_mode="none"),
        CreateContainer(id=IDS[2], name="side", network_mode="container:web"),
        CreateContainer(id=IDS[3], name="ontop", network_mode="host"),
    )
    assert compile_host(state, FACTS).objects == compile_host(alone, FACTS).objects
    assert [p.path for p in compile_host(state, FACTS).all(Pin)] == ["/run/netns/netrt-web"]


@given(st.sampled_from(("nat", "routed", "isolated")), st.booleans())
def test_a_gateway_is_where_packets_may_leave(mode: str, internal: bool) -> None:
    state = made(
        CreateNetwork(
            id=IDS[0],
            name="app",
            internal=internal,
            options={"com.docker.network.bridge.gateway_mode_ipv4": mode},
        ),
        CreateContainer(id=IDS[1], name="web", network_mode="app", endpoints=(Endpoint(network="app"),)),
    )
    host = compile_host(state, FACTS)
    outside = mode != "isolated" and not internal
    assert bool([a for a in host.all(Address) if a.netns == HOST]) == outside
    assert bool(list(host.all(Route))) == outside
