"""A container as an OCI runtime has it when it calls hooks: a process in namespaces of its own, a bundle, a state."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.host import Host
from tests.traffic import Place
from tests.waiting import wait_until

HOOK = str(Path(__file__).parents[1] / "oci-hooks" / "netrt-hook")


class Bundle(Place):
    """A sleeping process in a network namespace, and what says of it what it shall be."""

    def __init__(self, host: Host, directory: Path, name: str, annotations: dict[str, str], **more: Any) -> None:
        self.name = name
        self.directory = directory / name
        self.directory.mkdir()
        self.annotations = {f"org.netrt.{key}": text for key, text in annotations.items()}
        config = {"hostname": f"{name}-host", "annotations": {**self.annotations, "other": "x"}, **more}
        (self.directory / "config.json").write_text(json.dumps(config))
        self.process = host.spawn("unshare", "-n", "sleep", "600")
        super().__init__(host, f"/proc/{self.process.pid}/ns/net")
        wait_until(lambda: os.readlink(self.path) != os.readlink("/proc/self/ns/net"), what="a namespace")

    def state(self, **more: Any) -> str:
        said = {"ociVersion": "1.0.2", "id": self.name, "pid": self.process.pid, "bundle": str(self.directory)}
        return json.dumps({**said, "status": "creating", "annotations": self.annotations, **more})

    def hook(self, phase: str, state: str | None = None) -> subprocess.CompletedProcess[str]:
        return self.host.run(HOOK, phase, input=self.state() if state is None else state, check=False)

    def create(self) -> None:
        done = self.hook("createRuntime")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr

    def refused(self, state: str | None = None) -> str:
        """What it says where it fails: one line."""
        done = self.hook("createRuntime", state)
        assert done.returncode == 1
        assert done.stderr.startswith("netrt-hook: ")
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def stopped(self) -> subprocess.CompletedProcess[str]:
        """What a runtime tells after the end of a container: its process has no number any more."""
        return self.hook("poststop", self.state(pid=0, status="stopped"))
