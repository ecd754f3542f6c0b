"""The command line as a test uses it, and the containers that it makes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.host import Host
from tests.traffic import Place
from tests.warm import Warm

PROGRAM = str(Path(sys.executable).with_name("netrt"))


class Box(Place):
    """A container, as a place to open sockets in, with what `inspect` says of it."""

    def __init__(self, host: Host, found: dict[str, Any]) -> None:
        self.name: str = found["Name"].lstrip("/")
        self.id: str = found["Id"]
        self.networks: Mapping[str, Mapping[str, Any]] = found["NetworkSettings"]["Networks"]
        super().__init__(host, found["NetworkSettings"]["SandboxKey"])

    def on(self, network: str = "") -> Mapping[str, Any]:
        """Its endpoint on a network; on its first one without a name."""
        return self.networks[network] if network else next(iter(self.networks.values()))

    @property
    def ip4(self) -> str:
        return str(self.on()["IPAddress"])

    @property
    def ip6(self) -> str:
        return str(self.on()["GlobalIPv6Address"])

    @property
    def mac(self) -> str:
        return str(self.on()["MacAddress"])


class Netrt:
    """`netrt` in a host. The first command starts the daemon there; the host's end ends it. `warm`: who runs it without
    imports, where the program itself is not what is tested."""

    def __init__(self, host: Host, warm: Warm | None = None) -> None:
        self.host = host
        self._warm = warm

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end, whatever that is."""
        return self._warm.run(*words) if self._warm else self.host.run(PROGRAM, *words, check=False)

    def __call__(self, *words: str) -> str:
        """Run it, and return what it printed. AssertionError if it fails."""
        done = self.run(*words)
        if done.returncode:
            raise AssertionError(f"netrt {' '.join(words)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def refused(self, *words: str) -> str:
        """Run what must be refused, and return its message. AssertionError unless that is one line and a failure."""
        done = self.run(*words)
        lines = [line for line in done.stderr.splitlines() if not line.startswith("netrt: starting netrtd")]
        assert done.returncode != 0, f"netrt {' '.join(words)} was not refused: {done.stdout}"
        assert len(lines) == 1, f"an error is one line: {done.stderr}"
        assert "Traceback" not in done.stderr
        return lines[0]

    def names(self, *options: str) -> set[str]:
        """Of the containers that `netrt ps OPTIONS` shows."""
        return {json.loads(line)["Names"] for line in self("ps", "--format", "json", *options).splitlines()}

    def inspect(self, name: str) -> dict[str, Any]:
        """What `netrt inspect` says of one thing."""
        found: list[dict[str, Any]] = json.loads(self("inspect", name))
        return found[0]

    def box(self, name: str, *options: str) -> Box:
        """A container without a process, made by `netrt container create OPTIONS`."""
        self("container", "create", "--name", name, *options)
        return Box(self.host, self.inspect(name))
