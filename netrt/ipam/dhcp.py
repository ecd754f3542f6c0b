"""What a DHCP client says, when it says it, and what it makes of the answers (RFC 2131, section 4.4).

Rule 1: this only decides; whoever has the clock and the wire asks it. Rule 2: what comes from the LAN may be anything; an answer
that makes no usable lease is none."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, ip_address, ip_interface, ip_network

from netrt.model.container import Attachment, Container
from netrt.model.lease import DhcpLease
from netrt.model.names import is_hostname, short_id
from netrt.model.plugged import Way

SECOND = 1_000_000_000
FOREVER = 0xFFFFFFFF
"""A time of a lease that has no end, in seconds."""
LEAST_PAUSE = 60 * SECOND
"""The least time between two questions for the same lease."""
PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds after which a question that nobody answers is asked again. RFC 2131 begins with four; but somebody waits."""
LARGEST_LAN = 8
"""The shortest prefix of a LAN's subnet, that of 10.0.0.0/8; half of the world is no LAN."""
SMALLEST_MTU = 576
"""What every IPv4 host takes (RFC 791): a smaller one is a mistake."""
_EVERYWHERE = "0.0.0.0/0"


class Kind(enum.IntEnum):
    """Of messages, by their numbers on the wire."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    ACK = 5
    NAK = 6
    RELEASE = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a client says. `wanted` is the address that it asks for, `own` the one that it has; `server` is set where one of
    several is meant; `to` are the address and MAC of who gets it, empty for everybody. `hostname` empty: not said."""

    kind: Kind
    number: int
    mac: str
    client: str
    hostname: str = ""
    wanted: str = ""
    own: str = ""
    server: str = ""
    to: tuple[str, str] = ("", "")

    def answers(self, heard: Reply) -> bool:
        """Whether this was said to it."""
        if (heard.number, heard.mac) != (self.number, self.mac):
            return False
        if self.kind is Kind.DISCOVER:
            return heard.kind is Kind.OFFER
        return heard.kind is Kind.NAK or (heard.kind is Kind.ACK and heard.address == (self.own or self.wanted))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a server says: `number` and `mac` are those of the question; times are in seconds, None where nothing was said.
    `ways` are the bytes of option 121 (RFC 3442)."""

    kind: Kind
    number: int
    mac: str
    address: str
    server: str
    server_mac: str
    netmask: str = ""
    routers: tuple[str, ...] = ()
    ways: tuple[int, ...] = ()
    dns: tuple[str, ...] = ()
    mtu: int = 0
    lasts: int | None = None
    renew: int | None = None
    rebind: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who asks: by which MAC and identifier (hexadecimal, its type included), and what its host is called."""

    mac: str
    identifier: str
    hostname: str = ""


def client_of(container: Container, attachment: Attachment) -> Client:
    """The client that an attachment is. Its host is called as the container is, unless somebody chose another host name."""
    chosen = container.hostname if container.hostname != short_id(container.id) else container.name
    return Client(
        mac=attachment.mac,
        identifier=attachment.dhcp.client if attachment.dhcp else identifier(container.id, attachment.ifname),
        hostname=chosen if is_hostname(chosen) else "",
    )


def identifier(container_id: str, ifname: str) -> str:
    """The client identifier of a container's interface (RFC 2132, section 9.14): type 0, then text that a person who reads the
    server's table understands. It stays as long as the container does, and no other host has it."""
    return (b"\0" + f"netrt/{short_id(container_id)}/{ifname}".encode()).hex()


# what is said


def discover(client: Client, number: int, wanted: str = "") -> Question:
    """The first question: who has an address (if possible this one)?"""
    return Question(
        kind=Kind.DISCOVER,
        number=number,
        mac=client.mac,
        client=client.identifier,
        hostname=client.hostname,
        wanted=wanted,
    )


def accept(asked: Question, offer: Reply) -> Question:
    """The second: that one, please."""
    return replace(asked, kind=Kind.REQUEST, wanted=offer.address, server=offer.server)


def renewal(client: Client, lease: DhcpLease, number: int, *, anybody: bool) -> Question:
    """That a lease goes on: asked of the server that gave it, or of anybody."""
    return Question(
        kind=Kind.REQUEST,
        number=number,
        mac=client.mac,
        client=lease.client,
        hostname=client.hostname,
        own=_host(lease),
        to=("", "") if anybody else (lease.server, lease.server_mac),
    )


def farewell(mac: str, lease: DhcpLease, number: int) -> Question:
    """That a lease is given back. Nobody answers."""
    return Question(
        kind=Kind.RELEASE,
        number=number,
        mac=mac,
        client=lease.client,
        own=_host(lease),
        server=lease.server,
        to=(lease.server, lease.server_mac),
    )


