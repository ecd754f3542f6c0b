"""From what is there to what a file asks for, done by the decisions of the daemon: any file after any other, on a host where
people made things too. And plans to be reviewed by eye: `UPDATE_GOLDEN=1 pytest tests/unit/declare` writes them anew."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netrt.cli.wishfile import as_yaml, read_tree
from netrt.declare.export import exported
from netrt.declare.ours import read_ours
from netrt.declare.steps import MakeContainer, TakeContainer, TakeNetwork, words
from netrt.declare.wish import APPLIED
from netrt.errors import Invalid, NetrtError
from tests.unit.declare.town import Town, ours

GOLDEN = Path(__file__).parents[2] / "golden" / "apply"

NETWORKS, CONTAINERS = ("app", "back", "lan"), ("web", "db", "job")
SUBNETS = ("10.1.0.0/24", "10.2.0.0/24", "10.1.0.0/16", "fd00:1::/64")
PORTS = ("8080:80", "8080:81", "8081:80", "127.0.0.1:8080:80", "9000-9002:90-92/udp", "80")


def _some(**choices: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these keys."""
    return st.fixed_dictionaries({}, optional=choices)


_network = _some(
    subnets=st.lists(st.sampled_from(SUBNETS), max_size=1),
    internal=st.booleans(),
    ipv6=st.booleans(),
    labels=st.sampled_from(({"a": "b"}, {"a": "c", "d": "e"})),
    dns=st.sampled_from(("192.0.2.1", "192.0.2.2")),
    options=st.just({"com.docker.network.driver.mtu": "1400"}),
)
_endpoint = _some(
    ip=st.sampled_from(("10.1.0.2", "10.1.0.9", "10.2.0.2")),
    aliases=st.lists(st.sampled_from(("www", "store")), max_size=2),
    gw_priority=st.integers(0, 2),
    bandwidth=st.sampled_from(("ingress=1mbit", "egress=2mbit,ingress=1gbit")),
)
_on = {"networks": st.dictionaries(st.sampled_from((*NETWORKS, "bridge")), _endpoint, max_size=3)}
_container = st.one_of(
    _some(
        **_on, ports=st.lists(st.sampled_from(PORTS), max_size=2), dns=st.just("192.0.2.1"), hostname=st.just("desk")
    ),
    _some(**_on),
    _some(network_mode=st.sampled_from(("none", "host", "container:web", "container:db"))),
    _some(netns=st.sampled_from(("/run/netns/x", "/run/netns/y")), **_on),
)
_document = st.fixed_dictionaries(
    {
        "networks": st.dictionaries(st.sampled_from(NETWORKS), _network, min_size=1),
        "containers": st.dictionaries(st.sampled_from(CONTAINERS), _container),
    }
)


def _possible(document: dict[str, Any]) -> dict[str, Any]:
    """Without what no file can ask for: networks that nobody makes."""
    known = {*document["networks"], "bridge"}
    for container in document["containers"].values():
        if "networks" in container:
            container["networks"] = {n: e for n, e in container["networks"].items() if n in known}
            if not container["networks"]:
                del container["networks"]
    return document


def _applied(town: Town, document: dict[str, Any], *, prune: bool, project: str = "p") -> bool:
    """Whether it could be done. What cannot be is refused before anything is done, and else all is done."""
    before = town.state
    try:
        wish = ours(_possible(document), project)
        town.planned(wish, prune=prune)
    except NetrtError:
        assert town.state is before
        return False
    try:
        town.apply(wish, prune=prune)
    except NetrtError as error:
        # what only the daemon can know, and only once networks are made anew: it says how far it came
        return _interrupted(str(error))
    return True


def _interrupted(said: str) -> bool:
    assert "steps were done" in said
    return False


@given(_document, _document, _document, st.booleans())
def test_a_second_apply_changes_nothing(
    hand: dict[str, Any], first: dict[str, Any], second: dict[str, Any], prune: bool
) -> None:
    town = Town()
    _applied(town, hand, prune=False, project="others")
    theirs = dict(town.seen().networks)
    done = [_applied(town, document, prune=prune) for document in (first, second)]
    if done[-1]:
        wish = ours(_possible(second))
        assert not town.planned(wish, prune=prune).steps
        there = town.seen()
        assert wish.networks.keys() <= there.networks.keys()
        assert wish.containers.keys() <= there.containers.keys()
        if prune:
            mine = {c.name for c in there.containers.values() if c.labels.get(APPLIED) == "p"}
            assert mine <= wish.containers.keys()
    there = town.seen().networks
    assert {name: there[name].subnets for name in theirs} == {name: theirs[name].subnets for name in theirs}


