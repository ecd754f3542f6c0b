"""The options about health, from the words of a command line to what the client takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netrt.errors import Invalid
from netrt.model.health import PORT, SHELL, HealthCheck, parse_duration

_TIMES = {
    "health_interval": "Interval",
    "health_timeout": "Timeout",
    "health_start_period": "StartPeriod",
    "health_start_interval": "StartInterval",
}
HEALTH_OPTIONS = ("health_cmd", "health_port", "health_retries", "no_healthcheck", *_TIMES)


def health_wish(said: Mapping[str, Any], *, runs: bool) -> dict[str, Any]:
    """Docker's `Healthcheck`, of the values of HEALTH_OPTIONS; `runs`: there is a command. Raises Invalid."""
    line, port, retries = said["health_cmd"], said["health_port"], said["health_retries"]
    times = {key: parse_duration(name.replace("_", " "), said[name]) for name, key in _TIMES.items() if said[name]}
    if not line and not port:
        if times or retries is not None:
            raise Invalid("what is to be checked is missing", hint="give --health-cmd or --health-port")
        return {}
    if line and port:
        raise Invalid("--health-cmd and --health-port are two ways to check", hint="give one of them")
    if not runs or said["no_healthcheck"]:
        raise Invalid("health is checked of what runs", hint="give a command, and not --no-healthcheck")
    fields = {name.removeprefix("health_"): times[key] for name, key in _TIMES.items() if key in times}
    if retries is not None:
        fields["retries"] = retries
        times["Retries"] = retries
    check = HealthCheck(test=(SHELL, line) if line else (PORT, port), **fields)
    return {"Test": list(check.test), **times}
