"""Where the time of an attach goes: the medians of its steps, as `netrt --trace` tells them of one."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from netrt.api.client import Client


class Spans:
    """What the daemon told of some requests."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._told: list[tuple[float, list[Any]]] = []

    def of(self, action: Callable[[], object]) -> None:
        """Do something that is one request."""
        self._client.trace(lambda _, took, spans: self._told.append((took, spans)))
        try:
            action()
        finally:
            self._client.trace(None)

    def lines(self) -> list[str]:
        """A step a line, in order: its name, and the median of its milliseconds."""
        steps: dict[tuple[int, str], list[float]] = {}
        for _, spans in self._told:
            for name, depth, _, length in spans:
                steps.setdefault((depth, name), []).append(length / 1000)
        away = statistics.median(took - spans[0][3] / 1000 for took, spans in self._told)
        return [
            f"{'client, there and back':40} {away:8.2f}",
            *(f"{'  ' * depth + name:40} {statistics.median(taken):8.2f}" for (depth, name), taken in steps.items()),
        ]
