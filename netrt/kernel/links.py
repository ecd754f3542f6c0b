"""Links as rtnetlink messages: what to send for an operation, and what a message tells.

Names are resolved by the kernel (IFLA_IFNAME in the request), never by a dump. Oddities, each of linux/net/core/rtnetlink.c:
a new link takes no alias, no address generation mode and no port flags, so that these follow in a second request; port flags need
the port to be one already, so that they follow the master; RTM_SETLINK ignores port flags, RTM_NEWLINK without CREATE does not.
"""

from __future__ import annotations

import os
import struct
import sys
from dataclasses import dataclass
from socket import AF_INET6, AF_UNSPEC

from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL
from pyroute2.netlink.rtnl import RTM_DELLINK, RTM_GETLINK, RTM_GETNSID, RTM_NEWLINK, RTM_NEWNSID
from pyroute2.netlink.rtnl.ifinfmsg import IFF_UP, ifinfbase, ifinfmsg, protinfo_bridge
from pyroute2.netlink.rtnl.nsidmsg import nsidmsg

from netrt.dataplane.objects import Link, LinkKind, Setting
from netrt.dataplane.ops import AddVeth, SetLink
from netrt.kernel.netlink import Netlink
from netrt.kernel.wire import (
    Answer,
    Message,
    Request,
    attribute,
    attributes,
    mac,
    nested,
    number,
    numbers,
    string,
    text,
    u8,
    u32,
)

_HEADER = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, change
_LINK = numbers(ifinfmsg)
_INFO = numbers(ifinfbase.ifinfo)
_PORT = numbers(protinfo_bridge)
_INET6 = numbers(ifinfbase.af_spec_inet.inet6)
_NSID = numbers(nsidmsg)

_ADDRESS, _NAME, _MTU, _PEER = _LINK["IFLA_ADDRESS"], _LINK["IFLA_IFNAME"], _LINK["IFLA_MTU"], _LINK["IFLA_LINK"]
_MASTER, _ALIAS, _PEER_NSID = _LINK["IFLA_MASTER"], _LINK["IFLA_IFALIAS"], _LINK["IFLA_LINK_NETNSID"]
_LINKINFO, _KIND, _DATA = _LINK["IFLA_LINKINFO"], _INFO["IFLA_INFO_KIND"], _INFO["IFLA_INFO_DATA"]
_PORT_KIND, _PORT_DATA = _INFO["IFLA_INFO_SLAVE_KIND"], _INFO["IFLA_INFO_SLAVE_DATA"]
_ISOLATED, _HAIRPIN = _PORT["IFLA_BRPORT_ISOLATED"], _PORT["IFLA_BRPORT_MODE"]
_SNOOPING = 23  # IFLA_BR_MCAST_SNOOPING
_VETH_PEER = 1  # VETH_INFO_PEER: a struct ifinfomsg and attributes
_STACKED_MODE = 1  # IFLA_MACVLAN_MODE (u32), IFLA_IPVLAN_MODE (u16)
_FLAVOURS = {
    LinkKind.MACVLAN: {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8},  # MACVLAN_MODE_
    LinkKind.IPVLAN: {"l2": 0, "l3": 1, "l3s": 2},  # IPVLAN_MODE_
}
_ONE_QUEUE = (u32(_LINK["IFLA_NUM_TX_QUEUES"], 1), u32(_LINK["IFLA_NUM_RX_QUEUES"], 1))
OWN_NAMES = "nr"
"""Names that begin so are made by `link_name`; nobody else's link has one."""

_NO_STATISTICS = 8  # RTEXT_FILTER_SKIP_STATS
_HIGH = b"\xfe\xff"
"""A bridge without a MAC of its own takes the lowest of its ports', so those of ours are high (higher than those of libvirt's
guests, fe:54): a bridge of others keeps its."""
_NO_ADDRESS = 1  # IN6_ADDR_GEN_MODE_NONE
_QUEUE, _QDISC = _LINK["IFLA_TXQLEN"], _LINK["IFLA_QDISC"]
_PROMISC, _ALLMULTI = 0x100, 0x200  # IFF_PROMISC, IFF_ALLMULTI: as somebody asked for them (dev_get_flags)
_SHORT = u32(_LINK["IFLA_EXT_MASK"], _NO_STATISTICS)


