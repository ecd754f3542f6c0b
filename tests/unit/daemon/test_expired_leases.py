"""A daemon that starts after a lease has ended: the address may be somebody else's by now, so nothing is made of it."""

from __future__ import annotations

from collections.abc import Sequence

from netrt.dataplane.facts import HostFacts
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import HOST, Address, Foreign, Link
from netrt.dataplane.ops import AddAddress, Op
from netrt.decide.networks import initial_state
from netrt.engine.engine import Engine
from netrt.ipam.pools import DEFAULT
from netrt.model.command import CreateContainer, CreateNetwork, Endpoint
from netrt.model.decision import Event
from netrt.model.lease import DhcpLease
from netrt.model.network import Mode
from netrt.model.state import State
from netrt.store.memory import MemoryStore
from tests.fakes import FakeKernel
from tests.strategies import NOW, PARENTS, ROOMY, after, identifier

LAN = CreateNetwork(id=identifier(1), name="lan", mode=Mode.MACVLAN, options={"parent": "up0"}, dhcp=True)


class Nobody:
    """Listens to commits."""

    def leaving(self, before: State, after: State) -> None: ...
    def arriving(self, after: State) -> None: ...
    def committed(self, before: State, after: State, events: Sequence[Event]) -> None: ...
    def again(self, state: State) -> None: ...
    def repaired(self, done: Sequence[Op]) -> None: ...


def boxed(state: State, number: int, address: str, expires: int) -> State:
    lease = DhcpLease(
        client="00", address=address, server="10.7.0.1", server_mac="", router="10.7.0.1", expires=expires
    )
    wish = Endpoint(network="lan", dhcp=lease)
    return after(
        state, CreateContainer(id=identifier(number), name=f"c{number}", network_mode="lan", endpoints=(wish,))
    )


def test_what_has_ended_is_not_made_again() -> None:
    """After a reboot, say: the kernel is empty, and the State has one lease that has ended and one that has not."""
    state = boxed(after(initial_state(NOW), LAN), 5, "10.7.0.5/24", NOW - 1)
    state = boxed(state, 6, "10.7.0.6/24", NOW + 1)
    store, kernel = MemoryStore(), FakeKernel(HostFacts(addresses=ROOMY.addresses, parents=PARENTS))
    kernel.host = HostState.of([Foreign(netns=HOST, name="up0")])
    store.save(State(), state)
    engine = Engine(kernel, store, Nobody(), DEFAULT, clock=lambda: NOW)
    engine.start()
    try:
        ended, goes_on = (engine.state.attachments[identifier(number), "eth0"] for number in (5, 6))
        assert (ended.addresses, ended.dhcp) == ((), None)
        assert goes_on.addresses == ("10.7.0.6/24",)
        assert [op.address.address for op in kernel.done if isinstance(op, AddAddress)] == ["10.7.0.6/24"]
        assert {address.address for address in kernel.host.all(Address)} == {"10.7.0.6/24"}
        assert len([link for link in kernel.host.all(Link) if link.name == "eth0"]) == 2, "the link waits for another"
        assert store.load().attachments[identifier(5), "eth0"].dhcp is None
    finally:
        engine.close()
