"""A sandbox without netrt's daemon: a network namespace, the files of a container, and programs that are started in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from netrt.launch.foreground import exit_status
from netrt.launch.launch import Launch
from netrt.launch.start import start_first
from tests.host import Host
from tests.waiting import wait_until

FOREGROUND = str(Path(__file__).with_name("foreground.py"))
LIBRARY_SIGNALS = 0b11 << 31
"""Signals 32 and 33 as a mask: the C library keeps them to itself, and programs started by `make` have them ignored."""
RESOLVER = "nameserver 198.51.100.53\n"


class Sandbox:
    """`launch` is the launch object; `started` runs a command as process 1, `entered` one more beside it."""

    def __init__(self, host: Host, name: str = "box") -> None:
        self.host = host
        self.directory = Path("/run/netrt/containers", name)
        self.directory.mkdir(parents=True)
        for file, text in {"resolv.conf": RESOLVER, "hosts": "127.0.0.1 localhost\n", "hostname": f"{name}\n"}.items():
            (self.directory / file).write_text(text)
        self.launch: dict[str, Any] = {
            "Id": name * 3,
            "Name": name,
            "Netns": host.namespace(name),
            "Hostname": name,
            "Directory": str(self.directory),
            "Command": [],
            "Log": f"/var/lib/netrt/containers/{name}.log",
        }

    def file(self, **launch: Any) -> str:
        """Write the launch object, with these keys changed, to a file. Returns its path."""
        path = self.directory / "launch.json"
        path.write_text(json.dumps(self.launch | launch))
        return str(path)

    def run(self, *command: str, **launch: Any) -> subprocess.CompletedProcess[str]:
        """Run a command as process 1, to its end."""
        file = self.file(Command=command, **launch)
        return self.host.run(sys.executable, FOREGROUND, file, check=False)

    def sh(self, script: str, **launch: Any) -> str:
        """What a shell script as process 1 prints. AssertionError if it fails."""
        done = self.run("sh", "-ec", script, **launch)
        assert done.returncode == 0, f"{script}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def here(self, *command: str, **launch: Any) -> tuple[int, str]:
        """Run a command as process 1 from the test's own process. Returns its exit status and what it printed."""
        ours, its = os.pipe()
        with open(ours, encoding="utf-8") as output:
            child = start_first(Launch(self.launch | launch | {"Command": command}), streams=(0, its, its))
            os.close(its)
            child.ready()
            child.release()
            said = output.read()
        return exit_status(os.waitpid(child.pid, 0)[1]), said

    def start(self, *command: str, **launch: Any) -> subprocess.Popen[str]:
        """Start a command as process 1; `pid()` tells its number from now on."""
        (self.directory / "pid").unlink(missing_ok=True)
        started = self.host.spawn(sys.executable, FOREGROUND, self.file(Command=command, **launch))
        wait_until(lambda: self.pid() or started.poll() is not None, what="the start of process 1")
        return started

    def pid(self) -> int:
        """Of process 1, as the host sees it; 0 before it has started."""
        path = self.directory / "pid"
        return int(path.read_text() or 0) if path.exists() else 0

    def enter(self, *command: str, **launch: Any) -> subprocess.CompletedProcess[str]:
        """Run a command beside process 1, or in the sandbox alone where `Pid` is 0, to its end."""
        file = self.file(**({"Pid": self.pid()} | launch))
        return self.host.run(sys.executable, FOREGROUND, file, *command, check=False)
