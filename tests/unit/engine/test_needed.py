"""What is read of the host before a command is decided: no more than it needs, for each look takes time."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from netrt.engine.needed import needed
from netrt.model.command import Attach, Definition, Endpoint
from netrt.model.container import Sandbox
from netrt.model.network import BRIDGE_NAME, Mode, Network
from netrt.model.plugged import Plugged
from netrt.model.state import State


def network(mode: Mode, options: Mapping[str, str], plugin: str = "") -> Network:
    return Network(id="a" * 64, name="lan", mode=mode, created="", options=dict(options), plugin=plugin)


def attach(definition: Definition | None = None) -> Attach:
    return Attach(
        container="c" * 64,
        known_as="c",
        generated_name="",
        sandbox=Sandbox(path="/run/netns/c", owned=False, inode=1),
        definition=definition,
        endpoint=Endpoint(network="lan"),
        plugged=Plugged(network="lan"),
    )


@pytest.mark.parametrize(
    ("mode", "options", "names"),
    [
        (Mode.BRIDGE, {BRIDGE_NAME: "cni0"}, set()),
        (Mode.BRIDGE, {"ndp_proxy": "uplink"}, {"uplink"}),
        (Mode.MACVLAN, {"parent": "uplink"}, {"uplink"}),
    ],
)
def test_links_that_a_plugin_s_network_stands_on(mode: Mode, options: dict[str, str], names: set[str]) -> None:
    defined = attach(Definition(id="a" * 64, name="lan", plugin="netrt-bridge", mode=mode, options=options))
    first = needed(State(), defined)
    assert first.fresh
    assert first.parents == names
    later = needed(State().with_network(network(mode, options, "netrt-bridge")), defined)
    assert not later.fresh
    assert later.parents == names


def test_a_bridge_of_somebody_else_is_looked_at() -> None:
    guest = network(Mode.BRIDGE, {BRIDGE_NAME: "br0", "existing_bridge": "true"})
    assert needed(State().with_network(guest), attach()).parents == {"br0"}
