"""The sets and maps of our tables: what their elements are made of, and the text in which nft reads them.

Rule 1: what differs from host to host is an element of one of these, never a rule, so that a packet costs the same however many
networks, containers and ports there are. Rule 2: all are hash tables, but for the port ranges, so that a change costs the same
however many elements there are. Rule 3: a part of an element becomes nft text only after it was seen to be of its kind.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from netrt.dataplane.objects import Element
from netrt.errors import Invalid
from netrt.model.address import parse_ip
from netrt.model.port import PROTOCOLS

PROTOCOL_NUMBERS = dict(zip(PROTOCOLS, ("6", "17", "132"), strict=True))
"""nft resolves names by /etc/protocols, which small systems lack; numbers always work."""


class Part(enum.StrEnum):
    """What one part of an element is, by nft's name for the type.

    TARGET is an IPv6 address too: the target of a neighbour advertisement or solicitation, for which nft 1.0.6 has no name. Such
    a set is declared by an expression (`typeof`), and its elements are numbers.
    """

    LINK = "ifname"
    MAC = "ether_addr"
    IPV4 = "ipv4_addr"
    IPV6 = "ipv6_addr"
    PROTOCOL = "inet_proto"
    PORT = "inet_service"
    TARGET = "@th,64,128"


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """A set, or a map where there is a `value`. `interval`: its parts may be ranges and prefixes."""

    table: str
    name: str
    key: tuple[Part, ...]
    value: tuple[Part, ...] = ()
    interval: bool = False

    def declaration(self) -> str:
        """One line of nft text."""
        kind = "map" if self.value else "set"
        types = f"typeof iifname . {Part.TARGET}" if Part.TARGET in self.key else f"type {' . '.join(self.key)}"
        value = f" : {' . '.join(self.value)}" if self.value else ""
        interval = "flags interval; " if self.interval else ""
        return f"add {kind} {self.table} netrt {self.name} {{ {types}{value}; {interval}}}"


def _inet(name: str, *key: Part) -> Set:
    return Set(table="inet", name=name, key=key)


def _ports(version: int, ip: Part) -> tuple[Set, ...]:
    def published(name: str, key: tuple[Part, ...], value: tuple[Part, ...], interval: bool = False) -> Set:
        return Set(table="inet", name=f"{name}{version}", key=key, value=value, interval=interval)

    at = (Part.PROTOCOL, Part.PORT)
    return (
        published("ports", at, (ip, Part.PORT)),
        Set(table="inet", name=f"ports{version}_at", key=(ip, *at), value=(ip, Part.PORT)),
        published("ranges", (ip, *at), (ip,), interval=True),
    )


_ALL = (
    _inet("bridges", Part.LINK),
    _inet("links", Part.LINK),
    _inet("pairs", Part.LINK, Part.LINK),
    _inet("icc", Part.LINK, Part.LINK),
    _inet("host_access", Part.LINK),
    _inet("open", Part.LINK),
    _inet("fenced", Part.LINK),
    _inet("isolated4", Part.LINK),
    _inet("isolated6", Part.LINK),
    _inet("masquerade4", Part.LINK),
    _inet("masquerade6", Part.LINK),
    _inet("routed4", Part.LINK),
    _inet("routed6", Part.LINK),
    _inet("gateways4", Part.IPV4),
    _inet("gateways6", Part.IPV6),
    Set(table="inet", name="gateway_of4", key=(Part.LINK,), value=(Part.IPV4,)),
    Set(table="inet", name="gateway_of6", key=(Part.LINK,), value=(Part.IPV6,)),
    _inet("guests4", Part.LINK, Part.IPV4),
    _inet("guests6", Part.LINK, Part.IPV6),
    _inet("hidden4", Part.LINK, Part.IPV4),
    _inet("hidden6", Part.LINK, Part.IPV6),
    _inet("also_on4", Part.IPV4, Part.LINK),
    _inet("also_on6", Part.IPV6, Part.LINK),
    _inet("masquerade_to4", Part.IPV4),
    _inet("masquerade_to6", Part.IPV6),
    Set(table="inet", name="hairpin4", key=(Part.IPV4, Part.IPV4), interval=True),
    Set(table="inet", name="hairpin6", key=(Part.IPV6, Part.IPV6), interval=True),
    *_ports(4, Part.IPV4),
    *_ports(6, Part.IPV6),
    Set(table="bridge", name="links", key=(Part.LINK,)),
    Set(table="bridge", name="sources4", key=(Part.LINK, Part.MAC, Part.IPV4)),
    Set(table="bridge", name="sources6", key=(Part.LINK, Part.MAC, Part.IPV6)),
    Set(table="bridge", name="targets6", key=(Part.LINK, Part.TARGET)),
    Set(table="bridge", name="mac_links", key=(Part.LINK,)),
    Set(table="bridge", name="macs", key=(Part.LINK, Part.MAC)),
)

SETS = {(each.table, each.name): each for each in _ALL}
"""By family of the table and name."""


def declarations(table: str) -> tuple[str, ...]:
    """The sets and maps of one table, as lines of nft text."""
    return tuple(each.declaration() for each in _ALL if each.table == table)


def expression(element: Element) -> str:
    """An element as nft reads it: `"nrabc" . 10.1.0.2`, `6 . 8080 : 10.1.0.2 . 80`. Raises Invalid."""
    kind = SETS[element.table, element.set]
    value = f" : {_concatenation(kind.value, element.value)}" if element.value else ""
    return f"{_concatenation(kind.key, element.at)}{value}"


def key_expression(element: Element) -> str:
    """The same without the value of a map: what an element is deleted by. Raises Invalid."""
    return _concatenation(SETS[element.table, element.set].key, element.at)


def _concatenation(kinds: tuple[Part, ...], parts: tuple[str, ...]) -> str:
    if len(kinds) != len(parts):
        raise Invalid(f"{parts} is no element of {' . '.join(kinds)}")
    return " . ".join(map(_written, kinds, parts))


_FORMS = {
    Part.LINK: re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}\Z"),
    Part.MAC: re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z"),
    Part.IPV4: re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}(/[0-9]{1,2})?\Z"),
    Part.IPV6: re.compile(r"[0-9a-f:]{2,39}(/[0-9]{1,3})?\Z"),
    Part.PROTOCOL: re.compile(f"({'|'.join(PROTOCOLS)})\\Z"),
    Part.PORT: re.compile(r"[0-9]{1,5}(-[0-9]{1,5})?\Z"),
    Part.TARGET: re.compile(r"[0-9a-f:]{2,39}\Z"),
}


def _written(kind: Part, text: str) -> str:
    if not _FORMS[kind].match(text):
        raise Invalid(f"{text[:60]!r} is no {kind} of nftables")
    match kind:
        case Part.LINK:
            return f'"{text}"'
        case Part.PROTOCOL:
            return PROTOCOL_NUMBERS[text]
        case Part.TARGET:
            return hex(int(parse_ip("target", text)))
        case _:
            return text