@given(_document, _document, st.booleans())
def test_only_what_an_apply_of_this_project_made_is_taken_away(
    hand: dict[str, Any], wanted: dict[str, Any], prune: bool
) -> None:
    town = Town()
    _applied(town, hand, prune=False, project="others")
    with contextlib.suppress(NetrtError):
        steps = town.planned(ours(_possible(wanted)), prune=prune).steps
        assert not [step for step in steps if isinstance(step, TakeContainer | TakeNetwork)]


@given(_document)
def test_what_is_exported_makes_the_same(document: dict[str, Any]) -> None:
    here, there = Town(), Town()
    if _applied(here, document, prune=False):
        text = as_yaml(exported(here.seen()))
        there.apply(read_ours(read_tree(text, "export.yaml"), "p", ""))
        again = as_yaml(exported(there.seen()))
        assert again == text
        assert not there.planned(read_ours(read_tree(text, "export.yaml"), "p", "")).steps


# by eye

BEFORE: dict[str, Any] = {
    "networks": {"app": {"subnets": ["10.1.0.0/24"]}, "back": {"subnets": ["10.2.0.0/24"], "internal": True}},
    "containers": {
        "web": {"networks": {"app": {"ip": "10.1.0.9", "aliases": ["www"]}}, "ports": ["8080:80"]},
        "db": {"networks": ["back"]},
        "side": {"network_mode": "container:web"},
        "old": {"networks": ["app", "back"], "ports": ["9090:90"]},
    },
}
AFTER: dict[str, Any] = {
    "networks": {
        "app": {"subnets": ["10.1.0.0/24"]},
        "back": {"subnets": ["10.3.0.0/24"], "internal": True},
        "lan": {},
    },
    "containers": {
        "web": {"networks": {"app": {"ip": "10.1.0.9"}, "lan": {"gw_priority": 1}}, "ports": ["8081:80", "9090:90"]},
        "db": {"networks": {"back": {"bandwidth": "egress=1mbit"}}},
        "side": {"network_mode": "container:web"},
        "new": {"networks": ["lan"], "dns": "192.0.2.53"},
    },
}
PLANS = {
    "first": ({}, BEFORE, False),
    "second": (BEFORE, BEFORE, True),
    "changed": (BEFORE, AFTER, True),
    "anew": (BEFORE, {**BEFORE, "containers": {**BEFORE["containers"], "web": {"network_mode": "none"}}}, False),
    "emptied": (BEFORE, {}, True),
}


@pytest.mark.parametrize("name", sorted(PLANS))
def test_plans(name: str) -> None:
    before, after, prune = PLANS[name]
    town = Town()
    town.apply(ours(before))
    made = town.apply(ours(after), prune=prune)
    lines = [*map(str, made.changes), "", *map(words, made.steps)]
    text = "\n".join(lines).strip() + "\n"
    path = GOLDEN / f"{name}.plan"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()
    assert not town.planned(ours(after), prune=prune).steps


# what is refused


def test_networks_come_first_and_fixed_addresses_before_chosen_ones() -> None:
    document = {
        "networks": {"app": {"subnet": "10.1.0.0/24"}},
        "containers": {"a": {"networks": ["app"]}, "b": {"networks": {"app": {"ip": "10.1.0.2"}}}},
    }
    made = Town().apply(ours(document))
    assert [s.container.name for s in made.steps if isinstance(s, MakeContainer)] == ["b", "a"]