@dataclass(frozen=True, slots=True)
class SeenLink:
    """A link as the kernel tells it. `master` and `peer` are interface indices (0: none); `peer` is in the namespace that this
    one knows as `peer_nsid` (-1: in this one); `type` is the kernel's ARPHRD_ number; `flavour` the mode of a macvlan or ipvlan,
    whose `peer` is the link that it stands on."""

    index: int
    name: str
    kind: str
    mac: str
    mtu: int
    up: bool
    alias: str
    master: int
    isolated: bool
    hairpin: bool
    peer: int
    peer_nsid: int
    flags: int = 0
    queue: int = 0
    qdisc: str = ""
    type: int = 1
    flavour: str = ""

    def setting(self, name: str) -> str:
        """One of the properties that a Setting may have."""
        match name:
            case "promisc":
                return str(int(bool(self.flags & _PROMISC)))
            case "allmulti":
                return str(int(bool(self.flags & _ALLMULTI)))
            case "queue":
                return str(self.queue)
            case "mtu":
                return str(self.mtu)
            case _:
                return self.mac


def _request(kind: int, flags: int, *attributes: bytes, index: int = 0, raised: bool | None = None) -> Request:
    header = _HEADER.pack(AF_UNSPEC, 0, index, IFF_UP if raised else 0, 0 if raised is None else IFF_UP)
    return Request(kind, flags, header + b"".join(attributes))


# read


def get_link(name: str) -> Request:
    """Ask for one link."""
    return _request(RTM_GETLINK, 0, text(_NAME, name), _SHORT)


def get_link_at(index: int) -> Request:
    """Ask for the link of an index."""
    return _request(RTM_GETLINK, 0, _SHORT, index=index)


def all_links(kind: str = "") -> Request:
    """Dump the links, or those of one kind."""
    return _request(RTM_GETLINK, 0, _SHORT, *([nested(_LINKINFO, text(_KIND, kind))] if kind else []))


def get_nsid(netns: int) -> Request:
    """Ask for the number that this namespace gives to another one (an open file)."""
    return Request(RTM_GETNSID, 0, bytes(4) + u32(_NSID["NETNSA_FD"], netns))


def new_nsid(netns: int) -> Request:
    """Give another namespace (an open file) a number in this one."""
    return Request(
        RTM_NEWNSID, NLM_F_ACK, bytes(4) + u32(_NSID["NETNSA_NSID"], 0xFFFFFFFF) + u32(_NSID["NETNSA_FD"], netns)
    )


def known_as(netlink: Netlink, netns: int) -> Answer:
    """The answer in which is the number of another namespace (an open file) in that of this socket, which gives it one where it
    has none. Raises OSError."""
    netlink.ask([new_nsid(netns)])  # refused where it has one
    (answer,) = netlink.ask([get_nsid(netns)])
    return answer


def read_nsid(message: Message) -> int:
    return struct.unpack("=i", attributes(message.body, 4)[_NSID["NETNSA_NSID"]])[0]  # type: ignore[no-any-return]


def name_of(message: Message) -> str:
    """The name in a message about a link; the kernel puts it first (rtnl_fill_ifinfo, br_fill_ifinfo)."""
    size, number = struct.unpack_from("=HH", message.body, _HEADER.size)
    if number == _NAME:
        return string(message.body[_HEADER.size + 4 : _HEADER.size + size])
    return string(attributes(message.body, _HEADER.size).get(_NAME, b""))


def read_link(message: Message) -> SeenLink:
    _, medium, index, flags, _ = _HEADER.unpack_from(message.body)
    held = attributes(message.body, _HEADER.size)
    info = attributes(held.get(_LINKINFO, b""))
    port = attributes(info.get(_PORT_DATA, b"")) if info.get(_PORT_KIND) == b"bridge\0" else {}
    nsid = held.get(_PEER_NSID)
    return SeenLink(
        index=index,
        name=string(held[_NAME]),
        kind=(kind := string(info.get(_KIND, b""))),
        mac=held.get(_ADDRESS, b"").hex(":"),
        mtu=number(held[_MTU]),
        up=bool(flags & IFF_UP),
        alias=string(held.get(_ALIAS, b"")),
        master=number(held.get(_MASTER, b"")),
        isolated=port.get(_ISOLATED, b"\0") != b"\0",
        hairpin=port.get(_HAIRPIN, b"\0") != b"\0",
        peer=number(held.get(_PEER, b"")),
        peer_nsid=-1 if nsid is None else number(nsid),
        flags=flags,
        queue=number(held.get(_QUEUE, b"")),
        qdisc=string(held.get(_QDISC, b"")),
        type=medium,
        flavour=_flavour(kind, info.get(_DATA, b"")) if kind in _FLAVOURS else "",
    )


