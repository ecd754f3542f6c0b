"""The host rebooted: another boot, an empty kernel, the database kept. Leases of the dead do not come back, all else does."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from netrt import Client
from netrt.kernel.pins import Pins, unpin
from netrt.paths import Paths
from tests.command import Netrt
from tests.crash.reboot import empty
from tests.e2e.test_restart import kill_daemon
from tests.host import Host

pytestmark = pytest.mark.root

ROOM = 253
"""Containers on a /24: 254 hosts less the gateway."""


def attach_all(boot: int) -> set[str]:
    """As many containers as there is room for, in namespaces that a runtime made. Their addresses."""
    with Client(Paths().socket) as client, closing(Pins()) as pins:
        for number in range(ROOM):
            path = f"/run/netns/pod{number}"
            pins.pin(path)
            client.create_container(f"boot{boot}-{number}", networks=["app"], netns=path)
        return {str(held["IPv4Address"]) for held in client.network("app")["Containers"].values()}


def reboot(netrt: Netrt) -> None:
    kill_daemon(netrt)
    for path in Path("/run/netns").glob("pod*"):
        unpin(str(path))
    empty(netrt.host)


def test_a_full_network_has_room_again_after_any_number_of_reboots(host: Host, netrt: Netrt) -> None:
    """Nobody called DEL, and nobody cleans up by hand."""
    netrt("network", "create", "--subnet", "10.1.0.0/24", "app")
    first = attach_all(1)
    assert len(first) == ROOM
    assert "10.1.0.0/24" in netrt.refused("container", "create", "--network", "app")
    for _ in range(3):
        reboot(netrt)
        assert netrt("ps", "-aq") == "", "leases of containers that are gone do not come back"
    assert netrt("network", "ls", "-q", "--filter", "name=app"), "networks do"
    assert attach_all(2) == first
