"""Links deleted, and nobody kept waiting for what the kernel does with their memory afterwards.

Theory: the kernel deletes links in two steps. In the first, under the lock of all links (RTNL), they go from everything: they are
down, their names, addresses, routes and places in bridges are free, and their other ends, wherever these are, go with them
(unregister_netdevice_many; a millisecond). Then, without the lock, it waits until no processor can still hold a pointer to them
(rcu_barrier in netdev_run_todo; some 25 ms) and frees them, and only then sendmsg(2) returns. So the request is sent by a thread
that has nothing else to do, and whoever asked goes on after the first step. Those who wait at one time share one such wait.

Rule 1: what is said to be deleted is gone for everybody, and what is left to do the kernel does by itself: nothing is noted that
could be lost with this process. Rule 2: there are so many threads and no more; who comes when all of them wait, waits too."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from concurrent.futures import Future, wait
from typing import Any

from netrt.kernel.links import change_nothing
from netrt.kernel.netlink import Netlink
from netrt.kernel.wire import Answer, Request
from netrt.threads import workers

THREADS = 16
"""How many requests may wait in the kernel: as many as commands can come while one of them waits."""

_GLANCE = 0.00005
"""Seconds between two looks whether links are gone."""


class Deletions:
    """To be used from one thread; `unfreed` from any."""

    def __init__(self) -> None:
        self._threads = workers(THREADS, "deletion")
        self._waiting: list[Future[Any]] = []

    @property
    def unfreed(self) -> int:
        """How many deletions the kernel has yet to end, though what they delete is gone."""
        return sum(not each.done() for each in tuple(self._waiting))

    def delete(self, netlink: Netlink, request: Request, names: Sequence[str]) -> Answer:
        """Delete the links of these names by one request, which says their index or group, in the namespace of the calling thread
        and of `netlink`. When this returns, they are gone, or the answer says why not. Raises OSError."""
        if self._all_wait():
            return netlink.ask([request])[0]
        asked = self._threads.submit(_asked, Netlink(), request)
        self._waiting.append(asked)
        left = list(names)
        while left and not asked.done():
            # this, too, waits for the lock under which links go: what it does not find has gone from everything
            (seen,) = netlink.ask([change_nothing(left[-1])])
            if seen.errno == errno.ENODEV:
                left.pop()
            else:
                wait([asked], _GLANCE)
        return asked.result() if left else Answer(0, "")

    def close_soon(self, netlink: Netlink) -> None:
        """Close a socket by which something was deleted, where closing it waits likewise."""
        if self._all_wait():
            netlink.close()
        else:
            self._waiting.append(self._threads.submit(netlink.close))

    def _all_wait(self) -> bool:
        self._waiting = [each for each in self._waiting if not each.done()]
        return len(self._waiting) == THREADS

    def close(self) -> None:
        """Wait for what the kernel has yet to free, and end the threads."""
        self._threads.shutdown()


def _asked(netlink: Netlink, request: Request) -> Answer:
    with netlink:
        return netlink.ask([request])[0]
