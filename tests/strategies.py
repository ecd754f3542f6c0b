"""Random States, commands and hosts for property tests.

A State is drawn as people would make it: by commands, one after the other, of which some are refused. Names, ids, subnets and
ports come from small sets, so that commands meet what others left behind."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from hypothesis import strategies as st

from netrt.dataplane.facts import HostFacts, Listener, Parent
from netrt.decide.decide import decide
from netrt.decide.networks import initial_state
from netrt.errors import NetrtError
from netrt.model.command import (
    Command,
    Connect,
    CreateContainer,
    CreateNetwork,
    Disconnect,
    Endpoint,
    Limit,
    NoteProcess,
    PruneNetworks,
    Publish,
    Reclaim,
    RemoveContainer,
    RemoveNetwork,
    Rename,
    UpdateNetwork,
)
from netrt.model.container import ProcessSpec, ProcessState, Sandbox
from netrt.model.network import Mode, Subnet
from netrt.model.port import PROTOCOLS, PortMapping
from netrt.model.state import State

T = TypeVar("T")

NOW = 1_750_000_000_000_000_000
HOST_ADDRESS4, HOST_ADDRESS6 = "192.0.2.1", "2001:db8::1"


def identifier(number: int) -> str:
    """An id as the edge makes them: 64 hexadecimal digits."""
    return hashlib.sha256(str(number).encode()).hexdigest()


IDS = tuple(identifier(number) for number in range(48))
NETWORK_NAMES = ("app", "back", "front", "lab")
CONTAINER_NAMES = ("cache", "db", "proxy", "side", "web", "worker")
ADDRESSES4 = ("10.1.0.1", "10.1.0.2", "10.1.0.5", "10.1.0.12", "10.1.0.255", "10.2.0.2", "10.3.7.7")
ADDRESSES6 = ("fd00:1::2", "fd00:1::99", "fd00:2::3")
MACS = ("02:42:0a:01:00:02", "02:00:00:00:00:01", "02:00:00:00:00:02")


def seldom(*things: T, none: T) -> st.SearchStrategy[T]:
    """Mostly `none`, sometimes one of the things."""
    return st.sampled_from((*[none] * (6 * len(things)), *things))


def few(strategy: st.SearchStrategy[T], most: int = 2) -> st.SearchStrategy[tuple[T, ...]]:
    """A tuple of up to `most`."""
    return st.lists(strategy, max_size=most).map(tuple)


# networks

labels: st.SearchStrategy[Mapping[str, str]] = st.sampled_from(({}, {"tier": "a"}, {"tier": "b", "owner": ""}))
subnets: st.SearchStrategy[Subnet] = st.one_of(
    st.builds(
        Subnet,
        cidr=st.just("10.1.0.0/24"),
        gateway=st.sampled_from((None, "10.1.0.1", "10.1.0.254")),
        ip_range=st.sampled_from((None, "10.1.0.0/29", "10.1.0.8/30", "10.1.0.252/30")),
        auxiliary=st.sampled_from(({}, {"router": "10.1.0.5"}, {"a": "10.1.0.9", "b": "10.1.0.253"})),
    ),
    st.builds(Subnet, cidr=st.sampled_from(("10.2.0.0/30", "10.3.0.0/16", "fd00:1::/64", "fd00:2::/126"))),
)
options: st.SearchStrategy[Mapping[str, str]] = seldom(
    {"com.docker.network.driver.mtu": "1400"},
    {"com.docker.network.bridge.enable_icc": "false"},
    {"com.docker.network.bridge.enable_ip_masquerade": "false"},
    {"com.docker.network.bridge.gateway_mode_ipv4": "routed"},
    {"com.docker.network.bridge.gateway_mode_ipv6": "isolated"},
    {"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"},
    {"com.docker.network.bridge.name": "br-lab"},
    {"com.docker.network.container_iface_prefix": "net"},
    {"host_access": "true"},
    none={},
)
create_networks = st.builds(
    CreateNetwork,
    id=st.sampled_from(IDS),
    name=st.sampled_from(NETWORK_NAMES),
    subnets=few(subnets),
    ipv4=seldom(False, none=True),
    ipv6=st.booleans(),
    internal=st.sampled_from((False, False, True)),
    options=options,
    labels=labels,
)

# containers

ports = st.builds(
    PortMapping,
    protocol=st.sampled_from(PROTOCOLS),
    container_port=st.sampled_from((53, 80, 443)),
    host_port=st.sampled_from((0, 80, 8080, 8081, 8085, 40000)),
    host_ip=seldom(HOST_ADDRESS4, HOST_ADDRESS6, "127.0.0.1", "::1", "0.0.0.0", "::", "203.0.113.9", none=""),
    count=st.sampled_from((1, 1, 1, 3, 20)),
)
network_refs = st.sampled_from((*NETWORK_NAMES, "bridge"))
container_refs = st.sampled_from(CONTAINER_NAMES)
endpoints = st.builds(
    Endpoint,
    network=network_refs,
    address4=seldom(*ADDRESSES4, none=""),
    address6=seldom(*ADDRESSES6, none=""),
    mac=seldom(*MACS, none=""),
    aliases=few(st.sampled_from(("api", "sql"))),
    ifname=seldom("eth0", "eth1", "lan", none=""),
)
processes = st.builds(
    ProcessSpec,
    command=st.just(("sleep", "inf")),
    env=st.sampled_from(((), ("A=1", "B=ü\n"))),
    cap_drop=st.sampled_from(((), ("ALL",))),
    auto_remove=st.booleans(),
)
process_states = st.builds(
    ProcessState,
    pid=st.integers(0, 3),
    start_ticks=st.integers(0, 1),
    finished=st.sampled_from(("", "2026-01-31T12:00:00Z")),
    exit_code=st.integers(0, 255),
)
plain_containers = st.builds(
    CreateContainer,
    id=st.sampled_from(IDS),
    name=st.sampled_from(("", *CONTAINER_NAMES)),
    generated_name=st.just("web"),
    network_mode=st.sampled_from(("app", "back", "default")),
    ports=st.one_of(st.just(()), few(ports)),
    labels=labels,
)
"""Containers that are seldom refused."""
odd_containers = st.builds(
    CreateContainer,
    id=st.sampled_from(IDS),
    name=st.sampled_from(("", *CONTAINER_NAMES)),
    generated_name=st.just("web"),
    network_mode=st.sampled_from(
        (
            *NETWORK_NAMES,
            "default",
            "bridge",
            "none",
            "none",
            "host",
            "host",
            *map("container:".__add__, CONTAINER_NAMES),
        )
    ),
    endpoints=few(endpoints),
    ports=st.one_of(st.just(()), st.just(()), few(ports)),
    process=st.one_of(st.none(), processes),
    adopt=seldom(
        *(Sandbox(path=f"/run/netns/other{n}", owned=False, inode=4026530000 + n) for n in range(3)), none=None
    ),
)
create_containers = st.one_of(plain_containers, odd_containers)

# everything

commands: st.SearchStrategy[Command] = st.one_of(
    create_networks,
    create_containers,
    create_containers,
    st.builds(Connect, container=container_refs, endpoint=endpoints),
    st.builds(Connect, container=container_refs, endpoint=st.builds(Endpoint, network=network_refs)),
    st.builds(Disconnect, network=network_refs, container=container_refs, force=st.booleans()),
    st.builds(RemoveContainer, container=container_refs, force=st.booleans()),
    st.builds(RemoveContainer, container=container_refs),
    st.builds(RemoveNetwork, network=network_refs, force=st.booleans()),
    st.builds(
        PruneNetworks, labels=labels, until=st.sampled_from(("", "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"))
    ),
    st.builds(NoteProcess, container=container_refs, state=process_states),
    st.builds(Rename, container=container_refs, name=st.sampled_from(CONTAINER_NAMES)),
    st.builds(Publish, container=container_refs, add=few(ports), remove=few(ports)),
    st.builds(
        UpdateNetwork,
        network=network_refs,
        grow=few(st.sampled_from(("10.1.0.0/23", "10.2.0.0/28", "10.2.0.0/15", "fd00:1::/60", "fd00:2::/64")), 1),
        add=few(subnets, 1),
        ipv6=st.booleans(),
        labels=labels,
        dns=st.sampled_from((None, (), ("192.0.2.53",))),
    ),
    st.builds(
        Limit,
        container=container_refs,
        bandwidth=st.sampled_from(("ingress=1mbit", "egress=1gbit", "ingress=0,egress=0")),
    ),
    st.builds(Reclaim, containers=few(st.sampled_from(IDS), 4).map(frozenset)),
)
"""Any command."""


def _network(number: int, name: str, *cidrs: str, **more: Any) -> CreateNetwork:
    return CreateNetwork(
        id=identifier(1000 + number), name=name, subnets=tuple(Subnet(cidr=cidr) for cidr in cidrs), **more
    )


BEGINNINGS: tuple[tuple[Command, ...], ...] = (
    (_network(0, "app", "10.1.0.0/24", "fd00:1::/64"), _network(1, "back", "10.2.0.0/30", internal=True)),
    (_network(0, "app", ipv6=True), _network(1, "back"), _network(2, "front", "fd00:2::/126", ipv4=False)),
    (_network(0, "app", "10.1.0.0/29", "10.3.0.0/16"), _network(1, "back", options={"host_access": "true"})),
    (_network(0, "app"), _network(1, "back"), _network(2, "front"), _network(3, "lab", ipv6=True)),
    (
        _network(0, "app", "10.4.0.0/29", mode=Mode.MACVLAN, options={"parent": "up0", "host_access": "true"}),
        _network(1, "back", "fd00:4::/64", mode=Mode.IPVLAN, options={"parent": "up1"}),
        _network(2, "front"),
    ),
)
histories: st.SearchStrategy[list[Command]] = st.tuples(
    st.sampled_from(BEGINNINGS),
    st.lists(create_networks, max_size=2),
    st.lists(plain_containers, min_size=2, max_size=6),
    st.lists(commands, max_size=10),
).map(lambda parts: [command for part in parts for command in part])
"""Commands that make a busy State, in their order."""

listeners = st.one_of(
    st.builds(
        Listener,
        protocol=st.sampled_from(PROTOCOLS),
        ip=st.sampled_from(("0.0.0.0", "127.0.0.1", HOST_ADDRESS4, "::1")),
        port=st.sampled_from((22, 80, 8081, 40001)),
        owner=st.sampled_from(("", "nginx (pid 812)")),
    ),
    st.builds(
        Listener,
        protocol=st.sampled_from(PROTOCOLS),
        ip=st.just("::"),
        port=st.sampled_from((80, 8082)),
        dual=st.booleans(),
    ),
)
PARENTS = {
    "up0": Parent(mac="02:00:00:00:01:00", addresses=("10.4.0.1/29", "fd00:9::1/64")),
    "up1": Parent(mtu=1400, mac="02:00:00:00:01:01"),
}
host_facts = st.builds(
    HostFacts,
    mtu=st.sampled_from((1400, 1500, 9000)),
    routes=st.sampled_from(
        (
            ("192.0.2.0/24", "2001:db8::/64"),
            ("192.0.2.0/24", "0.0.0.0/1", "128.0.0.0/1", "::/1", "172.20.0.0/16"),
            ("192.0.2.0/24", "10.2.0.0/16", "172.16.0.0/12"),
        )
    ),
    addresses=st.just((HOST_ADDRESS4, HOST_ADDRESS6)),
    parents=st.sampled_from((PARENTS, PARENTS, {})),
    raised=st.sampled_from((frozenset[int](), frozenset({4}), frozenset({4, 6}))),
    listeners=few(listeners, 3),
)

ROOMY = HostFacts(addresses=(HOST_ADDRESS4, HOST_ADDRESS6), routes=("192.0.2.0/24", "2001:db8::/64"), parents=PARENTS)
"""A host on which nothing stands in the way."""


def after(state: State, command: Command, facts: HostFacts = ROOMY, now: int = NOW) -> State:
    """The State after a command, or the same one where it is refused."""
    with contextlib.suppress(NetrtError):
        return decide(state, command, facts, now).state
    return state


def state_after(history: Iterable[Command]) -> State:
    """The State that commands lead to, on a host where nothing stands in the way."""
    state = initial_state(NOW)
    for number, command in enumerate(history):
        state = after(state, command, now=NOW + number)
    return state


def states() -> st.SearchStrategy[State]:
    """A State that commands led to."""
    return histories.map(state_after)


def rows(state: State) -> list[Any]:
    """Everything in a State that is saved."""
    tables = (state.networks, state.containers, state.attachments, state.released)
    return [row for table in tables for row in table.values()]
