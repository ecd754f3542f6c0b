"""Events in Docker's JSON, and which of them a listener asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netrt.api.schema.query import SECOND, Filters, matches_labels
from netrt.model.decision import Event

FILTERS = ("type", "event", "container", "network", "label", "scope", "daemon", "image", "volume", "plugin")


def event_json(event: Event) -> dict[str, Any]:
    """One line of GET /events. `status`, `id` and `from` are what Docker had before it had Actor."""
    shown: dict[str, Any] = {
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.id, "Attributes": event.attributes},
        "scope": "local",
        "time": event.time // SECOND,
        "timeNano": event.time,
    }
    return {"status": event.action, "id": event.id, "from": "", **shown} if event.type == "container" else shown


def wanted(asked: Filters, event: Event) -> bool:
    """Whether the filters let an event through: one value of each kind must fit."""
    tests: dict[str, Callable[[tuple[str, ...]], bool]] = {
        "type": lambda types: event.type in types,
        "event": lambda actions: event.action in actions,
        "container": lambda refs: event.type == "container" and _is_meant(refs, event.id, event),
        "network": lambda refs: event.type == "network" and _is_meant(refs, event.id, event),
        "label": lambda labels: matches_labels(labels, event.attributes),
        "scope": lambda scopes: "local" in scopes,
    }
    return all(name in tests and tests[name](values) for name, values in asked.items())


def _is_meant(refs: tuple[str, ...], identifier: str, event: Event) -> bool:
    return any(event.attributes.get("name") == ref or (ref and identifier.startswith(ref)) for ref in refs)
