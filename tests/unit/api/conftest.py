"""The API over a fake kernel and a store in memory: all of the daemon but the kernel, on a socket of the test's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest

from netrt.api.answer import Api
from netrt.api.client import Client
from netrt.api.hub import Hub
from netrt.api.lane import Lane
from netrt.api.server import serve
from netrt.compile.names import Resolving
from netrt.daemon.publisher import Publisher
from netrt.daemon.sockets import listening
from netrt.daemon.watch import Watch
from netrt.decide.networks import initial_state
from netrt.dns.zone import Upstream
from netrt.engine.engine import Engine
from netrt.errors import Invalid
from netrt.ipam.pools import DEFAULT
from netrt.model.container import Sandbox
from netrt.paths import Paths
from netrt.store.memory import MemoryStore
from tests.fakes import FakeGlance, FakeKernel, nothing_inside

GROUP = 4242
"""The number of the group whose members may ask."""


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where requests are answered."""

    paths: Paths
    kernel: FakeKernel
    engine: Engine
    client: Client


def adopt(path: str) -> Sandbox:
    if not path.startswith("/run/netns/"):
        raise Invalid(f"no network namespace at {path!r}")
    return Sandbox(path=path, owned=False, inode=7)


async def _serve(paths: Paths, engine: Engine, hub: Hub, ready: Future[asyncio.Event]) -> None:
    resolving = Resolving(upstreams=(Upstream("192.0.2.53"),))
    api = Api(
        engine=engine,
        hub=hub,
        paths=paths,
        adopt=adopt,
        glance=FakeGlance(),
        look_inside=nothing_inside,
        resolving=lambda: resolving,
    )
    watch = Watch(api)
    hub.watch(watch.committed)
    server = await serve(api, listening(paths.socket, None), GROUP)
    lane = Lane(api, listening(paths.plugin_socket, None), GROUP)
    stop = asyncio.Event()
    ready.set_result(stop)
    await stop.wait()
    hub.close()
    watch.close()
    await server.cleanup()
    await lane.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    paths = Paths.under(str(tmp_path))
    Path(paths.run).mkdir()
    kernel, hub, loop = FakeKernel(), Hub(), asyncio.new_event_loop()
    engine = Engine(kernel, MemoryStore(initial_state()), Publisher(paths, hub.committed), DEFAULT)
    engine.start()
    ready: Future[asyncio.Event] = Future()
    thread = threading.Thread(target=loop.run_until_complete, args=[_serve(paths, engine, hub, ready)])
    thread.start()
    stop = ready.result(10)
    with Client(socket=paths.socket) as client:
        yield Desk(paths=paths, kernel=kernel, engine=engine, client=client)
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    engine.close()
    assert not thread.is_alive(), "the server did not end"
    loop.close()


@pytest.fixture
def client(desk: Desk) -> Client:
    return desk.client
