"""Our nftables tables as such: made, owned, given up.

Theory: a table with the flag `owner` belongs to one netlink socket; whoever else wants to change it is refused, and `nft flush
ruleset` passes it over. With `persist` besides (Linux 6.9) it outlives that socket: then it belongs to nobody, until somebody
takes it over. So ours cannot be changed by others while a daemon runs, and stay when it ends.

Rule 1: owner is the socket of libnftables, so all transactions go through that one; it is found by looking which file came with
the context. Rule 2: libnftables older than 1.1 does not know `persist`, so tables are made here. Rule 3: `persist` cannot be
given to a table later, nor taken away: one without it is made anew.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Mapping

from pyroute2.netlink import NETLINK_NETFILTER, NLM_F_ACK, NLM_F_CREATE
from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_NFTABLES
from pyroute2.netlink.nfnetlink.nftsocket import NFT_MSG_DELTABLE, NFT_MSG_NEWTABLE

from netrt.kernel.netlink import Netlink
from netrt.kernel.nfnetlink import FAMILIES, request, table_flags, table_name, transact
from netrt.kernel.wire import Request

OPEN = 0
"""Flags of a table that everybody may change."""
LOCKED = 6
"""Flags of one that only we may change: NFT_TABLE_F_OWNER, NFT_TABLE_F_PERSIST."""

DORMANT = 1
"""The flag of a table whose rules do nothing, NFT_TABLE_F_DORMANT."""

_OWNER, _PERSIST = 2, 4


def sockets() -> frozenset[int]:
    """The netfilter sockets that this process has open, as file numbers."""
    return frozenset(filter(_is_netfilter, (int(name) for name in os.listdir("/proc/self/fd"))))


def _is_netfilter(number: int) -> bool:
    try:
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            return False
        with socket.socket(fileno=os.dup(number)) as copy:
            return (copy.family, copy.proto) == (socket.AF_NETLINK, NETLINK_NETFILTER)
    except OSError:  # closed meanwhile
        return False


def shared(numbers: frozenset[int]) -> Netlink | None:
    """The one socket among these as ours, too; None unless it is one. No process that we start inherits it: it would own our
    tables after us."""
    if len(numbers) != 1:
        return None
    (number,) = numbers
    os.set_inheritable(number, False)
    return Netlink(shared=socket.socket(fileno=os.dup(number)))


def owned(tables: Mapping[str, int]) -> bool:
    """Whether these (flags by family) belong to somebody."""
    return any(flags & _OWNER for flags in tables.values())


def left_behind(tables: Mapping[str, int]) -> bool:
    """Whether these (flags by family) belonged to somebody who is gone."""
    return bool(tables) and all(flags & LOCKED == _PERSIST for flags in tables.values())


def claim(owner: Netlink, tables: Mapping[str, int], flags: int) -> int:
    """Make our tables that are not there, take over those that are, and empty those that cannot have these flags. 0, or the error
    number of the kernel's refusal. Raises OSError."""
    todo: list[Request] = []
    for family in FAMILIES:
        if family in tables and (tables[family] ^ flags) & _PERSIST:
            todo.append(_table(NFT_MSG_DELTABLE, family))
        todo.append(_table(NFT_MSG_NEWTABLE, family, table_flags(flags)))
    return transact(owner, todo)


def drop(owner: Netlink, tables: Mapping[str, int]) -> int:
    """Delete these. 0, or the error number of the kernel's refusal. Raises OSError."""
    return transact(owner, [_table(NFT_MSG_DELTABLE, family) for family in tables])


def _table(message: int, family: str, more: bytes = b"") -> Request:
    flags = NLM_F_ACK | (NLM_F_CREATE if message == NFT_MSG_NEWTABLE else 0)
    return request(NFNL_SUBSYS_NFTABLES, message, FAMILIES[family], table_name() + more, flags)
