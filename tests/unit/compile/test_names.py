"""Which names follow from a State: at once, and commit by commit."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from netrt.compile.names import Resolving, compile_names, host_upstreams, names_change, next_names
from netrt.decide.decide import decide
from netrt.decide.networks import initial_state
from netrt.dns.zone import Names, Service, Upstream, View, Zone
from netrt.model.command import (
    Command,
    Connect,
    CreateContainer,
    CreateNetwork,
    Disconnect,
    Endpoint,
    NoteProcess,
    RemoveContainer,
    Rename,
)
from netrt.model.container import ProcessSpec, ProcessState
from netrt.model.names import short_id
from netrt.model.network import Mode, Subnet, has_names
from netrt.model.port import parse_port
from netrt.model.state import State
from tests.strategies import NOW, ROOMY, after, histories, identifier
from tests.unit.decide.test_flat import instructions

HOST = Resolving(upstreams=(Upstream("192.0.2.53"), Upstream("127.0.0.1", from_host=True)))


def network(number: int, name: str, cidr: str, **more: bool) -> CreateNetwork:
    return CreateNetwork(id=identifier(1000 + number), name=name, subnets=(Subnet(cidr=cidr),), **more)


APP, BACK = network(1, "App", "10.1.0.0/24"), network(2, "back", "10.2.0.0/24", internal=True)


def container(number: int, name: str, *endpoints: Endpoint, **more: object) -> CreateContainer:
    wishes = endpoints or (Endpoint(network="App"),)
    more = {"network_mode": wishes[0].network, "endpoints": wishes} | more
    return CreateContainer(id=identifier(number), name=name, **more)  # type: ignore[arg-type]


def made(*commands: Command, state: State | None = None) -> State:
    state = state or initial_state(NOW)
    for command in commands:
        state = decide(state, command, ROOMY, NOW).state
    return state


def zone(names: Names, command: CreateNetwork = APP) -> Zone:
    return names.zones[command.id]


def view(names: Names, name: str) -> View:
    return names.views[f"/run/netns/netrt-{name}"]


def unmarked(names: Names) -> Names:
    return changed(names, mark="")


PROCESS = ProcessSpec(command=("true",))
RUNNING = ProcessState(pid=7, start_ticks=1, started="2026-01-31T12:00:00Z")
ENDED = ProcessState(started="2026-01-31T12:00:00Z", finished="2026-01-31T12:00:01Z")


@given(histories)
@settings(max_examples=150, deadline=None)
def test_commit_by_commit_is_the_same_as_at_once(history: list[Command]) -> None:
    state = initial_state(NOW)
    names = compile_names(state, HOST)
    for command in history:
        then = after(state, command)
        names = next_names(names, state, then, HOST)
        assert unmarked(names) == unmarked(compile_names(then, HOST)), command
        state = then


@given(histories, st.integers(0, 20))
@settings(max_examples=100, deadline=None)
def test_many_commits_at_once_are_the_same_too(history: list[Command], first: int) -> None:
    before = initial_state(NOW)
    for command in history[:first]:
        before = after(before, command)
    then = before
    for command in history[first:]:
        then = after(then, command)
    assert unmarked(next_names(compile_names(before, HOST), before, then, HOST)) == unmarked(compile_names(then, HOST))


def test_a_container_has_its_name_its_short_id_its_hostname_and_its_aliases() -> None:
    state = made(APP, container(1, "Web", Endpoint(network="App", aliases=("www", "API")), hostname="front.example"))
    found = zone(compile_names(state, HOST))
    assert dict(found.hosts) == dict.fromkeys(
        ("web", short_id(identifier(1)), "front.example", "www", "api"), ("10.1.0.2",)
    )
    assert dict(found.pointers) == {"10.1.0.2": "web"}
    assert (found.domain, found.ttl, found.subnets) == ("app", 5, ("10.1.0.0/24",))


def test_both_families_are_there() -> None:
    both = CreateNetwork(id=APP.id, name="App", subnets=(Subnet(cidr="10.1.0.0/24"), Subnet(cidr="fd00:1::/64")))
    found = zone(compile_names(made(both, container(1, "web")), HOST))
    assert found.hosts["web"] == ("10.1.0.2", "fd00:1::2")
    assert dict(found.pointers) == {"10.1.0.2": "web", "fd00:1::2": "web"}


def test_an_alias_of_several_leads_to_all_of_them_and_holds_on_its_network_only() -> None:
    state = made(
        APP,
        BACK,
        container(1, "one", Endpoint(network="App", aliases=("www",))),
        container(2, "two", Endpoint(network="App", aliases=("www",)), Endpoint(network="back")),
    )
    names = compile_names(state, HOST)
    assert zone(names).hosts["www"] == ("10.1.0.2", "10.1.0.3")
    assert "www" not in zone(names, BACK).hosts
    assert zone(names, BACK).hosts["two"] == ("10.2.0.2",)
    fewer = next_names(names, state, made(RemoveContainer(container="one"), state=state), HOST)
    assert zone(fewer).hosts["www"] == ("10.1.0.3",)


def test_who_shares_a_sandbox_is_found_at_its_addresses() -> None:
    state = made(APP, container(1, "web"), CreateContainer(id=identifier(2), name="side", network_mode="container:web"))
    names = compile_names(state, HOST)
    assert zone(names).hosts["side"] == zone(names).hosts["web"] == ("10.1.0.2",)
    assert dict(zone(names).pointers) == {"10.1.0.2": "web"}
    assert view(names, "web").containers == (identifier(1), identifier(2))
    left = made(RemoveContainer(container="side"), state=state)
    assert "side" not in zone(next_names(names, state, left, HOST)).hosts


def test_one_who_shares_a_sandbox_that_comes_onto_a_network_later_is_found() -> None:
    state = made(
        APP,
        container(1, "web", network_mode="none", endpoints=()),
        CreateContainer(id=identifier(2), name="side", network_mode="container:web"),
    )
    adopted = changed(
        state.containers[identifier(1)], network_mode="App"
    )  # as a person would have it who thought twice
    state = state.with_container(adopted)
    then = made(Connect(container="web", endpoint=Endpoint(network="App")), state=state)
    names = next_names(compile_names(state, HOST), state, then, HOST)
    assert zone(names).hosts["side"] == ("10.1.0.2",)


def test_a_process_that_ended_is_not_found_until_it_starts_again() -> None:
    state = made(APP, container(1, "web", process=PROCESS))
    names = compile_names(state, HOST)
    assert "web" in zone(names).hosts, "made, and about to start"
    ended = made(NoteProcess(container="web", state=ENDED), state=state)
    names = next_names(names, state, ended, HOST)
    assert not zone(names).hosts
    assert not zone(names).pointers
    assert view(names, "web").networks == (APP.id,), "what still runs in its sandbox may ask"
    again = made(NoteProcess(container="web", state=RUNNING), state=ended)
    assert "web" in zone(next_names(names, ended, again, HOST)).hosts


def test_names_follow_a_disconnect_and_a_rename() -> None:
    state = made(APP, BACK, container(1, "web", Endpoint(network="App"), Endpoint(network="back")))
    names = compile_names(state, HOST)
    then = made(Disconnect(network="App", container="web"), Rename(container="web", name="shop"), state=state)
    names = next_names(names, state, then, HOST)
    assert not zone(names).hosts
    assert zone(names, BACK).hosts["shop"] == ("10.2.0.2",)
    assert "web" not in zone(names, BACK).hosts
    assert view(names, "web").networks == (BACK.id,)


def test_the_default_network_has_no_names() -> None:
    names = compile_names(made(container(1, "web", Endpoint(network="bridge"))), HOST)
    assert (names.zones, dict(names.views)) == ({}, {})


def test_published_ports_are_services_of_every_name() -> None:
    ports = (parse_port("8080:80"), parse_port("9000:53/udp"), parse_port("9999"))
    state = made(APP, container(1, "web", Endpoint(network="App", aliases=("www",)), ports=ports))
    services = zone(compile_names(state, HOST)).services
    assert services["_http._tcp.web"] == services["_80._tcp.www"] == (Service(80, "web"),)
    assert services["_domain._udp.web"] == (Service(53, "web"),)
    assert services["_9999._tcp.web"] == (Service(9999, "web"),)


def test_whoever_is_not_fit_keeps_its_own_names_only(monkeypatch: object) -> None:
    state = made(
        APP,
        container(1, "one", Endpoint(network="App", aliases=("www", "one"))),
        container(2, "two", Endpoint(network="App", aliases=("www",))),
    )
    monkeypatch.setattr("netrt.compile.names.answers_for_aliases", lambda c: c.name != "one")  # type: ignore[attr-defined]
    hosts = zone(compile_names(state, HOST)).hosts
    assert hosts["www"] == ("10.1.0.3",)
    assert hosts["one"] == hosts[short_id(identifier(1))] == ("10.1.0.2",)


def test_where_unknown_names_go() -> None:
    dns = ProcessSpec(command=("true",), dns=("10.1.0.9", "fd00::9"))
    state = made(
        APP,
        BACK,
        container(1, "web"),
        container(2, "hidden", Endpoint(network="back")),
        container(3, "both", Endpoint(network="back"), Endpoint(network="App")),
        container(4, "own", process=dns),
        container(5, "hiddenown", Endpoint(network="back"), process=dns),
    )
    names = compile_names(state, HOST)
    assert view(names, "web").upstreams == HOST.upstreams
    assert view(names, "hidden").upstreams == ()
    assert view(names, "both").upstreams == HOST.upstreams
    assert view(names, "own").upstreams == (Upstream("10.1.0.9"),), "no way leads to the IPv6 one"
    assert view(names, "hiddenown").upstreams == ()
    opened = made(Connect(container="hidden", endpoint=Endpoint(network="App")), state=state)
    assert view(next_names(names, state, opened, HOST), "hidden").upstreams == HOST.upstreams


def test_resolvers_that_only_the_host_can_ask() -> None:
    servers = ("192.0.2.53", "127.0.0.53", "::1", "fe80::1%eth0", "192.0.2.53")
    assert host_upstreams(servers) == (
        Upstream("192.0.2.53"),
        Upstream("127.0.0.53", from_host=True),
        Upstream("::1", from_host=True),
        Upstream("fe80::1%eth0", from_host=True),
    )


def test_what_an_attach_sends_and_costs_does_not_grow_with_the_host() -> None:
    wide = network(1, "App", "10.1.0.0/16")
    new = container(9999, "new", Endpoint(network="App", aliases=("news",)))

    def effort(others: int) -> tuple[int, int]:
        before = made(wide, *(container(number, f"c{number}") for number in range(others)))
        names, then = compile_names(before, HOST), made(new, state=before)
        put = names_change(names, before, then, HOST).zones[0]
        return instructions(lambda: next_names(names, before, then, HOST)), len(put.hosts) + len(put.pointers)

    few, many = effort(3), effort(1000)
    assert many[1] == few[1] == 4
    assert many[0] <= few[0] * 1.1


def test_networks_of_other_kinds_have_no_names() -> None:
    state = made(APP, container(1, "old", Endpoint(network="bridge")))
    assert [network.name for network in state.networks.values() if has_names(network)] == ["App"]
    app = state.networks[APP.id]
    assert not has_names(changed(app, mode=Mode.FOREIGN))
    assert not has_names(changed(app, plugin="netrt-bridge")), "a runtime's own"
