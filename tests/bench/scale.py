"""A full host: 1,000 containers on 20 networks, with 10,000 published ports. What the start of a daemon costs that finds all of
it in order, and what the daemons hold."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from netrt.api.client import Client
from netrt.paths import Paths
from tests.bench.table import Row
from tests.waiting import wait_until

NETWORKS, CONTAINERS, PORTS = 20, 50, 10
FIRST = 10_000
ATTACHES = 60
COMPARISONS = 2
PROGRAM = Path(sys.executable).with_name("netrt")


def fill(client: Client) -> None:
    """Each container with ten ports of its own, of which none makes a range with another."""
    for network in range(NETWORKS):
        client.create_network(f"full{network}")
        for number in range(CONTAINERS):
            first = FIRST + (network * CONTAINERS + number) * PORTS
            ports = [f"{first + port}:{port + 1}" for port in range(PORTS)]
            client.create_container(f"full{network}-{number}", networks=[f"full{network}"], ports=ports)


def process_at(path: str) -> int:
    """Who listens at a unix socket; 0 where nobody does."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asking:
        asking.connect(path)
        (pid,) = struct.unpack_from("i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(pid)
    return 0


def memory_of(pid: int) -> float:
    """Resident megabytes."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()) if pid else {}
    return int(fields["VmRSS"].split()[0]) / 1024 if fields else 0.0


def processor_seconds(pid: int) -> float:
    """What a process has used so far, of all processors (proc(5))."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def start() -> float:
    """Seconds that a daemon needs to begin and answer."""
    subprocess.run([PROGRAM, "daemon", "stop"], check=True, stdout=subprocess.DEVNULL)
    began = time.monotonic()
    subprocess.run([PROGRAM, "network", "ls"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def rows(client: Client, root: str) -> Iterator[Row]:
    """In a host with a daemon; its containers stay."""
    paths = Paths.under(root)
    fill(client)
    seconds = start()
    wait_until(lambda: client.request("GET", "/_ping"), 30, "the daemon")
    held = memory_of(process_at(paths.socket)) + memory_of(process_at(paths.resolver_socket))
    yield Row("start with 1,000 containers, 10,000 ports / 3 s", seconds / 3, 1.0, seconds * 1000, 3000)
    yield Row("memory of netrtd and netrt-dns / 150 MB", held / 150, 1.0, held, 150, "MB")


def compared(client: Client, root: str, attach: Callable[[], float]) -> Iterator[Row]:
    """What it costs that everything is compared with what should be, and what that costs an attach (milliseconds)."""
    paths = Paths.under(root)
    usual = [attach() for _ in range(ATTACHES)]
    Path(paths.configuration).parent.mkdir(parents=True, exist_ok=True)
    Path(paths.configuration).write_text("compare_every = 1\n")
    start()

    def done() -> list[str]:
        """Seconds that comparisons took, rests included."""
        return re.findall(r"all was compared in ([0-9.]+) s", Path(paths.daemon_log).read_text())

    wait_until(lambda: len(done()) >= 1, 60, "a comparison of everything")
    before, pid = len(done()), process_at(paths.socket)
    used = processor_seconds(pid)
    wait_until(lambda: len(done()) >= before + COMPARISONS, 60, "some more")
    used = (processor_seconds(pid) - used) / COMPARISONS
    took = statistics.mean(map(float, done()[before:]))
    during = [attach() for _ in range(ATTACHES)]
    later = max(during) - max(usual)
    yield Row("full comparison, processor time / 25 % of 5 s", used / 1.25, 1.0, used * 1000, 1250)
    yield Row("full comparison, its share of a processor / 25 %", used / took / 0.25, 1.0, used * 1000, took * 1000)
    yield Row("longest attach during it, what it is later / 20 ms", later / 20, 1.0, max(during), max(usual))
