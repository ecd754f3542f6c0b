"""podman beside us, with the reference plugins, as Debian has it: all of its files are in this host."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.bench.cni import REFERENCE
from tests.bench.docker import archive
from tests.bench.names import installed
from tests.cni import bridge, network
from tests.podman import command, settings


def install() -> None:
    """Have its programs. Raises OSError."""
    for program, package in (
        ("podman", "podman"), ("crun", "crun"), (f"{REFERENCE}/bridge", "containernetworking-plugins")
    ):  # fmt: skip
        installed(program, package)


class Podman:
    """`argv` is how its command line begins; it has a network as podman makes it."""

    def __init__(self) -> None:
        self._home = Path("/run/podman")
        (self._home / "networks").mkdir(parents=True)
        ipam = {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}
        first = bridge(ipam=ipam) | {"type": "bridge", "bridge": "cni-podman0", "hairpinMode": True}
        more = ({"type": "portmap", "capabilities": {"portMappings": True}}, {"type": "firewall"}, {"type": "tuning"})
        listed = network(first, *more, version="0.4.0") | {"name": "peers"}
        (self._home / "networks/peers.conflist").write_text(json.dumps(listed))
        (self._home / "containers.conf").write_text(settings(self._home, "peers", REFERENCE))
        own = ["env", f"CONTAINERS_CONF={self._home}/containers.conf", "XDG_RUNTIME_DIR=/run"]
        self.argv = [*own, *command(self._home)]

    def image(self, source: str) -> str:
        """An image that holds nothing but PROGRAM, which is this text in C."""
        packed = str(archive(self._home, source))
        done = subprocess.run([*self.argv, "import", packed, "program"], check=True, capture_output=True, text=True)
        return done.stdout.strip()
