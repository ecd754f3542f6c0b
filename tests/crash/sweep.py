"""The sweep: a flow, the daemon killed at each of its points, and the next one looked at.

A point is the moment right before, or right after, a kernel operation, a save, a change of names, or the telling of what was
saved; the last one is the moment after the client has its answer. What is there after the next start must be all of before or all
of after: kernel, database, files of containers, and what netrt-dns answers; and after, where the client was told so."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode

from netrt import Client
from netrt.errors import NetrtError, Unavailable
from netrt.paths import Paths
from tests.crash.flows import Flow
from tests.crash.moment import COUNT, OFF, Moment
from tests.host import Host
from tests.namespaces import inhabitants
from tests.snapshot import differences, snapshot
from tests.waiting import wait_until

PATHS = Paths()
_PASSING = re.compile(
    r'\d{4}-\d\d-\d\dT[\d:.]+Z|(?<="pid":)\d+|(?<="start_ticks":)\d+'
    r'|(?<="renew":)\d+|(?<="rebind":)\d+|(?<="expires":)\d+'
)
"""What differs between two runs of a flow: the time, also that of leases, and numbers of processes."""

_COUNT = "('commit', "
"""The row in which commits are counted."""

_PASSING_FILES = ("launch.json", "exit.json")
"""What a supervisor was told, and what it could not tell."""


class Daemons:
    """Starts mortal daemons in a host, one at a time."""

    def __init__(self, host: Host) -> None:
        for switch in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            Path("/proc/sys/net", switch).write_text("1")  # a host that forwards by its own will: we need no guard
        Path("/etc/resolv.conf").write_text("")  # nobody else is to be asked for names
        Path(PATHS.configuration).write_text(
            "mending = false\n"
        )  # a start heals; what is mended between would be counted, or not
        self.moment = Moment("/run/moment")
        self._nursery = host.spawn(sys.executable, "-m", "tests.crash.mortal", "/run/moment")
        self._pid = 0

    def start(self, at: int = OFF) -> bool:
        """Start one, to die at this point. Whether it came to answer."""
        self.moment.arm(at)
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        print(file=self._nursery.stdin, flush=True)
        said = json.loads(self._nursery.stdout.readline())
        self._pid = said["pid"]
        assert said["ready"] or self.died(), said["said"]
        return bool(said["ready"])

    def died(self) -> bool:
        """Wait for the end of a daemon that is about to die."""
        try:
            descriptor = os.pidfd_open(self._pid)
        except ProcessLookupError:
            return True
        with os.fdopen(descriptor, "rb"):
            return bool(select.select([descriptor], [], [], 5)[0])

    def kill(self) -> None:
        """Kill it now, whatever it does."""
        os.kill(self._pid, signal.SIGKILL)
        assert self.died()


def world(host: Host) -> dict[str, Any]:
    """All that a daemon leaves, and what netrt-dns answers, without what passes."""
    seen = snapshot(host)
    for table, rows in _rows().items():
        seen[f"table {table}"] = [_PASSING.sub("…", row) for row in rows if not row.startswith(_COUNT)]
    seen["names"] = _names(host)
    seen["files"] = [f"{path}: {path.read_text()}" for path in _files() if path.suffix != ".log"]
    return seen


NAMES = (
    "any",
    "beside",
    "both",
    "db",
    "fancy",
    "job",
    "more",
    "namesake",
    "plain",
    "store",
    "there",
    "two",
    "web",
    "www",
)
"""All names of containers in flows, and aliases."""

_SERVED = ":4E55 "
"""netrt-dns's port in a sandbox, 20053, in the form of /proc/net/udp."""


def _names(host: Host) -> list[str]:
    """What netrt-dns answers, in each sandbox that it serves, to a question for each name."""
    questions = [dns.message.make_query(name, "A", id=number) for number, name in enumerate(NAMES)]
    found = []
    for pin in sorted(Path("/run/netns").glob("netrt-*")):
        with host.inside(str(pin)) as call:
            if _SERVED not in call(Path("/proc/thread-self/net/udp").read_text):
                continue
            asker = call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
        with asker:
            asker.settimeout(5)
            asker.connect(("127.0.0.11", 53))
            for question in questions:
                asker.send(question.to_wire())
            replies = sorted((dns.message.from_wire(asker.recv(4096)) for _ in questions), key=lambda reply: reply.id)
        for reply in replies:
            answers = sorted(str(item) for rrset in reply.answer for item in rrset)
            found.append(f"{pin.name} {NAMES[reply.id]} {dns.rcode.to_text(reply.rcode())} {answers}")
    return found