def _flavour(kind: str, data: bytes) -> str:
    mode = number(attributes(data).get(_STACKED_MODE, b""))
    return next((name for name, known in _FLAVOURS[LinkKind(kind)].items() if known == mode), "")


# write


def add_bridge(link: Link) -> tuple[Request, ...]:
    """A bridge that keeps its MAC and MTU, without multicast snooping.

    A MTU that comes with the creation would follow the smallest port's, one that is changed later stays (br_change_mtu). Snooping
    needs a querier in the network, of which there is none, and costs time with every port whenever one comes up
    (br_port_state_selection); nothing but speed depends on it, so it is not watched.
    """
    made = _request(
        RTM_NEWLINK,
        NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
        text(_NAME, link.name),
        mac(_ADDRESS, link.mac),
        nested(_LINKINFO, text(_KIND, LinkKind.BRIDGE), nested(_DATA, u8(_SNOOPING, 0))),
    )
    return made, _request(RTM_NEWLINK, NLM_F_ACK, text(_NAME, link.name), u32(_MTU, link.mtu), text(_ALIAS, link.alias))


def add_ifb(link: Link, *, ipv6: bool) -> tuple[Request, ...]:
    """A link that sends back what is sent through it to where it came from; without an address of its own."""
    made = _request(
        RTM_NEWLINK,
        NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
        text(_NAME, link.name),
        u32(_MTU, link.mtu),
        nested(_LINKINFO, text(_KIND, LinkKind.IFB)),
    )
    marked = [text(_NAME, link.name), text(_ALIAS, link.alias), *([_no_address()] if ipv6 else [])]
    return made, _request(RTM_NEWLINK, NLM_F_ACK, *marked)


def _no_address() -> bytes:
    """The kernel makes no link-local address."""
    mode = u8(_INET6["IFLA_INET6_ADDR_GEN_MODE"], _NO_ADDRESS)
    return nested(_LINK["IFLA_AF_SPEC"], nested(AF_INET6, mode))


def add_veth(op: AddVeth, netns: int | None, master: int, *, ipv6: bool) -> tuple[Request, ...]:
    """A pair: the host's end a port of `master` (an index, 0: of none), the inner one born in `netns` (an open file). `ipv6`:
    whether this kernel has IPv6. One queue each way is all that a veth uses unless somebody turns its GRO on, but the kernel
    would make one for each processor that there may be, which takes a seventh of the time (veth_get_num_queues)."""
    inner = [text(_NAME, op.inner.name), u32(_MTU, op.inner.mtu), *_ONE_QUEUE]
    inner += [mac(_ADDRESS, op.inner.mac)] if op.inner.mac else []
    inner += [u32(_LINK["IFLA_NET_NS_FD"], netns)] if netns is not None else []
    peer = attribute(_VETH_PEER, _HEADER.pack(AF_UNSPEC, 0, 0, 0, 0) + b"".join(inner))
    made = _request(
        RTM_NEWLINK,
        NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
        text(_NAME, op.host.name),
        u32(_MTU, op.host.mtu),
        attribute(_ADDRESS, _HIGH + os.urandom(4)),
        *_ONE_QUEUE,
        *([u32(_MASTER, master)] if master else []),
        nested(_LINKINFO, text(_KIND, LinkKind.VETH), nested(_DATA, peer)),
    )
    marked = [text(_NAME, op.host.name), text(_ALIAS, op.host.alias)]
    if ipv6:
        marked.append(_no_address())
    if op.host.isolated or op.host.hairpin:
        marked.append(_port_flags(op.host.isolated or None, op.host.hairpin or None))
    return made, _request(RTM_NEWLINK, NLM_F_ACK, *marked)