def _host(lease: DhcpLease) -> str:
    return lease.address.partition("/")[0]


# what follows from an answer


def usable(offer: Reply) -> str:
    """Why an offer makes no lease, or empty."""
    missing = [
        name
        for name, there in (
            ("server", offer.server), ("address", offer.address), ("netmask", offer.netmask), ("time", offer.lasts))
        if not there
    ]  # fmt: skip
    if missing:
        return f"names no {missing[0]}"
    address = ip_address(offer.address)
    try:
        block = ip_network(f"{offer.address}/{offer.netmask}", strict=False)
    except ValueError:
        return f"has the netmask {offer.netmask}"
    if not LARGEST_LAN <= block.prefixlen <= 30:
        return f"has the netmask {offer.netmask}"
    if address.is_multicast or address.is_loopback or address.is_unspecified or address.is_link_local:
        return f"has the address {offer.address}"
    if address in (block.network_address, block.broadcast_address):
        return f"has the address {offer.address} of {block}"
    return ""


def leased(client: str, given: Reply, asked_at: int) -> DhcpLease:
    """The lease that a usable ACK gives to who asked at this time."""
    assert given.lasts is not None, "a usable answer has a time"
    interface = ip_interface(f"{given.address}/{given.netmask}")

    def near(address: str) -> bool:
        return address != given.address and ip_address(address) in interface.network

    ways = _ways(given.ways)
    routers = [way.via for way in ways if way.dst == _EVERYWHERE and way.via] if ways else given.routers
    lasts, rebind, renew = _times(given.lasts, given.rebind, given.renew)
    return DhcpLease(
        client=client,
        address=interface.with_prefixlen,
        server=given.server,
        server_mac=given.server_mac,
        router=next(filter(near, routers), ""),
        routes=tuple(way for way in ways if way.dst != _EVERYWHERE and (not way.via or near(way.via))),
        dns=tuple(dict.fromkeys(filter(_resolver, given.dns))),
        mtu=given.mtu if given.mtu >= SMALLEST_MTU else 0,
        renew=asked_at + renew * SECOND if lasts else 0,
        rebind=asked_at + rebind * SECOND if lasts else 0,
        expires=asked_at + lasts * SECOND if lasts else 0,
    )


def _resolver(address: str) -> bool:
    """Whether a LAN's server can mean this: a loopback address would be the container's own."""
    said = ip_address(address)
    return not (said.is_unspecified or said.is_loopback or said.is_multicast)


def _times(lasts: int, rebind: int | None, renew: int | None) -> tuple[int, int, int]:
    """How long a lease lasts, and when to ask anybody and who gave it, in seconds; 0 for one without an end. What a server says
    that makes no sense is replaced by what RFC 2131 has where nothing is said."""
    if lasts == FOREVER:
        return 0, 0, 0
    late = rebind if rebind is not None and 0 < rebind < lasts else lasts * 7 // 8
    early = renew if renew is not None and 0 < renew < late else min(lasts // 2, late)
    return lasts, late, early


def _ways(data: Sequence[int]) -> tuple[Way, ...]:
    """Classless static routes (RFC 3442): length of a prefix, as many bytes of it as count, and a router, again and again."""
    found: dict[str, Way] = {}
    rest = bytes(data)
    while rest:
        width = rest[0]
        size = 1 + (width + 7) // 8
        if width > 32 or len(rest) < size + 4:
            break
        network = ip_network((rest[1:size].ljust(4, b"\0"), width), strict=False)
        via = str(IPv4Address(rest[size : size + 4]))
        found.setdefault(str(network), Way(dst=str(network), via="" if via == "0.0.0.0" else via))
        rest = rest[size + 4 :]
    return tuple(found.values())


# when


class Phase(enum.StrEnum):
    """What is to be done about a lease: nothing yet, ask who gave it, ask anybody, give it up."""

    BOUND = "bound"
    RENEWING = "renewing"
    REBINDING = "rebinding"
    OVER = "over"


def phase(lease: DhcpLease, now: int) -> tuple[Phase, int]:
    """What is to be done at this time, and until when (0: for ever)."""
    if not lease.expires or now < lease.renew:
        return Phase.BOUND, lease.renew
    if now < lease.rebind:
        return Phase.RENEWING, lease.rebind
    if now < lease.expires:
        return Phase.REBINDING, lease.expires
    return Phase.OVER, 0


def again(lease: DhcpLease, now: int) -> int:
    """When to ask again for a lease that nobody confirmed: after half of the time that is left of its phase, but not before a
    minute is over, nor after the phase is."""
    _, until = phase(lease, now)
    left = max(0, until - now)
    return now + min(left, max(left // 2, LEAST_PAUSE))
