"""Who changed which nftables tables, as the kernel tells it.

Theory: a transaction announces each object that it changed, then its generation. The socket here hears all of that; so a change
by somebody else to tables that are not ours costs us a glance, where a new listing of ours would cost time with each element.

Rule 1: a generation is only believed when its announcement was heard. Rule 2: when announcements were lost, everything may have
changed. Rule 3: what containers do in their sandboxes is heard by a socket of its own, so that they can fill no other's.
"""

from __future__ import annotations

import contextlib
import errno
import select
from collections.abc import Iterator

from pyroute2.netlink import NETLINK_NETFILTER
from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_NFTABLES
from pyroute2.netlink.nfnetlink.nftsocket import (
    NFPROTO_IPV4,
    NFT_MSG_DELSETELEM,
    NFT_MSG_NEWCHAIN,
    NFT_MSG_NEWFLOWTABLE,
    NFT_MSG_NEWGEN,
    NFT_MSG_NEWOBJ,
    NFT_MSG_NEWRULE,
    NFT_MSG_NEWSET,
    NFT_MSG_NEWSETELEM,
    NFT_MSG_NEWTABLE,
)

from netrt.kernel.netlink import HERE, Netlink, halfword, listening, origin
from netrt.kernel.nfnetlink import FAMILIES, TABLE, generation, generation_of
from netrt.kernel.wire import Message, messages

_GROUPS = (7,)  # NFNLGRP_NFTABLES
_ROOM = 1 << 25
"""Bytes of announcements that may wait: those of a hundred thousand elements."""
_PATIENCE = 0.2
"""Seconds until the announcement of a generation that the kernel already counts. It is on its way while the commit ends."""

_ROOM_ABROAD = 1 << 20
_ADDING = (
    NFT_MSG_NEWTABLE,
    NFT_MSG_NEWCHAIN,
    NFT_MSG_NEWRULE,
    NFT_MSG_NEWSET,
    NFT_MSG_NEWSETELEM,
    NFT_MSG_NEWOBJ,
    NFT_MSG_NEWFLOWTABLE,
    NFT_MSG_NEWGEN,
)
_DROPPED = tuple(NFNL_SUBSYS_NFTABLES << 8 | kind for kind in (*_ADDING, NFT_MSG_DELSETELEM))
_FILTER = (
    (0x28, 0, 0, 4),  # load the type of the first message
    *((0x15, len(_DROPPED) - at, 0, halfword(kind)) for at, kind in enumerate(_DROPPED)),
    (0x06, 0, 0, 0xFFFFFFFF),  # pass
    (0x06, 0, 0, 0),  # drop
)
"""Lets nothing through of sandboxes that begins with something that is added, or with an element: so neither what an attach
announces, nor most of what containers do to rules of their own. Who takes away everything begins with that."""

_IPV4 = bytes((NFPROTO_IPV4,))
_OURS = tuple(bytes((family,)) for family in FAMILIES.values())


class Journal:
    """Hears announcements from when it is made, in the namespace of the calling thread. `netlink` is a socket there."""

    def __init__(self, netlink: Netlink) -> None:
        self._socket = listening(NETLINK_NETFILTER, _GROUPS, _ROOM)
        self._heard = generation(netlink)
        self._own: set[int] = set()
        self._touching = False
        self._foreign = False

    def fileno(self) -> int:
        """What can be read when there are announcements."""
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def made(self, generation: int) -> None:
        """That generation is by our own transaction."""
        self._own.add(generation)

    def others_changed_ours(self, upto: int) -> bool:
        """Whether anybody else changed a table of ours since this was asked last, up to the generation `upto`; also where that
        cannot be told."""
        changed = self._drain()
        while self._behind(upto) and select.select([self._socket], [], [], _PATIENCE)[0]:
            changed |= self._drain()
        if self._behind(upto):
            changed, self._heard = True, upto  # what was not heard by now never will be
        return changed

    def others_did(self) -> bool:
        """Whether anybody else changed a table of ours, or may have, as far as was heard since this or the above was asked."""
        return self._drain()

    def others_changed_others(self) -> bool:
        """Whether tables that are not ours were changed, as far as was heard since this was asked last."""
        foreign, self._foreign = self._foreign, False
        return foreign

    def _behind(self, upto: int) -> bool:
        """Whether that generation was not heard of yet; the kernel counts in 32 bits, and we may have heard of later ones."""
        return 0 < (upto - self._heard) % (1 << 32) < 1 << 31

    def _drain(self) -> bool:
        """Take in what was announced by now: whether anybody else changed a table of ours, or may have."""
        changed = False
        try:
            for number, touching in self._commits():
                changed |= touching and number not in self._own
                self._foreign |= not touching and number not in self._own
                self._own.discard(number)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self._touching, self._foreign = False, True
            self._drain()  # what was kept of the announcements
            changed = True
        return changed

    def _commits(self) -> Iterator[tuple[int, bool]]:
        """What was announced by now: generations, and whether they touch a table of ours."""
        with contextlib.suppress(BlockingIOError):
            while True:
                for message in messages(self._socket.recv(1 << 16)):
                    if message.type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN):
                        self._heard, touching = generation_of(message), self._touching
                        self._touching = False
                        yield self._heard, touching
                    elif _is_ours(message):
                        self._touching = True


class Abroad:
    """Hears, from when it is made, in which sandboxes something is taken out of a table `ip netrt` (`nameport`), or that itself
    is: in all that have a number in the namespace of the calling thread."""

    def __init__(self) -> None:
        self._socket = listening(NETLINK_NETFILTER, _GROUPS, _ROOM_ABROAD, _FILTER, everywhere=True)

    def fileno(self) -> int:
        """What can be read when there is something to hear."""
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def robbed(self) -> tuple[frozenset[int], bool]:
        """The numbers of the namespaces in which that was so since this was asked last, and whether there was more than could be
        heard. Raises OSError."""
        found, lost = set[int](), False
        while True:
            try:
                data, extra, _, _ = self._socket.recvmsg(1 << 16, 64)
            except BlockingIOError:
                return frozenset(found), lost
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            nsid = origin(extra)
            if nsid != HERE and any(map(_is_name_port, messages(data))):
                found.add(nsid)


def _is_name_port(message: Message) -> bool:
    return message.body[:1] == _IPV4 and message.body[8 : 8 + len(TABLE)] == TABLE and message.type not in _DROPPED


def _is_ours(message: Message) -> bool:
    """Every announced object names its table first, behind the struct nfgenmsg."""
    return message.body[:1] in _OURS and message.body[8 : 8 + len(TABLE)] == TABLE
