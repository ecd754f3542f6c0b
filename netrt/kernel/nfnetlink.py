"""Netfilter's own netlink messages: what we ask the kernel about nftables without libnftables, because that is quicker (20 us for
the generation) or because libnftables cannot tell it.

Numbers in attributes are in network byte order here. https://docs.kernel.org/netlink/specs/nftables.html
"""

from __future__ import annotations

import errno
import hashlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_NFTABLES
from pyroute2.netlink.nfnetlink.nftsocket import (
    NFPROTO_BRIDGE,
    NFPROTO_INET,
    NFPROTO_IPV6,
    NFT_MSG_GETCHAIN,
    NFT_MSG_GETGEN,
    NFT_MSG_GETRULE,
    NFT_MSG_GETTABLE,
    nft_chain_msg,
    nft_gen_msg,
    nft_rule_msg,
    nft_table_msg,
)

from netrt.kernel.netlink import Netlink
from netrt.kernel.wire import Answer, Message, Request, attribute, attributes, numbers

FAMILIES = {"inet": NFPROTO_INET, "bridge": NFPROTO_BRIDGE, "ip6": NFPROTO_IPV6}
TABLE = b"netrt\0"

_NFGENMSG = struct.Struct(">BBH")  # family, version, resource
_GEN, _TABLE, _CHAIN, _RULE = map(numbers, (nft_gen_msg, nft_table_msg, nft_chain_msg, nft_rule_msg))
_CHAIN_SHAPE = tuple(_CHAIN[f"NFTA_CHAIN_{name}"] for name in ("NAME", "HOOK", "POLICY", "TYPE", "FLAGS"))
_COMMENT = 0  # NFTNL_UDATA_TABLE_COMMENT, the first in libnftnl's coding of user data: type, length, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Our tables but for their elements: the comment of table `inet`, how many rules there are, and a hash of chains and rules,
    which is the same until somebody changes one."""

    comment: str
    rules: int
    digest: bytes


def request(subsystem: int, message: int, family: int, body: bytes = b"", flags: int = 0) -> Request:
    """A message with its struct nfgenmsg."""
    return Request(subsystem << 8 | message, flags, _NFGENMSG.pack(family, 0, 0) + body)


def told(message: Message) -> dict[int, bytes]:
    """The attributes of a message: payload by number."""
    return attributes(message.body, _NFGENMSG.size)


def generation(netlink: Netlink) -> int:
    """The number of nftables transactions that this namespace has seen, whoever made them. Raises OSError."""
    (answer,) = netlink.ask([_nft(NFT_MSG_GETGEN, 0)])
    return _number(_granted(answer))


def generation_of(message: Message) -> int:
    """The number in an announcement of a generation."""
    return _number(told(message))


def _number(attributes: dict[int, bytes]) -> int:
    return int.from_bytes(attributes[_GEN["NFTA_GEN_ID"]], "big")


def shape(netlink: Netlink) -> Shape | None:
    """Our tables as they are, or None where there is none of them. Raises OSError."""
    name = attribute(_TABLE["NFTA_TABLE_NAME"], TABLE)
    answers = netlink.ask([_nft(NFT_MSG_GETTABLE, family, name) for family in FAMILIES.values()])
    tables = [{} if answer.errno == errno.ENOENT else _granted(answer) for answer in answers]
    if not any(tables):
        return None
    digest, count = hashlib.sha256(), 0
    for family in FAMILIES.values():
        chains = set()
        for rule in _rules(netlink, family):
            count += 1
            chains.add(rule[_RULE["NFTA_RULE_CHAIN"]])
            digest.update(rule[_RULE["NFTA_RULE_CHAIN"]] + rule[_RULE["NFTA_RULE_EXPRESSIONS"]])
        for chain in _chains(netlink, family, sorted(chains)):
            digest.update(repr([chain.get(number) for number in _CHAIN_SHAPE]).encode())
    return Shape(comment=_comment(tables[0]), rules=count, digest=digest.digest())


def _nft(message: int, family: int, body: bytes = b"") -> Request:
    return request(NFNL_SUBSYS_NFTABLES, message, family, body)


def _rules(netlink: Netlink, family: int) -> Iterator[dict[int, bytes]]:
    """The rules of one table of ours, in their order; none where there is no such table."""
    ours = attribute(_RULE["NFTA_RULE_TABLE"], TABLE)
    return map(told, netlink.dump(_nft(NFT_MSG_GETRULE, family, ours)))


def _chains(netlink: Netlink, family: int, names: list[bytes]) -> Iterator[dict[int, bytes]]:
    ours = attribute(_CHAIN["NFTA_CHAIN_TABLE"], TABLE)
    requests = [_nft(NFT_MSG_GETCHAIN, family, ours + attribute(_CHAIN["NFTA_CHAIN_NAME"], name)) for name in names]
    return map(_granted, netlink.ask(requests))


def _granted(answer: Answer) -> dict[int, bytes]:
    if answer.message is None:
        raise OSError(answer.errno, answer.text or os.strerror(answer.errno))
    return told(answer.message)


def _comment(table: dict[int, bytes]) -> str:
    data = table.get(_TABLE["NFTA_TABLE_USERDATA"], b"")
    if len(data) < 2 or data[0] != _COMMENT:
        return ""
    return data[2 : 2 + data[1]].rstrip(b"\0").decode(errors="replace")
