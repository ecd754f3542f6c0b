"""What libnftables lists (as JSON) read back into elements, in the same canonical text in which they were put in.

Rule: whatever is not an element of one of our sets is skipped; that rules and chains are as they should be is seen otherwise.
The JSON's form: libnftables-json(5)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

import msgspec

from netrt.dataplane.objects import Element
from netrt.firewall.sets import PROTOCOL_NUMBERS, SETS, Part

_PROTOCOLS = {number: name for name, number in PROTOCOL_NUMBERS.items()}
_BITS = {Part.IPV4: 32, Part.IPV6: 128, Part.PORT: 16}


def elements(listing: str) -> Iterator[Element]:
    """The elements in a listing of our tables."""
    for thing in msgspec.json.decode(listing)["nftables"]:
        listed = thing.get("set") or thing.get("map")
        known = listed and SETS.get((listed["family"], listed["name"]))
        if known:
            for entry in listed.get("elem", ()):
                at, value = entry if known.value else (entry, None)
                yield Element(
                    table=known.table,
                    set=known.name,
                    at=_parts(known.key, at),
                    value=_parts(known.value, value) if known.value else (),
                )


def _parts(kinds: tuple[Part, ...], raw: Any) -> tuple[str, ...]:
    """The parts of a concatenation, or the only part; with a timeout or a comment (somebody else's) they come wrapped."""
    if isinstance(raw, dict) and "elem" in raw:
        raw = raw["elem"]["val"]
    listed = raw["concat"] if isinstance(raw, dict) and "concat" in raw else [raw]
    return tuple(map(_part, kinds, listed))


def _part(kind: Part, raw: Any) -> str:
    if isinstance(raw, dict):
        return _interval(kind, *_ends(kind, raw))
    match kind:
        case Part.PROTOCOL:
            return _PROTOCOLS.get(str(raw), str(raw))
        case Part.IPV6:
            return str(ipaddress.IPv6Address(raw))
        case Part.TARGET:
            return str(ipaddress.IPv6Address(raw if ":" in str(raw) else int(str(raw), 0)))
        case _:
            return str(raw)


def _ends(kind: Part, raw: dict[str, Any]) -> tuple[int, int]:
    """First and last of `{"range": [first, last]}` or `{"prefix": {"addr": first, "len": bits}}`."""
    if "range" in raw:
        first, last = raw["range"]
        return _number(kind, first), _number(kind, last)
    start, size = _number(kind, raw["prefix"]["addr"]), 1 << (_BITS[kind] - raw["prefix"]["len"])
    return start, start + size - 1


def _number(kind: Part, raw: Any) -> int:
    return int(raw) if kind is Part.PORT else int(ipaddress.ip_address(raw))


def _interval(kind: Part, first: int, last: int) -> str:
    if kind is Part.PORT:
        return f"{first}-{last}"
    make = ipaddress.IPv4Address if kind is Part.IPV4 else ipaddress.IPv6Address
    return ",".join(map(str, ipaddress.summarize_address_range(make(first), make(last))))
