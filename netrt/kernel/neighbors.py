"""Permanent neighbours as rtnetlink messages: what to send for an operation, and what a message tells."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from socket import AF_INET, AF_INET6, AF_UNSPEC, if_indextoname, inet_pton

from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE
from pyroute2.netlink.rtnl import RTM_DELNEIGH, RTM_GETNEIGH, RTM_NEWNEIGH
from pyroute2.netlink.rtnl.ndmsg import ndmsg

from netrt.dataplane.objects import ROUTE_PROTOCOL, Neighbor
from netrt.kernel.netlink import Netlink
from netrt.kernel.wire import Message, Request, address, attribute, attributes, mac, numbers, u32

HEADER = struct.Struct("=BxxxIHBB")  # struct ndmsg: family, index, state, flags, type
_NDA = numbers(ndmsg)
_PERMANENT = 0x80  # NUD_PERMANENT
_PROXY = 0x08  # NTF_PROXY
_OURS = attribute(_NDA["NDA_PROTOCOL"], bytes((ROUTE_PROTOCOL,)))


def set_neighbor(wanted: Neighbor, index: int) -> Request:
    return Request(
        RTM_NEWNEIGH,
        NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
        _key(wanted, index, _PERMANENT) + (_OURS if wanted.proxy else mac(_NDA["NDA_LLADDR"], wanted.mac)),
    )


def delete_neighbor(gone: Neighbor, index: int) -> Request:
    return Request(RTM_DELNEIGH, NLM_F_ACK, _key(gone, index, 0))


def _key(thing: Neighbor, index: int, state: int) -> bytes:
    family = AF_INET6 if ":" in thing.address else AF_INET
    to = attribute(_NDA["NDA_DST"], inet_pton(family, thing.address))
    return HEADER.pack(family, index, state, _PROXY if thing.proxy else 0, 0) + to


def get_neighbors(index: int = 0) -> Request:
    """Dump the neighbours of one link, or of all."""
    link = u32(_NDA["NDA_IFINDEX"], index) if index else b""
    return Request(RTM_GETNEIGH, 0, HEADER.pack(AF_UNSPEC, 0, 0, 0, 0) + link)


def read_neighbor(message: Message, netns: str, link: str) -> Neighbor | None:
    """A neighbour of the link that was asked for, if it is permanent and is that of an IP address; neither those that the kernel
    makes for itself (a MAC of zeros, or of a group) count."""
    family, _, state, _, _ = HEADER.unpack_from(message.body)
    held = attributes(message.body, HEADER.size)
    at = held.get(_NDA["NDA_LLADDR"], b"")
    if family not in (AF_INET, AF_INET6) or not state & _PERMANENT or len(at) != 6:
        return None
    return Neighbor(netns=netns, link=link, address=address(held[_NDA["NDA_DST"]]), mac=at.hex(":"))


def permanent(netlink: Netlink, index: int, link: str) -> Iterator[Neighbor]:
    """The permanent neighbours of a link in the namespace of this socket. Raises OSError."""
    found = (read_neighbor(message, "", link) for message in netlink.dump(get_neighbors(index)))
    return (held for held in found if held is not None)


def proxies(netlink: Netlink) -> Iterator[Neighbor]:
    """What is answered for on our behalf in the calling thread's namespace, to which the socket belongs. Raises OSError."""
    for message in netlink.dump(Request(RTM_GETNEIGH, 0, HEADER.pack(AF_INET6, 0, 0, _PROXY, 0))):
        _, index, _, flags, _ = HEADER.unpack_from(message.body)
        held = attributes(message.body, HEADER.size)
        if flags & _PROXY and held.get(_NDA["NDA_PROTOCOL"], b"")[:1] == bytes((ROUTE_PROTOCOL,)):
            with contextlib.suppress(OSError):  # the link went meanwhile
                yield Neighbor(netns="", link=if_indextoname(index), address=address(held[_NDA["NDA_DST"]]), proxy=True)
