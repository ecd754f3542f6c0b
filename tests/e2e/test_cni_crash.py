"""The daemon killed before each kernel operation of an ADD and of a DEL, through the executables: the runtime's DEL then leaves
nothing, and its ADD works again. In the suite it is every third operation of an ADD; `make sweep` takes each."""

from __future__ import annotations

import os
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.cni import Attached, Cni, Config, bridge, network, port
from tests.command import Netrt
from tests.host import Host
from tests.mortal import LEFT
from tests.snapshot import differences, snapshot
from tests.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

STEP = 1 if os.environ.get("NETRT_SWEEP") else 3

ASKED: dict[str, Any] = {"portMappings": [port(8080, 80)], "bandwidth": {"ingressRate": 10**7, "egressRate": 10**7}}


class Mortals:
    """Daemons that die, one at a time."""

    def __init__(self, host: Host, netrt: Netrt) -> None:
        self.host = host
        self.netrt = netrt

    def start(self) -> None:
        """In the place of the one that runs."""
        self.netrt("daemon", "stop")
        hear, say = os.pipe()
        os.set_inheritable(say, True)
        child = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "tests.mortal", "--ready-fd", str(say), "--log-file", "/run/mortal.log"],
            {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        os.close(say)
        with os.fdopen(hear, "rb") as pipe:
            assert pipe.read() == b"READY\n"
        self.child = child

    def died(self) -> None:
        """Wait for its end."""
        wait_until(lambda: os.waitpid(self.child, os.WNOHANG)[0] == self.child, 20, "the end of the daemon")


@pytest.fixture
def mortals(host: Host, netrt: Netrt) -> Mortals:
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    return Mortals(host, netrt)


@pytest.fixture
def cni(host: Host, mortals: Mortals) -> Cni:
    made = Cni(host)
    made.add(lan(), made.container("c0"))
    made.container("c1")
    return made


def lan() -> Config:
    return network(bridge() | {"capabilities": {"portMappings": True, "bandwidth": True}})


def test_killed_before_each_operation_of_an_add(cni: Cni, mortals: Mortals, host: Host, netrt: Netrt) -> None:
    before, (plugin,) = snapshot(host), lan()["plugins"]
    request = cni.request(lan(), plugin, ASKED, None)
    for at in count(step=STEP):
        mortals.start()
        LEFT.write_text(str(at))
        answer = cni.execute("ADD", request)
        if LEFT.exists():
            break
        assert answer.error["code"] == 11, answer
        mortals.died()
        assert cni.execute("DEL", request).status == 0
        assert not differences(before, snapshot(host)), f"killed before operation {at}"
        assert "c1" not in netrt.names()
    LEFT.unlink()
    assert at > 10
    Attached(cni, lan(), cni.known("c1"), "eth0", answer.result, ASKED).check()


def test_killed_before_each_operation_of_a_del(cni: Cni, mortals: Mortals, host: Host, netrt: Netrt) -> None:
    """The executable starts the next daemon by itself."""
    before, one = snapshot(host), cni.known("c1")
    for at in count():
        made = cni.add(lan(), one, **ASKED)
        mortals.start()
        LEFT.write_text(str(at))
        made.delete()
        assert not differences(before, snapshot(host)), f"killed before operation {at}"
        assert "c1" not in netrt.names()
        if LEFT.exists():
            break
        mortals.died()
    LEFT.unlink()
    assert at > 3
