"""Containers of LXC and of libvirt, which have a namespace of their own and no link in it, adopted by their process: on networks
of netrt, and as they were when they leave it. What is made of control groups meanwhile is taken away, for these are the
machine's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.asking import Asker
from tests.command import Box, Netrt
from tests.e2e.conftest import HOST4, OUTSIDE4
from tests.host import Host
from tests.runtimes.conftest import needed
from tests.snapshot import differences, snapshot
from tests.traffic import Place, seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root

CONFIG = """\
lxc.uts.name = vm
lxc.rootfs.path = dir:/run/rootfs
lxc.net.0.type = empty
lxc.mount.auto = proc:mixed
lxc.init.cmd = /bin/sleep 600
lxc.apparmor.profile = unconfined
"""


LIBVIRT = """\
<domain type='lxc'>
  <name>vm</name><memory unit='MiB'>64</memory>
  <os><type>exe</type><init>/bin/sleep</init><initarg>600</initarg></os>
  <features><privnet/></features>
  <devices>
    <emulator>/usr/lib/libvirt/libvirt_lxc</emulator>
    <filesystem type='mount'><source dir='/run/rootfs'/><target dir='/'/></filesystem>
    <console type='pty'/>
  </devices>
</domain>
"""

SERVE = """\
umount -R -l /sys/fs/cgroup; mount -t tmpfs none /sys/fs/cgroup
for each in cpu cpuacct cpuset memory devices freezer blkio; do
  mkdir /sys/fs/cgroup/$each; mount -t cgroup -o $each none /sys/fs/cgroup/$each || rmdir /sys/fs/cgroup/$each
done
mkdir /sys/fs/cgroup/systemd; mount -t cgroup -o none,name=systemd none /sys/fs/cgroup/systemd
mkdir -p /run/drivers /var/lib/libvirt/lxc; cp /usr/lib/*/libvirt/connection-driver/libvirt_driver_lxc.so /run/drivers
LIBVIRT_DRIVER_DIR=/run/drivers exec libvirtd
"""
"""With the driver for LXC alone, in control groups that are mounted for it."""


@contextlib.contextmanager
def without_traces(pattern: str) -> Iterator[None]:
    """Control groups of this name are gone afterwards."""
    try:
        yield
    finally:
        for made in sorted(Path("/sys/fs/cgroup").rglob(pattern), reverse=True):
            with contextlib.suppress(OSError):
                made.rmdir()


@contextlib.contextmanager
def of_lxc(host: Host) -> Iterator[str]:
    """The process of a container that `lxc-start` made, with `lxc.net.0.type = empty`."""
    needed("lxc-start", "lxc-info")
    Path("/run/lxc").mkdir()
    Path("/run/vm.conf").write_text(CONFIG)
    where = ("-P", "/run/lxc", "-n", "vm")

    def number() -> str:
        return host.run("lxc-info", *where, "-p", "-H", check=False).stdout.strip()

    with without_traces("lxc.*"):
        host.spawn("lxc-start", *where, "-f", "/run/vm.conf", "-F")
        yield str(wait_until(lambda: number().isdecimal() and number(), timeout=20, what="the container of LXC"))
        host.run("lxc-stop", *where, "-k")


@contextlib.contextmanager
def of_libvirt(host: Host) -> Iterator[str]:
    """The process of a container that `virsh -c lxc:///` made, with `privnet` and no interface."""
    needed("libvirtd", "virsh")
    virsh = ("virsh", "-c", "lxc:///")
    Path("/run/vm.xml").write_text(LIBVIRT)
    server = host.spawn("unshare", "-m", "-C", "--propagation", "private", "sh", "-c", SERVE)
    wait_until(lambda: Path("/run/libvirt/libvirt-sock").exists(), timeout=20, what="libvirtd")
    host.run(*virsh, "create", "/run/vm.xml")
    controller = Path("/run/libvirt/lxc/vm.pid").read_text().strip()
    (init,) = Path(f"/proc/{controller}/task/{controller}/children").read_text().split()
    yield init
    host.run(*virsh, "destroy", "vm")
    groups = ("-path", "*/machine/lxc-*", "-o", "-name", "machine")
    clean = ("find", "/sys/fs/cgroup", "-depth", "-type", "d", "(", *groups, ")", "-exec", "rmdir", "{}", ";")
    left = ("find", "/sys/fs/cgroup", "-name", "*.libvirt-lxc")
    inside = ("nsenter", "-t", str(server.pid), "-m", "-C")
    wait_until(
        lambda: host.run(*inside, *clean, check=False) and not host.run(*inside, *left).stdout, what="its groups' end"
    )


@pytest.mark.parametrize("made", [of_lxc, of_libvirt], ids=["LXC", "libvirt"])
def test_a_container_of_others(
    runtime_host: Host, netrt: Netrt, rootfs: Path, made: Callable[[Host], AbstractContextManager[str]]
) -> None:
    outside = Place(runtime_host, "/run/netns/outside")
    netrt("network", "create", "--ipv6", "app")
    netrt("network", "create", "--internal", "back")
    peer = netrt.box("peer", "--network", "app")
    with made(runtime_host) as pid:
        vm = Place(runtime_host, f"/proc/{pid}/ns/net")
        before, inside = snapshot(runtime_host), links(vm)
        assert os.readlink(vm.path) != os.readlink("/proc/self/ns/net")
        netrt("container", "create", "--name", "vm", "--pid", pid, "--network", "app", "-p", "8080:80")
        netrt("network", "connect", "back", "vm")
        box = Box(runtime_host, netrt.inspect("vm"))
        with vm.tcp(80) as server:
            assert seen(peer, box.ip4, 80, server) == peer.ip4
            assert seen(peer, box.ip6, 80, server) == peer.ip6
            assert seen(outside, HOST4, 8080, server) == OUTSIDE4
        assert Asker(runtime_host, peer.path).looked_up("vm") == [box.ip4]
        ping = ("/bin/ping", "-c", "1", "-W", "5", peer.ip4)
        said = runtime_host.run("nsenter", "-t", pid, "-m", "-n", "-p", *ping)
        assert "1 packets received" in said.stdout, "by a program of the container's"
        netrt("rm", "vm")
        assert links(vm) == inside
        assert not differences(before, snapshot(runtime_host))
        netrt("container", "create", "--name", "vm", "--pid", pid, "--network", "app")
    assert "vm" in netrt("gc", "--apply"), "its end is proven"
    assert not differences(before, snapshot(runtime_host))


def links(place: Place) -> int:
    return place.call(Path("/proc/thread-self/net/dev").read_text).count(":")
