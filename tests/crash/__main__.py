"""`make sweep`: every flow, each on a host of its own, and a table of where its points led.

python -m tests.crash [FLOW …]      exit status 1 if a point led anywhere but to all of before or all of after"""

from __future__ import annotations

import contextlib
import sys
import time

from rich.console import Console
from rich.table import Table

from netrt.errors import NetrtError
from tests.crash.flows import FLOWS
from tests.crash.reboot import swept_start
from tests.crash.sweep import Report, Sweep
from tests.host import Host
from tests.namespaces import own_namespaces

START = "the start after a reboot"


def swept(name: str) -> Report:
    """The report of one flow; what kept it from its end is one more wrong thing."""
    with own_namespaces(), contextlib.closing(Host()) as host:
        host.run("ip", "link", "set", "lo", "up")
        try:
            return swept_start(host) if name == START else Sweep(host, FLOWS[name]).report
        except (AssertionError, NetrtError) as error:
            return Report(wrong=[f"the sweep itself: {error}"])


def main(names: list[str]) -> int:
    console, reports = Console(), {}
    columns = ("flow", "points", "before", "after", "neither", "told done", "seconds")
    table = Table(*columns, title="netrtd killed, started again, and what was there then")
    for name in names or (*FLOWS, START):
        began = time.monotonic()
        report = reports[name] = swept(name)
        numbers = (report.points, report.before, report.after, len(report.wrong), report.told)
        table.add_row(name, *map(str, numbers), f"{time.monotonic() - began:.1f}")
        console.print(f"{name}: {report.points} points, {len(report.wrong)} wrong")
        for wrong in report.wrong:
            console.print(f"  {wrong}", markup=False, highlight=False)
    table.add_section()
    every = reports.values()
    sums = [
        sum(column)
        for column in zip(*((r.points, r.before, r.after, len(r.wrong), r.told) for r in every), strict=True)
    ]
    table.add_row("all", *map(str, sums))
    console.print(table)
    return 1 if sums[3] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
