"""runc and crun run a bundle with a root file system of busybox on networks of netrt, by its hook."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.command import Netrt
from tests.e2e.conftest import HOST4
from tests.host import Host
from tests.oci import HOOK
from tests.runtimes.conftest import needed
from tests.snapshot import differences, snapshot
from tests.traffic import Place, seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root

SCRIPT = "ip -4 addr show lan0 && ping -c 1 -W 5 peer && echo hello >/tmp/index.html && exec httpd -f -p 80 -h /tmp"


SAID = Path("/run/oci/hooks.log")
LOG = Path("/run/netrt/netrtd.log")


class Runtime:
    """One of them, with all of its files below /run/oci."""

    def __init__(self, host: Host, program: str, rootfs: Path) -> None:
        needed(program)
        self.host = host
        self.command = (program, "--root", "/run/oci/root")
        self.bundle = Path("/run/oci/bundle")
        self.rootfs = rootfs
        self.bundle.mkdir(parents=True)
        SAID.touch()
        (rootfs / "etc/resolv.conf").write_text("nameserver 127.0.0.11\n")

    def write(self, annotations: dict[str, str]) -> None:
        """What the runtime proposes, less what changes limits and control groups of the machine, and our hooks."""
        if not self._spec.exists():
            self("spec", "--bundle", str(self.bundle))
        spec = json.loads(self._spec.read_text())
        spec["process"] |= {"args": ["/bin/sh", "-c", SCRIPT], "terminal": False, "rlimits": []}
        for capabilities in spec["process"]["capabilities"].values():
            capabilities.append("CAP_NET_RAW")  # for ping
        spec["root"] = {"path": str(self.rootfs), "readonly": False}
        spec["linux"].pop("resources", None)
        spec["linux"]["namespaces"] = [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")]
        spec["mounts"] = [m for m in spec["mounts"] if m["type"] != "cgroup"]
        spec["annotations"] = {f"org.netrt.{key}": text for key, text in annotations.items()}
        spec["annotations"]["run.oci.hooks.stderr"] = str(SAID)  # crun shows it only so
        spec["hooks"] = {
            phase: [{"path": HOOK, "args": ["netrt-hook", phase]}] for phase in ("createRuntime", "poststop")
        }
        self._spec.write_text(json.dumps(spec))

    @property
    def _spec(self) -> Path:
        return self.bundle / "config.json"

    def run(self, name: str) -> subprocess.Popen[str]:
        return self.host.spawn(*self.command, "run", "--bundle", str(self.bundle), name)

    def create(self, name: str) -> None:
        """Its process keeps the standard streams, so these are no pipes that somebody waits for."""
        command = (*self.command, "create", "--bundle", str(self.bundle), name)
        with open("/run/oci/log", "w+", encoding="utf-8") as log:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, timeout=60)
        assert done.returncode == 0, Path("/run/oci/log").read_text()

    def __call__(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.host.run(*self.command, *words, check=check)


@pytest.mark.parametrize("program", ["runc", "crun"])
def test_a_bundle_on_networks_of_netrt(runtime_host: Host, netrt: Netrt, rootfs: Path, program: str) -> None:
    runtime, outside = Runtime(runtime_host, program, rootfs), Place(runtime_host, "/run/netns/outside")
    netrt("network", "create", "--subnet", "10.40.0.0/24", "front")
    netrt("network", "create", "--internal", "back")
    peer = netrt.box("peer", "--network", "front")
    before = snapshot(runtime_host)
    runtime.write({"networks": "name=front,ip=10.40.0.9,ifname=lan0 back", "ports": "8080:80", "aliases": "www"})

    # in the foreground
    running = runtime.run("box")
    assert running.stdout is not None
    said = [running.stdout.readline() for _ in range(4)]
    assert "10.40.0.9/24" in "".join(said), (said, _told(running))
    wait_until(lambda: _page(outside) == "hello\n", what="the page of the container's server")
    shown = netrt.inspect("box")
    assert [*shown["NetworkSettings"]["Networks"]] == ["front", "back"]
    with Place(runtime_host, shown["NetworkSettings"]["SandboxKey"]).tcp(81) as server:
        assert seen(peer, "10.40.0.9", 81, server) == peer.ip4
    runtime("kill", "box", "KILL")
    running.wait()
    runtime("delete", "--force", "box", check=False)
    assert "box" not in netrt("ps", "-a")
    assert not differences(before, snapshot(runtime_host))

    # step by step: the interfaces are there before the process starts
    runtime.create("box")
    assert "8080->80/tcp" in netrt("ps")
    runtime("delete", "--force", "box")
    assert "box" not in netrt("ps", "-a")

    # what cannot be: the runtime says why, and nothing is left of it
    runtime.write({"networks": "nowhere"})
    done = runtime("run", "--bundle", str(runtime.bundle), "box", check=False)
    assert done.returncode != 0
    assert "netrt-hook: container box: no network named nowhere" in done.stderr + SAID.read_text()
    assert "nowhere" in LOG.read_text()
    runtime("delete", "--force", "box", check=False)
    assert not differences(before, snapshot(runtime_host))
    assert runtime("list").stdout.count("\n") <= 1


def _told(running: subprocess.Popen[str]) -> str:
    """What a runtime, our hook and the daemon said."""
    running.kill()
    return running.communicate()[1] + SAID.read_text() + LOG.read_text()


def _page(outside: Place) -> str:
    """What the container's server says to whom it is published, empty while it says nothing."""

    def fetch() -> str:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{HOST4}:8080/", timeout=5) as answer:
            return str(answer.read().decode())
        return ""

    return outside.call(fetch)