BOX = {"b": {"networks": ["app"]}}
REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"networks": {"app": {"internal": True}}},
        "f.yaml:1: networks.app: network app is there, was not made by an apply",
    ),
    ({"containers": {"web": {"network_mode": "none"}}}, "container web is there, was not made by an apply"),
    ({"networks": {"new": {"subnet": "10.1.0.0/16"}}}, "subnet 10.1.0.0/16 overlaps network app (10.1.0.0/24)"),
    (
        {"networks": {"n": {"subnet": "10.8.0.0/24"}, "m": {"subnet": "10.8.0.0/25"}}},
        "f.yaml:1: networks.m: subnet 10.8.0.0/25 overlaps network n (10.8.0.0/24)",
    ),
    ({"containers": {"b": {"networks": ["nowhere"]}}}, "f.yaml:1: containers.b: there is no network nowhere"),
    ({"containers": {"b": {"network_mode": "container:c"}}}, "containers.b: there is no container c"),
    ({"networks": {"x": {"external": True}}}, "networks.x: there is no network x"),
    ({"containers": {"b": {"networks": {"app": {"ip": "10.1.0.2"}}}}}, "10.1.0.2 is held by web on app"),
    ({"containers": {"b": {"networks": {"app": {"ip": "10.1.0.1"}}}}}, "10.1.0.1 is the gateway of network app"),
    ({"containers": {"b": {"networks": {"app": {"ip": "10.9.0.1"}}}}}, "10.9.0.1 is outside of network app"),
    ({"containers": {"b": {"networks": {"app": {"ip6": "fd00::2"}}}}}, "network app has no IPv6"),
    ({"containers": {"b": {"networks": ["app"], "ports": ["8080:81"]}}}, "host port 8080/tcp is also that of web"),
    (
        {"containers": {"b": {"ports": ["1:1"]}, "c": {"ports": ["1:2"]}}},
        "containers.c: host port 1/tcp is also that of b",
    ),
    (
        {"containers": {"b": {"netns": "/run/netns/x"}, "c": {"netns": "/run/netns/x"}}},
        "namespace /run/netns/x is that of",
    ),
    (
        {"networks": {"n": {"internal": True}}, "containers": {"b": {"networks": ["n"], "ports": ["1:1"]}}},
        "containers.b: ports need a network that leads outside (it is on n)",
    ),
    ({"containers": {"b": {"network_mode": "none", "ports": ["1:1"]}}}, "ports need a network that leads outside"),
    (
        {"containers": {"b": {"network_mode": "container:web", "dns": "1.1.1.1"}}},
        "containers.b: who shares the namespace of web has its resolvers",
    ),
    ({"networks": {"host": {}}}, "networks.host: network host is there, came with netrt"),
]


@pytest.mark.parametrize(("document", "said"), REFUSED, ids=[str(n) for n in range(len(REFUSED))])
def test_what_cannot_be_is_refused_before_the_first_step(document: dict[str, Any], said: str) -> None:
    town = Town()
    town.create_network("app", subnets=["10.1.0.0/24"])
    town.create_container("web", networks=["app"], ports=["8080:80"])
    before = town.state
    with pytest.raises(Invalid) as refused:
        town.apply(ours(document))
    assert said in str(refused.value)
    assert town.state is before


def test_what_people_made_is_changed_in_place() -> None:
    """A port and a network more is no reason to make it anew, nor to call it an apply's."""
    town = Town()
    town.create_network("app")
    town.create_network("back")
    town.create_container("web", networks=["app"])
    town.apply(ours({"containers": {"web": {"networks": ["app", "back"], "ports": ["8080:80"]}}}))
    assert [*town.seen().containers["web"].networks] == ["app", "back"]
    assert not town.apply(ours({}), prune=True).steps


def test_labels_and_resolvers_of_a_network_change_while_it_is_used() -> None:
    town = Town()
    town.apply(
        ours({"networks": {"app": {"labels": {"a": "b", "c": "d"}}}, "containers": {"web": {"networks": ["app"]}}})
    )
    made = town.planned(ours({"networks": {"app": {"labels": {"a": "x"}, "dns": "192.0.2.1"}}}))
    assert str(made.changes[0]) == ("~ network app: dns none -> 192.0.2.1; labels a=b, c=d -> a=x")
    town.apply(ours({"networks": {"app": {"labels": {"a": "x"}, "dns": "192.0.2.1"}}}))
    app = town.seen().networks["app"]
    assert (app.labels, app.dns) == ({"a": "x", APPLIED: "p"}, ("192.0.2.1",))
    town.create_network("mine")
    town.apply(ours({"networks": {"mine": {"labels": {"a": "b"}}}}))
    assert town.seen().networks["mine"].labels == {"a": "b"}, "it is not an apply's"


def test_what_another_project_made_stays() -> None:
    town = Town()
    document = {"networks": {"app": {}}, "containers": {"web": {"networks": ["app"]}}}
    town.apply(ours(document, "one"))
    assert not town.apply(ours(document, "two"), prune=True).steps
    assert not town.apply(ours({}, "two"), prune=True).steps
    with pytest.raises(Invalid, match="made by an apply of one"):
        town.apply(ours({"containers": {"web": {"networks": ["app"], "ports": ["80:80"]}}}, "two"))


def test_who_is_on_a_network_that_would_go_is_named() -> None:
    town = Town()
    town.apply(ours({"networks": {"app": {}}}))
    town.create_container("mine", networks=["app"])
    with pytest.raises(Invalid, match=r"networks.app: network app cannot be removed or made anew: container mine"):
        town.apply(ours({"networks": {"app": {"internal": True}}}))
    with pytest.raises(Invalid, match="network app cannot be removed or made anew: container mine"):
        town.apply(ours({}), prune=True)
