"""How long ago, in the words of `docker ps`."""

from __future__ import annotations

from netrt.api.schema.query import SECOND, nanoseconds

_UNITS = {"years": 60 * 24 * 365, "months": 60 * 24 * 30, "weeks": 60 * 24 * 7, "days": 60 * 24, "hours": 60}
"""Minutes of each. One is used from two of it on, as Docker does."""


def age(since: str, now: int) -> str:
    """`About a minute`, `3 hours`, `2 weeks`: from `since` (RFC 3339) to `now` (nanoseconds since the epoch)."""
    seconds = max(0, now - nanoseconds(since)) // SECOND
    minutes = seconds // 60
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return f"{seconds} second{'s' if seconds > 1 else ''}"
    for unit, length in _UNITS.items():
        if minutes >= 2 * length:
            return f"{minutes // length} {unit}"
    if minutes >= 60:
        return "About an hour"
    return f"{minutes} minutes" if minutes > 1 else "About a minute"
