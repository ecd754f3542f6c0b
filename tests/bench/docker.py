"""Docker beside us: its daemon in this host, with images of one small program."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from platform import machine

from tests.bench.names import installed
from tests.waiting import wait_until

PROGRAM = "/program"
"""Where an image has its only program."""


def install() -> None:
    """Have its programs, and find them. Raises OSError."""
    for program, package in (("dockerd", "docker.io"), ("docker", "docker.io"), ("iptables", "iptables")):
        installed(program, package)
    os.environ["PATH"] += ":/usr/sbin:/sbin"


class Docker:
    """dockerd in this host; `argv` is how its command line begins."""

    def __init__(self) -> None:
        self._home = Path("/run/dockerd")
        self._home.mkdir()
        self._socket = f"unix://{self._home}/docker.sock"
        self.argv = ["docker", "-H", self._socket]
        subprocess.run(["mount", "-t", "cgroup2", "none", "/sys/fs/cgroup"], check=True)
        argv = ["dockerd", "--data-root", self._home / "data", "--exec-root", self._home / "exec", "-H", self._socket]
        argv += ["--pidfile", self._home / "pid", "--storage-driver", "vfs"]
        with open(self._home / "log", "wb") as log:
            self._daemon = subprocess.Popen(argv, stdout=log, stderr=log)
        wait_until(lambda: not self._run("version", check=False).returncode, 60, "dockerd")

    def __call__(self, *words: str) -> str:
        return self._run(*words).stdout.strip()

    def _run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.argv, *words], check=check, capture_output=True, text=True)

    def image(self, source: str) -> str:
        """An image that holds nothing but PROGRAM, which is this text in C."""
        return self("import", str(archive(self._home, source)))

    def close(self) -> None:
        for name in self("ps", "-aq").split():
            self("rm", "-f", name)
        self._daemon.terminate()
        self._daemon.wait(60)
        for group in sorted(Path("/sys/fs/cgroup/docker").glob("**/"), reverse=True):
            group.rmdir()


def archive(home: Path, source: str) -> Path:
    """An image as a tar file in a directory: nothing but PROGRAM, which is this text in C."""
    library = f"/usr/lib/{machine()}-linux-musl"
    root, text, packed = home / "image", home / "program.c", home / "image.tar"
    root.mkdir()
    text.write_text(source)
    objects = [f"{library}/crt1.o", f"{library}/crti.o", text, f"{library}/libc.a", f"{library}/crtn.o"]
    subprocess.run(["tcc", "-static", "-nostdlib", "-o", f"{root}{PROGRAM}", *objects], check=True)
    subprocess.run(["tar", "-C", root, "-cf", packed, "."], check=True)
    return packed