def add_stacked(link: Link, lower: int, nsid: int) -> tuple[Request, ...]:
    """A link that stands on the one of index `lower` in the namespace that has the number `nsid` (-1: in this one)."""
    mode = _FLAVOURS[link.kind][link.flavour].to_bytes(4 if link.kind is LinkKind.MACVLAN else 2, sys.byteorder)
    made = _request(
        RTM_NEWLINK,
        NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
        text(_NAME, link.name),
        u32(_PEER, lower),
        *([u32(_PEER_NSID, nsid)] if nsid >= 0 else []),
        u32(_MTU, link.mtu),
        *([mac(_ADDRESS, link.mac)] if link.mac else []),
        nested(_LINKINFO, text(_KIND, link.kind), nested(_DATA, attribute(_STACKED_MODE, mode))),
    )
    return made, _request(RTM_NEWLINK, NLM_F_ACK, text(_NAME, link.name), text(_ALIAS, link.alias))


def probe(kind: str) -> Request:
    """Ask for a link that stands on nothing, which no kernel makes: one that does not know the kind says so."""
    info = nested(_LINKINFO, text(_KIND, kind))
    return _request(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, text(_NAME, "nrprobe"), info)


def set_link(op: SetLink, master: int | None) -> tuple[Request, ...]:
    """What differs; `master` is the index of the one that `op` names, 0 for none, None to leave it."""
    changes = [mac(_ADDRESS, op.mac)] if op.mac is not None else []
    changes += [u32(_MTU, op.mtu)] if op.mtu is not None else []
    changes += [text(_ALIAS, op.alias) if op.alias else attribute(_ALIAS, b"")] if op.alias is not None else []
    changes += [u32(_MASTER, master)] if master is not None else []
    name = text(_NAME, op.name)
    requests = []
    if changes or op.up is not None:
        requests.append(_request(RTM_NEWLINK, NLM_F_ACK, name, *changes, raised=op.up))
    if op.isolated is not None or op.hairpin is not None:
        requests.append(_request(RTM_NEWLINK, NLM_F_ACK, name, _port_flags(op.isolated, op.hairpin)))
    return tuple(requests)


def change_setting(setting: Setting) -> Request:
    name, value = text(_NAME, setting.link), setting.value
    match setting.name:
        case "promisc" | "allmulti":
            flag = _PROMISC if setting.name == "promisc" else _ALLMULTI
            header = _HEADER.pack(AF_UNSPEC, 0, 0, flag if value == "1" else 0, flag)
            return Request(RTM_NEWLINK, NLM_F_ACK, header + name)
        case "queue":
            return _request(RTM_NEWLINK, NLM_F_ACK, name, u32(_QUEUE, int(value)))
        case "mtu":
            return _request(RTM_NEWLINK, NLM_F_ACK, name, u32(_MTU, int(value)))
        case _:
            return _request(RTM_NEWLINK, NLM_F_ACK, name, mac(_ADDRESS, value))


def _port_flags(isolated: bool | None, hairpin: bool | None) -> bytes:
    """Those that are not None."""
    flags = [u8(kind, int(on)) for kind, on in ((_ISOLATED, isolated), (_HAIRPIN, hairpin)) if on is not None]
    return nested(_LINKINFO, text(_PORT_KIND, LinkKind.BRIDGE), nested(_PORT_DATA, *flags))


def delete_link(name: str) -> Request:
    return _request(RTM_DELLINK, NLM_F_ACK, text(_NAME, name))


def delete_link_at(index: int) -> Request:
    """Delete the link of an index, and never one that has its name by then."""
    return _request(RTM_DELLINK, NLM_F_ACK, index=index)


def change_nothing(name: str) -> Request:
    """Only find out whether a link can be changed, because it is there."""
    return _request(RTM_NEWLINK, NLM_F_ACK, text(_NAME, name))


def put_in_group(name: str, group: int) -> Request:
    return _request(RTM_NEWLINK, NLM_F_ACK, text(_NAME, name), u32(_LINK["IFLA_GROUP"], group))


def delete_group(group: int) -> Request:
    """Delete all links of a group at once: they share the one RCU grace period (25 ms) that each would cost alone."""
    return _request(RTM_DELLINK, NLM_F_ACK, u32(_LINK["IFLA_GROUP"], group))
