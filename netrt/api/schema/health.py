"""Health as Docker's JSON shows it."""

from __future__ import annotations

from typing import Any

from netrt.api.probes import Probes
from netrt.decide.events import rfc3339
from netrt.model.container import Container
from netrt.model.health import Health, HealthCheck

SHORT = {
    Health.STARTING: " (health: starting)",
    Health.HEALTHY: " (healthy)",
    Health.UNHEALTHY: " (unhealthy)",
    Health.UNKNOWN: "",
}
"""What `ps` says behind the status."""


def check_json(check: HealthCheck | None) -> dict[str, Any] | None:
    """`Config.Healthcheck`, None where nothing is checked."""
    if check is None:
        return None
    return {
        "Test": check.test,
        "Interval": check.interval,
        "Timeout": check.timeout,
        "Retries": check.retries,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
    }


def health_json(container: Container, probes: Probes | None) -> dict[str, Any] | None:
    """`State.Health`, None where nothing is checked."""
    if container.process is None or container.process.health is None:
        return None
    known = probes or Probes()
    return {
        "Status": container.state.health or "none",
        "FailingStreak": known.failures,
        "Log": [
            {
                "Start": rfc3339(probe.began),
                "End": rfc3339(probe.ended),
                "ExitCode": probe.exit_code,
                "Output": probe.output,
            }
            for probe in known.log
        ],
    }
