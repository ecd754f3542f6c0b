"""Links deleted without waiting for the kernel to free them: what was said to be gone is gone."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from netrt.dataplane import ops
from netrt.dataplane.objects import HOST, Link, NamePort
from netrt.dataplane.scope import Scope
from netrt.errors import KernelRefused
from netrt.kernel import deletion
from netrt.kernel.deletion import THREADS
from netrt.kernel.kernel import LinuxKernel
from netrt.kernel.netlink import Netlink
from netrt.kernel.wire import Answer, Request
from tests.contract.boxes import BRIDGE, Box, up
from tests.host import Host
from tests.traffic import Place
from tests.waiting import wait_until

pytestmark = pytest.mark.root


@pytest.fixture
def kernel(kernel: LinuxKernel) -> LinuxKernel:
    kernel.apply([ops.AddBridge(BRIDGE), up(BRIDGE)])
    return kernel


def links_of(place: Place) -> list[str]:
    return place.call(lambda: [line.split(":")[0].strip() for line in Path("/proc/thread-self/net/dev").open()][2:])


def test_a_deleted_link_is_gone_at_once_and_its_names_are_free(kernel: LinuxKernel, host: Host) -> None:
    """Again and again, more often than there are threads; and not each time was the kernel done with the memory."""
    box = Box(1)
    inside = Place(host, box.pin.path)
    kernel.apply([*box.made(), up(box.host), up(box.inner)])
    waited = 0
    for _ in range(3 * THREADS):
        kernel.apply([ops.DelLink(HOST, box.host.name)])
        waited = max(waited, kernel.unfreed())
        assert links_of(inside) == ["lo"]
        assert not list(kernel.observe(Scope.around([box.host, box.inner])).all(Link))
        assert not host.run("ip", "link", "show", "master", BRIDGE.name).stdout
        kernel.apply([ops.AddVeth(box.host, box.inner), up(box.host), up(box.inner)])
    assert 0 < waited <= THREADS
    wait_until(lambda: kernel.unfreed() == 0, what="the kernel to free what was deleted")
    assert links_of(inside) == ["lo", "eth0"]


def test_a_late_request_deletes_no_link_that_was_made_since(
    kernel: LinuxKernel, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else deletes the link before our request reaches the kernel, and it is made again."""
    box, again, asked = Box(1), threading.Event(), deletion._asked

    def late(netlink: Netlink, request: Request) -> Answer:
        host.run("ip", "link", "del", box.host.name)
        assert again.wait(10)
        return asked(netlink, request)

    monkeypatch.setattr(deletion, "_asked", late)
    kernel.apply([*box.made(), up(box.host), up(box.inner)])
    kernel.apply([ops.DelLink(HOST, box.host.name)])
    kernel.apply([ops.AddVeth(box.host, box.inner), up(box.host), up(box.inner)])
    again.set()
    wait_until(lambda: kernel.unfreed() == 0, what="the late request")
    assert links_of(Place(host, box.pin.path)) == ["lo", "eth0"]


def test_many_deleted_together_are_gone_together(kernel: LinuxKernel, host: Host) -> None:
    boxes = [Box(number) for number in range(1, 6)]
    kernel.apply([op for box in boxes for op in box.made()])
    kernel.apply([ops.DelLink(HOST, box.host.name) for box in boxes])
    assert kernel.unfreed() <= 1, "one request"
    assert [links_of(Place(host, box.pin.path)) for box in boxes] == [["lo"]] * 5
    kernel.apply([ops.DelLink(HOST, box.host.name) for box in boxes])


def test_the_way_of_names_is_gone_at_once(kernel: LinuxKernel) -> None:
    box = Box(1)
    port = NamePort(netns=box.pin.path, address="127.0.0.11", port=20053)
    kernel.apply([ops.PinNamespace(box.pin)])
    waited = 0
    for _ in range(THREADS):
        kernel.apply([ops.PutNamePort(port), ops.TakeNamePort(port)])
        waited = max(waited, kernel.unfreed())
        assert not list(kernel.observe(Scope.around([port])).all(NamePort))
    assert waited
    kernel.apply([ops.TakeNamePort(port)])


def test_what_the_kernel_refuses_is_said(kernel: LinuxKernel) -> None:
    with pytest.raises(KernelRefused, match="cannot delete link lo") as refused:
        kernel.apply([ops.DelLink(HOST, "lo")])
    assert refused.value.errno == errno.EOPNOTSUPP
