"""Netfilter's own netlink messages: what we ask of nftables without libnftables, because that is quicker (20 us for the
generation) or because libnftables cannot tell it.

Numbers in attributes are in network byte order here. https://docs.kernel.org/netlink/specs/nftables.html
"""

from __future__ import annotations

import errno
import hashlib
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_NFTABLES
from pyroute2.netlink.nfnetlink.nftsocket import (
    NFPROTO_BRIDGE,
    NFPROTO_INET,
    NFPROTO_IPV6,
    NFT_MSG_GETCHAIN,
    NFT_MSG_GETGEN,
    NFT_MSG_GETRULE,
    NFT_MSG_GETSET,
    NFT_MSG_GETTABLE,
    nft_chain_msg,
    nft_gen_msg,
    nft_rule_msg,
    nft_set_msg,
    nft_table_msg,
)

from netrt.firewall.skeleton import SEAL
from netrt.kernel.netlink import Netlink
from netrt.kernel.wire import Answer, Message, Request, attribute, attributes, numbers, string

FAMILIES = {"inet": NFPROTO_INET, "bridge": NFPROTO_BRIDGE, "ip6": NFPROTO_IPV6}
TABLE = b"netrt\0"

_NFGENMSG = struct.Struct(">BBH")  # family, version, resource
_GEN, _TABLE, _CHAIN, RULE, _SET = map(numbers, (nft_gen_msg, nft_table_msg, nft_chain_msg, nft_rule_msg, nft_set_msg))
_CHAIN_SHAPE = tuple(_CHAIN[f"NFTA_CHAIN_{name}"] for name in ("NAME", "HOOK", "POLICY", "TYPE", "FLAGS"))
_SET_SHAPE = tuple(
    _SET[f"NFTA_SET_{name}"] for name in ("NAME", "FLAGS", "KEY_TYPE", "KEY_LEN", "DATA_TYPE", "DATA_LEN")
)
_ANONYMOUS, _MAP = 1, 8  # NFT_SET_ANONYMOUS, NFT_SET_MAP
_OWNED_OR_KEPT = 6  # NFT_TABLE_F_OWNER, NFT_TABLE_F_PERSIST
_COMMENT = (
    0  # NFTNL_UDATA_CHAIN_COMMENT, NFTNL_UDATA_RULE_COMMENT: the first in libnftnl's coding (type, length, value)
)
_BATCH_BEGIN, _BATCH_END = (
    Request(kind, 0, _NFGENMSG.pack(0, 0, NFNL_SUBSYS_NFTABLES))
    for kind in (16, 17)  # NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Our tables but for their elements: the flags of each that is there (by family), the seal, how many rules there are, what
    chains and sets ("chain inet netrt forward"), and a hash of all this and the rules, which is the same until somebody changes
    one."""

    tables: Mapping[str, int]
    seal: str
    rules: int
    names: tuple[str, ...]
    digest: bytes


def request(subsystem: int, message: int, family: int, body: bytes = b"", flags: int = 0) -> Request:
    """A message with its struct nfgenmsg."""
    return Request(subsystem << 8 | message, flags, _NFGENMSG.pack(family, 0, 0) + body)


def transact(netlink: Netlink, requests: Sequence[Request]) -> int:
    """Do these, each of which asks to be acknowledged, in one transaction. 0, or the error number of the first that was refused,
    and then nothing was changed. Raises OSError."""
    return netlink.transact(_BATCH_BEGIN, requests, _BATCH_END)


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


def tables(netlink: Netlink) -> dict[str, int]:
    """Those of our tables that are there: flags by family. Raises OSError."""
    answers = netlink.ask([_nft(NFT_MSG_GETTABLE, family, table_name()) for family in FAMILIES.values()])
    there = zip(FAMILIES, answers, strict=True)
    return {
        family: int.from_bytes(_granted(answer)[_TABLE["NFTA_TABLE_FLAGS"]], "big")
        for family, answer in there
        if answer.errno != errno.ENOENT
    }


def table_name() -> bytes:
    """The attribute of a message about a table that says which."""
    return attribute(_TABLE["NFTA_TABLE_NAME"], TABLE)


def table_flags(flags: int) -> bytes:
    """The attribute that gives a table its flags."""
    return attribute(_TABLE["NFTA_TABLE_FLAGS"], flags.to_bytes(4, "big"))


def shape(netlink: Netlink) -> Shape | None:
    """Our tables as they are, or None where there is none of them. Raises OSError."""
    found = tables(netlink)
    if not found:
        return None
    digest, rules, seal, names = hashlib.sha256(), 0, "", []
    for family, flags in found.items():
        number = FAMILIES[family]
        digest.update(f"{family} {flags & ~_OWNED_OR_KEPT}".encode())
        for rule in _dumped(netlink, NFT_MSG_GETRULE, number, RULE["NFTA_RULE_TABLE"]):
            rules += 1
            digest.update(rule[RULE["NFTA_RULE_CHAIN"]] + rule[RULE["NFTA_RULE_EXPRESSIONS"]])
        for chain in _dumped(netlink, NFT_MSG_GETCHAIN, number, _CHAIN["NFTA_CHAIN_TABLE"]):
            digest.update(repr([chain.get(attribute) for attribute in _CHAIN_SHAPE]).encode())
            names.append(f"chain {family} netrt {string(chain[_CHAIN['NFTA_CHAIN_NAME']])}")
            seal = (
                comment(chain.get(_CHAIN["NFTA_CHAIN_USERDATA"], b""))
                if names[-1] == f"chain inet netrt {SEAL}"
                else seal
            )
        for each in _dumped(netlink, NFT_MSG_GETSET, number, _SET["NFTA_SET_TABLE"]):
            flags = int.from_bytes(each.get(_SET["NFTA_SET_FLAGS"], b""), "big")
            if not flags & _ANONYMOUS:  # those belong to rules
                digest.update(repr([each.get(attribute) for attribute in _SET_SHAPE]).encode())
                kind = "map" if flags & _MAP else "set"
                names.append(f"{kind} {family} netrt {string(each[_SET['NFTA_SET_NAME']])}")
    return Shape(tables=found, seal=seal, rules=rules, names=tuple(names), digest=digest.digest())


def _nft(message: int, family: int, body: bytes = b"") -> Request:
    return request(NFNL_SUBSYS_NFTABLES, message, family, body)


def _dumped(netlink: Netlink, message: int, family: int, named: int) -> Iterator[dict[int, bytes]]:
    """What one table of ours has of something, in its order. `named` is the attribute with
    the table's name: asked for in each dump, but not every dump cares."""
    for each in map(told, netlink.dump(_nft(message, family, attribute(named, TABLE)))):
        if each[named] == TABLE:
            yield each


def _granted(answer: Answer) -> dict[int, bytes]:
    if answer.message is None:
        raise OSError(answer.errno, answer.text or os.strerror(answer.errno))
    return told(answer.message)


def comment(data: bytes) -> str:
    """What the user data of a chain or a rule say in words."""
    if len(data) < 2 or data[0] != _COMMENT:
        return ""
    return string(data[2 : 2 + data[1]])
