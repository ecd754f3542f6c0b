"""`make bench`: what netrt costs, as ratios to the kernel floor, and for names to dnsmasq, measured in the same run, in turn.

It is a host of its own (network and mount namespaces), ends what it starts, and writes bench/results.json."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from queue import SimpleQueue

from netrt.api.client import Client
from tests.bench import cni, commands, datapath, names, scale
from tests.bench.floor import TABLE, Floor
from tests.bench.spans import Spans
from tests.bench.table import Row, shown
from tests.namespaces import own_namespaces
from tests.waiting import wait_until

NETWORKS = ("bench", "one", "two", "three", "four")
REPEATS, FEW = 30, 5
WARM_UP = 5
TOGETHER, AT_A_TIME = 100, 16


def timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000


def settle() -> None:
    """Wait until the machine has little else to do, for a minute at most: the kernel is busy for seconds with the namespaces that
    an earlier run left to it."""
    began = time.monotonic()
    seen = _processor_ticks()

    def quiet() -> bool:
        nonlocal seen
        busy, total = (now - before for now, before in zip(_processor_ticks(), seen, strict=True))
        if total >= 50:
            seen = _processor_ticks()
        return (total >= 50 and busy < 0.1 * total) or time.monotonic() - began > 60

    wait_until(quiet, 61)


def _processor_ticks() -> tuple[int, int]:
    """Of all processors since boot: busy ones, and all (proc(5))."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


@dataclass
class Attaches:
    """Milliseconds of attach and detach, of netrt and of the floor: medians, taken in turn, or of all together."""

    attach: float
    detach: float
    floor_attach: float
    floor_detach: float


