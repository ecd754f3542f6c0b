"""Routing rules as rtnetlink messages: what to send for an operation, and what a message tells."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from socket import AF_INET, AF_INET6, AF_UNSPEC

from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL
from pyroute2.netlink.rtnl import RTM_DELRULE, RTM_GETRULE, RTM_NEWRULE

from netrt.dataplane.objects import ROUTE_PROTOCOL, Rule
from netrt.kernel.netlink import Netlink
from netrt.kernel.wire import Message, Request, address, attribute, attributes, number, u8, u32

_HEADER = struct.Struct("=BBBBBBBBI")  # struct fib_rule_hdr: family, dst len, src len, tos, table, -, -, action, flags
_TARGET, _SOURCE, _PRIORITY, _SUPPRESSED, _TABLE, _PROTOCOL = 1, 2, 6, 14, 15, 21  # FRA_; pyroute2 lacks some of them
_MAIN = 254  # RT_TABLE_MAIN
_TO_TABLE = 1  # FR_ACT_TO_TBL
_NOTHING = 0xFFFFFFFF  # no prefix length is suppressed


def add_rule(rule: Rule) -> Request:
    return Request(RTM_NEWRULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, _rule(rule))


def delete_rule(rule: Rule) -> Request:
    return Request(RTM_DELRULE, NLM_F_ACK, _rule(rule))


def _rule(rule: Rule) -> bytes:
    source = ipaddress.ip_network(rule.src)
    family = AF_INET if source.version == 4 else AF_INET6
    target = ipaddress.ip_network(rule.dst) if rule.dst else None
    header = _HEADER.pack(family, target.prefixlen if target else 0, source.prefixlen, 0, 0, 0, 0, _TO_TABLE, 0)
    parts = [attribute(_TARGET, target.network_address.packed)] if target else []
    parts += [attribute(_SOURCE, source.network_address.packed)] if source.prefixlen else []
    parts += [u32(_SUPPRESSED, 0)] if rule.suppress else []
    return (
        header
        + b"".join(parts)
        + u32(_PRIORITY, rule.priority)
        + u32(_TABLE, rule.table or _MAIN)
        + u8(_PROTOCOL, ROUTE_PROTOCOL)
    )


def get_rules() -> Request:
    """Dump the rules of both families."""
    return Request(RTM_GETRULE, 0, _HEADER.pack(AF_UNSPEC, 0, 0, 0, 0, 0, 0, 0, 0))


def read_rule(message: Message, netns: str) -> Rule | None:
    """A rule of ours."""
    family, aimed, prefix, _, _, _, _, _, _ = _HEADER.unpack_from(message.body)
    held = attributes(message.body, _HEADER.size)
    if number(held.get(_PROTOCOL, b"")) != ROUTE_PROTOCOL or family not in (AF_INET, AF_INET6):
        return None
    table = number(held.get(_TABLE, b""))
    source = address(held.get(_SOURCE, bytes(16 if family == AF_INET6 else 4)))
    suppressed = held.get(_SUPPRESSED)
    return Rule(
        netns=netns,
        priority=number(held.get(_PRIORITY, b"")),
        src=f"{source}/{prefix}",
        dst=f"{address(held[_TARGET])}/{aimed}" if aimed else "",
        table=0 if table == _MAIN else table,
        suppress=suppressed is not None and number(suppressed) != _NOTHING,
    )


def held(netlink: Netlink, netns: str) -> Iterator[Rule]:
    """The rules of ours in the namespace of this socket. Raises OSError."""
    found = (read_rule(message, netns) for message in netlink.dump(get_rules()))
    return (rule for rule in found if rule is not None)
