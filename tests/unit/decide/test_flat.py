"""Deciding runs no longer on a full host than on an empty one.

Counted are the interpreter's instructions, which no noise disturbs; what dictionaries copy inside of C (5 ns an entry) is not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from netrt.decide.decide import decide
from netrt.decide.networks import initial_state
from netrt.model.command import Command, Connect, CreateContainer, CreateNetwork, Disconnect, Endpoint
from netrt.model.network import Subnet
from netrt.model.port import PortMapping, parse_port
from netrt.model.state import State
from tests.strategies import NOW, ROOMY, identifier

APP = CreateNetwork(id=identifier(1), name="app", subnets=(Subnet(cidr="10.1.0.0/16"), Subnet(cidr="fd00:1::/64")))
BACK = CreateNetwork(id=identifier(2), name="back", subnets=(Subnet(cidr="10.2.0.0/16"),))
WEB = CreateContainer(id=identifier(3), name="web", network_mode="app")


def instructions(work: Callable[[], object]) -> int:
    """Those of a second run: Python 3.13 does not tell the instructions of a function that is traced for the first time."""
    _counted(work)
    return _counted(work)


def _counted(work: Callable[[], object]) -> int:
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def apply(state: State, *commands: Command) -> State:
    for command in commands:
        state = decide(state, command, ROOMY, NOW).state
    return state


def container(number: int, *ports: PortMapping) -> CreateContainer:
    return CreateContainer(id=identifier(100 + number), name=f"c{number}", network_mode="app", ports=ports)


EMPTY = apply(initial_state(), APP, BACK, WEB)


def many_containers() -> State:
    return apply(EMPTY, *(container(number) for number in range(1000)))


def many_ports() -> State:
    ports = [parse_port(f"{port}:80") for port in range(40000, 50000)]
    return apply(EMPTY, *(container(number, *ports[number * 100 : number * 100 + 100]) for number in range(100)))


def many_released() -> State:
    full = many_containers()
    for key in [key for key in full.attachments if key[0] != WEB.id]:
        full = full.without_attachment(key).without_container(key[0])
    return full


COMMANDS: dict[str, Command] = {
    "create": CreateContainer(id=identifier(4), name="new", network_mode="app"),
    "create with a port": CreateContainer(
        id=identifier(4), name="new", network_mode="app", ports=(parse_port("8080:80"),)
    ),
    "create with a free port": CreateContainer(
        id=identifier(4), name="new", network_mode="app", ports=(parse_port("80"),)
    ),
    "create with addresses": CreateContainer(
        id=identifier(4), name="new", endpoints=(Endpoint(network="app", address4="10.1.99.9", address6="fd00:1::9:9"),)
    ),
    "connect": Connect(container="web", endpoint=Endpoint(network="back")),
    "disconnect": Disconnect(container="web", network="app"),
}


@pytest.fixture(scope="module", params=[many_containers, many_ports, many_released])
def full(request: pytest.FixtureRequest) -> State:
    state: State = request.param()
    return state


@pytest.mark.parametrize("what", COMMANDS)
def test_flat(full: State, what: str) -> None:
    command = COMMANDS[what]
    empty_host = instructions(lambda: decide(EMPTY, command, ROOMY, NOW))
    full_host = instructions(lambda: decide(full, command, ROOMY, NOW))
    assert full_host <= empty_host * 1.2 + 500, f"{empty_host} on an empty host, {full_host} on a full one"