class Bench:
    """A daemon, a client of it, and the floor beside them."""

    def __init__(self, client: Client, floor: Floor) -> None:
        self.client = client
        self.floor = floor
        self.number = 10

    def attach(self, name: str, *ports: str, network: str = "bench") -> None:
        self.client.create_container(name, networks=[network], ports=ports)

    def attaches(self, repeats: int = REPEATS) -> Attaches:
        turns = [self._turn() for _ in range(repeats + WARM_UP)][WARM_UP:]
        return Attaches(*(statistics.median(figures) for figures in zip(*turns, strict=True)))

    def _turn(self) -> tuple[float, float, float, float]:
        number = self.number = self.number + 1
        name, port = f"probe{number}", f"{20000 + number}:80"
        floor_attach = timed(lambda: self.floor.attach(number))
        attach = timed(lambda: self.attach(name, port))
        floor_detach = timed(lambda: self.floor.detach(number))
        detach = timed(lambda: self.client.remove_container(name))
        return attach, detach, floor_attach, floor_detach

    def ping(self) -> float:
        """Milliseconds until an idle daemon has answered a request for which it has nothing to do."""

        def turn() -> float:
            number = self.number = self.number + 1
            self.floor.attach(number)
            took = timed(lambda: self.client.request("GET", "/_ping"))
            self.floor.detach(number)
            return took

        return statistics.median(turn() for _ in range(REPEATS))

    def one_attach(self, *ports: str) -> float:
        """Milliseconds of an attach of netrt; what was attached goes again."""
        name = f"single{self.number}"
        self.number += 1
        took = timed(lambda: self.attach(name, *ports))
        self.client.remove_container(name)
        return took

    def ranges(self, published: str, repeats: int) -> tuple[float, float]:
        """Milliseconds of an attach with a range of ports, and of one with one port, in turn."""
        turns = [(self.one_attach(published), self.one_attach("39999:9999")) for _ in range(repeats)]
        many, one = map(statistics.median, zip(*turns, strict=True))
        return many, one

    def at_once(self) -> Attaches:
        """Milliseconds of TOGETHER attaches, and then detaches, by several clients at a time, and of the floor's one after the
        other."""
        numbers = range(self.number + 1, self.number + 1 + TOGETHER)
        self.number += TOGETHER
        floor_attach = timed(lambda: list(map(self.floor.attach, numbers)))
        floor_detach = timed(lambda: list(map(self.floor.detach, numbers)))
        with ExitStack() as stack:
            clients: SimpleQueue[Client] = SimpleQueue()
            for _ in range(AT_A_TIME):
                clients.put(stack.enter_context(Client()))
            pool = stack.enter_context(ThreadPoolExecutor(AT_A_TIME))

            def ask(what: Callable[[Client, int], object], number: int) -> None:
                client = clients.get()
                what(client, number)
                clients.put(client)

            def attach(client: Client, number: int) -> None:
                client.create_container(f"probe{number}", networks=["bench"], ports=[f"{20000 + number}:80"])

            def detach(client: Client, number: int) -> None:
                client.remove_container(f"probe{number}")

            return Attaches(
                timed(lambda: list(pool.map(lambda number: ask(attach, number), numbers))),
                timed(lambda: list(pool.map(lambda number: ask(detach, number), numbers))),
                floor_attach,
                floor_detach,
            )

    def filled(self, count: int, *networks: str) -> None:
        """More containers, spread over these networks."""
        for network in networks:
            for number in range(count // len(networks)):
                self.attach(f"load-{network}-{number}-{count}", network=network)

    def published(self, name: str, spec: str) -> None:
        self.attach(name, spec)


@contextmanager
def bench() -> Iterator[Bench]:
    """A host with a running daemon, the network `bench`, and the floor's bridge and table."""
    with own_namespaces(), tempfile.TemporaryDirectory() as root:
        # makes /run/netns a shared mount, before any pin is in it
        subprocess.run(["ip", "netns", "add", "first"], check=True)
        for line in ("link set lo up", "link add floor0 type bridge", "addr add 10.250.0.1/16 dev floor0"):
            subprocess.run(["ip", *line.split()], check=True)
        subprocess.run(["ip", "link", "set", "floor0", "up"], check=True)
        subprocess.run(["nft", "-f", "-"], input=TABLE, text=True, check=True)
        # like /run: on a disk's file system, inode numbers just freed are avoided by a linear search
        run = Path(root, "run")
        run.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", run], check=True)
        os.environ["NETRT_ROOT"] = root
        client = Client(root=root)
        for number, network in enumerate(NETWORKS):
            client.create_network(network, subnets=[f"10.{number + 200}.0.0/16"])
        try:
            yield Bench(client, Floor("floor0"))
        finally:
            client.close()
            subprocess.run(["umount", "--lazy", run], check=True)


def rows(on: Bench) -> Iterator[Row]:
    settle()
    empty = on.attaches()
    yield Row("attach at 0 / kernel floor", empty.attach / empty.floor_attach, 2.0, empty.attach, empty.floor_attach)
    ping = on.ping()
    yield Row("of it: a request that asks for nothing", ping / empty.attach, 0, ping, empty.attach)
    yield Row("detach at 0 / kernel floor", empty.detach / empty.floor_detach, 1.0, empty.detach, empty.floor_detach)
    crowd = on.at_once()
    by = f"by {AT_A_TIME} clients / {TOGETHER} floors"
    yield Row(f"{TOGETHER} attaches {by}", crowd.attach / crowd.floor_attach, 1.3, crowd.attach, crowd.floor_attach)
    yield Row(f"{TOGETHER} detaches {by}", crowd.detach / crowd.floor_detach, 1.0, crowd.detach, crowd.floor_detach)
    on.published("ten", "30000-30009:1000-1009")
    few = on.attaches()
    on.published("many", "40000-49999:10000-19999")
    many = on.attaches()
    yield Row("one more port at 10,000 / at 10", many.attach / few.attach, 1.3, many.attach, few.attach)
    on.client.remove_container("many")
    on.client.remove_container("ten")
    ranges, single = on.ranges("40000-49999:40000-49999", REPEATS)
    yield Row("a range of 10,000 ports / one port", ranges / single, 1.5, ranges, single)
    ranges, single = on.ranges("40000-49999:10000-19999", FEW)
    yield Row("the same, with other numbers inside", ranges / single, 0, ranges, single)
    on.filled(500, *NETWORKS)
    settle()
    full = on.attaches()
    yield Row("attach at 500 / attach at 0", full.attach / empty.attach, 1.3, full.attach, empty.attach)
    yield Row("attach at 500 / kernel floor", full.attach / full.floor_attach, 0, full.attach, full.floor_attach)
    yield Row("detach at 500 / kernel floor", full.detach / full.floor_detach, 1.0, full.detach, full.floor_detach)
    on.filled(400, "bench")
    bridge = on.attaches()
    yield Row("attach, 500 on one bridge / at 0", bridge.attach / empty.attach, 0, bridge.attach, empty.attach)


def full_host() -> Iterator[Row]:
    """In a host of its own."""
    with bench() as on:
        settle()
        empty = on.attaches()
        yield from scale.rows(on.client, os.environ["NETRT_ROOT"])
        settle()
        full = on.attaches()
        yield Row("attach at 1,000 / attach at 0", full.attach / empty.attach, 1.2, full.attach, empty.attach)
        own, floors = full.attach / full.floor_attach, empty.attach / empty.floor_attach
        yield Row("the same, each as a ratio to its own floor", own / floors, 0, own, floors)
        yield from scale.compared(on.client, os.environ["NETRT_ROOT"], on.one_attach)


def steps(on: Bench) -> list[str]:
    """Where the time of an attach and a detach goes."""
    attach, detach = Spans(on.client), Spans(on.client)
    for number in range(REPEATS):
        attach.of(lambda number=number: on.attach(f"step{number}", f"{30000 + number}:80"))  # type: ignore[misc]
        detach.of(lambda number=number: on.client.remove_container(f"step{number}"))  # type: ignore[misc]
    return ["attach, step by step, ms", *attach.lines(), "detach, step by step, ms", *detach.lines()]


def one_host(tools: names.Tools, told: list[str]) -> Iterator[Row]:
    """In a host of its own; `told` gets the steps of an attach."""
    with bench() as on:
        told += steps(on)
        yield from rows(on)
        yield from datapath.rows(on.client)
        yield from commands.rows(on.client)
        yield from names.rows(tools)


def main() -> int:
    told: list[str] = []
    reached = shown(chain(one_host(names.Tools.had(), told), full_host()), "results.json")
    print("", *told, sep="\n")
    if cni.there():
        return not (shown(cni.rows(settle), "peers.json") and reached)
    print("not beside the reference CNI plugins: `make bench-peers` installs them")
    return not reached


if __name__ == "__main__":
    sys.exit(main())
