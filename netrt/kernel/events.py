"""What the kernel announces of links, addresses, routes, queues and forwarding, of this namespace and of all sandboxes.

Theory: one socket hears the announcements of every namespace that has a number in ours (NETLINK_LISTEN_ALL_NSID), and a sandbox
has one because the other end of its link is here. So hearing costs one socket, however many sandboxes there are. An announcement
tells the index of a link; here is remembered which name that has, and of which link of ours it is the other end.

Rule 1: nothing is asked of the kernel when something is heard, only noted where to look; the newest announcement of a link
counts. Rule 2: what adds something (an address, a route) is no news: what is too much is found by the slow comparison.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Collection, Iterable, Iterator

from pyroute2.netlink import NLM_F_REPLACE
from pyroute2.netlink.rtnl import (
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELQDISC,
    RTM_DELROUTE,
    RTM_DELRULE,
    RTM_DELTFILTER,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWNETCONF,
    RTM_NEWROUTE,
    RTM_NEWRULE,
)

from netrt.dataplane.heard import ALL, Heard
from netrt.dataplane.objects import HOST, ROUTE_PROTOCOL, Link, LinkKind
from netrt.kernel import links, routes
from netrt.kernel.facts import HALF
from netrt.kernel.links import SeenLink
from netrt.kernel.netlink import HERE, Netlink, halfword, listening, origin
from netrt.kernel.wire import Message, attributes, messages, number
from netrt.model.address import prefix_of

_GROUPS = (1, 4, 5, 7, 8, 9, 11, 19, 24, 25)
"""RTNLGRP_LINK, TC, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE, IPV4_NETCONF, IPV6_NETCONF."""
_ROOM = 1 << 23
"""Bytes of announcements that may wait: those of some hundred attaches."""
_IFINDEX, _FORWARDING = 1, 2  # NETCONFA_IFINDEX, NETCONFA_FORWARDING
_EVERY = -1  # NETCONFA_IFINDEX_ALL
_AT_INDEX = struct.Struct("=i")  # behind the first four bytes of ifinfomsg, ifaddrmsg, tcmsg
_FIRST = {RTM_NEWLINK, RTM_DELLINK}
_RULES = {RTM_NEWRULE, RTM_DELRULE}
_TAKEN = {RTM_DELADDR, RTM_DELQDISC, RTM_DELTFILTER}


_FILTER = (
    (0x28, 0, 0, 4),  # load the type
    (0x15, 7, 0, halfword(RTM_NEWADDR)),
    (0x15, 0, 7, halfword(RTM_NEWROUTE)),
    (0x28, 0, 0, 6),  # load the flags
    (0x45, 5, 0, halfword(NLM_F_REPLACE)),
    (0x30, 0, 0, 17),  # load rtm_dst_len
    (0x25, 2, 0, HALF),
    (0x30, 0, 0, 21),  # load rtm_protocol
    (0x15, 0, 1, ROUTE_PROTOCOL),
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # pass
)
"""Lets nothing through that only adds: addresses, and routes that take nobody's place, but for default routes of others. That is
half of what an attach announces. It reads the type and the flags of struct nlmsghdr, and prefix length and protocol of struct
rtmsg behind it."""

Place = tuple[int, int]
"""A link: the number of its namespace, and its index there."""


class Events:
    """Hears announcements from when it is made, in the namespace of the calling thread. `netlink` is a socket there."""

    def __init__(self, netlink: Netlink) -> None:
        self._socket = listening(socket.NETLINK_ROUTE, _GROUPS, _ROOM, _FILTER, everywhere=True)
        self._names: dict[Place, str] = {}
        """Of a link of the host its name; of a link in a sandbox the name of its other end, which is the host's."""
        self._netlink = netlink
        self._buffer = bytearray(1 << 16)
        self._learn_all()

    def fileno(self) -> int:
        """What can be read when there is something to hear."""
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def links_into(self, namespaces: Collection[int]) -> frozenset[str]:
        """The names of the links of the host whose other ends are in namespaces of these numbers."""
        found = [name for (nsid, _), name in self._names.items() if nsid in namespaces] if namespaces else ()
        return frozenset(found)

    def heard(self) -> Heard:
        """What was announced since this was asked last. Raises OSError."""
        newest: dict[Place, Message] = {}
        partly: set[Place] = set()
        robbed: set[Place] = set()
        changed: set[str] = set()
        forwards: dict[tuple[int, int], bool] = {}
        lost = way = False
        try:
            for nsid, message in self._announced():
                if message.type in _FIRST:
                    place = nsid, _index(message)
                    if message.body[0] == socket.AF_UNSPEC:
                        newest[place] = message
                        partly.discard(place)
                    else:  # about a port of a bridge as such: tells less
                        partly.add(place)
                    if nsid == HERE:  # each one: a link may have been made and renamed since
                        changed.add(links.name_of(message))
                elif message.type in _TAKEN:
                    robbed.add((nsid, _index(message)))
                elif message.type in _RULES:
                    way |= nsid == HERE
                elif message.type in (RTM_DELROUTE, RTM_NEWROUTE):
                    way |= nsid == HERE and _leads_outside(message)
                    robbed.update(_robbed_of_route(nsid, message))
                elif nsid == HERE and message.type == RTM_NEWNETCONF:
                    forwards.update(_forwarding(message))
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            lost = True
            self._learn_all()
        here = {
            place: links.read_link(message) if message.type == RTM_NEWLINK else None
            for place, message in newest.items()
            if place[0] == HERE
        }
        for place, link in here.items():
            changed |= self._changed(place, link)
        outer = dict(self._outer(link for place, link in here.items() if link and place not in partly))
        return Heard(
            changed=frozenset(changed - outer.keys()),
            outer=outer,
            robbed=frozenset(self._names[place] for place in robbed if place in self._names),
            inner=dict(self._inner(newest)),
            closed=frozenset(
                ALL if index == _EVERY else self._names.get((HERE, index), "")
                for (_, index), on in forwards.items()
                if not on
            ),
            way=way or any(not name.startswith(links.OWN_NAMES) for name in changed),
            lost=lost,
        )

    def _announced(self) -> Iterator[tuple[int, Message]]:
        with contextlib.suppress(BlockingIOError):
            while True:
                size, extra, _, _ = self._socket.recvmsg_into([self._buffer], 64)
                nsid = origin(extra)
                for message in messages(bytes(memoryview(self._buffer)[:size])):
                    yield nsid, message

    def _changed(self, place: Place, link: SeenLink | None) -> set[str]:
        """The names that a link of the host had and has; None: it is gone."""
        had = {self._names[place]} if place in self._names else set()
        if link:
            return had | {self._learn(link)}
        name = self._names.pop(place, "")
        for inner in [each for each, outer in self._names.items() if outer == name and each[0] != HERE]:
            del self._names[inner]
        return had

    def _learn_all(self) -> None:
        self._names.clear()
        for message in self._netlink.dump(links.all_links()):
            self._learn(links.read_link(message))

    def _learn(self, link: SeenLink) -> str:
        self._names[HERE, link.index] = link.name
        if link.kind == LinkKind.VETH and link.peer_nsid >= 0:
            self._names[link.peer_nsid, link.peer] = link.name
        return link.name

    def _outer(self, here: Iterable[SeenLink]) -> Iterator[tuple[str, Link]]:
        for link in here:
            if link.kind in (LinkKind.BRIDGE, LinkKind.VETH):
                yield (
                    link.name,
                    Link(
                        netns=HOST,
                        name=link.name,
                        kind=LinkKind(link.kind),
                        mac=link.mac if link.kind == LinkKind.BRIDGE else "",
                        mtu=link.mtu,
                        up=link.up,
                        alias=link.alias,
                        master=self._names.get((HERE, link.master), "") if link.master else "",
                        isolated=link.isolated,
                        hairpin=link.hairpin,
                    ),
                )

    def _inner(self, newest: dict[Place, Message]) -> Iterator[tuple[str, Link]]:
        for place, message in newest.items():
            if place[0] != HERE and place in self._names and message.type == RTM_NEWLINK:
                link = links.read_link(message)
                kind = LinkKind.VETH
                yield (
                    self._names[place],
                    Link(netns="", name=link.name, kind=kind, mac=link.mac, mtu=link.mtu, up=link.up),
                )


def _index(message: Message) -> int:
    return _AT_INDEX.unpack_from(message.body, 4)[0]  # type: ignore[no-any-return]


def _robbed_of_route(nsid: int, message: Message) -> Iterator[Place]:
    """The link of a route that went; of one that took the place of another, for that is not announced."""
    replacing = message.type == RTM_NEWROUTE and message.flags & NLM_F_REPLACE
    if replacing or message.type == RTM_DELROUTE:
        way = routes.read_route(message)
        if way.link and (way.lasting or replacing):
            yield nsid, way.link


def _leads_outside(message: Message) -> bool:
    """Whether this is a default route, or half of one, of somebody else."""
    way = routes.read_route(message)
    return prefix_of(way.dst) <= HALF and way.protocol != ROUTE_PROTOCOL


def _forwarding(message: Message) -> dict[tuple[int, int], bool]:
    """Whether it is on now, by family and link, if that is what the message tells."""
    held = attributes(message.body, 4)
    if _FORWARDING not in held:
        return {}
    return {(message.body[0], _AT_INDEX.unpack(held[_IFINDEX])[0]): bool(number(held[_FORWARDING]))}
