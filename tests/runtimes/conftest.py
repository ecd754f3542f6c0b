"""Runtimes of others, as Debian packages them, on a host of the test: their storage, sockets and containers are in it, and gone
with it. No registry is asked: the root file system of their containers is busybox, out of a package, too.

Where a program is missing, its tests are skipped and say so. `make e2e-runtimes` installs them; then nothing may be missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.cni import PLUGINS, Cni
from tests.command import Netrt
from tests.host import Host
from tests.namespaces import mount

REFERENCE = "/usr/lib/cni"
"""Where Debian has the reference plugins."""

APPLETS = ("sh", "ping", "sleep", "cat", "ip", "wget", "httpd")


def needed(*programs: str) -> None:
    """Skip the test where one of these is missing, or fail where that was promised."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing and os.environ.get("NETRT_RUNTIMES"):
        pytest.fail(f"missing: {', '.join(missing)}")
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: `make e2e-runtimes` installs them")


@pytest.fixture
def runtime_host(host: Host, netrt: Netrt) -> Host:
    """The host, with an outside, forwarding as on any host of containers, and control groups where runtimes look for them."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    mount("cgroup2", "/sys/fs/cgroup", "cgroup2")
    host.outside()
    return host


@pytest.fixture
def rootfs(host: Host) -> Path:
    """A root file system of busybox."""
    needed("busybox")
    made = Path("/run/rootfs")
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp"):
        (made / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "", made / "bin/busybox")
    for name in APPLETS:
        (made / "bin" / name).symlink_to("busybox")
    return made


@pytest.fixture
def both(runtime_host: Host) -> Cni:
    """A runtime that finds the reference plugins and ours."""
    needed(f"{REFERENCE}/bridge")
    return Cni(runtime_host, f"{PLUGINS}:{REFERENCE}")
