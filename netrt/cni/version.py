"""Versions of the specification: which are known, and which of them has what."""

from __future__ import annotations

import re

CURRENT = "1.1.0"
SUPPORTED = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", CURRENT)

_FORM = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}(-[0-9A-Za-z.-]{1,64})?\Z")


def is_version(text: str) -> bool:
    """Whether this is a version at all (Semantic Versioning)."""
    return bool(_FORM.match(text))


def at_least(version: str, other: str) -> bool:
    """Whether a supported version is this other one or a later one."""
    return SUPPORTED.index(version) >= SUPPORTED.index(other)
