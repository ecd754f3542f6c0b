"""Many who ask at once: each gets what they asked for, or an error of their own, and a crash in the middle loses nothing."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from netrt.api.client import Client
from netrt.errors import NetrtError
from tests.command import Box, Netrt
from tests.host import Host
from tests.processes import daemon_pid
from tests.snapshot import differences, snapshot
from tests.traffic import PATIENT, Place, seen

pytestmark = pytest.mark.root

COUNT, AT_A_TIME = 24, 12


def each(ask: Callable[[Client, int], object], numbers: Iterable[int]) -> dict[int, str]:
    """Ask for each of these, several at a time; what was refused, and why."""

    def one(number: int) -> str:
        try:
            with Client(socket="/run/netrt/netrt.sock") as client:
                ask(client, number)
        except NetrtError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return dict(zip(numbers, pool.map(one, numbers), strict=True))


def create(client: Client, number: int, **more: str) -> None:
    client.create_container(f"c{number}", networks=["lan"], ports=[f"{9000 + number}:80"], **more)


@pytest.fixture
def lan(host: Host, netrt: Netrt) -> None:
    netrt("network", "create", "lan")


def test_each_gets_what_it_asked_for(host: Host, netrt: Netrt, lan: None) -> None:
    netrt("container", "create", "--name", "holder", "-p", "9003:80")
    taken = Place(host, host.namespace("taken"))
    host.run("ip", "-n", "taken", "link", "add", "eth0", "type", "veth", "peer", "name", "other")
    before = snapshot(host)

    def ask(client: Client, number: int) -> None:
        create(client, number, **({"netns": taken.path} if number == 7 else {}))

    wrong = {number: said for number, said in each(ask, range(COUNT)).items() if said}
    assert wrong.keys() == {3, 7}
    assert "port 9003/tcp is already allocated to holder" in wrong[3]
    assert "an interface eth0 exists in the namespace" in wrong[7]
    assert netrt("diff") == ""
    boxes = {number: Box(host, netrt.inspect(f"c{number}")) for number in range(COUNT) if number not in wrong}
    assert len({box.ip4 for box in boxes.values()}) == len(boxes)
    for number, box in boxes.items():
        with box.tcp(80) as server:
            assert seen(Place(host), "127.0.0.1", 9000 + number, server)
    assert not any(each(lambda client, number: client.remove_container(f"c{number}"), boxes).values())
    assert not differences(before, snapshot(host))


@pytest.mark.parametrize("after", [1, 9])
def test_a_crash_in_the_middle_loses_nothing(host: Host, netrt: Netrt, lan: None, after: int) -> None:
    """What was acknowledged is there, what was not is there as a whole or not at all."""
    before = snapshot(host)
    descriptor = os.pidfd_open(daemon_pid(netrt))
    done: list[int] = []

    def ask(client: Client, number: int) -> None:
        create(client, number)
        done.append(number)
        if len(done) == after:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)

    refused = each(ask, range(COUNT))
    assert select.select([descriptor], [], [], PATIENT)[0], "the daemon does not end"
    os.close(descriptor)
    assert any(refused.values())
    names = netrt.names("--all")
    assert {f"c{number}" for number in done} <= names
    assert netrt("diff") == ""
    for name in names:
        with Box(host, netrt.inspect(name)).tcp(80) as server:
            assert seen(Place(host), "127.0.0.1", 9000 + int(name[1:]), server)
        netrt("rm", "-f", name)
    assert not differences(before, snapshot(host))
