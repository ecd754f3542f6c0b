"""The way of questions inside a sandbox: what goes to port 53 of an address comes to another port of it, and answers seem to come
from port 53. So a server answers there that does not hold the port.

Theory: a chain at the way out of the sandbox's own packets rewrites the port of those to the address, and of those from it; the
kernel mends checksums. No connection is tracked and nothing is translated, so it costs packets next to nothing, and the container
keeps its own rules and its own port 53. A question that finds nobody is not refused, for the refusal speaks of the other port:
the client waits, and asks again.

Rule: table `ip netrt` of a sandbox is ours whole; each of its rules tells in its comment what it was made for, and one with other
rules is made anew."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from functools import lru_cache

from pyroute2.netlink import NETLINK_NETFILTER, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL
from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_NFTABLES
from pyroute2.netlink.nfnetlink.nftsocket import (
    NFPROTO_IPV4,
    NFT_MSG_DELTABLE,
    NFT_MSG_GETRULE,
    NFT_MSG_NEWCHAIN,
    NFT_MSG_NEWRULE,
    NFT_MSG_NEWTABLE,
)

from netrt.dataplane.objects import NamePort
from netrt.kernel.netlink import Netlink
from netrt.kernel.nfnetlink import RULE, TABLE, comment, request, table_name, told, transact
from netrt.kernel.wire import Request, attribute, nested, text

NAMES = 53
_CHAIN = "names"
_RAW = -300  # NF_IP_PRI_RAW: before connection tracking, should the container use it
_LOCAL_OUT = 3  # NF_INET_LOCAL_OUT
_NETWORK, _TRANSPORT = 1, 2  # NFT_PAYLOAD_*_HEADER
_L4PROTO = 16  # NFT_META_L4PROTO
_REGISTER = 1  # NFT_REG_1
_CHECKSUMS = {socket.IPPROTO_UDP: 6, socket.IPPROTO_TCP: 16}
"""Where in its header a protocol has its checksum."""
_SOURCE, _DESTINATION = (12, 0), (16, 2)
"""Where an IPv4 header has an address, and the transport header the port that belongs to it."""


def put(port: NamePort) -> int:
    """Have it in the calling thread's namespace, in the place of what is there. 0, or the kernel's error number. Raises
    OSError."""
    with Netlink(NETLINK_NETFILTER) as netlink:
        made = _made(port.address, port.port)
        refused = transact(netlink, [_table(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL), *made])
        if refused != errno.EEXIST:
            return refused
        return transact(netlink, [_table(NFT_MSG_DELTABLE), _table(NFT_MSG_NEWTABLE, NLM_F_CREATE), *made])


def take(close: Callable[[Netlink], None]) -> int:
    """Have none in the calling thread's namespace. 0, or the kernel's error number (ENOENT: there was none). Raises OSError.

    `close` is what becomes of the socket: that it is closed waits until what was deleted is freed (nft_rcv_nl_event)."""
    netlink = Netlink(NETLINK_NETFILTER)
    try:
        return transact(netlink, [_table(NFT_MSG_DELTABLE)])
    finally:
        close(netlink)


def seen(netns: str) -> NamePort | None:
    """What the calling thread's namespace, that of the sandbox at this path, has; one that leads nowhere where its rules are not
    whole. Raises OSError."""
    with Netlink(NETLINK_NETFILTER) as netlink:
        filters = attribute(RULE["NFTA_RULE_TABLE"], TABLE)
        found = [told(message) for message in netlink.dump(_request(NFT_MSG_GETRULE, filters))]
    said = [
        comment(rule.get(RULE["NFTA_RULE_USERDATA"], b"")) for rule in found if rule[RULE["NFTA_RULE_TABLE"]] == TABLE
    ]
    if not said:
        return None
    address, _, number = said[0].rpartition(":")
    port = NamePort(netns=netns, address=address, port=int(number) if number.isdecimal() else 0)
    return port if said == [_said(port)] * 4 else NamePort(netns=netns, address="", port=0)


def _said(port: NamePort) -> str:
    return f"{port.address}:{port.port}"


@lru_cache(1)
def _made(address: str, number: int) -> tuple[Request, ...]:
    """The chain and its rules; nearly always the same."""
    port = NamePort(netns="", address=address, port=number)
    hook = nested(4, attribute(1, _number(_LOCAL_OUT)), attribute(2, struct.pack(">i", _RAW)))
    chain = text(1, "netrt") + text(3, _CHAIN) + hook + text(7, "filter")
    ways = ((_DESTINATION, NAMES, port.port), (_SOURCE, port.port, NAMES))
    return (
        _request(NFT_MSG_NEWCHAIN, chain, NLM_F_CREATE | NLM_F_ACK),
        *(_rule(port, protocol, where, was, becomes) for where, was, becomes in ways for protocol in _CHECKSUMS),
    )


def _rule(port: NamePort, protocol: int, where: tuple[int, int], was: int, becomes: int) -> Request:
    """Packets of a protocol with this address and port get the other port."""
    address_at, port_at = where
    expressions = (
        _loaded(_NETWORK, address_at, 4),
        _equals(socket.inet_aton(port.address)),
        _expression("meta", attribute(2, _number(_L4PROTO)), attribute(1, _number(_REGISTER))),
        _equals(bytes((protocol,))),
        _loaded(_TRANSPORT, port_at, 2),
        _equals(was.to_bytes(2, "big")),
        _expression("immediate", attribute(1, _number(_REGISTER)), nested(2, attribute(1, becomes.to_bytes(2, "big")))),
        _written(port_at, _CHECKSUMS[protocol]),
    )
    said = _said(port).encode() + b"\0"
    body = (
        text(RULE["NFTA_RULE_TABLE"], "netrt")
        + text(RULE["NFTA_RULE_CHAIN"], _CHAIN)
        + nested(RULE["NFTA_RULE_EXPRESSIONS"], *expressions)
        + attribute(RULE["NFTA_RULE_USERDATA"], bytes((0, len(said))) + said)
    )
    return _request(NFT_MSG_NEWRULE, body, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK)


def _expression(name: str, *attributes: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *attributes))


def _loaded(header: int, at: int, size: int) -> bytes:
    """NFTA_PAYLOAD_DREG, BASE, OFFSET, LEN."""
    numbers = enumerate((_REGISTER, header, at, size), 1)
    return _expression("payload", *(attribute(number, _number(value)) for number, value in numbers))


def _written(at: int, checksum: int) -> bytes:
    """NFTA_PAYLOAD_BASE, OFFSET, LEN, SREG, CSUM_TYPE (internet) and CSUM_OFFSET."""
    numbers = enumerate((_TRANSPORT, at, 2, _REGISTER, 1, checksum), 2)
    return _expression("payload", *(attribute(number, _number(value)) for number, value in numbers))


def _equals(value: bytes) -> bytes:
    """NFTA_CMP_SREG, OP (equal), DATA."""
    return _expression(
        "cmp", attribute(1, _number(_REGISTER)), attribute(2, _number(0)), nested(3, attribute(1, value))
    )


def _table(message: int, flags: int = 0) -> Request:
    return _request(message, table_name(), flags | NLM_F_ACK)


def _request(message: int, body: bytes, flags: int = 0) -> Request:
    return request(NFNL_SUBSYS_NFTABLES, message, NFPROTO_IPV4, body, flags)


def _number(value: int) -> bytes:
    return value.to_bytes(4, "big")
