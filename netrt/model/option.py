"""How the text of a driver option is read, whatever the driver. Each raises Invalid, naming the option and what is allowed."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from netrt.errors import Invalid
from netrt.model.address import parse_ip
from netrt.model.names import check_ifname

Reader = Callable[[str, str], Any]
"""From an option's name and text to its value."""

_DOCKER = "com.docker.network."

T = TypeVar("T", bound=enum.StrEnum)

MTU, IFACE_PREFIX = "com.docker.network.driver.mtu", "com.docker.network.container_iface_prefix"
"""Options that all drivers have that make interfaces."""


def read_options(what: str, table: Mapping[str, tuple[str, Reader]], options: Mapping[str, str]) -> dict[str, Any]:
    """The values of options by the fields that `table` names; `what` is the kind of network, for the message."""
    known: dict[str, Any] = {}
    for key, text in options.items():
        if key not in table:
            raise Invalid(f"unknown option {key[:80]!r} for a {what} network", hint=f"known: {_listed(table)}")
        field, read = table[key]
        known[field] = read(key, text)
    return known


def _listed(table: Iterable[str]) -> str:
    """Docker's long names with what they have in common said once, as in a shell's braces."""
    docker = [key.removeprefix(_DOCKER) for key in table if key.startswith(_DOCKER)]
    others = [key for key in table if not key.startswith(_DOCKER)]
    return ", ".join([f"{_DOCKER}{{{', '.join(docker)}}}", *others] if docker else others)


def boolean(key: str, text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise Invalid(f"option {key}={text[:40]!r} is not a boolean", hint="use true or false")
    return text.lower() in ("true", "1")


def mtu(key: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1280 <= int(text) <= 65535:
        raise Invalid(f"option {key}={text[:40]!r} is not an MTU", hint="use a number from 1280 to 65535")
    return int(text)


def one_of(kind: type[T]) -> Callable[[str, str], T]:
    """A reader of one of the values of an enumeration."""
    *most, last = (str(member) for member in kind)
    allowed = f"use {', '.join(most)} or {last}"

    def read(key: str, text: str) -> T:
        try:
            return kind(text)
        except ValueError:
            raise Invalid(f"option {key}={text[:40]!r} is unknown", hint=allowed) from None

    return read


def iface_prefix(key: str, text: str) -> str:
    if len(text) > 12:
        raise Invalid(f"option {key}={text[:40]!r} is too long", hint="use at most 12 characters")
    return check_ifname(text)


def ifname(_: str, text: str) -> str:
    return check_ifname(text)


def binding(key: str, text: str) -> str:
    address = parse_ip(f"option {key}", text)
    if address.version != 4:
        raise Invalid(f"option {key}={text!r} is not an IPv4 address")
    return str(address)
