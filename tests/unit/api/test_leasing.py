"""Somebody asks for a container with a lease and goes away: the lease is given back only where no container came of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from netrt.api.answer import Api
from netrt.api.hub import Hub
from netrt.daemon.publisher import Publisher
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import HOST, Foreign
from netrt.dataplane.ops import Op
from netrt.decide.networks import initial_state
from netrt.engine.engine import Engine
from netrt.ipam.pools import DEFAULT
from netrt.model.command import Command, CreateContainer, CreateNetwork, Endpoint
from netrt.model.lease import DhcpLease
from netrt.model.network import Mode
from netrt.paths import Paths
from netrt.store.memory import MemoryStore
from tests.fakes import FakeGlance, FakeKernel, nothing_inside
from tests.strategies import NOW, ROOMY, after, identifier
from tests.unit.api.conftest import adopt

LAN = CreateNetwork(id=identifier(1), name="lan", mode=Mode.MACVLAN, options={"parent": "up0"}, dhcp=True)
BOX = CreateContainer(id=identifier(2), name="box", network_mode="lan")
LEASE = DhcpLease(client="00", address="10.7.0.5/24", server="10.7.0.1", server_mac="", router="10.7.0.1", expires=NOW)


class Slow(FakeKernel):
    """Waits where something is to be done, until it is let."""

    def __init__(self) -> None:
        super().__init__(ROOMY)
        self.host = HostState.of([Foreign(netns=HOST, name="up0")])
        self.begun, self.let = threading.Event(), threading.Event()

    def apply(self, ops: Sequence[Op]) -> None:
        self.begun.set()
        assert self.let.wait(10)
        super().apply(ops)


async def left_alone(api: Api, kernel: Slow, *, early: bool) -> list[DhcpLease]:
    """Ask, and be cancelled twice while the engine is about it, or (`early`) before it is. Returns what was given back."""
    given_back, loop = [], asyncio.get_running_loop()
    leased = asyncio.Event()

    @asynccontextmanager
    async def leasing(command: Command) -> AsyncIterator[Command]:
        assert isinstance(command, CreateContainer)
        leased.set()
        try:
            yield replace(command, endpoints=(Endpoint(network="lan", dhcp=LEASE),))
        except BaseException:
            given_back.append(LEASE)
            raise

    if early:
        api.engine.look(lambda *_: kernel.let.wait(10))
    asking = asyncio.ensure_future(replace(api, leasing=leasing).ask(BOX))
    await leased.wait()
    if not early:
        await loop.run_in_executor(None, kernel.begun.wait, 10)
    asking.cancel()
    loop.call_soon(asking.cancel)
    loop.call_soon(kernel.let.set)
    with pytest.raises(asyncio.CancelledError):
        await asking
    return given_back


@pytest.mark.parametrize("case", ["made", "refused", "not begun"])
def test_a_lease_is_given_back_only_where_nothing_was_made(tmp_path: Path, case: str) -> None:
    kernel, hub, paths = Slow(), Hub(), Paths.under(str(tmp_path))
    kernel.fail_at = 0 if case == "refused" else None
    engine = Engine(
        kernel, MemoryStore(after(initial_state(NOW), LAN)), Publisher(paths, hub.committed), DEFAULT, lambda: NOW
    )
    kernel.let.set()
    engine.start()
    kernel.let.clear()
    kernel.begun.clear()
    api = Api(engine=engine, hub=hub, paths=paths, adopt=adopt, glance=FakeGlance(), look_inside=nothing_inside)
    try:
        given_back = asyncio.run(left_alone(api, kernel, early=case == "not begun"))
    finally:
        kernel.let.set()
        engine.close()
    made = {attachment.dhcp for attachment in engine.state.attachments.values()}
    assert (made, given_back) == (({LEASE}, []) if case == "made" else (set(), [LEASE]))
