"""Which host ports containers get."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from netrt.dataplane.facts import HostFacts, Listener
from netrt.decide.ports import FIRST_FREE, LAST_FREE, resolve_ports
from netrt.errors import Conflict, InUse, Invalid
from netrt.model.command import Endpoint, Publish
from netrt.model.container import ProcessSpec
from netrt.model.network import Mode, Network, Subnet
from netrt.model.port import PortMapping, parse_port
from netrt.model.state import State
from tests.strategies import HOST_ADDRESS4, HOST_ADDRESS6, host_facts, states
from tests.unit.decide.asking import Asked

OUTWARD = Network(
    id="0" * 64,
    name="out",
    mode=Mode.BRIDGE,
    created="",
    subnets=(Subnet(cidr="10.200.0.0/24"), Subnet(cidr="fd00:200::/64")),
)


@pytest.fixture
def host() -> Asked:
    asked = Asked()
    asked.network("app", "10.1.0.0/24", "fd00:1::/64")
    return asked


@pytest.mark.parametrize(
    "first",
    ["8080:80", "127.0.0.1:8080:80", f"{HOST_ADDRESS4}:8080:80", "[::1]:8080:80", f"[{HOST_ADDRESS6}]:8080:80", "8080:80/udp",
     "8079-8090:79-90", "0.0.0.0:8080:80", "[::]:8080:80", "10.1.0.1:8080:80"],
)  # fmt: skip
def test_what_is_published_is_held_until_it_is_removed(host: Asked, first: str) -> None:
    wanted = parse_port(first)
    host.run("web", "app", publish=[first])
    assert host.published("web") == [wanted.host_text()]
    assert host.state.port_holder(wanted) == (wanted, host.state.container_names["web"])
    host.remove("web")
    assert host.state.port_holder(wanted) is None


def test_addresses_that_do_not_meet_share_a_port(host: Asked) -> None:
    for number, text in enumerate(("127.0.0.1:80:80", "[::1]:80:80", f"{HOST_ADDRESS4}:80:80", "80:80/udp")):
        host.run(f"c{number}", "app", publish=[text])


@pytest.mark.parametrize(
    ("listener", "text", "meet"),
    [
        (Listener(protocol="tcp", ip="0.0.0.0", port=80), "80:80", True),
        (Listener(protocol="tcp", ip="127.0.0.1", port=80), "80:80", True),
        (Listener(protocol="tcp", ip="127.0.0.1", port=80), f"{HOST_ADDRESS4}:80:80", False),
        (Listener(protocol="tcp", ip="::", port=80, dual=True), "127.0.0.1:80:80", True),
        (Listener(protocol="tcp", ip="::", port=80), "127.0.0.1:80:80", False),
        (Listener(protocol="tcp", ip="::", port=80), "[::1]:80:80", True),
        (Listener(protocol="udp", ip="0.0.0.0", port=80), "80:80", False),
        (Listener(protocol="tcp", ip="0.0.0.0", port=90), "80-90:80-90", True),
        (Listener(protocol="tcp", ip="0.0.0.0", port=91), "80-90:80-90", False),
    ],
)
def test_processes_of_the_host(host: Asked, listener: Listener, text: str, meet: bool) -> None:
    host.facts = HostFacts(addresses=(HOST_ADDRESS4, HOST_ADDRESS6), listeners=(listener,))
    if meet:
        with pytest.raises(Conflict, match="is already allocated to a process of the host"):
            host.run("web", "app", publish=[text])
    else:
        host.run("web", "app", publish=[text])


def test_a_start_needs_the_addresses_of_its_ports(host: Asked) -> None:
    host.run(
        "web", "app", publish=[f"{HOST_ADDRESS4}:8080:80", "127.0.0.1:8081:80"], process=ProcessSpec(command=("true",))
    )
    ended = {"started": "now", "finished": "now"}
    host.note("web", **ended)
    host.facts = HostFacts()
    with pytest.raises(Invalid, match=f"host address {HOST_ADDRESS4} is not an address of this host"):
        host.note("web", **ended, starting=True)
    host.facts = HostFacts(addresses=(HOST_ADDRESS4,))
    host.note("web", **ended, starting=True)


def test_a_network_may_bind_its_ports_to_one_address(host: Asked) -> None:
    host.network("local", "10.5.0.0/24", options={"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"})
    host.run("web", "local", publish=["8080:80", f"{HOST_ADDRESS4}:8081:80"])
    assert host.published("web") == ["127.0.0.1:8080/tcp", f"{HOST_ADDRESS4}:8081/tcp"]
    host.run("two", "app", endpoints=(Endpoint(network="app"), Endpoint(network="local")), publish=["9090:80"])
    assert host.published("two") == ["9090/tcp"], "the network that leads outside decides"


def where_the_search_starts(order: int) -> int:
    return FIRST_FREE + order * 17449 % (LAST_FREE - FIRST_FREE + 1)


def test_the_same_twice_is_once(host: Asked) -> None:
    host.run("web", "app", publish=["8080:80", "8080:80"])
    assert host.published("web") == ["8080/tcp"]


def test_chosen_ports_come_before_free_ones(host: Asked) -> None:
    start = where_the_search_starts(host.state.order)
    host.run("web", "app", publish=["80", f"{start}:81", "81-82"])
    assert host.published("web") == [f"{start + 1}/tcp", f"{start}/tcp", f"{start + 2}-{start + 3}/tcp"]


def test_a_port_given_back_is_not_given_to_the_next(host: Asked) -> None:
    seen: list[str] = []
    for number in range(100):
        host.run(f"c{number}", "app", publish=["80"])
        seen += host.published(f"c{number}")
        host.remove(f"c{number}")
    assert len(set(seen)) == 100


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("at", [FIRST_FREE, 50000, LAST_FREE - 2, "start"])
def test_the_last_free_ports_are_found(host: Asked, at: int | str, count: int) -> None:
    start = where_the_search_starts(host.state.order + 1)  # `all` comes between
    first = start - count // 2 if isinstance(at, str) else at
    spans = [(1, first - 1), (first + count, 65535)]
    host.run("all", "app", publish=[f"{a}-{b}:{a}-{b}" for a, b in spans])
    host.run("web", "app", publish=[f"80-{79 + count}" if count > 1 else "80"])
    (mapping,) = host.state.containers[host.last.id].ports
    assert (mapping.host_port, mapping.count) == (first, count)


@settings(max_examples=60, deadline=None)
@given(states(), host_facts, st.sampled_from((1, 2, 50)), st.sampled_from(("", "127.0.0.1", HOST_ADDRESS6)))
def test_free_ports_are_free_and_in_their_range(state: State, facts: HostFacts, count: int, host_ip: str) -> None:
    asked = [PortMapping(protocol="tcp", container_port=port, count=count, host_ip=host_ip) for port in (80, 180)]
    one, other = resolve_ports(state, asked, [OUTWARD], facts)
    for got in (one, other):
        assert FIRST_FREE <= got.host_port <= got.host_last <= LAST_FREE
        assert state.port_holder(got) is None
        assert replace(got, host_port=0) in asked
    assert not one.overlaps(other)


def test_10_000_ports_of_one_container(host: Asked) -> None:
    mappings = [f"{port}:{port}" for port in range(20000, 30000)]
    host.run("many", "app", publish=mappings)
    assert len(host.published("many")) == 10_000
    host.remove("many")
    assert not host.state.ports


STARTING: dict[str, Any] = {"starting": True}
SLEEP = ProcessSpec(command=("sleep", "9"))
RUNNING: dict[str, Any] = {"pid": 7, "started": "2026-01-31T12:00:00Z"}
ENDED: dict[str, Any] = {"started": RUNNING["started"], "exit_code": 3, "finished": "2026-01-31T12:00:01Z"}


def test_ports_of_a_process_are_taken_when_it_starts(host: Asked) -> None:
    """In Docker's order: what was only created is in nobody's way, and who starts first has the port."""
    for name in ("web", "late"):
        host.run(name, "app", publish=["8080:80"], process=SLEEP)
    assert host.note("web", **RUNNING)
    assert host.last.touched.containers == {host.last.id}, "its ports come"
    for how in (RUNNING, STARTING):
        with pytest.raises(InUse, match="port 8080/tcp is already allocated to web"):
            host.note("late", **how)
    with pytest.raises(InUse, match="port 8080/tcp is already allocated to web"):
        host.run("box", "app", publish=["8080:80"])
    host.note("web", **ENDED)
    host.note("late", **RUNNING)
    host.facts = HostFacts(listeners=(Listener(protocol="tcp", ip="0.0.0.0", port=9090, owner="nginx (pid 812)"),))
    host.run("shop", "app", publish=["9090:90"], process=SLEEP)
    with pytest.raises(Conflict, match=re.escape("port 9090/tcp is already allocated to nginx (pid 812)")):
        host.note("shop", starting=True)


def test_ports_that_wait_for_a_start_are_wished_for_without_a_conflict(host: Asked) -> None:
    host.run("web", "app", publish=["8080:80"])
    host.run("late", "app", process=SLEEP)
    host.ask(Publish(container="late", add=(parse_port("8080:80"),)))
    with pytest.raises(Invalid, match="port 8080/tcp is already allocated to the same container"):
        host.ask(Publish(container="late", add=(parse_port("8080:81"),)))
    with pytest.raises(InUse, match="port 8080/tcp is already allocated to web"):
        host.note("late", starting=True)


def test_a_free_port_is_not_one_that_waits_for_a_start(host: Asked) -> None:
    """As long as there are others."""
    for name in ("one", "two"):
        host.run(name, "app", process=SLEEP)
    for name in ("one", "two"):
        host.ask(Publish(container=name, add=(parse_port("80"),)))
    assert host.published("one") != host.published("two")
    host.run("all", "app", publish=[f"{FIRST_FREE}-{LAST_FREE}:{FIRST_FREE}-{LAST_FREE}"], process=SLEEP)
    host.run("web", "app", publish=["80"])
    assert FIRST_FREE <= host.state.containers[host.last.id].ports[0].host_port <= LAST_FREE
