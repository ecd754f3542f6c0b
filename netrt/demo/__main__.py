"""Starts the demo in namespaces of its own (network, mounts, processes), so that it changes nothing on this machine: what it
makes ends with its process 1."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from netrt.demo.story import tell
from netrt.paths import ROOT_VARIABLE

INSIDE = "--inside"
ALONE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def main() -> int:
    """The exit status: 0 if every check held, 1 if one did not or the demo could not run."""
    if sys.argv[1:] == [INSIDE]:
        subprocess.run(["mount", "--no-mtab", "-t", "tmpfs", "tmpfs", "/run"], check=True)  # where namespaces are named
        return 0 if tell() else 1
    if os.geteuid() != 0:
        print("netrt demo: root is needed to make namespaces and links (sudo make demo)", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="netrt-demo-") as root:
        command = [*ALONE, sys.executable, "-m", "netrt.demo", INSIDE]
        return subprocess.run(command, env={**os.environ, ROOT_VARIABLE: root}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
