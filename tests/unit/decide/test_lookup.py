"""What people mean by a name."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from netrt.decide.lookup import find_container, find_network, listed, shown
from netrt.errors import Invalid, NotFound
from netrt.model.state import State
from tests.unit.decide.asking import Asked


@pytest.fixture
def state() -> State:
    host = Asked()
    web = host.run("web", "none")
    host.run("dead", "none")
    state = host.state
    for name, digits in (("one", "dead00"), ("two", "dead01"), ("three", "beef00")):
        path = replace(web.sandbox, path=f"/run/netns/{name}")
        state = state.with_container(replace(web, id=digits.ljust(64, "0"), name=name, sandbox=path))
    return state


@pytest.mark.parametrize(
    ("ref", "name"),
    [("web", "web"), ("dead", "dead"), ("dead00", "one"), ("beef", "three"), ("dead01".ljust(64, "0"), "two")],
)
def test_name_then_id_then_prefix(state: State, ref: str, name: str) -> None:
    assert find_container(state, ref).name == name


def test_a_prefix_of_several(state: State) -> None:
    with pytest.raises(Invalid, match=r"^several containers have ids that begin with dead0: one, two$"):
        find_container(state, "dead0")


@pytest.mark.parametrize(
    "ref", ["bee", "beeg", "", "Web", "web ", "beef01", "/web", "*", "0" * 64, "'", "\n", "x" * 300]
)
def test_nothing_else(state: State, ref: str) -> None:
    with pytest.raises(NotFound, match=r"^no container named .{1,64} \(have: dead, one, three, two, web\)$"):
        find_container(state, ref)


def test_networks() -> None:
    host = Asked()
    with pytest.raises(NotFound, match=r"^no network named app \(there are none\)$"):
        find_network(host.state, "app")
    app = host.network("app")
    assert find_network(host.state, "app") == find_network(host.state, app.id[:4]) == app
    assert find_network(host.state, "none").name == "none"


def test_lists_and_odd_names() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(map(str, range(12))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
    assert shown("web-1.x") == "web-1.x"
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 300)) < 50
