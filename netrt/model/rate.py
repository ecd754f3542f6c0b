"""Limits of bandwidth, and the text that people write them in (`--bandwidth ingress=10mbit,egress=1mbit`)."""

from __future__ import annotations

import re

from netrt.errors import Invalid
from netrt.model.plugged import Bandwidth

_RATE = re.compile(r"(?P<number>[0-9]{1,12})(?P<unit>[kmg]?)(?:bit)?(?:/s)?\Z", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_FORMS = "use ingress=RATE, egress=RATE or both with a comma, RATE as in 500kbit, 10mbit or 1gbit, 0 for no limit"


def parse_bandwidth(text: str, before: Bandwidth | None = None) -> Bandwidth:
    """The limits that a text says; what it does not speak of stays as in `before`. Raises Invalid."""
    found = {"ingress": before.ingress_rate if before else 0, "egress": before.egress_rate if before else 0}
    seen = set()
    for part in text.split(","):
        way, _, said = part.partition("=")
        rate = _RATE.match(said)
        if way not in found or way in seen or rate is None:
            raise Invalid(f"invalid bandwidth {text[:60]!r}", hint=_FORMS)
        seen.add(way)
        found[way] = int(rate["number"]) * _UNITS[rate["unit"].lower()]
    return Bandwidth(ingress_rate=found["ingress"], egress_rate=found["egress"])


def bandwidth_text(limits: Bandwidth) -> str:
    """The same limits as text, in bits per second."""
    ways = {"ingress": limits.ingress_rate, "egress": limits.egress_rate}
    return ",".join(f"{way}={rate}" for way, rate in ways.items() if rate)
