"""Namespaces made ahead are as others: whatever name port they were made with, the sandbox has the one that it is to have."""

from __future__ import annotations

import contextlib
import errno
import os
import threading

import pytest

from netrt.dataplane import ops
from netrt.dataplane.objects import NamePort, Pin
from netrt.kernel import nameport
from netrt.kernel.kernel import LinuxKernel
from netrt.kernel.spares import SPARE, Spares
from tests.host import Host
from tests.waiting import wait_until

pytestmark = pytest.mark.root


def made_ahead(kernel: LinuxKernel) -> bool:
    kernel.rest()
    return len(kernel._spares._ready) > 0


def test_the_name_port_is_the_one_that_is_wanted(host: Host, kernel: LinuxKernel) -> None:
    for number, port in enumerate((20053, 20053, 99, None, None, 20053, None)):
        wait_until(lambda: made_ahead(kernel), what="a namespace made ahead")
        path = f"/run/netns/netrt-{number}"
        todo: list[ops.Op] = [ops.PinNamespace(Pin(path=path))]
        wanted = NamePort(netns=path, address="127.0.0.11", port=port) if port else None
        kernel.apply([*todo, ops.PutNamePort(wanted)] if wanted else todo)
        with host.inside(path) as call:
            assert call(nameport.seen, path) == wanted, f"{path}: {port}"


def test_as_many_as_are_expected_wait_and_are_used_up_before_more_are_made(kernel: LinuxKernel) -> None:
    count = 3 * SPARE
    kernel.expect(count)
    wait_until(lambda: len(kernel._spares._ready) == count, what="namespaces made ahead")
    pins = [Pin(path=f"/run/netns/netrt-{number}") for number in range(2 * count)]
    kernel.apply([ops.PinNamespace(pin) for pin in pins[:count]])
    wait_until(lambda: len(kernel._spares._ready) == count, what="as many for those who come next")
    kernel.expect(0)
    for left in range(count, SPARE, -1):
        assert len(kernel._spares._ready) == left, "more were made before these were used"
        kernel.apply([ops.PinNamespace(pins[2 * count - left])])
    kernel.apply([ops.PinNamespace(pins[2 * count - SPARE])])
    kernel.expect(0)
    wait_until(lambda: len(kernel._spares._ready) == SPARE, what="the usual number")
    kernel.apply([ops.UnpinNamespace(pin) for pin in pins[: 2 * count - SPARE + 1]])


def test_one_that_cannot_be_furnished_is_given_up(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = threading.Semaphore(0)

    def refused(_: NamePort) -> int:
        tried.release()
        raise OSError(errno.EMFILE, "Too many open files")

    def namespaces() -> int:
        """How many are open files of ours; one that is closed meanwhile is none."""
        found = 0
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):
                found += os.readlink(f"/proc/self/fd/{name}").startswith("net:")
        return found

    monkeypatch.setattr(nameport, "put", refused)
    spares = Spares(lambda netlink: netlink.close())
    with spares.taken(NamePort(netns="", address="127.0.0.11", port=20053)) as spare:
        assert spare is None
    before = namespaces()
    for _ in range(5):
        spares.expect(1)
        assert tried.acquire(timeout=5)
    wait_until(lambda: namespaces() == before, what="no namespace more")
    spares.close()
