"""The table that a benchmark prints and leaves behind: ratios, and what they should reach."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One line: a ratio, the limit that it must not exceed (`at_least`: not stay below; 0: no limit set), and the two figures
    behind it."""

    what: str
    ratio: float
    limit: float
    figure: float
    against: float
    unit: str = "ms"
    at_least: bool = False

    @property
    def missed(self) -> bool:
        return bool(self.limit) and (self.ratio < self.limit if self.at_least else self.ratio > self.limit)

    def __str__(self) -> str:
        reach = f"{'>=' if self.at_least else '<='} {self.limit}" if self.limit else ""
        figures = f"{self.figure:10,.2f} {self.against:10,.2f}" if self.unit == "ms" else _whole(self)
        return f"{self.what:46} {self.ratio:7.2f} {reach:>7} {figures} {self.unit:3}{'  missed' if self.missed else ''}"


def _whole(row: Row) -> str:
    return f"{row.figure:10,.0f} {row.against:10,.0f}"


HEAD = f"{'':46} {'ratio':>7} {'reach':>7} {'ours':>10} {'against':>10}"


def shown(rows: Iterable[Row], file: str) -> bool:
    """Print each row when it is there, and write all of them as JSON below bench/. Whether all reach what they should."""
    table = []
    print(HEAD, flush=True)
    for row in rows:
        print(row, flush=True)
        table.append(row)
    Path("bench").mkdir(exist_ok=True)
    Path("bench", file).write_text(json.dumps([asdict(row) for row in table], indent=1) + "\n")
    return not any(row.missed for row in table)
