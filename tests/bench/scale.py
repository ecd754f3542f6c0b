"""A full host: 1,000 containers on 20 networks, with 10,000 published ports. What the start of a daemon costs that finds all of
it in order, and what the daemons hold."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from netrt.api.client import Client
from netrt.paths import Paths
from tests.bench.table import Row
from tests.waiting import wait_until

NETWORKS, CONTAINERS, PORTS = 20, 50, 10
FIRST = 10_000
PROGRAM = Path(sys.executable).with_name("netrt")


def fill(client: Client) -> None:
    """Each container with ten ports of its own, of which none makes a range with another."""
    for network in range(NETWORKS):
        client.create_network(f"full{network}")
        for number in range(CONTAINERS):
            first = FIRST + (network * CONTAINERS + number) * PORTS
            ports = [f"{first + port}:{port + 1}" for port in range(PORTS)]
            client.create_container(f"full{network}-{number}", networks=[f"full{network}"], ports=ports)


def memory_of(path: str) -> float:
    """Resident megabytes of who listens at a unix socket; 0 where nobody does."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asking:
        asking.connect(path)
        (pid,) = struct.unpack_from("i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return int(fields["VmRSS"].split()[0]) / 1024
    return 0.0


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
    held = memory_of(paths.socket) + memory_of(paths.resolver_socket)
    yield Row("start with 1,000 containers, 10,000 ports / 3 s", seconds / 3, 1.0, seconds * 1000, 3000)
    yield Row("memory of netrtd and netrt-dns / 150 MB", held / 150, 1.0, held, 150, "MB")
