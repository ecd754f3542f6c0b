"""What commands would do, in the words of `--dry-run`, to be reviewed by eye: networks of each mode, containers on several, and
changes while they run. `UPDATE_GOLDEN=1 pytest tests/unit/engine` writes it anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from netrt.dataplane.facts import HostFacts, Parent
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import HOST, Foreign
from netrt.engine.change import Change, planned
from netrt.model.command import Command, Limit, Publish, RemoveContainer
from netrt.model.network import Mode
from netrt.model.port import parse_port
from tests.fakes import FakeKernel
from tests.unit.decide.asking import Asked

GOLDEN = Path(__file__).parents[2] / "golden" / "plans"
PARENTS = {
    "eth0": Parent(mac="52:54:00:00:00:01", addresses=("192.168.1.2/24",)),
    "br0": Parent(mac="52:54:00:00:00:02", kind="bridge", addresses=("10.7.0.1/24",)),
}


class Session(Asked):
    """A host whose kernel does what each command plans, and what the plans say."""

    def __init__(self) -> None:
        super().__init__(HostFacts(parents=PARENTS, bridges=frozenset({"br0"})))
        self.kernel = FakeKernel(self.facts)
        self.kernel.host = HostState.of([Foreign(netns=HOST, name=name) for name in PARENTS])
        self.lines: list[str] = []

    def ask(self, command: Command):  # type: ignore[no-untyped-def]
        before = self.state
        decision = super().ask(command)
        change = Change(before=before, after=self.state, touched=decision.touched, facts=self.facts)
        plan = planned(self.kernel, change)
        self.kernel.apply(plan)
        named = getattr(command, "name", "") or getattr(command, "container", "") or getattr(command, "network", "")
        self.lines += [f"# {type(command).__name__} {named}", *(op.describe() for op in plan), ""]
        return decision


def macvlan(host: Session) -> None:
    options = {"parent": "eth0", "host_access": "true"}
    host.network("lan", "192.168.1.0/24", mode=Mode.MACVLAN, options=options)
    host.run("tv", "lan")
    host.run("radio", "lan")
    host.ask(RemoveContainer(container="radio"))
    host.ask(RemoveContainer(container="tv"))
    host.remove_network("lan")


def ipvlan(host: Session) -> None:
    host.network("flat", "192.168.1.0/24", mode=Mode.IPVLAN, options={"parent": "eth0", "ipvlan_mode": "l3"})
    host.run("tv", "flat")
    host.remove("tv")


def several(host: Session) -> None:
    host.network("front", "10.1.0.0/24", "fd00:1::/64")
    host.network("back", "10.2.0.0/24")
    host.network("closed", "10.3.0.0/24", internal=True)
    host.run("web", "front", publish=("8080:80",))
    host.connect("web", "back")
    host.connect("web", "closed")
    host.disconnect("web", "front")
    host.remove("web")


def live(host: Session) -> None:
    host.network("app", "10.1.0.0/24")
    host.run("web", "app", publish=("8080:80",))
    host.ask(Publish(container="web", add=(parse_port("8443:443"),), remove=(parse_port("8080:80"),)))
    host.ask(Limit(container="web", bandwidth="ingress=10mbit,egress=2mbit"))


def guests(host: Session) -> None:
    host.network("yard", options={"com.docker.network.bridge.name": "br0"})
    host.run("web", "yard", publish=("8080:80",))
    host.remove("web")
    host.remove_network("yard")


@pytest.mark.parametrize("session", [macvlan, ipvlan, several, live, guests], ids=lambda session: session.__name__)
def test_plans_are_those_that_were_reviewed(session: Callable[[Session], None]) -> None:
    host, file = Session(), GOLDEN / f"{session.__name__}.txt"
    session(host)
    said = "\n".join(host.lines)
    if os.environ.get("UPDATE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(said)
    assert said == file.read_text()
