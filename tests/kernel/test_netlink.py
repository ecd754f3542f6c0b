"""Answers that are lost: the kernel says ENOBUFS where it has no memory for one. What is asked next gets its own answers."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest
from pyroute2.netlink import NETLINK_NETFILTER

from netrt.kernel import nameport, nfnetlink
from netrt.kernel.links import all_links, get_link, read_link
from netrt.kernel.netlink import Netlink
from tests.host import Host

pytestmark = pytest.mark.root


class Lossy:
    """A netlink socket that says ENOBUFS once, in the place of this answer."""

    def __init__(self, behind: socket.socket, nth: int) -> None:
        self._behind, self._left = behind, nth

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    def recv(self, *how: int) -> bytes:
        self._left -= 1
        if self._left == 0:
            raise OSError(errno.ENOBUFS, "No buffer space available")
        return self._behind.recv(*how)


def links(netlink: Netlink) -> list[str]:
    return [read_link(message).name for message in netlink.dump(all_links())]


ASKED: dict[str, Callable[[Netlink], object]] = {
    "an object": lambda netlink: netlink.ask([get_link("lo")]),
    "several": lambda netlink: netlink.ask([get_link("lo"), get_link("nobody"), get_link("lo")]),
    "a dump": links,
}


@pytest.mark.parametrize("what", ASKED)
def test_a_lost_answer_is_an_error_once(host: Host, what: str) -> None:
    for number in range(100):  # more links than one answer of a dump holds
        host.run("ip", "link", "add", f"one{number}", "type", "veth", "peer", f"two{number}")
    for nth in (1, 2):
        with Netlink() as netlink:
            behind = netlink._socket
            netlink._socket = Lossy(behind, nth)  # type: ignore[assignment]
            with contextlib.suppress(OSError):  # the second answer may be none
                ASKED[what](netlink)
            netlink._socket = behind
            assert [answer.errno for answer in netlink.ask([get_link("lo"), get_link("nobody")])] == [0, errno.ENODEV]
            assert sorted(links(netlink)) == sorted(links(Netlink()))


def test_a_transaction_whose_answer_is_lost_is_not_taken_for_the_next_one(host: Host) -> None:
    with Netlink(NETLINK_NETFILTER) as netlink:
        netlink._socket = Lossy(netlink._socket, 1)  # type: ignore[assignment]
        with pytest.raises(OSError, match="No buffer space"):
            nfnetlink.transact(netlink, [nameport._table(nameport.NFT_MSG_DELTABLE)])
        made = [nameport._table(nameport.NFT_MSG_NEWTABLE, nameport.NLM_F_CREATE)]
        assert nfnetlink.transact(netlink, made) == 0
        assert nfnetlink.transact(netlink, [nameport._table(nameport.NFT_MSG_DELTABLE)]) == 0
