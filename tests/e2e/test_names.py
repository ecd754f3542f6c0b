"""Names in containers: from the first instruction to the last, whatever happens to the daemons."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import dns.exception
import dns.message
import pytest

from netrt.dns.zone import ADDRESS
from tests.asking import Asker
from tests.command import Netrt
from tests.host import Host
from tests.processes import end
from tests.waiting import wait_until

pytestmark = pytest.mark.root

DAEMON_LOCK, RESOLVER_LOCK = Path("/var/lib/netrt/lock"), Path("/run/netrt/netrt-dns.lock")


def asker(netrt: Netrt, name: str, *options: str) -> Asker:
    """A container, as who asks."""
    return Asker(netrt.host, netrt.box(name, *options).path)


@pytest.fixture
def app(netrt: Netrt) -> Netrt:
    netrt("network", "create", "--subnet", "10.1.0.0/24", "--subnet", "fd00:1::/64", "--ipv6", "app")
    return netrt


@pytest.mark.parametrize("tcp", [False, True])
def test_neighbours_are_found(app: Netrt, tcp: bool) -> None:
    web, db = asker(app, "web", "--network", "app"), asker(app, "db", "--network", "app", "--alias", "store")
    for box in (web, db):
        assert box.looked_up("db", tcp=tcp) == ["10.1.0.3"]
        assert box.looked_up("STORE.app.", "AAAA", tcp=tcp) == ["fd00:1::3"]
        assert box.looked_up("2.0.1.10.in-addr.arpa", "PTR", tcp=tcp) == ["web.app."]


def test_port_53_is_the_containers(app: Netrt) -> None:
    web = asker(app, "web", "--network", "app")
    with contextlib.ExitStack() as stack:
        own = {}
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            own[kind] = stack.enter_context(web.listener(kind, 53, "0.0.0.0"))
        assert web.looked_up("web") == ["10.1.0.2"]
        assert web.looked_up("web", tcp=True) == ["10.1.0.2"]
        with web.open(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.sendto(b"mine", ("127.0.0.1", 53))
            own[socket.SOCK_DGRAM].settimeout(5)
            assert own[socket.SOCK_DGRAM].recv(10) == b"mine"


def test_only_networks_that_people_made_have_names(app: Netrt) -> None:
    for options in ((), ("--network", "none")):
        alone = asker(app, f"alone{len(options)}", *options)
        with pytest.raises((ConnectionRefusedError, dns.exception.Timeout)):
            alone.ask("alone0", patience=1)
        assert "table ip netrt" not in app.host.run("nsenter", f"--net={alone.path}", "nft", "list", "ruleset").stdout


def test_names_come_and_go_with_attachments(app: Netrt) -> None:
    web, db = asker(app, "web", "--network", "app"), asker(app, "db", "--network", "none")
    for _ in range(2):
        assert web.looked_up("db.app") == ["NXDOMAIN"]
        app("network", "connect", "app", "db")
        assert web.looked_up("db.app")
        assert db.looked_up("web.app") == ["10.1.0.2"]
        app("network", "disconnect", "app", "db")
        assert "table ip netrt" not in app.host.run("nsenter", f"--net={db.path}", "nft", "list", "ruleset").stdout
    app("rm", "-f", "web")
    app("container", "create", "--name", "other", "--network", "app", "--ip", "10.1.0.2")
    app("network", "connect", "app", "db")
    assert db.looked_up("web.app") == ["NXDOMAIN"]
    assert db.looked_up("other.app") == ["10.1.0.2"]


def test_a_command_finds_its_own_name_at_once(app: Netrt) -> None:
    said = app(
        "run", "--rm", "--network", "app", "--name", "job", "sh", "-c", "cat /etc/resolv.conf; getent ahostsv4 job.app"
    )
    assert f"nameserver {ADDRESS}\n" in said
    assert "options ndots:0" in said
    assert "10.1.0.2" in said


def test_an_adopted_namespace_has_names_while_it_is_on_a_network(app: Netrt, host: Host) -> None:
    path = host.namespace("theirs")
    there = asker(app, "there", "--network", "app", "--netns", path)
    assert there.looked_up("there") == ["10.1.0.2"]
    app("rm", "-f", "there")
    assert host.run("nsenter", f"--net={path}", "nft", "list", "ruleset").stdout == ""
    with pytest.raises(ConnectionRefusedError):
        there.ask("there")


def test_the_way_of_questions_is_mended(app: Netrt) -> None:
    web = asker(app, "web", "--network", "app")
    app.host.run("nsenter", f"--net={web.path}", "nft", "flush", "chain", "ip", "netrt", "names")
    with pytest.raises(ConnectionRefusedError):
        web.ask("web")
    os.kill(int(DAEMON_LOCK.read_text()), signal.SIGTERM)
    wait_until(lambda: not Path("/run/netrt/netrt.sock").exists(), what="the end of netrtd")
    app("ps")
    assert web.looked_up("web") == ["10.1.0.2"]


class Asking:
    """Questions without a pause, each of which must be answered well."""

    def __init__(self, box: Asker, name: str, answer: str) -> None:
        self.count = 0
        self.wrong: list[str] = []
        self.longest = 0.0
        self._over = threading.Event()
        self._sockets = [box.socket(), box.socket()]
        self._question, self._answer = dns.message.make_query(name, "A"), answer
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for each in self._sockets:
            each.close()

    def _ask(self) -> None:
        wire = self._question.to_wire()
        while not self._over.is_set():
            for asking in self._sockets:
                began = time.monotonic()
                try:
                    asking.send(wire)
                    said = dns.message.from_wire(asking.recv(4096))
                    found = [str(record) for rrset in said.answer for record in rrset]
                except OSError as error:
                    found = [str(error)]
                self.longest = max(self.longest, time.monotonic() - began)
                self.count += 1
                if found != [self._answer]:
                    self.wrong.append(str(found))


def daemon() -> int:
    return int(DAEMON_LOCK.read_text())


def test_netrtd_killed_restarted_and_away_loses_no_question(app: Netrt) -> None:
    web = asker(app, "web", "--network", "app")
    with Asking(web, "web", "10.1.0.2") as asking:
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            before = asking.count
            os.kill(pid := daemon(), number)
            wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="the end of netrtd")
            wait_until(lambda: asking.count > before + 100, what="answers without netrtd")  # noqa: B023
            app("container", "create", "--network", "app", "--name", f"other{before}")
            assert web.looked_up(f"other{before}")
    assert asking.wrong == []
    assert asking.count > 1000


def resolver() -> int:
    return int(RESOLVER_LOCK.read_text())


def test_netrt_dns_killed_is_back_within_a_second(app: Netrt) -> None:
    """So it is on a machine that has time; one that is too busy to start Python within a second gets twice what that takes it."""
    web = asker(app, "web", "--network", "app")
    asker(app, "db", "--network", "app")
    times, starts = [], []
    for _ in range(4):
        began = time.monotonic()
        app.host.run(str(Path(sys.executable).with_name("netrt-dns")), "--version")
        starts.append(time.monotonic() - began)
        os.kill(pid := resolver(), signal.SIGKILL)
        began = time.monotonic()
        wait_until(lambda: _answered(web, "db") == ["10.1.0.3"], 10, "names")
        times.append(time.monotonic() - began)
        assert resolver() != pid
    assert min(times) < max(1.0, 2 * min(starts)), f"{times} beside {starts}"


def _answered(box: Asker, name: str) -> list[str]:
    try:
        return box.looked_up(name, patience=0.05)
    except (OSError, dns.exception.Timeout):
        return []


def test_both_killed_are_back_with_the_next_command(app: Netrt) -> None:
    web = asker(app, "web", "--network", "app")
    for pid in (daemon(), resolver()):
        end(pid)
    db = asker(app, "db", "--network", "app")
    assert web.looked_up("db") == ["10.1.0.3"]
    assert db.looked_up("web") == ["10.1.0.2"]


def test_a_command_waits_for_names_that_are_away(app: Netrt) -> None:
    """A container that is made while netrt-dns is dead has its names nonetheless when the command ends."""
    web = asker(app, "web", "--network", "app")
    for number in range(3):
        os.kill(resolver(), signal.SIGKILL)
        app("container", "create", "--name", f"new{number}", "--network", "app")
        assert web.looked_up(f"new{number}") == [f"10.1.0.{number + 3}"]


def test_one_that_hangs_is_replaced(app: Netrt) -> None:
    web = asker(app, "web", "--network", "app")
    os.kill(pid := resolver(), signal.SIGSTOP)
    db = asker(app, "db", "--network", "app")
    assert web.looked_up("db") == ["10.1.0.3"]
    assert db.looked_up("web") == ["10.1.0.2"]
    assert resolver() != pid


def test_the_hosts_resolvers_are_followed_when_they_change(app: Netrt) -> None:
    app("container", "create", "--name", "web", "--network", "app")
    app("container", "create", "--name", "plain")
    file = Path("/run/netrt/containers", app.inspect("plain")["Id"], "resolv.conf")
    assert "nameserver 192.0.2.2" in app("exec", "plain", "cat", "/etc/resolv.conf").splitlines()
    Path("/etc/resolv.conf").write_text("nameserver 192.0.2.77\n")
    wait_until(lambda: "nameserver 192.0.2.77\n" in file.read_text(), what="the new resolver in resolv.conf")
    assert "forwarded to 192.0.2.77" in app("dns", "query", "--from", "web", "example.com")


SYSTEMCTL = """\
#!/bin/sh
# stands in for the service manager: starts the unit, and returns when it is ready
[ "$*" = "start netrt-dns.service" ] || exit 4
{program} --ready-fd 3 3>/run/unit.ready </dev/null >/dev/null 2>&1 &
while ! grep -q READY /run/unit.ready; do :; done
"""


def test_as_a_unit_it_is_started_by_the_service_manager(host: Host, tmp_path: Path) -> None:
    netrt_dns, netrtd = (str(Path(sys.executable).with_name(name)) for name in ("netrt-dns", "netrtd"))
    manager = tmp_path / "systemctl"
    manager.write_text(SYSTEMCTL.format(program=netrt_dns))
    manager.chmod(0o755)
    daemon = host.spawn("env", f"PATH={tmp_path}:{os.environ['PATH']}", netrtd, "--dns-unit", "netrt-dns.service")
    wait_until(Path("/run/netrt/netrt.sock").exists, 20, "netrtd")
    netrt = Netrt(host)
    netrt("network", "create", "--subnet", "10.1.0.0/24", "app")
    web = asker(netrt, "web", "--network", "app")
    assert web.looked_up("web") == ["10.1.0.2"]
    assert daemon.poll() is None
    assert not Path("/run/netrt/netrt-dns.log").exists(), "netrtd itself started none"
