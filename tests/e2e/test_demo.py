"""`make demo` as a newcomer runs it: every check holds, in time, and the machine (here: the test's host) is as it was."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.host import Host
from tests.namespaces import inhabitants
from tests.snapshot import differences, snapshot

pytestmark = pytest.mark.root


def machine(host: Host) -> dict[str, object]:
    """What a demo could change."""
    directories = {name: sorted(os.listdir(name)) for name in ("/run", "/var/lib", "/var/lib/netrt", "/etc")}
    return snapshot(host) | directories | {"mounts": Path("/proc/self/mountinfo").read_text()}


def test_the_demo_holds_and_leaves_nothing(host: Host) -> None:
    before, started = machine(host), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "netrt.demo"], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All checks held" in done.stdout
    assert "✗" not in done.stdout
    assert time.monotonic() - started < 30
    assert not differences(before, machine(host))
    assert not inhabitants()
