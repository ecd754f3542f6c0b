"""Errors as CNI has them: a code, a line, and more about it.

Codes below 100 are the specification's, those from 100 on ours. The class of an error says its code, here and nowhere else."""

from __future__ import annotations

from typing import Any

from netrt.cni.version import CURRENT
from netrt.errors import (
    Conflict,
    Exhausted,
    Exists,
    InUse,
    Invalid,
    KernelRefused,
    NetrtError,
    NotFound,
    Residue,
    Unavailable,
)

VERSION_UNKNOWN = 1
UNSUPPORTED = 2
UNKNOWN_CONTAINER = 3
VARIABLES = 4
INPUT = 5
DECODING = 6
CONFIGURATION = 7
LATER = 11
NOT_AVAILABLE = 50
LIMITED = 51
REFUSED, EXISTS, IN_USE, EXHAUSTED, IN_THE_WAY, NOT_AS_MADE, CANNOT_BE_HAD, LEFT_BEHIND = range(100, 108)

LONGEST = 500
"""Characters of a message, whatever was said that it repeats."""

CODES: dict[type[NetrtError], int] = {
    Invalid: CONFIGURATION,
    NotFound: CONFIGURATION,
    KernelRefused: REFUSED,
    Exists: EXISTS,
    InUse: IN_USE,
    Exhausted: EXHAUSTED,
    Conflict: IN_THE_WAY,
    Unavailable: CANNOT_BE_HAD,
    Residue: LEFT_BEHIND,
}


class Refusal(Invalid):
    """An error with a code of its own."""

    def __init__(self, code: int, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


def code_of(error: NetrtError) -> int:
    """What a runtime is told for an error: "try again later" where that may help."""
    if isinstance(error, Refusal):
        return error.code
    if error.retry:
        return LATER
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), REFUSED)


def error_json(error: NetrtError, version: str = CURRENT) -> dict[str, Any]:
    """The object that is printed instead of a result."""
    told = {"cniVersion": version, "code": code_of(error), "msg": error.message[:LONGEST]}
    return told | ({"details": error.hint[:LONGEST]} if error.hint else {})
