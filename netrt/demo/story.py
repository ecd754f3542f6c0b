"""What the demo does, step by step, told as it goes: networks, containers, the proof, a daemon that stops, and the end."""

from __future__ import annotations

import json
import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from netrt.demo.checks import Addresses, Check, Outcome, ask_all, checks
from netrt.demo.host import NETRT, TIER, Failed, listening, outside, run, shown


def tell() -> bool:
    """Play the demo in the present namespaces. True if every check held."""
    console, started = Console(highlight=False), time.monotonic()
    try:
        with outside():
            _networks(console)
            at = _containers(console)
            outcomes = _proof(console, at)
            outcomes += _without_daemon(console, at)
            clean = _end(console)
    except Failed as error:
        console.print(f"[bold red]The demo stopped:[/] {escape(str(error))}")
        return False
    failed = [o for o in outcomes if not o.held]
    seconds = time.monotonic() - started
    if failed or not clean:
        console.print(f"\n[bold red]{len(failed)} of {len(outcomes)} checks did not hold[/] ({seconds:.1f} s)")
        return False
    console.print(f"\n[bold green]All {len(outcomes)} checks held[/] ({seconds:.1f} s)")
    return True


def _title(console: Console, text: str) -> None:
    console.print(f"\n[bold]{text}[/]")


def _networks(console: Console) -> None:
    _title(console, "1. Two networks: the backend leads nowhere, the frontend has IPv4 and IPv6")
    shown(console, "network", "create", "--internal", "backend")
    shown(console, "network", "create", "--ipv6", "frontend")
    console.print(run(NETRT, "network", "ls"), end="", style="dim")


def _containers(console: Console) -> Addresses:
    _title(console, "2. Three containers: db behind, app in the middle, proxy in front with a published port")
    serve = (*TIER, "serve")
    shown(console, "run", "-d", "--name", "db", "--network", "backend", "--", also=(*serve, "db"))
    db = _inspect("db")["backend"]
    upstream = f"UPSTREAM=http://{db['IPAddress']}"
    both = ("--network", "backend", "--network", "frontend")
    shown(console, "run", "-d", "--name", "app", *both, "--env", upstream, "--", also=(*serve, "app"))
    app = _inspect("app")
    upstream = f"UPSTREAM=http://{app['frontend']['IPAddress']}"
    front = ("--network", "frontend", "-p", "8080:80")
    shown(console, "run", "-d", "--name", "proxy", *front, "--env", upstream, "--", also=(*serve, "proxy"))
    proxy = _inspect("proxy")["frontend"]
    for container in ("db", "app", "proxy"):
        listening(container)
    console.print(run(NETRT, "ps"), end="", style="dim")
    return Addresses(
        db=db["IPAddress"],
        app_back=app["backend"]["IPAddress"],
        app_front=app["frontend"]["IPAddress"],
        proxy4=proxy["IPAddress"],
        proxy6=proxy["GlobalIPv6Address"],
        gateway4=proxy["Gateway"],
    )


def _inspect(container: str) -> dict[str, dict[str, Any]]:
    networks: dict[str, dict[str, Any]] = json.loads(run(NETRT, "inspect", container))[0]["NetworkSettings"]["Networks"]
    return networks


def _proof(console: Console, at: Addresses) -> list[Outcome]:
    _title(console, "3. The proof: who reaches whom, and from which address it seems to come")
    outcomes = ask_all(checks(at))
    _show(console, outcomes)
    return outcomes


def _without_daemon(console: Console, at: Addresses) -> list[Outcome]:
    _title(console, "4. The daemon stops; what it made in the kernel stays")
    shown(console, "daemon", "stop")
    outside_checks: list[Check] = [c for c in checks(at) if c.who in ("outside", "host")]
    outcomes = ask_all(outside_checks)
    _show(console, outcomes)
    console.print("  the next command starts it again:")
    console.print(shown(console, "port", "proxy"), end="", style="dim")
    return outcomes


def _end(console: Console) -> bool:
    _title(console, "5. The end: everything removed, nothing left in the kernel")
    shown(console, "rm", "-f", "proxy", "app", "db")
    shown(console, "network", "rm", "frontend", "backend")
    links = [link["ifname"] for link in json.loads(run("ip", "-j", "link"))]
    spaces = run("ip", "netns", "list").split("\n")
    left = [link for link in links if link not in ("lo", "uplink")]
    left += [line for line in spaces if line and not line.startswith("outside")]
    console.print(f"  left: {', '.join(left)}" if left else "  left: lo, uplink and the outside, as before")
    return not left


def _show(console: Console, outcomes: list[Outcome]) -> None:
    table = Table("", "from", "to", "address", "answered by", "seen as", box=None, padding=(0, 2), header_style="dim")
    for outcome in outcomes:
        check = outcome.check
        mark = "[bold green]✓[/]" if outcome.held else "[bold red]✗[/]"
        answer = outcome.chain or "[dim]nobody, as it must be[/]"
        if not outcome.held:
            answer = f"[red]{outcome.chain or 'nobody'}, not {check.chain or 'nobody'}[/]"
        seen = (
            outcome.seen_as if outcome.seen_as == check.seen_as else f"[red]{outcome.seen_as}, not {check.seen_as}[/]"
        )
        table.add_row(mark, check.who, check.whom, check.url, answer, seen)
    console.print(table)
