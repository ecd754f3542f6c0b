"""Containers of LXC, which have a namespace of their own and no link in it, adopted by their process: on networks of netrt, and
as they were when they leave it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.asking import Asker
from tests.command import Box, Netrt
from tests.e2e.conftest import HOST4, OUTSIDE4
from tests.host import Host
from tests.runtimes.conftest import needed
from tests.snapshot import differences, snapshot
from tests.traffic import PATIENT, Place, seen
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


@pytest.fixture
def vm(runtime_host: Host, rootfs: Path) -> Place:
    """A container that `lxc-start` made, with `lxc.net.0.type = empty`."""
    needed("lxc-start", "lxc-info")
    Path("/run/lxc").mkdir()
    config = Path("/run/vm.conf")
    config.write_text(CONFIG)
    runtime_host.spawn("lxc-start", "-P", "/run/lxc", "-n", "vm", "-f", str(config), "-F", "-o", "/run/lxc.log")

    def number() -> str:
        return runtime_host.run("lxc-info", "-P", "/run/lxc", "-n", "vm", "-p", "-H", check=False).stdout.strip()

    try:
        pid = wait_until(lambda: number().isdecimal() and number(), timeout=20, what="the container of LXC")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{Path('/run/lxc.log').read_text()}") from None
    return Place(runtime_host, f"/proc/{pid}/ns/net")


def test_a_container_of_lxc(runtime_host: Host, netrt: Netrt, vm: Place) -> None:
    outside = Place(runtime_host, "/run/netns/outside")
    netrt("network", "create", "--ipv6", "app")
    netrt("network", "create", "--internal", "back")
    peer = netrt.box("peer", "--network", "app")
    before = snapshot(runtime_host)
    inside = vm.call(Path("/proc/thread-self/net/dev").read_text).count(":")
    pid = vm.path.split("/")[2]
    netrt("container", "create", "--name", "vm", "--pid", pid, "--network", "app", "-p", "8080:80")
    netrt("network", "connect", "back", "vm")
    box = Box(runtime_host, netrt.inspect("vm"))
    with vm.tcp(80) as server:
        assert seen(peer, box.ip4, 80, server) == peer.ip4
        assert seen(peer, box.ip6, 80, server) == peer.ip6
        assert seen(outside, HOST4, 8080, server) == OUTSIDE4
    assert Asker(runtime_host, peer.path).looked_up("vm") == [box.ip4]
    said = runtime_host.run(
        "lxc-attach", "-P", "/run/lxc", "-n", "vm", "--", "/bin/ping", "-c", "1", "-W", str(int(PATIENT)), peer.ip4
    )
    assert "1 packets received" in said.stdout
    netrt("rm", "vm")
    assert vm.call(Path("/proc/thread-self/net/dev").read_text).count(":") == inside
    assert not differences(before, snapshot(runtime_host))
    netrt("container", "create", "--name", "vm", "--pid", pid, "--network", "app")
    runtime_host.run("lxc-stop", "-P", "/run/lxc", "-n", "vm", "-k")
    assert "vm" in netrt("gc", "--apply"), "its end is proven"
    assert not differences(before, snapshot(runtime_host))
