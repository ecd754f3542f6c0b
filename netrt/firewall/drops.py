"""Why packets were dropped, counted for each container: sets that the dropped packets themselves fill.

Rule 1: only a packet that is dropped comes here, so what passes costs what it did, and so does an attach. Rule 2: to count and to
drop are two rules, so that a set which is full counts no more and drops as before. Rule 3: an entry goes an hour after its last
packet; so the sets stay small, and whoever has an address later is not told of drops of long ago.

In the bridge the key is the port, which nobody can forge; behind it the address of the container, which was proven its own."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MOST = 4096
"""Entries of a set. Whoever tries many addresses of a subnet fills one, and then only the count is lacking."""


class Reason(enum.StrEnum):
    """Why a packet was dropped. The first three are about frames from a container's port, OUTSIDE about packets to a container,
    all others about packets from one."""

    FRAME = "frame"
    SOURCE = "source"
    SERVICE = "service"
    INTERNAL = "internal"
    APART = "apart"
    HOST = "host"
    INVALID = "invalid"
    OUTSIDE = "outside"


AT_PORT = (Reason.FRAME, Reason.SOURCE, Reason.SERVICE)
_FROM = (Reason.INTERNAL, Reason.APART, Reason.HOST, Reason.INVALID)

BRIDGE_CHAINS = "".join(
    f"""
	chain drop_{reason} {{
		update @dropped_{reason} {{ iifname counter }}
		drop
	}}
"""
    for reason in AT_PORT
)

INET_CHAINS = "".join(
    f"""
	chain drop_{reason} {{
		update @dropped_{reason}4 {{ ip {side} counter }}
		update @dropped_{reason}6 {{ ip6 {side} counter }}
		drop
	}}
"""
    for side, reasons in (("saddr", _FROM), ("daddr", (Reason.OUTSIDE,)))
    for reason in reasons
)


def declarations(table: str) -> tuple[str, ...]:
    """The sets of one table, as lines of nft text."""
    kinds = {
        "bridge": [(f"dropped_{reason}", "ifname") for reason in AT_PORT],
        "inet": [
            (f"dropped_{reason}{version}", f"ipv{version}_addr")
            for reason in (*_FROM, Reason.OUTSIDE)
            for version in (4, 6)
        ],
    }
    return tuple(
        f"add set {table} netrt {name} {{ type {kind}; size {MOST}; flags dynamic,timeout; timeout 1h; }}"
        for name, kind in kinds.get(table, ())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a count may stand: a set of ours, and a key in it, which is a link's name or an address."""

    table: str
    set: str
    key: str
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """What was dropped for one reason at one key."""

    reason: Reason
    key: str
    packets: int
    octets: int


def places(links: Iterable[str], addresses: Iterable[str]) -> Iterator[Place]:
    """Where drops of a container are counted that has these ports of bridges and these addresses (without prefix)."""
    for link in links:
        for reason in AT_PORT:
            yield Place(table="bridge", set=f"dropped_{reason}", key=link, reason=reason)
    for address in addresses:
        for reason in (*_FROM, Reason.OUTSIDE):
            yield Place(table="inet", set=f"dropped_{reason}{6 if ':' in address else 4}", key=address, reason=reason)
