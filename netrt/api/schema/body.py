"""Request bodies. Fields that Docker has and we do not know are ignored; one of a wrong type is refused by its name. As in Go,
null is the same as a field that is missing."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from netrt.errors import Invalid

LIMIT = 8 * 1024 * 1024
"""The largest body that is read, in bytes."""

_WORDS = {"ipam": "IPAM", "ip": "IP", "ips": "IPs", "ipv4": "IPv4", "ipv6": "IPv6"}
_WHERE = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$\.?(?P<field>.*)`)?\Z", re.DOTALL)

T = TypeVar("T")


def docker_name(attribute: str) -> str:
    """`EnableIPv6` of `enable_ipv6`: how Docker writes the field that an attribute holds."""
    return "".join(_WORDS.get(word, word.capitalize()) for word in attribute.split("_"))


class Body(msgspec.Struct, frozen=True, kw_only=True, rename=docker_name):
    """What the shapes of requests have in common: their names."""


def decode(kind: type[T], body: bytes) -> T:
    """Read a body; an empty one is an empty object. Raises Invalid, with the name of the field."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        match = _WHERE.match(str(error))
        assert match
        what = match["what"].replace("`", "").replace(" | null", "").replace("Expected", "expected")
        raise Invalid(f"field {match['field']}: {what}" if match["field"] else f"request body: {what}") from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Invalid(f"request body is not JSON: {error}") from None


def needed(field: str, value: str | None) -> str:
    """The value of a field that must not be missing or empty. Raises Invalid."""
    if not value:
        raise Invalid(f"field {field} is missing")
    return value


def unsupported(field: str, value: object) -> None:
    """Raises Invalid where a field asks for something that netrt does not have; ignoring it would be a lie."""
    if value:
        raise Invalid(f"field {field} is not supported by netrt", hint="leave it out")
