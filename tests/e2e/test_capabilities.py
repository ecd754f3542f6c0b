"""The daemons with no more capabilities than their systemd units leave them (S15), and the reason for each: without it something
that people ask for fails."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import netrt.daemon
from netrt.launch.capabilities import DEFAULT, NAMES
from tests.command import PROGRAM, Box, Netrt
from tests.dhcpserver import Manner, Server
from tests.host import Host
from tests.oci import Bundle
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


def start(host: Host, capabilities: frozenset[str], names: frozenset[str] = granted("netrt-dns.service")) -> None:
    """Both daemons, as their units start them, netrtd with these, and netrt-dns with `names`."""
    for program, held in (("netrt-dns", names), ("netrtd", capabilities)):
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


def more_flows(host: Host, netrt: Netrt, tmp_path: Path) -> None:
    """What came in besides: addresses of a LAN's DHCP server, files that are applied, the OCI hook, bridges of others, changes of
    what runs, and looks from inside."""
    host.run("ip", "link", "add", "br0", "type", "bridge")
    host.run("ip", "link", "set", "br0", "up")
    host.run("ip", "addr", "add", "10.7.0.1/24", "dev", "br0")
    netrt("network", "create", "-o", "com.docker.network.bridge.name=br0", "yard")
    site = tmp_path / "site.yaml"
    site.write_text(SITE)
    assert "4 added" in netrt("apply", "-f", str(site))
    assert "0 added, 0 changed, 0 removed" in netrt("apply", "-f", str(site))
    leased(host, netrt)
    box = Bundle(host, tmp_path, "box", {"networks": "app yard", "ports": "8081:81", "aliases": "www"})
    box.create()
    web = Box(host, netrt.inspect("web"))
    assert seen(web, Box(host, netrt.inspect("box")).ip4, 81, box.tcp(81)) == web.ip4
    netrt("network", "update", "app", "--grow", "10.4.0.0/23")
    netrt("publish", "add", "web", "8082:82")
    netrt("container", "update", "--bandwidth", "ingress=10mbit,egress=10mbit", "web")
    found = json.loads(host.run(PROGRAM, "debug", "--format", "json", "box", check=False).stdout)
    works = {each["Probe"]["About"]: each for each in found["Outcomes"] if each["Works"]}
    assert works.keys() >= {"gateway", "peer", "names"}, [each for each in found["Outcomes"] if not each["Works"]]
    heard = captured(host, web)
    assert "UDP" in heard
    for words in (("doctor",), ("gc",), ("metrics",)):
        assert host.run(PROGRAM, *words, check=False).returncode in (0, 3), words
    box.end()
    assert box.stopped().returncode == 0
    site.write_text("name: site\n")
    assert "4 removed" in netrt("apply", "--prune", "-f", str(site))
    netrt("network", "rm", "yard")
    assert netrt("diff") == ""


SITE = """
name: site
networks:
  app: {subnets: [10.4.0.0/24], ipv6: true}
  lan: {driver: macvlan, ipam_driver: dhcp, options: {parent: uplink, host_access: "true"}}
containers:
  web: {networks: [app], ports: ["8080:80"]}
  pod: {networks: [app]}
"""


def leased(host: Host, netrt: Netrt) -> None:
    """A lease: got, renewed by the next command's look, given back."""
    server = Server(Place(host, "/run/netns/outside"), "eth0", Manner(gives=["10.77.0.10"]))
    try:
        netrt("network", "connect", "lan", "web")
        assert netrt.inspect("web")["NetworkSettings"]["Networks"]["lan"]["IPAddress"] == "10.77.0.10"
        netrt("network", "disconnect", "lan", "web")
        server.until("release")
    finally:
        server.close()


def captured(host: Host, web: Box) -> str:
    """A capture by somebody who has what it needs, and no more."""
    child = host.spawn(
        *confined({"NET_RAW", "SYS_ADMIN"}, PROGRAM, "capture", "--count", "1", "web", "udp", "port", "9")
    )
    assert child.stderr is not None
    assert "listening" in child.stderr.readline()
    with web.open(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.sendto(b"hello", ("10.4.0.1", 9))
    return child.communicate(timeout=30)[0]


SERVER = """
import os, socket
s = socket.create_server(("", 8099)); os.setuid(65534); print("", flush=True); s.accept()
"""


def test_cve_2020_26278_the_units_leave_what_is_needed(host: Host, netrt: Netrt, tmp_path: Path) -> None:
    """S15: and what the processes hold is that, and nothing else."""
    host.outside()
    start(host, granted("netrtd.service"))
    for unit, lock in (("netrtd.service", "/var/lib/netrt/lock"), ("netrt-dns.service", "/run/netrt/netrt-dns.lock")):
        assert holds(Path(lock).read_text().strip()) == granted(unit)
    flows(host, netrt)
    more_flows(host, netrt, tmp_path)


def test_a_container_gets_no_more_than_the_daemon_has(host: Host, netrt: Netrt) -> None:
    start(host, granted("netrtd.service"))
    assert frozenset(DEFAULT) <= granted("netrtd.service"), "what Docker gives a container by default"
    said = host.run(PROGRAM, "run", "-d", "--network", "none", "--cap-add", "SYS_MODULE", "--", "true", check=False)
    assert said.returncode == 125
    assert "SYS_MODULE" in said.stderr


def begin_and_use(host: Host, netrt: Netrt, capabilities: frozenset[str]) -> None:
    start(host, capabilities)
    flows(host, netrt)


def test_frames_are_the_reason_for_net_raw(host: Host, netrt: Netrt) -> None:
    """Which is not only there for containers: without it nobody speaks to a DHCP server."""
    host.outside()
    start(host, granted("netrtd.service") - {"NET_RAW"})
    netrt("network", "create", "-d", "macvlan", "--ipam-driver", "dhcp", "-o", "parent=uplink", "lan")
    said = netrt.refused("container", "create", "--network", "lan")
    assert "cannot speak DHCP on uplink: Operation not permitted" in said


def test_processes_are_the_reason_for_sys_ptrace_in_netrt_dns(host: Host, netrt: Netrt, tmp_path: Path) -> None:
    """Whose namespace is known by their number alone."""
    start(host, granted("netrtd.service"), granted("netrt-dns.service") - {"SYS_PTRACE"})
    netrt("network", "create", "app")
    Bundle(host, tmp_path, "box", {"networks": "app"}).create()
    said = Path("/run/netrt-dns.log").read_text()
    assert "/ns/net cannot be opened: Permission denied" in said


OWN = sorted(granted("netrtd.service") - frozenset(DEFAULT))


@pytest.mark.parametrize("missing", OWN)
def test_without_any_of_its_own_something_fails(host: Host, netrt: Netrt, missing: str) -> None:
    host.outside()
    with pytest.raises(AssertionError):
        begin_and_use(host, netrt, granted("netrtd.service") - {missing})
