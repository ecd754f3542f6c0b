"""What the demo does, told as it goes: networks, containers, the proof, a daemon that stops, the end, and the summary."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from netrt.demo.checks import Addresses, Check, Outcome, ask_all, checks
from netrt.demo.host import NETRT, TIER, Failed, listening, outside, run, shown

STOPPED = "All this without a daemon"
CLEAN = "Nothing is left behind"

Line = tuple[str, str, str, str]


@dataclass(slots=True)
class Telling:
    """What was told so far: `results` are checks by what is promised, each held or not."""

    console: Console
    started: float = field(default_factory=time.monotonic)
    results: dict[str, list[bool]] = field(default_factory=dict)

    def title(self, text: str) -> None:
        self.console.print(f"\n[bold]{text}[/]")

    def table(self, *columns: str) -> Table:
        """An empty table that fits the story."""
        return Table(*columns, box=None, padding=(0, 2, 0, 0), header_style="dim", show_header=any(columns))


def tell() -> bool:
    """Play the demo in the present namespaces. True if every check held."""
    width = None if sys.stdout.isatty() else 100
    telling = Telling(Console(highlight=False, width=width))
    try:
        with outside():
            _networks(telling)
            at = _containers(telling)
            _proof(telling, at)
            _without_daemon(telling, at)
            _end(telling)
    except Failed as error:
        telling.console.print(f"\n[bold red]The demo stopped:[/] {escape(str(error))}")
        return False
    return _summary(telling)


def _networks(telling: Telling) -> None:
    telling.title("1. Two networks: the backend leads nowhere, the frontend leads outside, with IPv4 and IPv6")
    shown(telling.console, "network", "create", "--internal", "backend")
    shown(telling.console, "network", "create", "--ipv6", "frontend")
    table = telling.table("  network", "subnets", "gateways", "")
    for network in json.loads(run(NETRT, "network", "inspect", "backend", "frontend")):
        subnets = network["IPAM"]["Config"]
        gateways = ", ".join(s.get("Gateway", "") for s in subnets)
        notes = "internal" if network["Internal"] else ""
        table.add_row(f"  {network['Name']}", ", ".join(s["Subnet"] for s in subnets), gateways, notes)
    telling.console.print(table)


def _containers(telling: Telling) -> Addresses:
    telling.title("2. Three containers that know each other by name: db, app, and proxy with a published port")
    back, front = ("--network", "backend"), ("--network", "frontend")
    db = _tier(telling, "db", *back)["backend"]
    app = _tier(telling, "app", *back, *front, upstream="db")
    proxy = _tier(telling, "proxy", *front, "-p", "8080:80", upstream="app")["frontend"]
    table = telling.table("  container", "network", "addresses", "MAC")
    for name, networks in (("db", {"backend": db}), ("app", app), ("proxy", {"frontend": proxy})):
        listening(name)
        for network, held in networks.items():
            addresses = ", ".join(filter(None, (held["IPAddress"], held["GlobalIPv6Address"])))
            table.add_row(f"  {name}", network, addresses, held["MacAddress"])
    telling.console.print(table)
    return Addresses(
        db=db["IPAddress"],
        app_back=app["backend"]["IPAddress"],
        app_front=app["frontend"]["IPAddress"],
        proxy4=proxy["IPAddress"],
        proxy6=proxy["GlobalIPv6Address"],
        gateway4=proxy["Gateway"],
        gateway6=proxy["IPv6Gateway"],
    )


def _tier(telling: Telling, name: str, *options: str, upstream: str = "") -> dict[str, dict[str, Any]]:
    """Run one tier of the application. Returns its networks, as `netrt inspect` shows them."""
    environment = ("--env", f"UPSTREAM=http://{upstream}") if upstream else ()
    shown(telling.console, "run", "-d", "--name", name, *options, *environment, "--", also=(*TIER, "serve", name))
    found = json.loads(run(NETRT, "inspect", name))[0]
    networks: dict[str, dict[str, Any]] = found["NetworkSettings"]["Networks"]
    return networks


def _proof(telling: Telling, at: Addresses) -> None:
    telling.title("3. The proof: who reaches whom, and whom the asked one sees")
    table = telling.table("", "", "", "")
    groups = checks(at)
    outcomes = iter(ask_all([check for group in groups.values() for check in group]))
    for promise, group in groups.items():
        here = [next(outcomes) for _ in group]
        telling.results[promise] = [outcome.held for outcome in here]
        for outcome in here:
            table.add_row(*_line(outcome))
    telling.console.print(table)


def _without_daemon(telling: Telling, at: Addresses) -> None:
    telling.title("4. The daemon stops; what it made in the kernel stays, and names are answered")
    shown(telling.console, "daemon", "stop")
    every: list[Check] = [check for group in checks(at).values() for check in group]
    outcomes = ask_all(every, daemon=False)
    telling.results[STOPPED] = [outcome.held for outcome in outcomes]
    table = telling.table("", "", "", "")
    for outcome in outcomes:
        if not outcome.held:
            table.add_row(*_line(outcome))
    held = sum(telling.results[STOPPED])
    telling.console.print(f"  asked again, without a daemon: {held} of {len(outcomes)} as before")
    if table.row_count:
        telling.console.print(table)


def _end(telling: Telling) -> None:
    telling.title("5. The end: the next command starts the daemon again, and everything is removed")
    shown(telling.console, "rm", "-f", "proxy", "app", "db")
    shown(telling.console, "network", "rm", "frontend", "backend")
    left = [link["ifname"] for link in json.loads(run("ip", "-j", "link")) if link["ifname"] not in ("lo", "uplink")]
    left += [line for line in run("ip", "netns", "list").splitlines() if not line.startswith("outside")]
    telling.results[CLEAN] = [not left]
    telling.console.print(f"  left in the kernel: {', '.join(left) or 'nothing but the host and its outside'}")


def _line(outcome: Outcome) -> Line:
    check = outcome.check
    mark = "  [bold green]✓[/]" if outcome.held else "  [bold red]✗[/]"
    return mark, f"{check.who} → {check.whom}", escape(check.address), _said(outcome)


def _said(outcome: Outcome) -> str:
    seen = f"{outcome.chain.split(',')[0]} sees {outcome.seen_as}" if outcome.chain else "out of reach"
    if outcome.held:
        return seen
    wanted = f"{outcome.check.chain} seeing {outcome.check.seen_as}" if outcome.check.chain else "out of reach"
    return f"[red]{seen}, wanted: {wanted}[/]"


def _summary(telling: Telling) -> bool:
    table = Table(
        "", "promised", "checks", title="Summary", title_justify="left", title_style="bold", header_style="dim"
    )
    table.columns[2].justify = "right"
    for promise, held in telling.results.items():
        mark = "[bold green]✓[/]" if all(held) else "[bold red]✗[/]"
        table.add_row(mark, promise, f"{sum(held)} of {len(held)}")
    every = [held for group in telling.results.values() for held in group]
    telling.console.print()
    telling.console.print(table)
    seconds = time.monotonic() - telling.started
    colour, words = ("green", "All checks held") if all(every) else ("red", "Not all checks held")
    telling.console.print(f"[bold {colour}]{words}[/]: {sum(every)} of {len(every)}, in {seconds:.1f} s")
    return all(every)
