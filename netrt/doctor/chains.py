"""Whether base chains of others let a packet through, as far as their rules can be read.

Theory: each base chain of a hook sees the packet, and a drop by one of them is final, whatever the others say. A chain is walked
with a question that has three answers: a rule matches, or does not, or it depends on what is not known here (`maybe`). Rules and
verdicts have the form of libnftables-json(5)."""

from __future__ import annotations

import enum
import ipaddress
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OURS = "netrt"
"""The name of our tables, in each family."""

_DEPTH = 16
"""As many jumps the kernel allows (NFT_JUMP_STACK_SIZE)."""


class Match(enum.Enum):
    """Whether a rule is about a packet."""

    YES = enum.auto()
    NO = enum.auto()
    MAYBE = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A packet that is forwarded: interfaces, addresses (empty where any may be), and what connection tracking thinks of it."""

    iif: str
    oif: str
    source: str = ""
    target: str = ""
    state: str = "new"
    translated: bool = False

    @property
    def version(self) -> int:
        return 6 if ":" in self.source + self.target else 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """What drops: a base chain by its policy, or a rule. `handle` is the rule's, or the chain's; `sure`: no rule that could not
    be read might save the packet."""

    family: str
    table: str
    chain: str
    handle: int
    by_policy: bool
    sure: bool


@dataclass(slots=True)
class _Walk:
    saved: bool = False
    blamed: tuple[str, int] | None = None
    """A rule (its chain and handle) that drops, perhaps."""


class Ruleset:
    """Others' base chains at the hooks that a forwarded packet passes."""

    def __init__(self, listing: Sequence[Mapping[str, Any]]) -> None:
        self._bases: list[Mapping[str, Any]] = []
        self._rules: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
        for thing in listing:
            chain, rule = thing.get("chain"), thing.get("rule")
            if chain and chain.get("type") == "filter" and chain.get("hook") == "forward" and chain["table"] != OURS:
                self._bases.append(chain)
            if rule:
                self._rules[rule["family"], rule["table"], rule["chain"]].append(rule)

    def drops(self, packet: Packet) -> Iterator[Blame]:
        """Who drops this packet, one for each base chain that does."""
        families = ("ip", "inet") if packet.version == 4 else ("ip6", "inet")
        for base in self._bases:
            if base["family"] not in families:
                continue
            place = base["family"], base["table"], base["name"]
            walk = _Walk()
            verdict = self._walked(place, packet, walk, 0)
            if verdict == "drop" and walk.blamed:
                chain, handle = walk.blamed
                yield Blame(
                    family=place[0], table=place[1], chain=chain, handle=handle, by_policy=False, sure=not walk.saved
                )
            elif verdict == "" and base.get("policy") == "drop":
                handle = base["handle"]
                yield Blame(
                    family=place[0], table=place[1], chain=place[2], handle=handle, by_policy=True, sure=not walk.saved
                )

    def _walked(self, place: tuple[str, str, str], packet: Packet, walk: _Walk, depth: int) -> str:
        """`accept`, `drop`, or empty where the chain comes to its end."""
        for rule in self._rules[place] if depth < _DEPTH else ():
            match, verdict = _read(rule["expr"], packet)
            kind = next(iter(verdict), "")
            if match is Match.NO or not kind:
                continue
            if kind in ("jump", "goto"):
                inner = self._walked((*place[:2], verdict[kind]["target"]), packet, walk, depth + 1)
                if match is Match.YES and (inner or kind == "goto"):
                    return inner
                walk.saved |= inner == "accept"
            elif kind in ("drop", "reject"):
                if match is Match.YES:
                    walk.blamed = place[2], rule["handle"]
                    return "drop"
            elif kind == "accept":
                if match is Match.YES:
                    return "accept"
                walk.saved = True
            elif kind == "return" and match is Match.YES:
                return ""
            elif kind == "unknown":
                walk.saved = True
        return ""


_VERDICTS = ("accept", "drop", "reject", "jump", "goto", "return")
_IDLE = ("counter", "log", "comment", "limit", "mangle", "ct helper", "notrack", "flow", "meter", "quota")


def _read(statements: Sequence[Mapping[str, Any]], packet: Packet) -> tuple[Match, Mapping[str, Any]]:
    """Whether a rule matches, and its verdict: one of `_VERDICTS`, `unknown`, or none."""
    match, verdict = Match.YES, dict[str, Any]()
    for statement in statements:
        ((kind, value),) = statement.items()
        if kind == "match":
            found = _matches(value, packet)
            if found is Match.NO:
                return Match.NO, {}
            match = Match.MAYBE if found is Match.MAYBE else match
        elif kind in _VERDICTS:
            verdict = {kind: value}
        elif kind in ("xt", "vmap"):
            match = Match.MAYBE
            verdict = verdict or {"unknown": None}
        elif kind == "limit" or kind not in _IDLE:
            match = Match.MAYBE
    return match, verdict


def _matches(value: Mapping[str, Any], packet: Packet) -> Match:
    known = _known(value["left"], packet)
    if known is None:
        return Match.MAYBE
    found = _is_among(known, value["right"])
    if found is None:
        return Match.MAYBE
    return Match.YES if found != (value["op"] == "!=") else Match.NO


def _known(left: Any, packet: Packet) -> str | None:
    """What this expression is for the packet, None where that is not known."""
    match left:
        case {"meta": {"key": "iifname" | "iif"}}:
            return packet.iif or None
        case {"meta": {"key": "oifname" | "oif"}}:
            return packet.oif or None
        case {"meta": {"key": "nfproto"}}:
            return f"ipv{packet.version}"
        case {"ct": {"key": "state"}}:
            return packet.state
        case {"ct": {"key": "status"}}:
            return "dnat" if packet.translated else "none"
        case {"payload": {"protocol": "ip" | "ip6" as family, "field": "saddr" | "daddr" as field}}:
            if family != ("ip" if packet.version == 4 else "ip6"):
                return "another family"
            return (packet.source if field == "saddr" else packet.target) or None
    return None


def _is_among(known: str, right: Any) -> bool | None:
    """Whether it is this, or one of these; None where that cannot be said."""
    match right:
        case {"set": list() as parts}:
            return _is_among(known, parts)
        case list():
            answers = [_is_among(known, part) for part in right]
            return True if True in answers else None if None in answers else False
        case {"prefix": {"addr": str() as address, "len": int() as length}}:
            return _within(known, f"{address}/{length}")
        case {"range": _} | {"elem": _}:
            return None
        case str():
            if right.startswith("@"):
                return None
            return known.startswith(right[:-1]) if right.endswith("*") else known == right
    return None


def _within(address: str, subnet: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        return False
