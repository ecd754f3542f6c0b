"""Docker's columns: rows of text from the API's JSON, and their printing.

On a terminal rich draws the table; into a pipe goes plain text exactly as Docker writes it: each column as wide as its widest
cell and three spaces, and at least ten, so that awk and cut see the same whatever the terminal.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from netrt.errors import one_line

Row = Mapping[str, str]

NETWORK_COLUMNS = {"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Scope": "SCOPE"}
CONTAINER_COLUMNS = {
    "ID": "CONTAINER ID",
    "Names": "NAMES",
    "Command": "COMMAND",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
    "Networks": "NETWORKS",
    "Addresses": "ADDRESSES",
}

SHORT_ID = 12
SHORT_COMMAND = 20


def listing(rows: Sequence[Row], columns: Mapping[str, str], form: str, quiet: bool) -> None:
    """Print rows as `ls` does: ids only, a JSON object a line, or a table. What others named (links inside a container) is not to
    speak to the terminal."""
    if quiet:
        lines = [row["ID"] for row in rows]
    elif form == "json":
        lines = [json.dumps(row) for row in rows]
    elif sys.stdout.isatty():
        return _draw([{key: one_line(row[key]) for key in columns} for row in rows], columns)
    else:
        lines = _plain([list(columns.values()), *([one_line(row[key]) for key in columns] for row in rows)])
    for line in lines:
        click.echo(line)
    return None


def _plain(cells: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(10, 3 + max(map(len, column))) for column in zip(*cells, strict=True)]
    return ["".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def _draw(rows: Sequence[Row], columns: Mapping[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns.values(), box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for row in rows:
        table.add_row(*(Text(row[key]) for key in columns))
    Console().print(table)


# rows


def network_row(network: Mapping[str, Any], no_trunc: bool) -> Row:
    """What Docker's `network ls --format json` prints of one, all of it text."""
    return {
        "CreatedAt": f"{network['Created'].rstrip('Z').replace('T', ' ')} +0000 UTC",
        "Driver": network["Driver"],
        "ID": network["Id"] if no_trunc else network["Id"][:SHORT_ID],
        "IPv4": str(network.get("EnableIPv4", True)).lower(),
        "IPv6": str(network.get("EnableIPv6", False)).lower(),
        "Internal": str(network.get("Internal", False)).lower(),
        "Labels": _labels(network),
        "Name": network["Name"],
        "Scope": network["Scope"],
    }


def container_row(container: Mapping[str, Any], no_trunc: bool) -> Row:
    """What Docker's `ps --format json` prints of one, and its addresses."""
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    created = float(container["Created"])
    addresses = [each.get("IPAddress") or each.get("GlobalIPv6Address") or "" for each in networks.values()]
    return {
        "Addresses": ",".join(filter(None, addresses)),
        "Command": _command(container.get("Command") or "", no_trunc),
        "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(created)),
        "ID": container["Id"] if no_trunc else container["Id"][:SHORT_ID],
        "Labels": _labels(container),
        "Names": ",".join(name.lstrip("/") for name in container["Names"]),
        "Networks": ",".join(networks),
        "Ports": ports_text(container.get("Ports") or ()),
        "RunningFor": f"{duration(time.time() - created)} ago",
        "State": container["State"],
        "Status": container["Status"],
    }


def _labels(labelled: Mapping[str, Any]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labelled.get("Labels") or {}).items()))


def _command(command: str, no_trunc: bool) -> str:
    shown = "".join(c if c.isprintable() else " " for c in command)
    if not no_trunc and len(shown) > SHORT_COMMAND:
        shown = shown[: SHORT_COMMAND - 1] + "…"
    return f'"{shown}"' if shown else ""


# ports


def _address(host: str, ports: str) -> str:
    return f"[{host}]:{ports}" if ":" in host else f"{host}:{ports}"


def binding_text(binding: Mapping[str, str]) -> str:
    """`0.0.0.0:8080`, `[::]:8080`, of one of inspect's NetworkSettings.Ports."""
    return _address(binding["HostIp"], binding["HostPort"])


def _run(first: int, count: int) -> str:
    return str(first) if count == 1 else f"{first}-{first + count - 1}"


def ports_text(ports: Iterable[Mapping[str, Any]]) -> str:
    """`0.0.0.0:8080->80/tcp, [::]:8080->80/tcp`, consecutive ports as one range."""

    def order(each: Mapping[str, Any]) -> tuple[str, str, int, int]:
        return each["Type"], each.get("IP") or "", each.get("PublicPort") or 0, each["PrivatePort"]

    ranges: list[tuple[str, str, int, int, int]] = []
    for protocol, host, public, private in sorted(map(order, ports)):
        if ranges:
            *same, first_public, first_private, count = ranges[-1]
            follows = private == first_private + count and public == (first_public + count if first_public else 0)
            if same == [protocol, host] and follows:
                ranges[-1] = (protocol, host, first_public, first_private, count + 1)
                continue
        ranges.append((protocol, host, public, private, 1))
    texts = []
    for protocol, host, public, private, count in ranges:
        outside = f"{_address(host, _run(public, count))}->" if public else ""
        texts.append(f"{outside}{_run(private, count)}/{protocol}")
    return ", ".join(texts)


# times

MINUTE, HOUR, DAY = 60, 3600, 86400


def duration(seconds: float) -> str:
    """A length of time as Docker words it: `5 seconds`, `About an hour`, `3 weeks`."""
    minutes, hours, days = int(seconds // MINUTE), int(seconds / HOUR + 0.5), int(seconds // DAY)
    if seconds < 1:
        return "Less than a second"
    if seconds < MINUTE:
        return "1 second" if seconds < 2 else f"{int(seconds)} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    for limit, length, word in ((14, 1, "days"), (60, 7, "weeks"), (730, 30, "months")):
        if days < limit:
            return f"{days // length} {word}"
    return f"{days // 365} years"
