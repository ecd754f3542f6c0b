"""Commands that wait together: what comes of each is what would have come of one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netrt.dataplane.ops import Op
from netrt.decide.decide import decide
from netrt.decide.networks import initial_state
from netrt.engine.engine import Engine, Outcome
from netrt.engine.together import MOST
from netrt.errors import Exists, NetrtError
from netrt.ipam.pools import DEFAULT
from netrt.model.command import Command, CreateContainer, CreateNetwork, RemoveContainer
from netrt.model.container import Sandbox
from netrt.model.decision import Event
from netrt.model.network import Subnet
from netrt.model.port import parse_port
from netrt.model.state import State, check_invariants
from netrt.spans import Trace, into
from netrt.store.memory import MemoryStore
from tests.fakes import FakeKernel
from tests.strategies import NOW, identifier

NET = CreateNetwork(id="a" * 64, name="lan", subnets=(Subnet(cidr="10.1.0.0/24"),))


class Listener:
    """Told of commits: how many there were, and all their events."""

    def __init__(self) -> None:
        self.commits = 0
        self.events: list[Event] = []

    def committed(self, before: State, after: State, events: Sequence[Event]) -> None:
        self.commits += 1
        self.events += events

    def nothing(self, *_: object) -> None: ...

    leaving = arriving = again = repaired = nothing


class Host:
    """An engine that can be kept waiting."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.kernel = FakeKernel(fail_at=fail_at)
        self.listener = Listener()
        self.store = MemoryStore(initial_state())
        self.engine = Engine(self.kernel, self.store, self.listener, DEFAULT, clock=lambda: NOW)
        self.engine.start()

    def ask(self, command: Command) -> Outcome:
        return self.engine.submit(command).result(10)

    def at_once(self, commands: Sequence[Command]) -> list[Future[Outcome]]:
        """All of these wait before the first is begun."""
        may_go = threading.Event()
        held = self.engine.look(lambda *_: may_go.wait(10))
        asked = [self.engine.submit(command) for command in commands]
        may_go.set()
        assert held.result(10)
        for each in asked:
            each.exception(10)
        return asked


@contextmanager
def host(fail_at: int | None = None) -> Iterator[Host]:
    made = Host(fail_at)
    try:
        yield made
    finally:
        made.engine.close()


def create(number: int, *ports: str, **more: Any) -> CreateContainer:
    published = tuple(parse_port(text) for text in ports)
    more = {"name": f"c{number}", "network_mode": "lan", "ports": published, **more}
    return CreateContainer(id=identifier(number), **more)


def test_they_are_one_commit() -> None:
    with host() as one:
        one.ask(NET)
        before = one.listener.commits
        asked = one.at_once([create(number, f"{8000 + number}:80") for number in range(1, 9)])
        assert one.listener.commits == before + 1
        addresses = [each.result().state.attachments_of(each.result().id)[0].address4 for each in asked]
        assert addresses == [f"10.1.0.{number}/24" for number in range(2, 10)]
        assert one.engine.state.attachments == one.store.load().attachments
        assert [event.action for event in one.listener.events].count("connect") == 8
        gone = one.at_once([RemoveContainer(container=f"c{number}") for number in range(1, 9)])
        assert one.listener.commits == before + 2
        assert not any(each.exception() for each in gone)
        assert not one.engine.state.containers


def test_each_answer_has_its_own_state() -> None:
    with host() as one:
        one.ask(NET)
        asked = one.at_once([create(number) for number in range(1, 4)])
        assert [len(each.result().state.containers) for each in asked] == [1, 2, 3]


def test_one_that_cannot_be_had_is_refused_alone() -> None:
    with host() as one:
        one.ask(NET)
        one.ask(create(1, "8080:80"))
        asked = one.at_once([create(2), create(3, "8080:80"), create(4, network_mode="nowhere"), create(5)])
        assert [str(each.exception() or "") for each in asked] == [
            "",
            "port 8080/tcp is already allocated to c1",
            "no network named nowhere (have: lan)",
            "",
        ]
        assert set(one.engine.state.container_names) == {"c1", "c2", "c5"}


@pytest.mark.parametrize("number", range(0, 40, 3))
def test_a_refusal_of_the_kernel_hits_one(number: int) -> None:
    """The others are done one by one; the operation is refused once, so that may be all of them."""
    with host() as one:
        one.ask(NET)
        one.kernel.fail_at = one.kernel.tried + number
        asked = one.at_once([create(each, f"{8000 + each}:80") for each in range(1, 7)])
        failed = [each for each in asked if each.exception()]
        assert len(failed) <= 1
        assert len(one.engine.state.containers) == len(asked) - len(failed)
        held = one.kernel.host
        one.engine.repair().result(10)
        assert one.kernel.host == held


def test_a_name_that_two_want_goes_to_the_first() -> None:
    with host() as one:
        one.ask(NET)
        asked = one.at_once([create(1, name="web"), create(2, name="web")])
        assert asked[0].result().id == identifier(1)
        assert "web" in str(asked[1].exception())


def test_what_comes_and_what_goes_are_not_mixed() -> None:
    with host() as one:
        one.ask(NET)
        one.ask(create(1, "8080:80"))
        asked = one.at_once([RemoveContainer(container="c1"), create(2, "8080:80")])
        assert not any(each.exception() for each in asked)
        assert set(one.engine.state.container_names) == {"c2"}


