"""What is read of the host before a command is decided: no more than it needs, for each look takes time."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from netrt.engine.needed import needed
from netrt.model.command import Adjust, Attach, Command, CreateContainer, Definition, Endpoint, NoteProcess, Publish
from netrt.model.container import ProcessSpec, ProcessState, Sandbox
from netrt.model.network import BRIDGE_NAME, Mode, Network
from netrt.model.plugged import Plugged
from netrt.model.port import PortMapping, parse_port
from netrt.model.state import State
from tests.unit.decide.asking import Asked


def network(mode: Mode, options: Mapping[str, str], plugin: str = "") -> Network:
    return Network(id="a" * 64, name="lan", mode=mode, created="", options=dict(options), plugin=plugin)


def attach(definition: Definition | None = None, ports: tuple[PortMapping, ...] = ()) -> Attach:
    return Attach(
        container="c" * 64,
        known_as="c",
        generated_name="",
        sandbox=Sandbox(path="/run/netns/c", owned=False, inode=1),
        definition=definition,
        endpoint=Endpoint(network="lan"),
        plugged=Plugged(network="lan"),
        ports=ports,
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


@pytest.mark.parametrize(
    ("text", "fresh"),
    [
        ("192.0.2.1:8080:80", True),
        ("[2001:db8::1]:8080:80", True),
        ("8080:80", False),
        ("127.0.0.1:8080:80", False),
        ("[::1]:8080:80", False),
        ("0.0.0.0:8080:80", False),
        ("[::]:8080:80", False),
    ],
)
def test_addresses_of_the_host_are_read_anew_where_a_port_is_for_one(text: str, fresh: bool) -> None:
    ports, host = (parse_port(text),), Asked()
    host.network("lan", "10.1.0.0/24", "fd00:1::/64")
    web = host.run("web", "lan").id
    commands: list[Command] = [
        CreateContainer(id="d" * 64, network_mode="lan", ports=ports),
        Publish(container="web", add=ports),
        attach(ports=ports),
        Adjust(container=web, ifname="eth0", network="lan", holder="portmap", ports=ports),
    ]
    assert [needed(host.state, command).fresh for command in commands] == [fresh] * len(commands)
    assert not needed(host.state, Publish(container="web", remove=ports)).fresh


def test_addresses_of_the_host_are_read_anew_where_ports_are_taken() -> None:
    host = Asked()
    host.network("lan", "10.1.0.0/24")
    web = host.run("web", "lan", publish=["192.0.2.1:8080:80"], process=ProcessSpec(command=("true",))).id
    runs, ended = ProcessState(pid=7, started="now"), ProcessState(started="now", finished="now")
    assert needed(host.state, NoteProcess(container=web, state=runs)).fresh
    host.ask(NoteProcess(container=web, state=ended))
    again = ProcessState(started="now", finished="now", starting=True)
    assert needed(host.state, NoteProcess(container=web, state=again)).fresh
    host.ask(NoteProcess(container=web, state=again))
    assert not needed(host.state, NoteProcess(container=web, state=runs)).fresh
    assert not needed(host.state, NoteProcess(container=web, state=ended)).fresh


def test_addresses_of_the_host_are_read_anew_where_a_network_binds_ports_to_one() -> None:
    host = Asked()
    host.network("lan", "10.1.0.0/24", options={"com.docker.network.bridge.host_binding_ipv4": "192.0.2.1"})
    for text, fresh in (("8080:80", True), ("127.0.0.1:8080:80", False)):
        command = CreateContainer(id="d" * 64, network_mode="lan", ports=(parse_port(text),))
        assert needed(host.state, command).fresh is fresh
