"""Which subnet a network gets when nobody chose one."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netrt.dataplane.facts import HostFacts
from netrt.decide.decide import decide
from netrt.decide.networks import initial_state
from netrt.errors import Exhausted, Invalid
from netrt.ipam.pools import DEFAULT, Pool, Pools, choose_subnet, overlaps, ula_for
from netrt.model.command import CreateNetwork
from netrt.model.state import State
from tests.strategies import NOW, identifier

SMALL = Pools(pools=(Pool(cidr="10.0.0.0/26", size=29), Pool(cidr="10.9.0.0/28", size=28)), ula="fd00:1:2::/60")

blocks = st.tuples(st.integers(0, 127), st.integers(25, 32)).map(
    lambda drawn: str(ipaddress.ip_network((0x0A000000 + drawn[0], drawn[1]), strict=False))
)


@given(
    st.lists(
        st.one_of(blocks, st.sampled_from(("10.9.0.0/30", "10.0.0.0/7", "0.0.0.0/1", "::/1", "fd00::/8"))), max_size=8
    )
)
def test_the_first_that_is_free(taken: list[str]) -> None:
    candidates = [
        str(subnet) for pool in SMALL.of(4) for subnet in ipaddress.ip_network(pool.cidr).subnets(new_prefix=pool.size)
    ]
    forbidding = [cidr for cidr in taken if cidr not in ("0.0.0.0/1", "::/1")]
    free = [cidr for cidr in candidates if not any(overlaps(cidr, other) for other in forbidding)]
    if free:
        assert choose_subnet(4, taken, SMALL) == free[0]
    else:
        with pytest.raises(Exhausted):
            choose_subnet(4, taken, SMALL)


@settings(max_examples=30)
@given(st.integers(0, 15))
def test_ipv6_networks_get_a_64_each_of_the_host_s_own_prefix(number: int) -> None:
    taken = [f"fd00:1:2:{n:x}::/64" for n in range(16) if n != number]
    assert choose_subnet(6, taken, SMALL) == str(ipaddress.ip_network(f"fd00:1:2:{number:x}::/64"))
    with pytest.raises(Exhausted, match=r"no free IPv6 subnet is left in the pools \(fd00:1:2::/60\)"):
        choose_subnet(6, [*taken, "fd00:1:2::/60"], SMALL)


def test_a_size_of_its_own() -> None:
    assert choose_subnet(4, ["10.0.0.0/29"], SMALL, size=28) == "10.0.0.16/28"
    assert choose_subnet(4, ["10.0.0.0/26"], SMALL, size=28) == "10.9.0.0/28"
    with pytest.raises(Exhausted):
        choose_subnet(4, [], SMALL, size=20)


def make(state: State, number: int, facts: HostFacts) -> State:
    return decide(state, CreateNetwork(id=identifier(number), name=f"n{number}", ipv6=True), facts, NOW).state


@pytest.mark.parametrize(
    "routes",
    [
        ("192.0.2.0/24",),
        ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"),
        ("172.16.0.0/12", "192.168.0.0/16"),
        ("10.0.0.0/8", "192.168.0.0/16", "172.17.0.0/16", "172.18.0.0/16"),
    ],
    ids=["plain", "all through a VPN", "an office", "another office, with Docker"],
)
def test_300_networks_fit(routes: tuple[str, ...]) -> None:
    facts, state = HostFacts(routes=routes), initial_state()
    for number in range(300):
        state = make(state, number, facts)
    cidrs = [subnet.cidr for network in state.networks.values() for subnet in network.subnets]
    assert len(set(cidrs)) == 600
    kept = [route for route in routes if not route.endswith("/1")]
    assert not any(overlaps(cidr, route) for cidr in cidrs for route in kept)
    assert all(ipaddress.ip_network(cidr).is_private for cidr in cidrs)


def test_a_removed_network_s_subnet_is_free_again() -> None:
    state = make(initial_state(), 1, HostFacts())
    first = state.networks[identifier(1)].subnets
    state = make(state.without_network(identifier(1)), 2, HostFacts())
    assert state.networks[identifier(2)].subnets == first


@given(st.text(max_size=40))
def test_the_ula_prefix_is_stable_and_local(seed: str) -> None:
    prefix = ula_for(seed)
    assert prefix == ula_for(seed)
    assert ipaddress.IPv6Network(prefix).subnet_of(ipaddress.IPv6Network("fd00::/8"))
    assert Pools(ula=prefix).of(6)[-1].size == 64
    assert prefix != ula_for(seed + "x")


@pytest.mark.parametrize(
    ("cidr", "size"), [("10.0.0.0/24", 23), ("10.0.0.0/24", 31), ("fd00::/64", 127), ("10.0.0.1/24", 28), ("x", 24)]
)
def test_pools_that_make_no_sense(cidr: str, size: int) -> None:
    with pytest.raises(Invalid):
        Pool(cidr=cidr, size=size)


@pytest.mark.parametrize("ula", ["2001:db8::/48", "10.0.0.0/8", "fd00::/96", "", "fd00::1/48"])
def test_prefixes_that_are_no_ula(ula: str) -> None:
    with pytest.raises(Invalid):
        Pools(ula=ula)


def test_the_favourites_of_offices_and_clouds_are_left_alone() -> None:
    for busy in ("172.16.0.0/16", "172.31.0.0/16", "192.168.0.0/24", "192.168.1.0/24", "10.0.0.0/16"):
        assert not any(overlaps(busy, pool.cidr) for pool in DEFAULT.of(4))
