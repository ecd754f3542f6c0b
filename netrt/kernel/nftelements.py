"""A few elements put in and taken out by one transaction of our own making.

Theory: libnftables reads every table, chain and set of the host before it adds an element; that takes ten times as long as the
kernel's own work. The message itself is simple: table, set, and keys (and values) as the kernel compares them in packets.

Rule 1: whatever the kernel refuses here is said again by libnftables, which knows the words for what is wrong. Rule 2: parts of a
concatenation are padded to four bytes (NFT_REG32_SIZE).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from itertools import groupby

from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE
from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_NFTABLES
from pyroute2.netlink.nfnetlink.nftsocket import NFT_MSG_DELSETELEM, NFT_MSG_NEWSETELEM

from netrt.dataplane.objects import Element
from netrt.firewall.sets import PROTOCOL_NUMBERS, SETS, Part, Set
from netrt.kernel.netlink import Netlink
from netrt.kernel.nfnetlink import FAMILIES, request, transact
from netrt.kernel.wire import Request, attribute, nested, text

MOST = 256
"""More elements than this are libnftables' business: reading the tables no longer matters then."""

_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS, _LIST_ELEM = 1, 2, 3, 1
_KEY, _DATA, _KEY_END, _VALUE = 1, 2, 10, 1


def change(netlink: Netlink, removed: Sequence[Element], added: Sequence[Element]) -> bool:
    """Take out, then put in, in one transaction. False where that was refused, and then nothing was changed. Raises OSError."""
    if len(removed) + len(added) > MOST:
        return False
    requests = (*_edits(NFT_MSG_DELSETELEM, 0, removed), *_edits(NFT_MSG_NEWSETELEM, NLM_F_CREATE, added))
    return not transact(netlink, requests)


def _edits(message: int, flags: int, elements: Sequence[Element]) -> list[Request]:
    """One message for each run of elements of one set."""
    made = []
    for (table, name), row in groupby(elements, key=lambda element: (element.table, element.set)):
        kind = SETS[table, name]
        listed = b"".join(nested(_LIST_ELEM, *_element(kind, each, flags)) for each in row)
        body = text(_LIST_TABLE, "netrt") + text(_LIST_SET, name) + nested(_LIST_ELEMENTS, listed)
        made.append(request(NFNL_SUBSYS_NFTABLES, message, FAMILIES[table], body, flags | NLM_F_ACK))
    return made


def _element(kind: Set, element: Element, flags: int) -> list[bytes]:
    parts = [_packed(*both) for both in zip(kind.key, element.at, strict=True)]
    found = [_data(_KEY, [low for low, _ in parts])]
    if kind.interval:
        found.append(_data(_KEY_END, [high for _, high in parts]))
    if flags and element.value:
        found.append(_data(_DATA, [_packed(*both)[0] for both in zip(kind.value, element.value, strict=True)]))
    return found


def _data(number: int, parts: list[bytes]) -> bytes:
    whole = parts[0] if len(parts) == 1 else b"".join(part + bytes(-len(part) % 4) for part in parts)
    return nested(number, attribute(_VALUE, whole))


def _packed(kind: Part, words: str) -> tuple[bytes, bytes]:
    """The lowest and the highest of what a part says, in network byte order."""
    match kind:
        case Part.LINK:
            packed = words.encode().ljust(16, b"\0")
        case Part.MAC:
            packed = bytes.fromhex(words.replace(":", ""))
        case Part.PROTOCOL:
            packed = bytes((int(PROTOCOL_NUMBERS[words]),))
        case Part.PORT:
            first, _, last = words.partition("-")
            return int(first).to_bytes(2, "big"), int(last or first).to_bytes(2, "big")
        case _ if "/" in words:
            block = ipaddress.ip_network(words)
            return block.network_address.packed, block.broadcast_address.packed
        case _:
            packed = socket.inet_pton(socket.AF_INET6 if ":" in words else socket.AF_INET, words)
    return packed, packed
