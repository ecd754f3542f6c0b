"""Long life: attach and detach, over and over, and what the daemon and the kernel hold after it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from netrt import Client
from netrt.paths import Paths
from tests.waiting import wait_until

TOLERANCE = 0.05
STILL = 0.5
"""Seconds without a change after which nothing more is to be expected."""
NET = "app"


@dataclass(frozen=True)
class Burden:
    """What grows where something leaks. Memory and database in bytes."""

    files: int
    threads: int
    memory: int
    tracked: int
    database: int
    links: int
    namespaces: int


def pid_of(lock: str) -> int:
    return int(Path(lock).read_text())


def burden() -> Burden:
    """As it is now."""
    proc = Path(f"/proc/{pid_of(Paths().lock)}")
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line)
    return Burden(
        files=len(os.listdir(proc / "fd")),
        threads=int(status["Threads"]),
        memory=int(status["RssAnon"].split()[0]) * 1024,
        tracked=int(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text()),
        database=Path(Paths().database).stat().st_size,
        links=len(os.listdir("/sys/class/net")),
        namespaces=len(os.listdir("/run/netns")),
    )


def rested(before: Burden | None = None) -> Burden:
    """Its burden when it has nothing to do: namespaces made ahead are there again, links that go have gone."""
    wait_until(lambda: burden().links <= (before.links if before else 3), 20, "the end of links")
    wait_until(Still(), 20, "the rest of the daemon")
    found = burden()
    if before:
        wait_until(
            lambda: burden().files <= before.files, 10, f"as few files as before: {before.files}, {burden().files}"
        )
        found = burden()
    return found


class Still:
    """Whether as many files as now were open for some time: what is made ready between commands is made at once, or never."""

    def __init__(self) -> None:
        self._files, self._since = -1, 0.0

    def __call__(self) -> bool:
        files = burden().files
        if files != self._files:
            self._files, self._since = files, time.monotonic()
        return time.monotonic() - self._since > STILL


def cycle(client: Client, count: int) -> None:
    """Attach with a port, connect, disconnect, detach; each round under another name."""
    for number in range(count):
        name = f"c{number}"
        client.create_container(name, networks=[NET], ports=["8080:80"])
        if number % 10 == 0:
            client.connect("back", name)
        client.remove_container(name)


def grown(before: Burden, after: Burden) -> str:
    """What is more than 5 % above what it was, in words."""
    worse = []
    for what, was in vars(before).items():
        now = getattr(after, what)
        if now > was * (1 + TOLERANCE):
            worse.append(f"{what}: {was}, then {now}")
    return "; ".join(worse)
