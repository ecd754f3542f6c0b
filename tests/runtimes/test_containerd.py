"""`ctr run --cni`: containerd's own command, which gives a container an interface by CNI, and takes it back when the container's
namespace is gone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cni import PLUGINS, PORTMAP, bridge, network
from tests.command import Netrt
from tests.host import Host
from tests.namespaces import mount
from tests.runtimes.conftest import needed
from tests.snapshot import differences, snapshot
from tests.traffic import Place, seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root

HOME = Path("/run/containerd-of-the-test")

SETTINGS = f"""\
version = 2
root = "{HOME}/root"
state = "{HOME}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "{HOME}/socket"
"""


class Containerd:
    """containerd, all of whose files are below HOME."""

    def __init__(self, host: Host, rootfs: Path) -> None:
        self.host = host
        (HOME / "config.toml").write_text(SETTINGS)
        self.daemon = host.spawn("containerd", "--config", f"{HOME}/config.toml", "--log-level", "error")
        wait_until(lambda: host.run(*self.ctr("version"), check=False).returncode == 0, 30, "containerd")
        self._write_spec(rootfs)

    def ctr(self, *words: str) -> tuple[str, ...]:
        return ("ctr", "--address", f"{HOME}/socket", *words)

    def _write_spec(self, rootfs: Path) -> None:
        """What runc proposes, less what changes limits and control groups of the machine."""
        self.host.run("runc", "spec", "--bundle", str(HOME))
        spec = json.loads((HOME / "config.json").read_text())
        spec["process"] |= {"args": ["/bin/sleep", "1000"], "terminal": False, "rlimits": []}
        spec["root"] = {"path": str(rootfs)}
        spec["linux"].pop("resources", None)
        spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != "cgroup"]
        spec["mounts"] = [m for m in spec["mounts"] if m["type"] != "cgroup"]
        self.spec = spec

    def run(self, name: str) -> subprocess.Popen[str]:
        """A container in the foreground of `ctr`, as it is run by hand."""
        self.spec["linux"]["cgroupsPath"] = f"/netrt-test-{name}"
        (HOME / f"{name}.json").write_text(json.dumps(self.spec))
        return self.host.spawn(*self.ctr("run", "--rm", "--cni", "--config", f"{HOME}/{name}.json", name))

    def place(self, name: str) -> Place:
        """The container, once it runs and has its interface."""

        def process() -> str:
            rows = [line.split() for line in self.host.run(*self.ctr("task", "ls")).stdout.splitlines()]
            return next((row[1] for row in rows if row[0] == name and row[2] == "RUNNING"), "")

        path = f"/proc/{wait_until(process, 30, name)}/ns/net"
        place = Place(self.host, path)
        wait_until(lambda: self._has_interface(path), 30, "eth0")
        return place

    def _has_interface(self, path: str) -> bool:
        return "eth0" in self.host.run("nsenter", f"--net={path}", "ip", "-br", "-4", "addr").stdout

    def end(self, name: str, child: subprocess.Popen[str]) -> str:
        """Kill what runs inside; what `ctr` has to say to it."""
        self.host.run(*self.ctr("task", "kill", "--signal", "KILL", name))
        return "".join(child.communicate(timeout=30))


@pytest.fixture
def containerd(runtime_host: Host, rootfs: Path) -> Iterator[Containerd]:
    needed("containerd", "ctr", "runc")
    HOME.mkdir()
    Path("/opt").mkdir(exist_ok=True)
    mount("tmpfs", "/opt", "tmpfs")  # `ctr` looks nowhere else
    Path("/opt/cni").mkdir()
    Path("/opt/cni/bin").symlink_to(PLUGINS)
    Path("/etc/cni/net.d").mkdir(parents=True, exist_ok=True)
    Path("/etc/cni/net.d/10-mynet.conflist").write_text(json.dumps(network(bridge(), PORTMAP, version="1.0.0")))
    made = Containerd(runtime_host, rootfs)
    yield made
    made.daemon.terminate()
    made.daemon.communicate(timeout=20)


def test_containers_come_and_go(containerd: Containerd, runtime_host: Host, netrt: Netrt) -> None:
    outside = Place(runtime_host, "/run/netns/outside")
    first = containerd.run("first")
    containerd.place("first")
    containerd.end("first", first)
    before = snapshot(runtime_host)
    children = {name: containerd.run(name) for name in ("one", "two")}
    one, two = (containerd.place(name) for name in children)
    address = json.loads(netrt("inspect", "default-two"))[0]["NetworkSettings"]["Networks"]["mynet"]["IPAddress"]
    with two.tcp(80) as server:
        assert seen(one, address, 80, server)
        assert seen(Place(runtime_host), address, 80, server) == "10.22.0.1"
    with outside.tcp(80) as server:
        assert seen(one, "192.0.2.2", 80, server) == "192.0.2.1"
    for name, child in children.items():
        assert "error" not in containerd.end(name, child)
    assert not differences(before, snapshot(runtime_host))
    assert len(netrt("ps").splitlines()) == 1
    assert not list(Path("/sys/fs/cgroup").glob("netrt-test-*"))
