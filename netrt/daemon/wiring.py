"""The only place that names the concrete kernel, store and publisher: here a daemon is put together, run and taken apart."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from ipaddress import IPv6Address

from netrt.api.answer import Api
from netrt.api.counts import Counts
from netrt.api.hub import Hub
from netrt.api.lane import Lane
from netrt.api.server import serve
from netrt.compile.names import Resolving, host_upstreams
from netrt.daemon.config import Config
from netrt.daemon.handover import Handover
from netrt.daemon.health import Checks
from netrt.daemon.leases import Leases
from netrt.daemon.lookout import Lookout
from netrt.daemon.mending import Mending
from netrt.daemon.publisher import Publisher
from netrt.daemon.sockets import check_path, doors, group_number
from netrt.daemon.starting import start
from netrt.daemon.watch import Watch
from netrt.decide.networks import initial_state
from netrt.dns.zone import Upstream
from netrt.engine.engine import Engine
from netrt.errors import Unavailable
from netrt.kernel.glance import Glance
from netrt.kernel.interior import look_inside
from netrt.kernel.kernel import LinuxKernel
from netrt.kernel.netns import identify
from netrt.launch.files import HostFiles
from netrt.launch.resolver import nameservers
from netrt.model.container import Sandbox
from netrt.model.state import State
from netrt.paths import Paths
from netrt.resolver.client import Resolver
from netrt.startup import notify_service_manager, settle
from netrt.store.restore import open_store
from netrt.threads import workers

log = logging.getLogger("netrt.daemon")


def new_ula() -> str:
    """A random /48 for this host's own use (RFC 4193 section 3.2)."""
    prefix = b"\xfd" + secrets.token_bytes(5) + bytes(10)
    return f"{IPv6Address(prefix)}/48"


def adopt(path: str) -> Sandbox:
    """The namespace that somebody else made. Raises Invalid where there is none at `path`."""
    return Sandbox(path=path, owned=False, inode=identify(path))


@lru_cache(1)
def _upstreams(resolv_conf: str) -> tuple[Upstream, ...]:
    """Asked with each commit, and nearly always the same."""
    return host_upstreams(nameservers(resolv_conf))


def resolving(config: Config) -> Resolving:
    """What names depend on beside the State, as it is now."""
    return Resolving(ttl=config.dns.ttl, upstreams=_upstreams(HostFiles.read().resolvers))


WORKERS = 6
"""Threads for what would keep the event loop waiting."""


RESOLVER_WITHIN = 10.0
"""Seconds that netrt-dns may take until it serves."""


def begin_resolver(paths: Paths, unit: str) -> None:
    """Start netrt-dns, by the service manager where it is a unit of that. Raises Unavailable where it does not come."""
    if not unit:
        log.info("starting netrt-dns (its log: %s)", paths.resolver_log)
        start("netrt-dns", "netrt.resolver.main", paths, paths.resolver_log, RESOLVER_WITHIN)
        return
    try:
        asked = ["systemctl", "start", unit]
        subprocess.run(asked, check=True, timeout=RESOLVER_WITHIN, capture_output=True, text=True)
    except (OSError, subprocess.SubprocessError) as error:
        said = error.stderr if isinstance(error, subprocess.CalledProcessError) else ""
        raise Unavailable(f"{unit} cannot be started: {str(said).strip() or error}", retry=True) from error


@contextlib.asynccontextmanager
async def running(paths: Paths, config: Config, *, resolver_unit: str = "") -> AsyncIterator[Api]:
    """The engine at work: the kernel is what the State says, and what runs is watched. `resolver_unit`: by which the service
    manager starts netrt-dns. Raises NetrtError."""
    asyncio.get_running_loop().set_default_executor(workers(WORKERS, "worker"))
    hub, counts = Hub(), Counts()
    store, lost = open_store(paths.database)
    if lost:
        log.error(lost)
    if not store.load().networks:
        store.save(State(), initial_state(time.time_ns()))
    pools = config.address_pools(store.once("ula", new_ula))
    kernel = LinuxKernel(paths, lock_rules=config.lock_rules)
    lookout = Lookout(asyncio.get_running_loop())
    handover = Handover(
        Resolver(paths.resolver_socket),
        bring_back=lambda: begin_resolver(paths, resolver_unit),
        resolving=lambda: resolving(config),
        serves=lookout.serves,
    )
    publisher = Publisher(paths, hub.committed, handover, counts.repaired)
    engine = Engine(kernel, store, publisher, pools)
    leases, glance = Leases(config.dhcp.wait), Glance()
    api = Api(
        engine=engine,
        hub=hub,
        paths=paths,
        adopt=adopt,
        glance=glance,
        look_inside=look_inside,
        publish_address=config.publish_address,
        resolving=lambda: resolving(config),
        counts=counts,
        leasing=leases.granted,
    )
    lookout.begin(engine, publisher, handover)
    await asyncio.to_thread(engine.start)
    hub.deliver()
    watch = Watch(api)
    hub.watch(watch.committed)
    watch.begin(engine.state)
    checks = Checks(api)
    hub.watch(checks.committed)
    checks.committed(State(), engine.state)
    leases.begin(api)
    mending = Mending(engine, kernel, counts, every=config.compare_every)
    if config.mending:
        mending.begin()
    try:
        yield api
    finally:
        mending.close()
        checks.close()
        watch.close()
        lookout.close()
        await leases.close()
        await asyncio.to_thread(engine.close)
        glance.close()
        handover.close()


async def run(paths: Paths, config: Config, ready: Callable[[], None], *, resolver_unit: str = "") -> None:
    """Serve until SIGTERM or SIGINT; then finish what was asked, and leave everything in the kernel as it is. `ready` is called
    when requests are answered. Raises NetrtError."""
    check_path(paths.socket)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    group = group_number(config.group)
    async with running(paths, config, resolver_unit=resolver_unit) as api:
        settle(100_000)
        clients, plugins = doors(paths, group)
        server, lane = await serve(api, clients.listener, group), Lane(api, plugins.listener, group)
        ready()
        notify_service_manager("READY=1")
        log.info("serving %s at %s", paths.lib, paths.socket)
        await stop.wait()
        log.info("stopping; containers and their traffic go on")
        notify_service_manager("STOPPING=1")
        clients.close()
        plugins.close()
        api.hub.close()
        await asyncio.gather(server.cleanup(), lane.close())
