"""Names as programs in containers find them: by real resolvers, on open and internal networks, while others come and go."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from netrt.api.client import Client
from tests.asking import Asker
from tests.command import Netrt
from tests.kernel.resolver.upstream import ANSWER, Upstream
from tests.resolvers import RESOLVERS, resolver
from tests.traffic import Place, Wire
from tests.waiting import wait_until

pytestmark = pytest.mark.root


@pytest.fixture
def app(netrt: Netrt) -> Netrt:
    netrt("network", "create", "--subnet", "10.1.0.0/24", "app")
    netrt("container", "create", "--name", "web", "--network", "app")
    return netrt


@pytest.mark.parametrize("name", RESOLVERS)
def test_real_resolvers_find_a_neighbour(app: Netrt, tmp_path: Path, name: str) -> None:
    command = resolver(name, tmp_path)
    assert app("run", "--rm", "--network", "app", *command, "web").split() == ["10.1.0.2"]
    assert app("run", "--rm", "--network", "app", *command, "web.app.").split() == ["10.1.0.2"]


@pytest.fixture
def outside(app: Netrt) -> Iterator[tuple[Place, Upstream]]:
    """The Internet, with the resolver that the host's resolv.conf names."""
    place = Place(app.host, app.host.outside())
    with contextlib.closing(Upstream(place, "192.0.2.2")) as upstream:
        yield place, upstream


def test_other_names_are_asked_of_the_hosts_resolver(app: Netrt, outside: tuple[Place, Upstream]) -> None:
    _, upstream = outside
    said = app("run", "--rm", "--network", "app", "getent", "ahostsv4", "www.example")
    assert ANSWER in said
    assert {(str(asked.question[0].name), peer[0]) for asked, peer in upstream.seen} == {("www.example.", "192.0.2.1")}


def test_chosen_resolvers_are_asked_instead(app: Netrt, outside: tuple[Place, Upstream]) -> None:
    place, upstream = outside
    app.host.run("ip", "-n", "outside", "addr", "add", "192.0.2.5/24", "dev", "eth0")
    with contextlib.closing(Upstream(place, "192.0.2.5")) as chosen:
        words = ("--dns", "192.0.2.5", "--dns-search", "corp.example", "--dns-option", "timeout:1")
        said = app(
            "run", "--rm", "--network", "app", *words, "sh", "-c", "cat /etc/resolv.conf; getent ahostsv4 www.example"
        )
    assert ANSWER in said
    assert "search corp.example\n" in said
    assert "options timeout:1 ndots:0\n" in said
    assert chosen.asked_for("www.example") >= 1
    assert upstream.seen == []


def test_from_an_internal_network_nothing_leaves(app: Netrt, outside: tuple[Place, Upstream]) -> None:
    place, upstream = outside
    app("network", "create", "--internal", "--subnet", "10.2.0.0/24", "vault")
    box = Asker(app.host, app.box("safe", "--network", "vault").path)
    wires = [Wire(place, "eth0"), Wire(Place(app.host), "uplink")]
    try:
        for number in range(20):
            assert box.looked_up(f"secret{number}.example", tcp=bool(number % 2)) == ["REFUSED"]
        assert box.looked_up("safe") == ["10.2.0.2"]
        mark = b"the end of the capture"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(mark, ("192.0.2.2", 9))
        for wire in wires:
            frames = wire.heard_until(lambda frame: mark in frame)
            assert not [frame for frame in frames if b"secret" in frame]
    finally:
        for wire in wires:
            wire.close()
    assert upstream.seen == []


def test_the_hosts_file_has_own_names_and_what_was_added(app: Netrt) -> None:
    said = app(
        "run", "--rm", "--network", "app", "--name", "job", "--hostname", "desk", "--add-host", "db:10.9.9.9",
        "--add-host", "up:host-gateway", "cat", "/etc/hosts",
    )  # fmt: skip
    lines = [line.split() for line in said.splitlines()]
    assert ["10.1.0.3", "desk", "job"] in lines
    assert ["10.9.9.9", "db"] in lines
    assert ["10.1.0.1", "up"] in lines


