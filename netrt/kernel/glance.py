"""Single looks at links, and the loopback of a sandbox, for CNI plugins; apart from the engine, and from any thread.

Nothing here is State: what a runtime only wants to be told, or done once in a namespace that is its own."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from netrt.dataplane.ops import SetLink
from netrt.errors import Invalid, KernelRefused
from netrt.kernel import links, routes
from netrt.kernel.links import SeenLink
from netrt.kernel.netlink import SIOCGIFHWADDR, SIOCGIFMTU, Netlink
from netrt.kernel.netns import opened, run_inside
from netrt.kernel.wire import number

T = TypeVar("T")

LOOPBACK = "lo"


class Face(NamedTuple):
    """What is told of a link of the host."""

    mac: str
    mtu: int


class Glance:
    """`host_links` is for one thread, that of the event loop, which keeps a socket for it; the others are for any."""

    def __init__(self) -> None:
        self._netlink = Netlink()

    def close(self) -> None:
        self._netlink.close()

    def host_links(self, names: Iterable[str]) -> dict[str, Face]:
        """Those of these links of the host that are there. Raises KernelRefused."""
        faces = _asked(lambda: [(name, _face(self._netlink, name)) for name in names])
        return {name: face for name, face in faces if face}

    def inner_link(self, path: str, name: str) -> SeenLink | None:
        """A link in a sandbox; `peer` is the index of its other end. Raises Invalid where there is no sandbox, KernelRefused."""
        return _within(path, lambda: _inner(name))

    def peer_name(self, path: str, name: str) -> str:
        """The host's link whose other end is this one of a sandbox, empty where there is none. Raises Invalid, KernelRefused."""
        inner = self.inner_link(path, name)
        if inner is None or not inner.peer:
            return ""
        with Netlink() as netlink:
            (answer,) = netlink.ask([links.get_link_at(inner.peer)])
        return links.read_link(answer.message).name if answer.message is not None else ""

    def set_loopback(self, path: str, *, up: bool) -> None:
        """Raises Invalid where there is no sandbox, KernelRefused."""

        def work() -> None:
            with Netlink() as netlink:
                (answer,) = netlink.ask(links.set_link(SetLink(netns="", name=LOOPBACK, up=up), None))
            if answer.errno:
                raise OSError(answer.errno, answer.text or os.strerror(answer.errno))

        _within(path, work)

    def loopback_addresses(self, path: str) -> tuple[str, ...]:
        """With prefix length. Raises Invalid where there is no sandbox, KernelRefused."""

        def work() -> tuple[str, ...]:
            with Netlink() as netlink:
                (answer,) = netlink.ask([links.get_link(LOOPBACK)])
                index = links.read_link(answer.message).index if answer.message is not None else 1
                return tuple(routes.read_address(m).address for m in netlink.dump(routes.get_addresses(index)))

        return _within(path, work)


def _face(netlink: Netlink, name: str) -> Face | None:
    try:
        mac, mtu = netlink.device(SIOCGIFHWADDR, name), netlink.device(SIOCGIFMTU, name)
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise
    return Face(mac[2:8].hex(":"), number(mtu[:4]))


def _inner(name: str) -> SeenLink | None:
    with Netlink() as netlink:
        return next(iter(_links(netlink, [name])), None)


def _links(netlink: Netlink, names: Iterable[str]) -> list[SeenLink]:
    answers = netlink.ask([links.get_link(name) for name in names])
    bad = next((answer for answer in answers if answer.errno not in (0, errno.ENODEV)), None)
    if bad is not None:
        raise OSError(bad.errno, bad.text or os.strerror(bad.errno))
    return [links.read_link(answer.message) for answer in answers if answer.message is not None]


def _within(path: str, work: Callable[[], T]) -> T:
    with opened(path) as netns:
        return _asked(lambda: run_inside(netns, work))


def _asked(work: Callable[[], T]) -> T:
    try:
        return work()
    except Invalid:
        raise
    except OSError as error:
        raise KernelRefused(f"the kernel cannot be asked: {error}", errno=error.errno or 0) from error
