"""Our packing of netlink messages against pyroute2's, which says the same in more words."""

from __future__ import annotations

from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from netrt.dataplane.objects import HOST, Address, Link, LinkKind, Route
from netrt.dataplane.ops import AddVeth, SetLink
from netrt.kernel import links, routes
from netrt.kernel.wire import Answer, Message, Request, answer, attributes, messages, nested, number, string, text, u32

BRIDGE = Link(netns=HOST, name="nrb", kind=LinkKind.BRIDGE, mac="02:42:00:00:00:01", mtu=1400, alias="netrt:n")
PORT = Link(netns=HOST, name="nrp", kind=LinkKind.VETH, mtu=1400, alias="netrt:a", master="nrb", isolated=True)
INNER = Link(netns="/run/netns/netrt-1", name="eth0", kind=LinkKind.VETH, mac="02:42:0a:01:00:02", mtu=1300)


def decoded(kind: Any, request: Request) -> Any:
    message = kind(data=request.pack(1, 0))
    message.decode()
    return message


def test_a_veth_pair() -> None:
    made, marked = links.add_veth(AddVeth(PORT, INNER), 7, 3, ipv6=True)
    first = decoded(ifinfmsg, made)
    assert (first.get_attr("IFLA_IFNAME"), first.get_attr("IFLA_MTU"), first.get_attr("IFLA_MASTER")) == (
        "nrp",
        1400,
        3,
    )
    assert first.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_KIND") == "veth"
    peer = first.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA").get_attr("VETH_INFO_PEER")
    assert (peer.get_attr("IFLA_IFNAME"), peer.get_attr("IFLA_MTU")) == ("eth0", 1300)
    assert (peer.get_attr("IFLA_ADDRESS"), peer.get_attr("IFLA_NET_NS_FD")) == (INNER.mac, 7)
    second = decoded(ifinfmsg, marked)
    assert (second.get_attr("IFLA_IFNAME"), second.get_attr("IFLA_IFALIAS")) == ("nrp", "netrt:a")
    port = second.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_SLAVE_DATA")
    assert port.get_attr("IFLA_BRPORT_ISOLATED") == 1


def test_a_bridge() -> None:
    made, marked = (decoded(ifinfmsg, request) for request in links.add_bridge(BRIDGE))
    assert (made.get_attr("IFLA_IFNAME"), made.get_attr("IFLA_ADDRESS")) == ("nrb", BRIDGE.mac)
    assert made.get_attr("IFLA_MTU") is None
    assert (marked.get_attr("IFLA_MTU"), marked.get_attr("IFLA_IFALIAS")) == (1400, "netrt:n")


def test_what_is_not_changed_is_not_sent() -> None:
    (request,) = links.set_link(SetLink(netns=HOST, name="nrp", up=False), None)
    message = decoded(ifinfmsg, request)
    assert (message["flags"], message["change"], [name for name, _ in message["attrs"]]) == (0, 1, ["IFLA_IFNAME"])
    (request,) = links.set_link(SetLink(netns=HOST, name="nrp", mtu=1400), None)
    message = decoded(ifinfmsg, request)
    assert (message["change"], [name for name, _ in message["attrs"]]) == (0, ["IFLA_IFNAME", "IFLA_MTU"])


@pytest.mark.parametrize("text", ["10.1.0.2/24", "fd00::2/64"])
def test_addresses(text: str) -> None:
    request = routes.add_address(Address(netns=HOST, link="x", address=text), 5)
    message = decoded(ifaddrmsg, request)
    assert f"{message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}" == text
    assert (message["index"], bool(message["flags"] & 2)) == (5, ":" in text)
    seen = routes.read_address(Message(20, 0, 1, request.body))
    assert (seen.index, seen.address, seen.link_local) == (5, text, False)


def test_link_local_addresses_are_told_apart() -> None:
    for raw, local in (("fe80::1/64", True), ("febf::1/64", True), ("fec0::1/64", False), ("fd80::1/64", False)):
        request = routes.add_address(Address(netns=HOST, link="x", address=raw), 5)
        assert routes.read_address(Message(20, 0, 1, request.body)).link_local is local


@pytest.mark.parametrize(("dst", "via"), [("0.0.0.0/0", "10.1.0.1"), ("::/0", "fd00::1"), ("10.9.0.0/16", "10.1.0.1")])
def test_routes(dst: str, via: str) -> None:
    request = routes.add_route(Route(netns=HOST, dst=dst, via=via, link="x"), 5)
    message = decoded(rtmsg, request)
    assert (message.get_attr("RTA_GATEWAY"), message.get_attr("RTA_OIF"), message["proto"], message["table"]) == (
        via,
        5,
        78,
        254,
    )
    seen = routes.read_route(Message(24, 0, 1, request.body))
    assert (seen.dst, seen.via, seen.link, seen.protocol, seen.table, seen.mtu) == (dst, via, 5, 78, 254, 0)


def test_links_are_read_as_pyroute2_reads_them() -> None:
    body = links._HEADER.pack(0, 1, 9, 1, 0) + text(3, "nrp") + u32(4, 1400) + u32(10, 3) + text(20, "netrt:a")
    body += (
        u32(5, 2)
        + u32(37, 4)
        + nested(18, text(1, "veth"), text(4, "bridge"), nested(5, b"\x05\x00\x21\x00\x01\0\0\0"))
    )
    seen = links.read_link(Message(16, 0, 1, body))
    assert (seen.index, seen.name, seen.kind, seen.mtu, seen.up, seen.alias) == (
        9,
        "nrp",
        "veth",
        1400,
        True,
        "netrt:a",
    )
    assert (seen.master, seen.isolated, seen.peer, seen.peer_nsid) == (3, True, 2, 4)


def test_several_messages_in_one_piece() -> None:
    parts = [Request(16, 0, bytes(4 * n)).pack(n, 1) for n in range(4)]
    assert [(m.sequence, len(m.body)) for m in messages(b"".join(parts))] == [(0, 0), (1, 4), (2, 8), (3, 12)]
    with pytest.raises(AssertionError, match="cut off"):
        list(messages(b"".join(parts)[:-4]))


def test_answers() -> None:
    refusal = Message(2, 0x300, 1, b"\xea\xff\xff\xff" + bytes(16) + text(1, "mtu less than device minimum"))
    assert answer(refusal) == Answer(22, "mtu less than device minimum")
    assert answer(Message(2, 0x100, 1, bytes(20))) == Answer(0, "")
    link = Message(16, 0, 1, b"")
    assert answer(link) == Answer(0, "", link)


def test_attributes() -> None:
    held = attributes(text(3, "eth0") + nested(18, u32(1, 7)) + u32(5, 9))
    assert (string(held[3]), number(held[5]), number(attributes(held[18])[1])) == ("eth0", 9, 7)
    assert number(b"") == 0
