"""Packets that never stop: one each millisecond on each way, to see what passes, what does not, and for how long."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from tests.traffic import Place
from tests.waiting import wait_until

MILLISECOND = 0.001


@dataclass
class Way:
    """From a place to an address and UDP port, where `server` hears it. `arrivals` are times (monotonic)."""

    name: str
    client: socket.socket
    to: tuple[str, int]
    server: socket.socket
    arrivals: list[float] = field(default_factory=list)

    def gap(self, since: float, until: float) -> float:
        """The longest silence between these moments, in seconds."""
        times = [since, *(t for t in self.arrivals if since < t < until), until]
        return max(later - earlier for earlier, later in pairwise(times))


class Probes:
    """Sends on all ways, each millisecond, until closed."""

    def __init__(self, allowed: list[Way], forbidden: list[Way]) -> None:
        self.allowed, self.forbidden = allowed, forbidden
        self.rounds = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        ways = self.allowed + self.forbidden
        next_at = time.monotonic()
        while not self._end.is_set():
            for way in ways:
                with contextlib.suppress(OSError):  # no route just now, or an ICMP error of before
                    way.client.sendto(b"%d" % id(way), way.to)
            for server in {way.server for way in ways}:
                self._hear(server, ways)
            self.rounds += 1
            next_at = max(next_at + MILLISECOND, time.monotonic() - 0.05)
            self._end.wait(max(0.0, next_at - time.monotonic()))

    @staticmethod
    def _hear(server: socket.socket, ways: list[Way]) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                said, now = server.recv(64), time.monotonic()
                for way in ways:
                    if said == b"%d" % id(way):
                        way.arrivals.append(now)

    def silent(self, since: float) -> list[str]:
        """The allowed ways on which nothing arrived since then."""
        return [way.name for way in self.allowed if not way.arrivals or way.arrivals[-1] <= since]

    def flowing(self, since: float, what: str = "") -> None:
        """Wait until something arrived on each allowed way since then. AssertionError names those on which nothing does."""
        try:
            wait_until(lambda: not self.silent(since), 10)
        except AssertionError:
            raise AssertionError(f"nothing arrives after {what}: {', '.join(self.silent(since))}") from None

    def close(self) -> None:
        self._end.set()
        self._thread.join()


def way(name: str, client: Place, address: str, port: int, server: socket.socket) -> Way:
    server.setblocking(False)
    asking = client.open(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    asking.setblocking(False)
    return Way(name, asking, (address, port), server)


@contextlib.contextmanager
def probing(allowed: list[Way], forbidden: list[Way], *, never: bool = True) -> Iterator[Probes]:
    """What is allowed flows from the beginning on. `never`: at the end, what is forbidden never arrived."""
    probes = Probes(allowed, forbidden)
    try:
        probes.flowing(0, "the beginning")
        yield probes
    finally:
        probes.close()
    arrived = {way.name: len(way.arrivals) for way in forbidden if way.arrivals}
    assert not (arrived and never), f"what is forbidden arrived: {arrived}"
