"""Plugins as the daemon does their work, over a fake kernel: from what the program sends to what it prints."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netrt.api.answer import Api
from netrt.api.hub import Hub
from netrt.api.plugins.dispatch import run
from netrt.daemon.publisher import Publisher
from netrt.dataplane.facts import HostFacts, Parent
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import HOST, Foreign
from netrt.decide.networks import initial_state
from netrt.engine.engine import Engine
from netrt.errors import Invalid
from netrt.ipam.pools import DEFAULT
from netrt.model.container import Sandbox
from netrt.model.state import State
from netrt.paths import Paths
from netrt.store.memory import MemoryStore
from tests.fakes import FakeGlance, FakeKernel, nothing_inside

Json = dict[str, Any]

NETNS = "/run/netns/c1"

VARIABLES = {"CNI_CONTAINERID": "c1", "CNI_NETNS": NETNS, "CNI_IFNAME": "eth0", "CNI_PATH": "/nowhere"}

LOCAL: Json = {"type": "netrt-host-local", "subnet": "10.22.0.0/16", "routes": [{"dst": "0.0.0.0/0"}]}

BEFORE: Json = {
    "cniVersion": "1.1.0",
    "interfaces": [{"name": "ref0"}, {"name": "veth1"}, {"name": "eth0", "sandbox": NETNS}],
    "ips": [{"address": "10.33.0.2/16", "gateway": "10.33.0.1", "interface": 2}],
}
"""What somebody else's bridge plugin yielded."""

CONFIGS: dict[str, Json] = {
    "netrt": {"mode": "bridge", "subnets": ["10.21.0.0/16"]},
    "netrt-bridge": {"isGateway": True, "ipMasq": True, "ipam": LOCAL},
    "netrt-macvlan": {"master": "uplink", "ipam": LOCAL},
    "netrt-host-local": {"ipam": LOCAL},
    "netrt-portmap": {"runtimeConfig": {"portMappings": [{"hostPort": 80, "containerPort": 80}]}, "prevResult": BEFORE},
    "netrt-bandwidth": {"ingressRate": 1_000_000, "prevResult": BEFORE},
    "netrt-tuning": {"mtu": 1400, "prevResult": BEFORE},
    "netrt-firewall": {"ingressPolicy": "same-bridge", "prevResult": BEFORE},
    "netrt-loopback": {},
}
"""Of each plugin, the least that works."""


def config(plugin: str, **more: Any) -> Json:
    """A configuration that works, with what is said here in it; None takes a field out."""
    whole = {"cniVersion": "1.1.0", "name": "mynet", "type": plugin, **CONFIGS[plugin], **more}
    return {key: value for key, value in whole.items() if value is not None}


def adopt(path: str) -> Sandbox:
    if path != NETNS:
        raise Invalid(f"no network namespace at {path!r}")
    return Sandbox(path=path, owned=False, inode=7)


class Desk:
    """Where plugins ask."""

    def __init__(self, api: Api, loop: asyncio.AbstractEventLoop) -> None:
        self.api = api
        self.loop = loop

    @property
    def state(self) -> State:
        return self.api.engine.state

    def ask(self, plugin: str, verb: str, given: Json | bytes | str, **variables: str) -> Json:
        """What is printed; {} where that is nothing. An error has a `code`. Empty variables are left out."""
        text = given if isinstance(given, bytes) else given.encode() if isinstance(given, str) else dumps(given)
        said = {"CNI_COMMAND": verb, **VARIABLES, **variables}
        lines = [f"{name}={value}".encode(errors="surrogateescape") for name, value in said.items() if value]
        head = b"\0".join([plugin.encode(), *lines])
        printed = self.loop.run_until_complete(run(self.api, head + b"\0\0" + text))
        answer: Json = json.loads(printed.output) if printed.output else {}
        assert printed.well == ("code" not in answer), answer
        return answer


def dumps(given: Json) -> bytes:
    return json.dumps(given).encode()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    facts = HostFacts(parents={"uplink": Parent(), "x": Parent()})
    paths, kernel, hub = Paths.under(str(tmp_path)), FakeKernel(facts), Hub()
    kernel.adopted = {NETNS: 7}
    kernel.host = HostState.of([Foreign(netns=NETNS, name="eth0"), Foreign(netns=HOST, name="uplink")])
    engine = Engine(kernel, MemoryStore(initial_state()), Publisher(paths, hub.committed), DEFAULT)
    engine.start()
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        yield Desk(
            Api(engine=engine, hub=hub, paths=paths, adopt=adopt, glance=FakeGlance(), look_inside=nothing_inside), loop
        )
        engine.close()
        loop.run_until_complete(loop.shutdown_default_executor())
