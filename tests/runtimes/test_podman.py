"""podman with its CNI backend, our plugins in the place of the reference plugins: containers that reach each other, published
ports, and nothing left."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.asking import Asker
from tests.cni import PLUGINS, PORTMAP, Config, bridge, network
from tests.command import Netrt
from tests.e2e.conftest import HOST4, OUTSIDE4
from tests.host import Host
from tests.podman import command, settings
from tests.runtimes.conftest import REFERENCE, needed
from tests.snapshot import differences, snapshot
from tests.traffic import BRIEF, Place, seen

pytestmark = pytest.mark.root

HOME = Path("/run/podman")

VERSION = "1.0.0"
"""The latest that podman 4 knows."""


class Podman:
    """podman, all of whose files are below HOME."""

    def __init__(self, host: Host, rootfs: Path) -> None:
        self.host = host
        (HOME / "networks").mkdir(parents=True)
        packed = subprocess.run(["tar", "-C", rootfs, "-c", "."], capture_output=True, check=True).stdout
        (HOME / "image.tar").write_bytes(packed)
        self("import", str(HOME / "image.tar"), "box")

    def __call__(self, *words: str) -> str:
        return self.host.run(*command(HOME), *words).stdout

    def network(self, config: Config) -> None:
        """A network that people put into podman's directory."""
        (HOME / "networks" / f"{config['name']}.conflist").write_text(json.dumps(config))

    def run(self, name: str, *options: str) -> Place:
        """A container that sleeps, as a place."""
        self("run", "-d", "--name", name, *options, "box", "/bin/sleep", "1000")
        return self.place(name)

    def place(self, name: str) -> Place:
        return Place(self.host, str(self.inspect(name)["NetworkSettings"]["SandboxKey"]))

    def inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("inspect", name))[0]
        return found

    def address(self, name: str, network: str = "mynet") -> str:
        return str(self.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"])


@pytest.fixture
def podman(runtime_host: Host, rootfs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Podman]:
    needed("podman", "crun", "conmon")
    version = runtime_host.run("podman", "--version").stdout.split()[-1]
    if int(version.partition(".")[0]) > 4:
        pytest.skip(f"podman {version} has no CNI backend any more")
    HOME.mkdir()
    (HOME / "containers.conf").write_text(settings(HOME, "mynet", PLUGINS, REFERENCE))
    monkeypatch.setenv("CONTAINERS_CONF", str(HOME / "containers.conf"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run")
    made = Podman(runtime_host, rootfs)
    yield made
    made("rm", "-f", "-t", "0", "--all")


def test_two_containers_and_a_published_port(podman: Podman, runtime_host: Host, netrt: Netrt) -> None:
    outside = Place(runtime_host, "/run/netns/outside")
    podman.network(network(bridge(), PORTMAP, {"type": "netrt-firewall"}, {"type": "netrt-tuning"}, version="0.4.0"))
    podman.run("first")
    podman("rm", "-f", "-t", "0", "first")
    before = snapshot(runtime_host)
    web, box = podman.run("web", "-p", "8080:80", "-p", "5353:53/udp"), podman.run("box")
    assert "1 packets received" in podman("exec", "box", "/bin/ping", "-c", "1", "-W", "5", podman.address("web"))
    with web.tcp(80) as server, web.udp(53) as names:
        assert seen(outside, HOST4, 8080, server) == OUTSIDE4
        assert seen(outside, HOST4, 5353, names) == OUTSIDE4
        assert seen(Place(runtime_host), "127.0.0.1", 8080, server)
        assert seen(box, podman.address("web"), 80, server) == podman.address("box")
        assert seen(box, HOST4, 8080, server)
    with outside.tcp(80) as server:
        assert seen(box, OUTSIDE4, 80, server) == HOST4
    assert "8080->80/tcp" in netrt("ps")
    podman("stop", "-t", "0", "web")
    assert not seen_by_nobody(outside)
    podman("start", "web")
    with podman.place("web").tcp(80) as server:
        assert seen(outside, HOST4, 8080, server) == OUTSIDE4
    podman("rm", "-f", "-t", "0", "web", "box")
    assert not differences(before, snapshot(runtime_host))
    assert len(netrt("ps").splitlines()) == 1
    assert not list(Path("/var/lib/cni/results").iterdir()), "what the library keeps between ADD and DEL"


def seen_by_nobody(outside: Place) -> str:
    """Who answers at the published port while nobody should; the host's own listener is the proof of the way there."""
    with Place(outside.host).tcp(8081) as other:
        assert seen(outside, HOST4, 8081, other) == OUTSIDE4
        return seen(outside, HOST4, 8080, other, patience=BRIEF)


def test_chosen_addresses_and_two_networks(podman: Podman, runtime_host: Host) -> None:
    ipam = {"ranges": [[{"subnet": "10.22.0.0/16"}], [{"subnet": "fd00:22::/64"}]], "type": "netrt-host-local"}
    podman.network(network(bridge(ipam=ipam) | {"capabilities": {"ips": True, "mac": True}}, PORTMAP, version=VERSION))
    other = bridge(subnet="10.23.0.0/16", bridge="cni1")
    podman.network(network(other | {"capabilities": {"ips": True}}, PORTMAP, name="other", version=VERSION))
    podman.run("web", "--network", "mynet:ip=10.22.7.7,mac=02:00:00:00:07:07", "--network", "other")
    one, two = podman.run("one"), podman.run("two", "--network", "other")
    assert podman.inspect("web")["NetworkSettings"]["Networks"]["mynet"]["MacAddress"] == "02:00:00:00:07:07"
    with podman.place("web").tcp(80) as server:
        assert seen(one, "10.22.7.7", 80, server) == podman.address("one")
        assert seen(two, podman.address("web", "other"), 80, server) == podman.address("two", "other")


def test_the_networks_of_netrt(podman: Podman, runtime_host: Host, netrt: Netrt) -> None:
    """Containers of podman and of netrt on one network, which find each other by name."""
    netrt("network", "create", "--subnet", "10.40.0.0/24", "backend")
    own: Config = {"type": "netrt", "capabilities": {"portMappings": True}}
    podman.network(network(own, name="backend", version=VERSION))
    here, web = netrt.box("here", "--network", "backend"), podman.run("web", "--network", "backend", "-p", "8080:80")
    with web.tcp(80) as server:
        assert seen(here, podman.address("web", "backend"), 80, server) == here.ip4
        assert seen(Place(runtime_host, "/run/netns/outside"), HOST4, 8080, server) == OUTSIDE4
    podman.run("box", "--network", "backend")
    for name in ("web", "here", "web.backend"):
        assert "1 packets received" in podman("exec", "box", "/bin/ping", "-c", "1", "-W", "5", name)
    assert Asker(runtime_host, here.path).looked_up("web") == [podman.address("web", "backend")]


def test_reference_plugins_before_and_after(podman: Podman, runtime_host: Host) -> None:
    needed("iptables")
    outside = Place(runtime_host, "/run/netns/outside")
    for name, plugins in {
        "ours-first": (bridge(bridge="b1", ipam=local(24)), {"type": "tuning"}, PORTMAP),
        "ours-last": (bridge(bridge="b2", ipam=local(25)) | {"type": "bridge"}, {"type": "tuning"}, PORTMAP),
        "ours-between": (bridge(bridge="b3", ipam=local(26)) | {"type": "bridge"}, PORTMAP, {"type": "firewall"}),
        "theirs-last": (bridge(bridge="b4", ipam=local(27)), PORTMAP | {"type": "portmap"}, {"type": "firewall"}),
    }.items():
        podman.network(network(*plugins, name=name, version=VERSION))
        web = podman.run("web", "--network", name, "-p", "8080:80")
        with web.tcp(80) as server:
            assert seen(outside, HOST4, 8080, server) == OUTSIDE4, name
        podman("rm", "-f", "-t", "0", "web")


def local(number: int) -> Config:
    """The reference's IPAM plugin."""
    return {
        "type": "host-local",
        "dataDir": "/run/host-local",
        "ranges": [[{"subnet": f"10.{number}.0.0/16"}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
