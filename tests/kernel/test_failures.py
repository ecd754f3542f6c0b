"""Every operation of every flow refused once, and the engine killed before and after every operation, on a real kernel.

After a refusal the kernel holds what it held before; but what is done after the save, because it cannot be taken back, is left
to the next start. After a kill a new engine on the same store brings it to the state before or to the state after, and both are
whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from netrt.dataplane.ops import Op
from netrt.decide.networks import initial_state
from netrt.engine.engine import Engine
from netrt.errors import KernelRefused
from netrt.ipam.pools import Pools
from netrt.kernel.kernel import LinuxKernel
from netrt.model.command import (
    Command,
    Connect,
    CreateContainer,
    CreateNetwork,
    Disconnect,
    Endpoint,
    Limit,
    Publish,
    RemoveContainer,
    RemoveNetwork,
    UpdateNetwork,
)
from netrt.model.network import Mode, Subnet, parents_named
from netrt.model.port import parse_port
from netrt.paths import Paths
from netrt.store.memory import MemoryStore
from tests.host import Host
from tests.snapshot import differences, snapshot

pytestmark = pytest.mark.root

NET, OTHER, WEB, DB = "a" * 64, "b" * 64, "c" * 64, "d" * 64


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the engine may catch it and tidy up."""


class Hurt(LinuxKernel):
    """The real kernel, with one operation that is refused, or before which the engine dies."""

    at = -1
    kill = False
    count = 0

    def apply(self, ops: Sequence[Op]) -> None:
        for op in ops:
            Hurt.count += 1
            if Hurt.count - 1 == Hurt.at:
                if Hurt.kill:
                    self.close()  # as the end of a process does
                    raise Killed
                raise KernelRefused(f"cannot {op.describe()}: injected", errno=5)
            super().apply((op,))


class Nobody:
    def repaired(self, *_: Any) -> None:
        pass

    def committed(self, *_: Any) -> None:
        pass

    leaving = arriving = again = committed


@dataclass
class Flow:
    """Commands that lead to the state before, and the one that is hurt."""

    given: tuple[Command, ...]
    then: Command


network = CreateNetwork(id=NET, name="app", ipv6=True)
other = CreateNetwork(id=OTHER, name="back", internal=True)
web = CreateContainer(
    id=WEB, name="web", network_mode="app", endpoints=(Endpoint(network="app"),), ports=(parse_port("8080:80"),)
)
db = CreateContainer(
    id=DB, name="db", network_mode="app", endpoints=(Endpoint(network="app"), Endpoint(network="back"))
)

lan = CreateNetwork(
    id=NET,
    name="lan",
    mode=Mode.MACVLAN,
    ipv6=True,
    subnets=(Subnet(cidr="192.0.2.0/24"), Subnet(cidr="2001:db8::/64")),
    options={"parent": "uplink", "host_access": "true"},
)
box = CreateContainer(id=WEB, name="box", network_mode="lan")
second = CreateContainer(id=DB, name="second", network_mode="lan")
idle = CreateContainer(id=DB, name="idle", network_mode="back")

plain = CreateNetwork(id=NET, name="app")
fixed = CreateNetwork(id=NET, name="app", ipv6=True, subnets=(Subnet(cidr="10.1.0.0/24"), Subnet(cidr="fd00:1::/112")))
uplinked = CreateNetwork(
    id=NET, name="part", ipv6=True, subnets=(Subnet(cidr="2001:db8:0:0:1::/80"),), options={"ndp_proxy": "uplink"}
)
idle_six = CreateContainer(id=DB, name="idle", network_mode="none")
boxed = CreateContainer(id=WEB, name="box", network_mode="part")
front = CreateNetwork(id=OTHER, name="front", ipv6=True)
both = CreateContainer(
    id=DB, name="both", network_mode="app", endpoints=(Endpoint(network="app"), Endpoint(network="front"))
)

ports = Publish(container="web", add=(parse_port("8081:81"), parse_port("90-92:90-92/udp")), remove=(parse_port("80"),))

BRIDGE = {"com.docker.network.bridge.name": "br0"}
yard = CreateNetwork(id=NET, name="yard", options=BRIDGE)
lent = CreateNetwork(id=NET, name="yard", options=BRIDGE, subnets=(Subnet(cidr="10.9.0.0/24", gateway="10.9.0.1"),))
guest = CreateContainer(id=WEB, name="guest", network_mode="yard", ports=(parse_port("8080:80"),))

