"""Health: how it is checked whether what runs in a container does its work, and what follows from a row of checks.

Docker's rules: a container is `starting` until a check succeeds, and `unhealthy` after so many failures in a row; those within
the start period do not count. One that is not healthy is left out of the answers to its aliases."""

from __future__ import annotations

import enum
import re
from decimal import Decimal

import msgspec

from netrt.errors import Invalid

SECOND = 1_000_000_000
SHELL, DIRECT, PORT = "CMD-SHELL", "CMD", "PORT"

_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")


class Health(enum.StrEnum):
    """What is known of a container; UNKNOWN where nothing is checked."""

    UNKNOWN = ""
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True):
    """`test` is CMD-SHELL and a line for the shell, CMD and a command, or PORT and a number: somebody takes connections there.
    Times are in nanoseconds, as Docker has them. Raises Invalid when made."""

    test: tuple[str, ...]
    interval: int = 30 * SECOND
    timeout: int = 30 * SECOND
    retries: int = 3
    start_period: int = 0
    start_interval: int = 5 * SECOND

    def __post_init__(self) -> None:
        kind, *words = self.test or ("",)
        if kind not in (SHELL, DIRECT, PORT) or not words or (kind != DIRECT and len(words) > 1):
            raise Invalid(
                f"invalid health check {' '.join(self.test)[:60]!r}",
                hint="use CMD-SHELL and a line, CMD and a command, or PORT and a number",
            )
        if any("\0" in word for word in words):
            raise Invalid("the command of a health check has a NUL character in it")
        if kind == PORT and not (words[0].isdecimal() and 1 <= int(words[0]) <= 65535):
            raise Invalid(f"invalid health port {words[0][:20]!r}", hint="1 to 65535")
        for name in ("interval", "timeout", "start_interval"):
            if not SECOND // 1000 <= getattr(self, name) <= 24 * 3600 * SECOND:
                raise Invalid(f"health {name.replace('_', ' ')} is out of range", hint="1ms to 24h")
        if not 0 <= self.start_period <= 24 * 3600 * SECOND:
            raise Invalid("health start period is out of range", hint="0s to 24h")
        if not 1 <= self.retries <= 1000:
            raise Invalid(f"health retries {self.retries} is out of range", hint="1 to 1000")

    def pause(self, health: Health, age: int) -> int:
        """Nanoseconds until the next check of a container whose process is `age` old."""
        early = health is Health.STARTING and age < self.start_period
        return min(self.start_interval, self.start_period - age) if early else self.interval

    def judged(self, health: Health, failures: int, age: int, *, well: bool) -> tuple[Health, int]:
        """Health and failures in a row after one more check."""
        if well:
            return Health.HEALTHY, 0
        if health is Health.STARTING and age < self.start_period:
            return health, failures
        failures += 1
        return (Health.UNHEALTHY if failures >= self.retries else health), failures


def parse_duration(what: str, text: str) -> int:
    """Nanoseconds, of `30s`, `1m30s` or `500ms`, as Go writes them. Raises Invalid."""
    if text == "0":
        return 0
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise Invalid(f"invalid {what} {text[:20]!r}", hint="a duration, as in 30s, 1m30s or 500ms")
    return int(sum(Decimal(number) * _UNITS[unit] for number, unit in parts))