def test_one_namespace_twice() -> None:
    with host() as one:
        one.ask(NET)
        one.kernel.adopted = {"/run/netns/x": 7}
        sandbox = Sandbox(path="/run/netns/x", owned=False, inode=7)
        asked = one.at_once([create(1, adopt=sandbox), create(2, adopt=sandbox)])
        assert sum(each.exception() is not None for each in asked) == 1


def test_a_namespace_of_ours_by_another_path() -> None:
    with host() as one:
        one.ask(NET)
        path = one.ask(create(1)).state.containers[identifier(1)].sandbox.path
        one.kernel.pins = {7: path}
        for other in (f"/var{path}", "/proc/99/ns/net"):
            sandbox = Sandbox(path=other, owned=False, inode=7)
            with pytest.raises(Exists, match="is already that of container c1"):
                one.ask(create(2, adopt=sandbox))
            asked = one.at_once([create(2, adopt=sandbox), create(3), create(4)])
            assert [bool(each.exception()) for each in asked] == [True, False, False]
            one.at_once([RemoveContainer(container="c3"), RemoveContainer(container="c4")])


def test_a_fault_half_way_is_taken_back() -> None:
    with host() as one:
        one.ask(NET)
        held, apply = one.kernel.host, one.kernel.apply

        def faulty(todo: Sequence[Op]) -> None:
            one.kernel.apply = apply  # type: ignore[method-assign]
            apply(todo[:3])
            raise ZeroDivisionError

        one.kernel.apply = faulty  # type: ignore[method-assign]
        with pytest.raises(ZeroDivisionError):
            one.ask(create(1, "8080:80"))
        assert one.kernel.host == held
        one.ask(create(1, "8080:80"))


def test_who_asks_where_the_time_goes_is_served_alone() -> None:
    with host() as one:
        one.ask(NET)
        trace = Trace()
        with into(trace):
            asked = one.at_once([create(1), create(2)])
        assert not any(each.exception() for each in asked)
        assert [span.name for span in trace.spans].count("store") == 2


def test_a_fault_is_everybodys_error_and_not_the_end() -> None:
    with host() as one:
        one.ask(NET)
        observe = one.kernel.observe
        one.kernel.observe = lambda scope: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        asked = one.at_once([create(number) for number in range(1, 4)])
        assert all(isinstance(each.exception(), ZeroDivisionError) for each in asked)
        one.kernel.observe = observe  # type: ignore[method-assign]
        assert not any(each.exception() for each in one.at_once([create(number) for number in range(1, 4)]))


def test_who_has_gone_gets_nothing() -> None:
    with host() as one:
        one.ask(NET)
        may_go = threading.Event()
        one.engine.look(lambda *_: may_go.wait(10))
        asked = [one.engine.submit(create(number)) for number in range(1, 5)]
        assert asked[1].cancel()
        may_go.set()
        for each in (asked[0], *asked[2:]):
            each.result(10)
        assert set(one.engine.state.container_names) == {"c1", "c3", "c4"}


def test_nobody_waits_for_more_than_so_many() -> None:
    with host() as one:
        one.ask(NET)
        before = one.listener.commits
        one.at_once([create(number) for number in range(1, MOST + 2)])
        assert one.listener.commits == before + 2


def test_the_end_comes_after_what_waits() -> None:
    one = Host()
    one.ask(NET)
    may_go = threading.Event()
    one.engine.look(lambda *_: may_go.wait(10))
    asked = [one.engine.submit(create(number)) for number in range(1, 4)]
    closer = threading.Thread(target=one.engine.close)
    closer.start()
    may_go.set()
    closer.join(10)
    assert not any(each.exception(10) for each in asked)


numbers = st.integers(1, 6)
COMMANDS: list[Callable[..., Command]] = [
    lambda number, port: create(number),
    lambda number, port: create(number, f"{8000 + port}:80"),
    lambda number, port: create(number + 10, name=f"c{number}"),
    lambda number, port: RemoveContainer(container=f"c{number}"),
]
commands = st.builds(lambda make, number, port: make(number, port), st.sampled_from(COMMANDS), numbers, numbers)


@settings(max_examples=150, deadline=None)
@given(asked=st.lists(commands, max_size=12))
def test_what_is_acknowledged_is_what_there_is(asked: list[Command]) -> None:
    """Whatever waits together: names, ports and addresses are held once; what was made and not removed is there, and only that;
    and the kernel holds exactly what a look at everything wants."""
    with host() as one:
        one.ask(NET)
        answers = one.at_once(asked)
        state = one.engine.state
        check_invariants(state)
        done = [command for command, answer in zip(asked, answers, strict=True) if not answer.exception()]
        made = [command.id for command in done if isinstance(command, CreateContainer)]
        assert state.containers.keys() <= set(made)
        assert len(state.containers) == len(made) - (len(done) - len(made))
        assert not one.engine.repair().result(10).plan
        for command, answer in zip(asked, answers, strict=True):
            if isinstance(answer.exception(), NetrtError) and isinstance(command, CreateContainer):
                again = [c for c in done if isinstance(c, CreateContainer | RemoveContainer)]
                assert again, "nothing else was done that could be in its way"


def test_one_after_the_other_decides_the_same() -> None:
    asked = [create(number, f"{8000 + number}:80") for number in range(1, 12)]
    with host() as one:
        one.ask(NET)
        one.at_once(asked)
        together = one.engine.state
    state = decide(initial_state(), NET, FakeKernel().known, NOW, DEFAULT).state
    for command in asked:
        state = decide(state, command, FakeKernel().known, NOW, DEFAULT).state
    assert together.attachments == state.attachments
    assert together.containers == state.containers
