"""`netrt --trace`: where the time of each request went, as a table on stderr."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

Span = Sequence[str | int]
"""Name, depth, and begin and length in microseconds, as the daemon tells them."""


def show(request: str, took: float, spans: Sequence[Span]) -> None:
    """Print one request. What is not in the daemon's spans is the way there and back, and the client's own work."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("step", no_wrap=True)
    table.add_column("from ms", justify="right")
    table.add_column("ms", justify="right")
    table.add_row(Text(request), "", f"{took:.2f}")
    for name, depth, began, length in spans:
        table.add_row(Text(f"{'  ' * (int(depth) + 1)}{name}"), _ms(began), _ms(length))
    Console(stderr=True).print(table)


def _ms(microseconds: str | int) -> str:
    return f"{int(microseconds) / 1000:.2f}"
