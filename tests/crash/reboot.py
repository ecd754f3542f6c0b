"""What a reboot leaves: the disk. And a sweep over the start after it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

from netrt import Client
from netrt.paths import Paths
from tests.crash.flows import FLOWS
from tests.crash.moment import COUNT
from tests.crash.sweep import Daemons, Report, world
from tests.host import Host
from tests.snapshot import differences
from tests.waiting import wait_until


def empty(host: Host) -> None:
    """Links, namespaces, rules, sysctls and /run are gone, while no daemon runs; and it is another boot."""
    host.run("nft", "flush", "ruleset")
    for pin in Path("/run/netns").glob("netrt-*"):
        host.run("ip", "netns", "del", pin.name)
    for link in json.loads(host.run("ip", "-j", "link", "show", "type", "bridge").stdout):
        host.run("ip", "link", "del", link["ifname"])
    wait_until(lambda: not [n for n in os.listdir("/sys/class/net") if n.startswith("nr")], what="the end of our links")
    for switch in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        Path("/proc/sys/net", switch).write_text("0")
    shutil.rmtree(Paths().run, ignore_errors=True)
    _new_boot(host)


def _new_boot(host: Host) -> None:
    identity = Path("/proc/sys/kernel/random/boot_id")
    with contextlib.suppress(AssertionError):
        host.run("umount", str(identity))
    new = Path("/run/boot_id")
    new.write_text(Path("/proc/sys/kernel/random/uuid").read_text())
    host.run("mount", "--bind", str(new), str(identity))


def swept_start(host: Host) -> Report:
    """A host with networks, containers and ports reboots again and again, and the first start is killed at each of its points."""
    daemons, report = Daemons(host), Report()
    daemons.start()
    flow = FLOWS["attach to two"]
    with Client(Paths().socket) as client:
        for work in (*flow.given, flow.then):
            work(client)
    daemons.kill()
    empty(host)
    daemons.start(COUNT)
    points, wanted = daemons.moment.passed, world(host)
    for at in range(points):
        daemons.kill()
        empty(host)
        assert not daemons.start(at), f"it did not die at point {at}"
        words = daemons.moment.last
        daemons.start()
        wrong = differences(wanted, world(host))
        if wrong:
            report.wrong.append(f"point {at} ({words}): {wrong}")
        else:
            report.after += 1
    return report
