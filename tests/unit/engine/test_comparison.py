"""What a comparison in pieces finds, while commands are done between them."""

from __future__ import annotations

from dataclasses import replace as changed

from msgspec.structs import replace

from netrt.dataplane.facts import HostFacts
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import Element, Key, Route
from netrt.dataplane.scope import Scope
from netrt.decide.decide import decide
from netrt.decide.networks import initial_state
from netrt.engine.change import Change, converge
from netrt.engine.comparison import Comparison
from netrt.engine.converge import converge_whole
from netrt.engine.heal import Healed
from netrt.errors import KernelRefused
from netrt.ipam.pools import DEFAULT
from netrt.model.command import Command, CreateContainer, CreateNetwork, Endpoint, RemoveContainer
from netrt.model.network import Subnet
from netrt.model.port import parse_port
from tests.fakes import FakeKernel
from tests.strategies import NOW, identifier

LAN = CreateNetwork(id="a" * 64, name="lan", subnets=(Subnet(cidr="10.1.0.0/24"),))


def container(number: int) -> CreateContainer:
    return CreateContainer(
        id=identifier(number),
        name=f"c{number}",
        network_mode="lan",
        endpoints=(Endpoint(network="lan"),),
        ports=(parse_port(f"{8000 + number}:80"),),
    )


class Kernel(FakeKernel):
    """Counts how often all rules were looked at."""

    whole = 0
    unreadable = False

    def elements(self) -> frozenset[Key]:
        if self.unreadable:
            raise KernelRefused("not now")
        return super().elements()

    def __init__(self) -> None:
        super().__init__()
        self.kept = self.known

    def facts(self, *, fresh: bool = False, **_: object) -> HostFacts:
        """Kept from call to call, as by the real one."""
        if fresh:
            self.kept = self.known
        return self.kept

    def observe(self, scope: Scope) -> HostState:
        self.whole += scope.rules
        return super().observe(scope)


class Host:
    """Twenty containers with a port each: several pieces."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.state = initial_state()
        for command in (LAN, *map(container, range(20))):
            self.state = decide(self.state, command, self.kernel.known, NOW, DEFAULT).state
        converge_whole(self.kernel, self.state, self.kernel.known)
        self.kernel.done.clear()

    def do(self, command: Command) -> None:
        decision = decide(self.state, command, self.kernel.known, NOW, DEFAULT)
        converge(
            self.kernel,
            Change(before=self.state, after=decision.state, touched=decision.touched, facts=self.kernel.known),
        )
        self.state = decision.state

    def compared(self, *between: Command) -> Healed:
        """With these commands after the first three pieces."""
        comparison, found, number = Comparison(), Healed(), 0
        while (healed := comparison.go_on(self.kernel, self.state)) is not None:
            found += healed
            number += 1
            if number == 3:
                for command in between:
                    self.do(command)
        return found

    def elements(self) -> set[Element]:
        return set(self.kernel.host.all(Element))


def test_in_order_nothing_is_done() -> None:
    assert Host().compared() == Healed()


def test_what_lacks_and_what_nobody_wants_is_found() -> None:
    host = Host()
    before = host.elements()
    lost = next(element for element in before if element.publishes)
    stray = replace(lost, at=(*lost.at[:-1], "9999"))
    (way, *_) = host.kernel.host.all(Route)
    host.kernel.host = host.kernel.host.replaced([lost.key, way.key], [stray])
    assert host.compared().done
    assert host.kernel.whole
    assert host.elements() == before
    assert way in host.kernel.host.all(Route)


def test_it_goes_by_what_the_host_is_like_now() -> None:
    host = Host()
    host.kernel.known = changed(host.kernel.known, congctl="cubic")
    assert host.compared().done
    assert {way.congctl for way in host.kernel.host.all(Route) if way.src} == {"cubic"}


def test_what_cannot_be_read_keeps_nothing_else_from_being_compared() -> None:
    host = Host()
    (way, *_) = host.kernel.host.all(Route)
    host.kernel.host = host.kernel.host.replaced([way.key])
    host.kernel.unreadable = True
    found = host.compared()
    assert len(found.refused) == 1
    assert way in host.kernel.host.all(Route)


def test_what_commands_do_meanwhile_is_no_fault() -> None:
    """Nor a reason to compare all rules at once."""
    host = Host()
    first, last = identifier(0), identifier(19)
    assert host.compared(RemoveContainer(container=first), RemoveContainer(container=last), container(30)) == Healed()
    assert host.compared() == Healed()
    assert not host.kernel.whole
