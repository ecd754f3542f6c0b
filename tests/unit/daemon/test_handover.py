"""Names handed over: when, in which order, and what becomes of them where something fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from netrt.compile.names import Resolving
from netrt.daemon.handover import Handover
from netrt.daemon.publisher import Publisher
from netrt.dataplane.ops import DelLink, Op
from netrt.decide.networks import initial_state
from netrt.dns.difference import Change, apply
from netrt.dns.zone import Names, Upstream
from netrt.engine.engine import Engine
from netrt.errors import Conflict, KernelRefused, Unavailable
from netrt.ipam.pools import DEFAULT
from netrt.model.command import Command, Connect, CreateContainer, CreateNetwork, Disconnect, Endpoint, RemoveContainer
from netrt.model.state import State
from netrt.paths import Paths
from netrt.resolver.messages import Taken
from netrt.store.memory import MemoryStore
from tests.fakes import FakeKernel

NET, WEB, DB = "a" * 64, "b" * 64, "c" * 64


class FakeResolver:
    """Netrt-dns as netrtd sees it: `served` is what it answers from, `gone` that it is not there."""

    def __init__(self) -> None:
        self.served = Names()
        self.gone = False
        self.pid = 100
        self.wholes = 0
        self.log: list[object] = []

    @property
    def absent(self) -> bool:
        return self.gone

    def connect(self) -> int:
        if self.gone:
            raise Unavailable("netrt-dns is not there")
        return self.pid

    def take(self, names: Names) -> Taken:
        self.connect()
        self.served = names
        self.wholes += 1
        return Taken(mark=names.mark, version="")

    def begin(self, change: Change) -> None:
        self.connect()
        self.begun = change

    def finish(self) -> Taken:
        self.connect()
        change = self.begun
        if change.since != self.served.mark:
            raise Conflict("a gap")
        self.served = apply(self.served, change)
        self.log.append(change)
        return Taken(mark=self.served.mark, version="")

    def close(self) -> None:
        pass

    def hosts(self) -> dict[str, tuple[str, ...]]:
        return dict(self.served.zones[NET].hosts)


class Watching(FakeKernel):
    """Notes which names there were when a link went, and may refuse that."""

    def __init__(self, resolver: FakeResolver) -> None:
        super().__init__()
        self.resolver = resolver
        self.names_at_end: list[set[str]] = []
        self.refuse = False

    def apply(self, ops: Sequence[Op]) -> None:
        if any(isinstance(op, DelLink) for op in ops):
            self.names_at_end.append(set(self.resolver.hosts()))
            if self.refuse:
                self.refuse = False
                raise KernelRefused("no", errno=1)
        super().apply(ops)


@dataclass
class Desk:
    resolver: FakeResolver
    kernel: Watching
    handover: Handover
    engine: Engine
    begun: list[str] = field(default_factory=list)
    resolving: Resolving = field(default_factory=Resolving)
    comes_back: bool = True

    def do(self, command: Command) -> State:
        return self.engine.submit(command).result(5).state

    def begin(self) -> None:
        self.begun.append("begun")
        if self.comes_back:
            self.resolver.gone, self.resolver.served = False, Names()
            self.resolver.pid += 1


@pytest.fixture
def desk(tmp_path: object) -> Iterator[Desk]:
    resolver = FakeResolver()
    kernel = Watching(resolver)
    handover = Handover(resolver, lambda: made.begin(), lambda: made.resolving)  # type: ignore[arg-type] # noqa: PLW0108
    publisher = Publisher(Paths.under(str(tmp_path)), lambda *_: None, handover)
    made = Desk(resolver, kernel, handover, Engine(kernel, MemoryStore(initial_state()), publisher, DEFAULT))
    made.engine.start()
    with closing(made.engine):
        made.do(CreateNetwork(id=NET, name="app"))
        for container_id, name in ((WEB, "web"), (DB, "db")):
            made.do(
                CreateContainer(id=container_id, name=name, network_mode="app", endpoints=(Endpoint(network="app"),))
            )
        yield made


def test_names_are_served_when_a_command_is_answered(desk: Desk) -> None:
    assert {"web", "db"} <= desk.resolver.hosts().keys()
    assert desk.resolver.wholes == 1, "then only what changes is told"


@pytest.mark.parametrize(
    "command",
    [RemoveContainer(container="web"), Disconnect(network="app", container="web")],
    ids=lambda command: type(command).__name__,
)
def test_names_go_before_what_they_lead_to(desk: Desk, command: Command) -> None:
    told = len(desk.resolver.log)
    desk.do(command)
    assert [("web" in names, "db" in names) for names in desk.kernel.names_at_end] == [(False, True)]
    assert "web" not in desk.resolver.hosts()
    assert len(desk.resolver.log) == told + 1, "once"


def test_names_stay_where_their_end_is_refused(desk: Desk) -> None:
    before = desk.resolver.hosts()
    desk.kernel.refuse = True
    with pytest.raises(KernelRefused):
        desk.do(RemoveContainer(container="web"))
    assert "web" not in desk.kernel.names_at_end[0]
    assert desk.resolver.hosts() == before


def test_what_comes_later_is_named_later(desk: Desk) -> None:
    desk.do(Disconnect(network="app", container="web"))
    desk.do(Connect(container="web", endpoint=Endpoint(network="app", aliases=("www",))))
    assert desk.resolver.hosts()["www"] == desk.resolver.hosts()["web"]


def test_a_gap_is_closed_by_telling_everything(desk: Desk) -> None:
    desk.resolver.served = Names(mark="somebody else's")
    desk.do(RemoveContainer(container="web"))
    assert "web" not in desk.resolver.hosts()
    assert "db" in desk.resolver.hosts()
    assert desk.begun == []


def test_one_that_is_gone_is_brought_back_by_the_next_command(desk: Desk) -> None:
    desk.resolver.gone = True
    desk.do(RemoveContainer(container="web"))
    assert desk.begun == ["begun"]
    assert "web" not in desk.resolver.hosts()
    assert not desk.handover.due


def test_one_that_does_not_come_back_keeps_no_command_waiting(desk: Desk) -> None:
    desk.resolver.gone, desk.comes_back = True, False
    desk.do(Disconnect(network="app", container="web"))
    desk.do(Connect(container="web", endpoint=Endpoint(network="app")))
    assert desk.begun == ["begun"], "it is not tried with each command"
    assert desk.handover.due
    desk.resolver.gone = False
    desk.engine.publish(lambda _: desk.handover.again()).result(5)
    assert {"web", "db"} <= desk.resolver.hosts().keys()
    assert not desk.handover.due


def test_its_end_brings_it_back(desk: Desk) -> None:
    desk.resolver.gone = True
    desk.engine.publish(lambda _: desk.handover.again(desk.resolver.pid)).result(5)
    assert desk.begun == ["begun"]
    assert {"web", "db"} <= desk.resolver.hosts().keys()


def test_other_resolvers_of_the_host_are_told(desk: Desk) -> None:
    desk.resolving = Resolving(upstreams=(Upstream("192.0.2.9"),))
    desk.engine.publish(desk.handover.settle).result(5)
    assert all(view.upstreams == (Upstream("192.0.2.9"),) for view in desk.resolver.served.views.values())
