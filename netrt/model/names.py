"""Rule 1: every name that a person gives passes one of these checks before it is stored. Rule 2: every name that the kernel
sees is derived here from an identifier, so that no text of a person's ever reaches netlink, nft or a path unchecked."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache

from netrt.errors import Invalid

_LABEL, _PLAIN_LABEL = r"[a-zA-Z0-9_]+(-+[a-zA-Z0-9_]+)*", r"[a-zA-Z0-9]+(-+[a-zA-Z0-9]+)*"
"""What may stand between two dots of a name in DNS, with Docker's underscore and without."""

_NAME = re.compile(rf"(?=[a-zA-Z0-9].{{0,62}}\Z){_LABEL}(\.{_LABEL})*\Z")
_HOSTNAME = re.compile(rf"(?=.{{1,63}}\Z){_PLAIN_LABEL}(\.{_PLAIN_LABEL})*\Z")
_IFNAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}\Z")
_ID = re.compile(r"[0-9a-f]{64}\Z")


def _shown(text: str) -> str:
    """`text` as it may stand in a one-line message: quoted, control characters escaped, cut at 40 characters."""
    return repr(text if len(text) <= 40 else text[:40] + "…")


def check_name(what: str, name: str) -> str:
    """The name of a network, container or alias, as Docker allows it: 1 to 63 of `[a-zA-Z0-9_.-]`, the first a letter or digit;
    and as DNS does: nothing between two dots is empty, or begins or ends with a hyphen, and a name ends with none of both.

    `what` is the noun for the message ("network name"). Raises Invalid.
    """
    if not _NAME.match(name):
        raise Invalid(
            f"invalid {what} {_shown(name)}",
            hint="allowed are 1 to 63 characters of a-z A-Z 0-9 _ . -, the first a letter or a digit, no dot or hyphen "
            "at the end or beside a dot",
        )
    return name


def is_name(text: str) -> bool:
    """Whether this could be the name of a network or container."""
    return bool(_NAME.match(text))


def check_hostname(name: str) -> str:
    """A host name (RFC 1123): 1 to 63 letters, digits, dots and hyphens, no hyphen or dot at an end or beside a dot. Raises
    Invalid."""
    if not _HOSTNAME.match(name):
        raise Invalid(
            f"invalid hostname {_shown(name)}",
            hint="allowed are 1 to 63 letters, digits, dots and hyphens, a letter or digit at both ends and beside a dot",
        )
    return name


def is_hostname(text: str) -> bool:
    """Whether this could be a host name."""
    return bool(_HOSTNAME.match(text))


def check_ifname(name: str) -> str:
    """An interface name that every tool accepts: 1 to 15 of `[a-zA-Z0-9_.-]` (IFNAMSIZ less the NUL). Raises Invalid."""
    if not _IFNAME.match(name) or name in ("all", "default"):
        raise Invalid(
            f"invalid interface name {_shown(name)}",
            hint="allowed are 1 to 15 characters of a-z A-Z 0-9 _ . -, the first a letter or a digit",
        )
    return name


def is_link_name(text: str) -> bool:
    """Whether an interface may have this name here."""
    return bool(_IFNAME.match(text))


def check_label(key: str, value: str) -> None:
    """A label: a key of 1 to 255 printable characters without `=`, a value of at most 4096. Raises Invalid."""
    if not key or len(key) > 255 or not key.isprintable() or "=" in key:
        raise Invalid(
            f"invalid label {_shown(key)}", hint="a label is KEY=VALUE, the key 1 to 255 printable characters"
        )
    if len(value) > 4096 or "\0" in value:
        raise Invalid(
            f"invalid value of label {_shown(key)}", hint="a value has at most 4096 characters, none of them NUL"
        )


def is_id(text: str) -> bool:
    """Whether `text` is a whole identifier of ours (64 hexadecimal digits, as Docker's)."""
    return bool(_ID.match(text))


def short_id(identifier: str) -> str:
    """The first 12 digits, as `docker ps` shows them."""
    return identifier[:12]


@lru_cache(maxsize=256)  # a network's is asked for again and again, a container's once
def link_name(*key: str) -> str:
    """A host interface name for `key`: `nr` and 10 base32 characters of its hash (50 bits), the same on every call.

    `netrt.decide` refuses the 1-in-10^15 collision when it allocates.
    """
    digest = hashlib.sha256("\0".join(key).encode()).digest()
    return "nr" + base64.b32encode(digest[:7]).decode().lower()[:10]


def is_made_link_name(name: str) -> bool:
    """Whether `link_name` makes such names."""
    return re.fullmatch(r"nr[a-z2-7]{10}", name) is not None
