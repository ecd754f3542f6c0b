"""What the rules counted, read entry by entry: a question for each place, none of them a listing.

The numbers of attributes: linux/netfilter/nf_tables.h (NFTA_SET_ELEM_, NFTA_EXPR_, NFTA_COUNTER_)."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Sequence

from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_NFTABLES
from pyroute2.netlink.nfnetlink.nftsocket import NFT_MSG_GETSETELEM

from netrt.firewall.drops import Drop, Place
from netrt.kernel.netlink import Netlink
from netrt.kernel.nfnetlink import FAMILIES, request, told
from netrt.kernel.wire import Request, attribute, attributes, nested, text

_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS, _LIST_ELEM = 1, 2, 3, 1
_KEY, _EXPRESSION, _VALUE, _EXPRESSION_DATA = 1, 7, 1, 2
_OCTETS, _PACKETS = 1, 2


def counted(netlink: Netlink, places: Sequence[Place]) -> Iterator[Drop]:
    """The counts that are not zero. Raises OSError."""
    for place, answer in zip(places, netlink.ask([_question(place) for place in places]), strict=True):
        if answer.message is None:
            if answer.errno != errno.ENOENT:  # no such entry, or no such table
                raise OSError(answer.errno, answer.text or os.strerror(answer.errno))
            continue
        entry = attributes(attributes(told(answer.message)[_LIST_ELEMENTS])[_LIST_ELEM])
        counter = attributes(attributes(entry[_EXPRESSION])[_EXPRESSION_DATA])
        packets, octets = (int.from_bytes(counter[number], "big") for number in (_PACKETS, _OCTETS))
        yield Drop(reason=place.reason, key=place.key, packets=packets, octets=octets)


def _question(place: Place) -> Request:
    if place.table == "bridge":
        key = place.key.encode().ljust(16, b"\0")
    else:
        key = socket.inet_pton(socket.AF_INET6 if ":" in place.key else socket.AF_INET, place.key)
    entry = nested(_LIST_ELEM, nested(_KEY, attribute(_VALUE, key)))
    body = text(_LIST_TABLE, "netrt") + text(_LIST_SET, place.set) + nested(_LIST_ELEMENTS, entry)
    return request(NFNL_SUBSYS_NFTABLES, NFT_MSG_GETSETELEM, FAMILIES[place.table], body)