FLOWS = {
    "lend a bridge of others an address": Flow((network,), dataclasses.replace(lent, id=OTHER)),
    "take it back": Flow((lent,), RemoveNetwork(network="yard")),
    "attach to a bridge of others": Flow((yard,), guest),
    "detach from a bridge of others": Flow((yard, guest), RemoveContainer(container="guest")),
    "change published ports": Flow((network, web), ports),
    "update a network": Flow(
        (fixed, web),
        UpdateNetwork(network="app", grow=("10.1.0.0/22", "fd00:1::/64"), add=(Subnet(cidr="10.2.0.0/24"),)),
    ),
    "give a network IPv6": Flow((plain, web), UpdateNetwork(network="app", ipv6=True)),
    "attach where the host answers": Flow(
        (uplinked, idle_six), Connect(container="idle", endpoint=Endpoint(network="part"))
    ),
    "detach where the host answers": Flow((uplinked, boxed), RemoveContainer(container="box")),
    "limit bandwidth": Flow((network, web), Limit(container="web", bandwidth="ingress=1mbit,egress=2mbit")),
    "limit no more": Flow(
        (network, web, Limit(container="web", bandwidth="ingress=1mbit,egress=2mbit")),
        Limit(container="web", bandwidth="ingress=0,egress=0"),
    ),
    "connect to a second way out": Flow(
        (network, front, web), Connect(container="web", endpoint=Endpoint(network="front", gw_priority=1))
    ),
    "disconnect from the way out": Flow((network, front, both), Disconnect(network="app", container="both")),
    "attach by macvlan": Flow((lan,), box),
    "attach one more by macvlan": Flow((lan, box), second),
    "connect by macvlan": Flow((lan, other, idle), Connect(container="idle", endpoint=Endpoint(network="lan"))),
    "disconnect from macvlan": Flow((lan, box), Disconnect(network="lan", container="box")),
    "detach from macvlan": Flow((lan, box, second), RemoveContainer(container="box")),
    "create the first network": Flow((), network),
    "create a second network": Flow((network,), other),
    "attach with a port": Flow((network,), web),
    "attach to two networks": Flow((network, other, web), db),
    "connect": Flow((network, other, web), Connect(container="web", endpoint=Endpoint(network="back"))),
    "disconnect": Flow((network, other, db), Disconnect(network="back", container="db")),
    "disconnect what has the port": Flow((network, web), Disconnect(network="app", container="web")),
    "detach with a port": Flow((network, web), RemoveContainer(container="web")),
    "remove a network of two": Flow((network, other), RemoveNetwork(network="back")),
    "remove the last network": Flow((network,), RemoveNetwork(network="app")),
}


@pytest.fixture
def engine_on() -> Iterator[Callable[[MemoryStore], Engine]]:
    made: list[Engine] = []

    def make(store: MemoryStore) -> Engine:
        engine = Engine(Hurt(Paths()), store, Nobody(), Pools(ula="fd12:3456:789a::/48"))
        made.append(engine)
        return engine

    Hurt.at, Hurt.kill, Hurt.count = -1, False, 0
    yield make
    Hurt.at = -1
    for engine in made:
        if engine.alive:
            engine.close()


def _before(host: Host, flow: Flow, engine: Engine) -> dict[str, Any]:
    for switch in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        Path("/proc/sys/net", switch).write_text("1")  # a host that forwards by its own will: we need no guard
    if any(
        isinstance(command, CreateNetwork) and parents_named(command.mode, command.options) for command in flow.given
    ):
        host.outside()
    if any(isinstance(command, CreateNetwork) and command.options == BRIDGE for command in (*flow.given, flow.then)):
        host.run(
            "ip",
            "-batch",
            "-",
            input="link add br0 up address 02:00:00:00:08:01 type bridge\naddr add 10.8.0.1/24 dev br0\n",
        )
    Hurt.at = -1
    engine.start()
    for command in flow.given:
        engine.submit(command).result(20)
    return snapshot(host)


def pinned() -> set[str]:
    return {str(path) for path in Path("/run/netns").glob("netrt-*")}


def sandboxes(engine: Engine) -> set[str]:
    return {container.sandbox.path for container in engine.state.containers.values() if container.sandbox.owned}


@pytest.mark.parametrize("name", FLOWS)
def test_a_refused_operation_changes_nothing(name: str, host: Host, engine_on: Callable[[MemoryStore], Engine]) -> None:
    flow, store = FLOWS[name], MemoryStore(initial_state())
    engine = engine_on(store)
    before, saved = _before(host, flow, engine), engine.state
    points = 0
    while True:
        Hurt.count, Hurt.at = 0, points
        job = engine.submit(flow.then)
        if job.exception(20) is None:
            break
        assert isinstance(job.exception(), KernelRefused), job.exception()
        assert not differences(before, snapshot(host)), f"operation {points} refused"
        assert engine.state == saved
        points += 1
    assert points >= 1
    assert Hurt.count in (points, points + 1), "each operation was refused once, the last one perhaps after the save"
    Hurt.at = -1
    engine.close()
    again = engine_on(store)
    again.start()
    assert pinned() == sandboxes(again)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("name", FLOWS)
def test_a_kill_at_any_operation_leaves_before_or_after(
    name: str, host: Host, engine_on: Callable[[MemoryStore], Engine]
) -> None:
    flow, store = FLOWS[name], MemoryStore(initial_state())
    engine = engine_on(store)
    before, saved = _before(host, flow, engine), store.load()
    points = 0
    while True:
        Hurt.count, Hurt.at, Hurt.kill = 0, points, True
        job = engine.submit(flow.then)
        if job.exception(20) is None:
            break
        assert isinstance(job.exception(), Killed)
        Hurt.at = -1
        engine = engine_on(store)
        engine.start()
        assert pinned() == sandboxes(engine)
        if store.load() != saved:
            break
        assert not differences(before, snapshot(host)), f"killed before operation {points}"
        points += 1
    assert points >= 1
    after = snapshot(host)
    engine.close()
    engine_on(store).start()
    assert not differences(after, snapshot(host)), "killed after the save"


def test_a_link_goes_at_once_though_its_namespace_is_held(
    host: Host, engine_on: Callable[[MemoryStore], Engine]
) -> None:
    """By whom it is, and for how long, must not matter: its MAC address stands in the way of the next one's."""
    store = MemoryStore(initial_state())
    engine = engine_on(store)
    _before(host, Flow((lan,), box), engine)
    forgotten = MemoryStore(store.load())
    engine.submit(box).result(20)
    with open("/run/netns/netrt-box", "rb"):
        engine = engine_on(forgotten)
        engine.start()
        assert not Path("/run/netns/netrt-box").exists()
        engine.submit(box).result(20)
