"""Who waits for commits when the daemon stops: nobody any longer, however late they came."""

from __future__ import annotations

import asyncio

import pytest

from netrt.api.hub import Hub
from netrt.errors import Unavailable
from netrt.model.state import State


def test_nobody_waits_when_the_daemon_stops() -> None:
    async def stopped() -> None:
        hub, asked = Hub(), asyncio.Event()

        def never(_: State) -> None:
            asked.set()

        before = asyncio.ensure_future(hub.until(State(), never))
        await asked.wait()
        hub.close()
        for waiting in (before, hub.until(State(), never)):
            with pytest.raises(Unavailable, match="the daemon is stopping"):
                await asyncio.wait_for(waiting, 5)

    asyncio.run(stopped())


def test_who_listens_when_the_daemon_stops_hears_the_end() -> None:
    async def stopped() -> list[object]:
        hub = Hub()
        with hub.listening() as early:
            hub.close()
            with hub.listening() as late:
                return [event for events in (early, late) async for event in events]

    assert asyncio.run(asyncio.wait_for(stopped(), 5)) == []