def _rows() -> Mapping[str, list[str]]:
    with closing(sqlite3.connect(f"file:{PATHS.database}?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: sorted(map(str, database.execute(f"SELECT * FROM {table}"))) for table in sorted(tables)}


def _supervised() -> bool:
    """Whether each process that a supervisor made for a container is noted, and no other."""
    noted = {number for row in _rows()["container"] for number in re.findall(r'"pid":([1-9]\d*)', row)}
    made = {child for pid in inhabitants() if _name(pid) == "netrt-supervise" for child in _children(pid)}
    return made == noted


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _children(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return []


def _files() -> Iterator[Path]:
    for directory in (Path(PATHS.run, "containers"), Path(PATHS.lib, "containers")):
        yield from sorted(p for p in directory.rglob("*") if p.is_file() and p.name not in _PASSING_FILES)


@dataclass
class Report:
    """How a sweep went: where each point led, and what was wrong there."""

    before: int = 0
    after: int = 0
    told: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def points(self) -> int:
        return self.before + self.after + len(self.wrong)


class Sweep:
    """One flow on one host."""

    def __init__(self, host: Host, flow: Flow) -> None:
        self.host = host
        self.flow = flow
        self.report = Report()
        host.namespace("pod")  # for flows of CNI
        self.daemons = Daemons(host)
        self.daemons.start()
        for work in flow.given:
            with Client(PATHS.socket) as client:
                work(client)
        self.daemons.kill()
        shutil.copytree(PATHS.lib, "/run/kept")
        self._before()
        self.before = world(host)
        points = self._count()
        self.after = world(host)
        assert differences(self.before, self.after), "the flow changes something"
        self._point(points, "after: answer", told=True)
        for at in range(points):
            self._back()
            self._die(at)

    def _count(self) -> int:
        """Go the whole way once."""
        self.daemons.moment.arm(COUNT)
        with Client(PATHS.socket) as client:
            self.between = [world(self.host) for _ in self._went(client)]
            points = self.daemons.moment.passed
            self.daemons.moment.arm(OFF)
            self.told = self.flow.told(client) if self.flow.told else ""
        self.daemons.kill()
        self.daemons.start()
        return points

    def _went(self, client: Client) -> Iterator[object]:
        """Each step of the way that is taken; none where it is a single one."""
        steps = self.flow.then(client)
        if isinstance(steps, Iterator):
            yield from steps

    def _die(self, at: int) -> None:
        self.daemons.moment.arm(at)
        told = True
        try:
            with Client(PATHS.socket) as client:
                for _ in self._went(client):
                    pass
        except Unavailable:
            told = False
        assert self.daemons.died(), f"it did not die at point {at}"
        words = self.daemons.moment.last
        self.daemons.start()
        wait_until(_supervised, what="what supervisors tell the next daemon")
        self._point(at, words, told=told)
        if self.flow.told:
            self._again(at, words)

    def _again(self, at: int, words: str) -> None:
        """Going the whole way once more leads to its end, wherever the first time ended."""
        self.clean = False
        try:
            with Client(PATHS.socket) as client:
                for _ in self._went(client):
                    pass
                assert self.flow.told
                told = self.flow.told(client)
        except NetrtError as error:
            told = str(error)
        if told != self.told:
            self.report.wrong.append(f"point {at} ({words}), once more:\n{told}\nand not\n{self.told}")

    def _point(self, at: int, words: str, *, told: bool) -> None:
        seen = world(self.host)
        to_before, to_after = differences(self.before, seen), differences(self.after, seen)
        self.report.told += told
        if not to_after or (not told and any(not differences(step, seen) for step in self.between)):
            self.report.after += 1
        elif not to_before and not told:
            self.report.before += 1
        else:
            what = f"told that it is done, and it is not:\n{to_after}" if told else f"{to_before}\nor\n{to_after}"
            self.report.wrong.append(f"point {at} ({words}): {what}")
        self.clean = not to_before

    def _back(self) -> None:
        """Have the state before again."""
        if self.clean:
            return
        self.daemons.kill()
        self._end_processes()
        for path in Path(PATHS.lib).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree("/run/kept", PATHS.lib, dirs_exist_ok=True)
        shutil.rmtree(Path(PATHS.run, "containers"), ignore_errors=True)
        # a database of before knows nothing of what stands in a sandbox of others
        self.host.run("ip", "netns", "exec", "pod", "nft", "flush", "ruleset")
        self._before()
        assert not (left := differences(self.before, world(self.host))), left

    def _before(self) -> None:
        """Start a daemon on what was kept, and take the last step to the state before, which leaves a daemon of its own."""
        self.daemons.start()
        if self.flow.anew:
            with Client(PATHS.socket) as client:
                self.flow.anew(client)
            self.daemons.kill()
            self.daemons.start()

    def _end_processes(self) -> None:
        for row in _rows()["container"]:
            found = re.search(r'"pid":(\d+)', row)
            if found and int(found[1]):
                os.kill(int(found[1]), signal.SIGKILL)