# while others come and go

ROUNDS, WORKERS, RATE = 200, 8, 500


@dataclass
class Life:
    """When a container may have been on the network, and when it surely was: between the ends of its commands."""

    address: str = ""
    asked: float = 0.0
    there: float = float("inf")
    leaving: float = float("inf")
    gone: float = float("inf")


@dataclass
class Questions:
    """Sent at a steady rate by datagram, once each, about who comes and goes at the moment (`current`, by worker): by id, the
    name and when it was asked for, and when the answer came."""

    box: Asker
    names: list[str]
    current: dict[int, str] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    sent: dict[int, tuple[str, float]] = field(default_factory=dict)
    answers: dict[int, tuple[float, bytes]] = field(default_factory=dict)

    def send(self, asking: socket.socket) -> None:
        chosen = random.Random(1)
        wires = {name: dns.message.make_query(f"{name}.app", "A").to_wire()[2:] for name in self.names}
        while not self.over.wait(1 / RATE):
            name = chosen.choice([*self.current.values()] or self.names)
            number = len(self.sent)
            self.sent[number] = name, time.monotonic()
            asking.send(number.to_bytes(2, "big") + wires[name])

    def receive(self, asking: socket.socket) -> None:
        while not (self.over.is_set() and len(self.answers) == len(self.sent)):
            try:
                wire = asking.recv(4096)
            except TimeoutError:
                return
            self.answers[int.from_bytes(wire[:2], "big")] = time.monotonic(), wire


def right(life: Life, sent: float, answered: float, found: list[str], code: int) -> bool:
    """Whether this was so at some instant in between."""
    if found:
        return found == [life.address] and sent <= life.gone and answered >= life.asked
    surely = life.there <= sent and answered <= life.leaving
    return code == dns.rcode.NXDOMAIN and not surely


def test_every_answer_is_right_while_others_come_and_go(netrt: Netrt) -> None:
    """200 come and go, eight at a time, and get each other's addresses, under 500 questions a second: none is lost, and each is
    answered by what was so at some instant between question and answer."""
    netrt("network", "create", "--subnet", "10.1.0.0/27", "app")
    box = Asker(netrt.host, netrt.box("watch", "--network", "app").path)
    lives = {f"job{number}": Life() for number in range(ROUNDS)}
    questions = Questions(box, list(lives))

    def live(worker: int) -> None:
        with Client() as client:
            for name in every[worker::WORKERS]:
                questions.current[worker] = name
                life = lives[name]
                life.asked = time.monotonic()
                client.create_container(name, networks=["app"])
                life.there = time.monotonic()
                life.address = client.container(name)["NetworkSettings"]["Networks"]["app"]["IPAddress"]
                life.leaving = time.monotonic()
                client.remove_container(name)
                life.gone = time.monotonic()

    every = list(lives)
    with box.socket() as asking, ThreadPoolExecutor(WORKERS + 2) as threads:
        ends = [threads.submit(questions.send, asking), threads.submit(questions.receive, asking)]
        workers = [threads.submit(live, number) for number in range(WORKERS)]
        try:
            for worker in workers:
                worker.result(100)
        finally:
            questions.over.set()
        for end in ends:
            end.result(20)
    assert len(questions.answers) == len(questions.sent) > ROUNDS, "lost"
    wrong = [
        (name, sent, answered, found, lives[name])
        for key, (name, sent) in questions.sent.items()
        for answered, wire in [questions.answers[key]]
        for message in [dns.message.from_wire(wire)]
        for found in [[str(record) for rrset in message.answer for record in rrset]]
        if not right(lives[name], sent, answered, found, message.rcode())
    ]
    assert wrong == []
    assert any(wire[7] for _, wire in questions.answers.values()), "some are found"
    wait_until(lambda: box.looked_up("job0.app") == ["NXDOMAIN"])
