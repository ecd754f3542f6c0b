"""After every reboot the interfaces of a container have the same names, order, addresses and way out."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from netrt.decide.networks import initial_state
from netrt.engine.engine import Engine
from netrt.ipam.pools import Pools
from netrt.kernel.kernel import LinuxKernel
from netrt.model.command import Connect, CreateContainer, CreateNetwork, Disconnect, Endpoint
from netrt.paths import Paths
from netrt.store.memory import MemoryStore
from tests.host import Host
from tests.waiting import wait_until

pytestmark = pytest.mark.root

NAMES = ("zulu", "alpha", "mike", "kilo")
REBOOTS = 50


class Nobody:
    def committed(self, *_: Any) -> None:
        pass

    leaving = arriving = again = repaired = committed


def interfaces(host: Host) -> list[tuple[str, str, list[str]]]:
    """Name, MAC and addresses of each, in the kernel's order; then the default routes."""
    found = json.loads(host.run("ip", "-n", "netrt-box", "-j", "addr", "show").stdout)
    links = [(e["ifname"], e["address"], [a["local"] for a in e["addr_info"] if a["scope"] != "link"]) for e in found]
    ways = json.loads(host.run("ip", "-n", "netrt-box", "-j", "route", "show", "default").stdout)
    return [*links, *((way["dev"], way["gateway"], []) for way in ways)]


def end_of_the_host(host: Host) -> None:
    """What a reboot takes along."""
    host.run("ip", "netns", "delete", "netrt-box")
    for link in json.loads(host.run("ip", "-j", "link", "show", "type", "bridge").stdout):
        host.run("ip", "link", "delete", link["ifname"])
    wait_until(lambda: not host.run("ip", "-br", "link", "show", "type", "veth").stdout, what="the end of all pairs")


def test_fifty_reboots(host: Host) -> None:
    store = MemoryStore(initial_state())

    def started() -> Engine:
        engine = Engine(LinuxKernel(Paths()), store, Nobody(), Pools(ula="fd12:3456:789a::/48"))
        engine.start()
        return engine

    with closing(started()) as engine:
        for number, name in enumerate(NAMES):
            engine.submit(CreateNetwork(id=f"{number:064x}", name=name, ipv6=number % 2 == 0)).result(20)
        wished = (
            Endpoint(network="zulu"),
            Endpoint(network="alpha", gw_priority=1),
            Endpoint(network="mike", ifname="x9"),
        )
        made = CreateContainer(id="c" * 64, name="box", network_mode="zulu", endpoints=wished)
        commands = [
            made,
            Connect(container="box", endpoint=Endpoint(network="kilo")),
            Disconnect(network="zulu", container="box"),
            Connect(container="box", endpoint=Endpoint(network="zulu")),
        ]
        for command in commands:
            engine.submit(command).result(20)
    expected = sorted(interfaces(host))
    order = None
    for _ in range(REBOOTS):
        end_of_the_host(host)
        started().close()
        seen = interfaces(host)
        assert sorted(seen) == expected
        assert order in (None, seen), "the order is that of attaching, at every start"
        order = seen
    assert Path("/run/netns/netrt-box").exists()
