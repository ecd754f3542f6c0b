"""What a DHCP client decides: what an answer is worth, when to ask again; and that any frame can be read or is nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from netrt.ipam import dhcp
from netrt.ipam.dhcp import FOREVER, SECOND, Client, Kind, Phase, Reply
from netrt.kernel.dhcp import packed, unpacked
from netrt.model.plugged import Way

CLIENT = Client(mac="02:00:00:00:00:01", identifier=dhcp.identifier("abcdef012345" * 5, "eth0"), hostname="web")
GIVEN = Reply(
    kind=Kind.ACK,
    number=7,
    mac=CLIENT.mac,
    address="10.0.0.5",
    server="10.0.0.1",
    server_mac="02:00:00:00:00:99",
    netmask="255.255.255.0",
    routers=("10.9.9.9", "10.0.0.1"),
    dns=("10.0.0.1", "10.0.0.1", "0.0.0.0", "127.0.0.11", "224.0.0.251", "9.9.9.9"),
    mtu=1400,
    lasts=800,
)


def test_a_lease_by_its_answer() -> None:
    """Times of which nothing is said are half and seven eighths; a router beyond the subnet is none."""
    lease = dhcp.leased(CLIENT.identifier, GIVEN, 1000 * SECOND)
    assert (lease.address, lease.router, lease.mtu) == ("10.0.0.5/24", "10.0.0.1", 1400)
    assert lease.dns == ("10.0.0.1", "9.9.9.9")
    assert (lease.renew, lease.rebind, lease.expires) == (1400 * SECOND, 1700 * SECOND, 1800 * SECOND)
    assert bytes.fromhex(lease.client) == b"\0netrt/abcdef012345/eth0"


@pytest.mark.parametrize(
    ("said", "times"),
    [
        ({"renew": 10, "rebind": 20}, (10, 20, 800)),
        ({"renew": 30, "rebind": 20}, (20, 20, 800)),
        ({"renew": 0, "rebind": 900}, (400, 700, 800)),
        ({"lasts": FOREVER, "renew": 10}, (0, 0, 0)),
        ({"lasts": 1}, (0, 0, 1)),
    ],
    ids=str,
)
def test_times(said: dict[str, int], times: tuple[int, int, int]) -> None:
    lease = dhcp.leased(CLIENT.identifier, replace(GIVEN, **said), 0)
    assert (lease.renew, lease.rebind, lease.expires) == tuple(seconds * SECOND for seconds in times)


def test_routes_take_the_place_of_the_router() -> None:
    """RFC 3442: with option 121 the router option is not looked at; a broken tail is left out."""
    ways = (24, 203, 0, 113, 10, 0, 0, 9, 16, 10, 8, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2, 33, 1)
    ways = (24, 203, 0, 113, 10, 0, 0, 9, 16, 10, 8, 0, 0, 0, 0, 0, 10, 0, 0, 2, 33, 1)
    lease = dhcp.leased(CLIENT.identifier, replace(GIVEN, ways=ways), 0)
    assert lease.router == "10.0.0.2"
    assert lease.routes == (Way(dst="203.0.113.0/24", via="10.0.0.9"), Way(dst="10.8.0.0/16"))
    none = dhcp.leased(CLIENT.identifier, replace(GIVEN, ways=(16, 10, 8, 10, 7, 7, 7)), 0)
    assert (none.router, none.routes) == ("", ()), "by a router that is not there"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"server": ""}, "names no server"),
        ({"netmask": ""}, "names no netmask"),
        ({"lasts": None}, "names no time"),
        ({"netmask": "255.0.255.0"}, "netmask 255.0.255.0"),
        ({"netmask": "255.255.255.255"}, "netmask"),
        ({"netmask": "128.0.0.0"}, "netmask 128.0.0.0"),
        ({"address": "224.0.0.5"}, "address 224.0.0.5"),
        ({"address": "127.0.0.5"}, "address 127.0.0.5"),
        ({"address": "10.0.0.255"}, "address 10.0.0.255"),
        ({"address": "0.0.0.0"}, "address 0.0.0.0"),
    ],
    ids=str,
)
def test_offers_that_are_none(wrong: dict[str, object], words: str) -> None:
    assert not dhcp.usable(GIVEN)
    assert words in dhcp.usable(replace(GIVEN, **wrong))  # type: ignore[arg-type]


def test_phases() -> None:
    lease = dhcp.leased(CLIENT.identifier, GIVEN, 0)
    ends = (400 * SECOND, 700 * SECOND, 800 * SECOND)
    assert dhcp.phase(lease, ends[0] - 1) == (Phase.BOUND, ends[0])
    assert dhcp.phase(lease, ends[0]) == (Phase.RENEWING, ends[1])
    assert dhcp.phase(lease, ends[1]) == (Phase.REBINDING, ends[2])
    assert dhcp.phase(lease, ends[2]) == (Phase.OVER, 0)
    assert lease.expired(ends[2])
    endless = dhcp.leased(CLIENT.identifier, replace(GIVEN, lasts=FOREVER), 0)
    assert dhcp.phase(endless, 10**30) == (Phase.BOUND, 0)
    assert dhcp.again(lease, ends[0]) == 550 * SECOND, "half of what is left"
    assert dhcp.again(lease, 600 * SECOND) == 660 * SECOND, "but a minute at least"
    assert dhcp.again(lease, 690 * SECOND) == ends[1], "and no longer than the phase"


def test_who_is_answered() -> None:
    lease = dhcp.leased(CLIENT.identifier, GIVEN, 0)
    question = dhcp.renewal(CLIENT, lease, 7, anybody=False)
    assert question.answers(GIVEN)
    for other in (
        replace(GIVEN, number=8),
        replace(GIVEN, mac="02:00:00:00:00:02"),
        replace(GIVEN, address="10.0.0.6"),
        replace(GIVEN, kind=Kind.OFFER),
    ):
        assert not question.answers(other)
    assert question.answers(replace(GIVEN, kind=Kind.NAK, address="0.0.0.0"))
    assert not dhcp.discover(CLIENT, 7).answers(GIVEN)


def test_messages_as_others_read_them() -> None:
    """By scapy: addresses, ports and checksums of the frame, and the options that matter."""
    lease = dhcp.leased(CLIENT.identifier, GIVEN, 0)
    asked = dhcp.discover(CLIENT, 0xDEADBEEF, "10.0.0.5")
    for question, kind, source, target in (
        (asked, 1, "0.0.0.0", "255.255.255.255"),
        (dhcp.accept(asked, replace(GIVEN, kind=Kind.OFFER)), 3, "0.0.0.0", "255.255.255.255"),
        (dhcp.renewal(CLIENT, lease, 7, anybody=False), 3, "10.0.0.5", "10.0.0.1"),
        (dhcp.renewal(CLIENT, lease, 7, anybody=True), 3, "10.0.0.5", "255.255.255.255"),
        (dhcp.farewell(CLIENT.mac, lease, 7), 7, "10.0.0.5", "10.0.0.1"),
    ):
        frame = packed(question)
        packet, sums = Ether(frame), Ether(frame)
        del sums[IP].chksum, sums[UDP].chksum
        assert bytes(Ether(bytes(sums))) == frame, "checksums"
        assert (packet[IP].src, packet[IP].dst, packet[UDP].dport) == (source, target, 67)
        assert packet.dst == ("02:00:00:00:00:99" if target == "10.0.0.1" else "ff:ff:ff:ff:ff:ff")
        options = {o[0]: o[1] for o in packet[DHCP].options if isinstance(o, tuple)}
        assert (options["message-type"], options["client_id"]) == (kind, bytes.fromhex(CLIENT.identifier))
        assert (packet[BOOTP].xid, packet[BOOTP].ciaddr) == (question.number, question.own or "0.0.0.0")
        assert len(bytes(packet[BOOTP])) >= 300
        assert options.get("requested_addr", "") == question.wanted
        assert options.get("server_id", "") == question.server


ANSWER = bytes(
    Ether(src="02:00:00:00:00:99", dst="ff:ff:ff:ff:ff:ff")
    / IP(src="10.0.0.1", dst="255.255.255.255")
    / UDP(sport=67, dport=68)
    / BOOTP(op=2, xid=7, yiaddr="10.0.0.5", chaddr=bytes.fromhex("020000000001") + bytes(10))
    / DHCP(
        options=[
            ("message-type", "ack"), ("server_id", "10.0.0.1"), ("subnet_mask", "255.255.255.0"),
            ("router", "10.9.9.9", "10.0.0.1"), ("name_server", *GIVEN.dns),
            ("interface-mtu", 1400), ("lease_time", 800), "end"]
    )
)  # fmt: skip


def test_an_answer_is_read() -> None:
    assert unpacked(ANSWER) == GIVEN


@given(st.data())
def test_whatever_comes_is_read_or_nothing(data: st.DataObject) -> None:
    """And what is read makes a lease, or is said to be unusable."""
    frame = bytearray(ANSWER)
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(42, len(frame) - 1), st.integers(0, 255)), max_size=8)
    ):
        frame[place] = value
    reply = unpacked(bytes(frame[: data.draw(st.integers(0, len(frame)))]))
    if reply is not None and reply.kind is Kind.ACK and not dhcp.usable(reply):
        dhcp.leased(CLIENT.identifier, reply, 0)
