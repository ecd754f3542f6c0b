"""What stands behind the question mark: flags, numbers, moments, and Docker's filters (`{"label": ["a=b"]}` as JSON)."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping

import msgspec

from netrt.errors import Invalid

Filters = Mapping[str, tuple[str, ...]]

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?\Z")
_SECONDS = re.compile(r"(\d{1,12})(?:\.(\d{1,9})\d*)?\Z")
SECOND = 1_000_000_000


def flag(text: str | None) -> bool:
    """A boolean as Docker reads it: everything but these is true."""
    return (text or "").strip().lower() not in ("", "0", "no", "false", "none")


def number(name: str, text: str | None, default: int) -> int:
    """An integer. Raises Invalid."""
    if not text:
        return default
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise Invalid(f"parameter {name}={text[:40]!r} is not a number")
    return int(text)


def filters(text: str | None, known: Iterable[str]) -> Filters:
    """Filters in either of Docker's two forms: lists, or objects whose keys count. Raises Invalid."""
    if not text:
        return {}
    try:
        given = msgspec.json.decode(text, type=dict[str, list[str] | dict[str, bool]])
    except (msgspec.MsgspecError, ValueError) as error:
        raise Invalid(f"parameter filters is not what it should be: {error}", hint='as in {"name": ["web"]}') from None
    for key in given:
        if key not in known:
            raise Invalid(f"invalid filter {key[:40]!r}", hint="known: " + ", ".join(known))
    return {key: tuple(values) for key, values in given.items() if values}


def moment(name: str, text: str, now: int) -> int:
    """Nanoseconds since the epoch, of a Unix time (`1700000000.5`), an RFC 3339 time, or a duration back from `now` (`1h30m`).
    Raises Invalid."""
    if match := _SECONDS.match(text):
        return int(match[1]) * SECOND + int((match[2] or "").ljust(9, "0"))
    if text and (match := _DURATION.match(text)):
        hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return now - (hours * 3600 + minutes * 60 + seconds) * SECOND
    try:
        return nanoseconds(text)
    except ValueError:
        raise Invalid(
            f"parameter {name}={text[:40]!r} is not a time", hint="use Unix seconds, RFC 3339, or 1h30m for so long ago"
        ) from None


def nanoseconds(text: str) -> int:
    """Nanoseconds since the epoch, of an RFC 3339 time. Raises ValueError."""
    time = datetime.datetime.fromisoformat(text)
    whole = time.replace(microsecond=0, tzinfo=time.tzinfo or datetime.UTC)
    fraction = re.search(r"\.(\d{1,9})", text)
    return int(whole.timestamp()) * SECOND + int((fraction[1] if fraction else "").ljust(9, "0"))


def matches_text(patterns: Iterable[str], text: str) -> bool:
    """Whether one of the patterns (regular expressions, as Docker has it) is found in the text; true for no patterns. Raises
    Invalid."""
    patterns = tuple(patterns)
    try:
        return not patterns or any(re.search(pattern, text) for pattern in patterns)
    except re.error as error:
        raise Invalid(f"invalid pattern in filter: {error}") from None


def matches_labels(wanted: Iterable[str], labels: Mapping[str, str]) -> bool:
    """Whether all of the wanted labels (`key`, or `key=value`) are there."""
    split = (label.partition("=") for label in wanted)
    return all(key in labels and (not equals or labels[key] == value) for key, equals, value in split)
