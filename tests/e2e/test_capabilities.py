"""The daemons with no more capabilities than their systemd units leave them (S15), and the reason for each: without it something
that people ask for fails."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import netrt.daemon
from netrt.launch.capabilities import DEFAULT, NAMES
from tests.command import PROGRAM, Netrt
from tests.host import Host
from tests.traffic import Place, seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root

UNITS = Path(netrt.daemon.__file__).with_name("systemd")
BIN = Path(sys.executable).parent


def granted(unit: str) -> frozenset[str]:
    """What a unit leaves in the bounding set, without `CAP_`."""
    key = "CapabilityBoundingSet="
    lines = [line.removeprefix(key) for line in (UNITS / unit).read_text().splitlines() if line.startswith(key)]
    return frozenset(name.removeprefix("CAP_") for line in lines for name in line.split())


def confined(capabilities: Iterable[str], *argv: str) -> list[str]:
    kept = ",".join(("-all", *(f"+{name.lower()}" for name in sorted(capabilities))))
    return ["setpriv", "--no-new-privs", "--bounding-set", kept, "--inh-caps", "-all", *argv]


def start(host: Host, capabilities: frozenset[str]) -> None:
    """Both daemons, as their units start them, netrtd with these."""
    for program, held in (("netrt-dns", granted("netrt-dns.service")), ("netrtd", capabilities)):
        hear, say = os.pipe()
        argv = confined(held, str(BIN / program), "--ready-fd", str(say), "--log-file", f"/run/{program}.log")
        os.makedirs("/run/netrt", exist_ok=True)
        subprocess.Popen(argv, pass_fds=(say,), start_new_session=True, stdin=subprocess.DEVNULL)
        os.close(say)
        with open(hear, "rb") as pipe:
            said = pipe.read()
        assert said == b"READY\n", f"{program}: {said!r}"


def holds(pid: str) -> frozenset[str]:
    """The effective capabilities of a process."""
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    bits = int(status["CapEff"], 16)
    return frozenset(name for number, name in enumerate(NAMES) if bits >> number & 1)


def flows(host: Host, netrt: Netrt) -> None:
    """What people do, in short. AssertionError where something of it does not work."""
    outside = Place(host, "/run/netns/outside")
    netrt("network", "create", "--ipv6", "app")
    web = netrt.box("web", "--network", "app", "-p", "8080:80")
    assert seen(outside, "192.0.2.1", 8080, web.tcp(80)) == "192.0.2.2"
    theirs = host.namespace("theirs")
    netrt("container", "create", "--name", "pod", "--network", "app", "--netns", theirs)
    netrt("run", "-d", "--name", "job", "--network", "app", "--", "sh", "-c", "echo up; sleep 600")
    wait_until(lambda: "up" in netrt("logs", "job"), what="what the job prints")
    assert "web" in netrt("exec", "job", "getent", "hosts", "web")
    taken = web.host.spawn(sys.executable, "-c", SERVER)
    assert taken.stdout is not None
    taken.stdout.readline()
    assert "python" in netrt.refused("container", "create", "--network", "app", "-p", "8099:80"), (
        "who has the port is named"
    )
    assert netrt("stop", "-t", "0", "job") == "job"
    netrt("rm", "web", "pod", "job")
    netrt("network", "rm", "app")
    assert netrt("diff") == ""


SERVER = """
import os, socket
s = socket.create_server(("", 8099)); os.setuid(65534); print("", flush=True); s.accept()
"""


def test_the_units_leave_what_is_needed(host: Host, netrt: Netrt) -> None:
    """And what the processes hold is that, and nothing else."""
    host.outside()
    start(host, granted("netrtd.service"))
    for unit, lock in (("netrtd.service", "/var/lib/netrt/lock"), ("netrt-dns.service", "/run/netrt/netrt-dns.lock")):
        assert holds(Path(lock).read_text().strip()) == granted(unit)
    flows(host, netrt)


def test_a_container_gets_no_more_than_the_daemon_has(host: Host, netrt: Netrt) -> None:
    start(host, granted("netrtd.service"))
    assert frozenset(DEFAULT) <= granted("netrtd.service"), "what Docker gives a container by default"
    said = host.run(PROGRAM, "run", "-d", "--network", "none", "--cap-add", "SYS_MODULE", "--", "true", check=False)
    assert said.returncode == 125
    assert "SYS_MODULE" in said.stderr


def begin_and_use(host: Host, netrt: Netrt, capabilities: frozenset[str]) -> None:
    start(host, capabilities)
    flows(host, netrt)


OWN = sorted(granted("netrtd.service") - frozenset(DEFAULT))


@pytest.mark.parametrize("missing", OWN)
def test_without_any_of_its_own_something_fails(host: Host, netrt: Netrt, missing: str) -> None:
    host.outside()
    with pytest.raises(AssertionError):
        begin_and_use(host, netrt, granted("netrtd.service") - {missing})
