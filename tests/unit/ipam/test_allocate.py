"""Which address a container gets."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netrt.decide.decide import decide
from netrt.decide.networks import initial_state
from netrt.errors import Exhausted, InUse, Invalid, NetrtError
from netrt.ipam.allocate import RESTING, allocate, allocate_each
from netrt.model.address import host_of
from netrt.model.command import CreateContainer, CreateNetwork, Endpoint, RemoveContainer
from netrt.model.network import Network, Subnet
from netrt.model.state import State, check_invariants
from tests.strategies import NOW, ROOMY, identifier

NETWORK = identifier(0)


def on(*subnets: Subnet) -> State:
    """A State with the network `app`."""
    ipv4 = any(":" not in subnet.cidr for subnet in subnets)
    return decide(initial_state(), CreateNetwork(id=NETWORK, name="app", subnets=subnets, ipv4=ipv4), ROOMY, NOW).state


def add(state: State, name: str, wanted4: str = "", wanted6: str = "") -> State:
    number = state.order * 1000 + len(state.containers)
    endpoint = Endpoint(network="app", address4=wanted4, address6=wanted6)
    command = CreateContainer(id=identifier(number), name=name, network_mode="app", endpoints=(endpoint,))
    return decide(state, command, ROOMY, NOW).state


def drop(state: State, name: str) -> State:
    return decide(state, RemoveContainer(container=name), ROOMY, NOW).state


def address(state: State, name: str, version: int = 4) -> str:
    return host_of(state.attachments_of(state.container_names[name])[0].address(version))


@dataclass
class Clerk:
    """The rules of DESIGN 10, done the slow way: a list of all addresses in the order in which they are preferred."""

    order: list[str]
    held: dict[str, str] = field(default_factory=dict)
    back: list[tuple[str, str]] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def give(self, name: str, wanted: str) -> str | None:
        if wanted:
            got = wanted if wanted not in self.held.values() else None
        else:
            free = [a for a, _ in self.back if a in self.order]
            mine = [a for a, owner in self.back if owner == name and a in self.order]
            fresh = [a for a in self.order if a not in self.used]
            got = mine[-1] if mine else fresh[0] if fresh else free[0] if free else None
        if got is not None:
            self.held[name] = got
            self.used.add(got)
            self.back = [entry for entry in self.back if entry[0] != got]
        return got

    def take(self, name: str) -> None:
        self.back.append((self.held.pop(name), name))


LAYOUTS = {
    "range": (
        (Subnet(cidr="10.1.0.0/24", ip_range="10.1.0.0/29", auxiliary={"router": "10.1.0.3"}),),
        ["10.1.0.2", "10.1.0.4", "10.1.0.5", "10.1.0.6", "10.1.0.7"],
    ),
    "end": ((Subnet(cidr="10.1.0.0/29", gateway="10.1.0.6"),), [f"10.1.0.{n}" for n in range(1, 6)]),
    "two": (
        (Subnet(cidr="10.2.0.0/30"), Subnet(cidr="10.1.0.0/29")),
        ["10.2.0.2", *(f"10.1.0.{n}" for n in range(2, 7))],
    ),
    "six": ((Subnet(cidr="fd00:1::/125", gateway="fd00:1::2"),), [f"fd00:1::{n}" for n in (1, 3, 4, 5, 6, 7)]),
}
WANTED = ["", "", "", "10.1.0.5", "10.1.0.9", "10.2.0.2", "fd00:1::4", "fd00:1::7"]
moves = st.lists(
    st.tuples(st.sampled_from(("a", "b", "c", "d", "e", "f", "g")), st.sampled_from(WANTED)), min_size=10, max_size=40
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(LAYOUTS)), moves)
def test_last_own_then_fresh_then_longest_unused(layout: str, moves: list[tuple[str, str]]) -> None:
    subnets, order = LAYOUTS[layout]
    version = 6 if layout == "six" else 4
    state, clerk = on(*subnets), Clerk(order)
    for name, wish in moves:
        if name in clerk.held:
            state = drop(state, name)
            clerk.take(name)
            continue
        wanted = (
            wish if any(ipaddress.ip_address(wish) in ipaddress.ip_network(s.cidr) for s in subnets if wish) else ""
        )
        expected = clerk.give(name, wanted)
        try:
            state = add(state, name, **{f"wanted{version}": wanted})
        except (InUse, Exhausted):
            assert expected is None
        else:
            assert address(state, name, version) == expected
    check_invariants(state)


def test_addresses_come_back_late_and_memory_stays_small() -> None:
    state = on(Subnet(cidr="10.8.0.0/16"), Subnet(cidr="fd00:8::/64"))
    given: list[tuple[str, str]] = []
    for number in range(2 * RESTING + 50):
        state = add(state, f"c{number}")
        given.append((address(state, f"c{number}"), address(state, f"c{number}", 6)))
        state = drop(state, f"c{number}")
    assert len(state.released) == 2 * RESTING
    assert len(set(given[:RESTING])) == RESTING
    assert given[RESTING : 2 * RESTING] == given[:RESTING], "the longest-unused first"
    check_invariants(state)


def test_a_fixed_address_is_kept_while_its_container_exists_whether_it_runs_or_not() -> None:
    state = add(on(Subnet(cidr="10.1.0.0/29")), "db", "10.1.0.3")
    for number in range(4):
        state = add(state, f"c{number}")
    assert [address(state, f"c{number}") for number in range(4)] == ["10.1.0.2", "10.1.0.4", "10.1.0.5", "10.1.0.6"]
    with pytest.raises(Exhausted, match=r"^the pool of network app \(10\.1\.0\.0/29\) is full$"):
        add(state, "more")
    with pytest.raises(InUse, match=r"^10\.1\.0\.3 is held by db on app$"):
        add(state, "more", "10.1.0.3")


@pytest.mark.parametrize(
    ("version", "wanted", "says"),
    [
        (4, "10.1.0.1", "10.1.0.1 is the gateway of network app"),
        (4, "10.1.0.0", "10.1.0.0 is the network address of network app"),
        (4, "10.1.0.255", "10.1.0.255 is the broadcast address of network app"),
        (4, "10.1.0.9", "10.1.0.9 is the auxiliary address router of network app"),
        (4, "10.2.0.1", "10.2.0.1 is outside of network app (10.1.0.0/24, range 10.1.0.64/26)"),
        (4, "fd00::1", "fd00::1 is not an IPv4 address"),
        (6, "10.1.0.5", "10.1.0.5 is not an IPv6 address"),
        (6, "fd00::5", "fd00::5 cannot be had: network app has no IPv6 (10.1.0.0/24, range 10.1.0.64/26)"),
        (6, "", "network app has no IPv6 (10.1.0.0/24, range 10.1.0.64/26)"),
        (4, "10.1.0.5/24", "invalid IPv4 address '10.1.0.5/24' (an address such as 10.1.0.2 or fd00::2 is expected)"),
        (4, "a\nb", "invalid IPv4 address 'a\\nb' (an address such as 10.1.0.2 or fd00::2 is expected)"),
    ],
)
def test_wishes_that_cannot_be(version: int, wanted: str, says: str) -> None:
    state = on(Subnet(cidr="10.1.0.0/24", ip_range="10.1.0.64/26", auxiliary={"router": "10.1.0.9"}))
    with pytest.raises(Invalid) as refusal:
        allocate(state, state.networks[NETWORK], version, "web", wanted)
    assert str(refusal.value) == says


def test_a_wish_outside_of_the_range_is_fine_and_written_canonically() -> None:
    state = on(Subnet(cidr="10.1.0.0/24", ip_range="10.1.0.64/26"), Subnet(cidr="fd00:1::/64"))
    network: Network = state.networks[NETWORK]
    assert allocate(state, network, 4, "web", "10.1.0.7") == "10.1.0.7/24"
    assert allocate(state, network, 6, "web", "FD00:1::0007") == "fd00:1::7/64"
    assert allocate(state, network, 4, "web") == "10.1.0.64/24"


def test_an_address_outside_of_the_range_does_not_come_back_by_itself() -> None:
    state = drop(add(on(Subnet(cidr="10.1.0.0/24", ip_range="10.1.0.64/30")), "db", "10.1.0.7"), "db")
    assert address(add(state, "db"), "db") == "10.1.0.64"


def test_a_network_of_one_address() -> None:
    state = add(on(Subnet(cidr="10.2.0.0/30")), "a")
    with pytest.raises(NetrtError, match="full"):
        add(state, "b")
    assert address(add(drop(state, "a"), "b"), "b") == "10.2.0.2"


def test_what_the_host_has_by_now_is_passed_over() -> None:
    """Whether it is fresh, rests, or was the last one of this name; and comes again when the host has left it."""
    state = on(Subnet(cidr="10.1.0.0/29"))
    network = state.networks[NETWORK]

    def next_one(name: str, *host: str) -> str:
        return host_of(allocate(state, network, 4, name, host=host))

    assert next_one("a", "10.1.0.2", "10.1.0.3", "10.1.0.5") == "10.1.0.4"
    with pytest.raises(InUse, match="is an address of this host"):
        allocate(state, network, 4, "a", "10.1.0.2", host=("10.1.0.2",))
    for name in "abcde":
        state = add(state, name)
    for name in "cab":
        state = drop(state, name)
    assert next_one("b", "10.1.0.3") == "10.1.0.4"
    assert next_one("b") == "10.1.0.3"
    assert next_one("f", "10.1.0.4", "10.1.0.2") == "10.1.0.3"
    with pytest.raises(Exhausted):
        next_one("f", "10.1.0.4", "10.1.0.2", "10.1.0.3")
    part = (Subnet(cidr="10.1.0.0/29", ip_range="10.1.0.4/30"),)
    state = drop(state, "d")
    assert allocate_each(state, network, "f", [part], (), ("10.1.0.4",)) == ("10.1.0.5/29",)
