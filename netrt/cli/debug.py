"""`netrt debug`: one container, seen from inside.

Exit status: 0 all is well, 3 an error was found (warnings do not count); 1 and 2 as everywhere."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from netrt.cli import options, show
from netrt.cli.session import Session
from netrt.cli.upkeep import FOUND, told

Json = Mapping[str, Any]

INTERFACES = {
    "Name": "INTERFACE",
    "Network": "NETWORK",
    "Host": "ON THE HOST",
    "State": "STATE",
    "Mac": "MAC",
    "Mtu": "MTU",
    "Addresses": "ADDRESSES",
    "Received": "RECEIVED",
    "Sent": "SENT",
}
WAYS = {"Destination": "DESTINATION", "Via": "VIA", "Interface": "INTERFACE", "Table": "TABLE", "Source": "SOURCE"}
NEIGHBOURS = {"Address": "NEIGHBOUR", "Mac": "MAC", "Interface": "INTERFACE", "State": "STATE"}
SERVERS = {"Protocol": "PROTOCOL", "Address": "LISTENS AT", "Port": "PORT"}
OUTCOMES = {"What": "TRIED", "How": "HOW", "Address": "ADDRESS", "Result": "RESULT", "Time": "TIME"}
DROPPED = {"At": "DROPPED OF", "Packets": "PACKETS", "Bytes": "BYTES", "Why": "WHY"}
MAIN_TABLE = 254


@click.command()
@options.format_option
@options.container_argument
@click.pass_obj
def debug(session: Session, container: str, form: str) -> int:
    """Look at a container from inside: what is there, who answers, what was dropped. Exit status 3 if traffic suffers.

    Shown are its interfaces, routes, neighbours and servers; whether gateways, peers, published ports and resolvers answer to who
    is in the container (within two seconds); and what netrt dropped of it, and why."""
    with _working(f"asking from inside {container}"):
        found = session.client.debug(container)
    if form == "json":
        click.echo(json.dumps(found))
    else:
        _print(found)
    return FOUND if any(finding["Level"] == "error" for finding in found["Findings"]) else 0


@contextlib.contextmanager
def _working(what: str) -> Iterator[None]:
    """A sign of life on a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{what} …"):
        yield


def _print(found: Json) -> None:
    click.echo(f"container {found['Name']} ({found['Id'][:12]}) in {found['Sandbox']}")
    sections: tuple[tuple[Sequence[Mapping[str, str]], Mapping[str, str]], ...] = (
        ([_interface(link) for link in found["Interfaces"]], INTERFACES),
        ([_way(way) for way in found["Ways"]], WAYS),
        ([{key: each[key] or "-" for key in NEIGHBOURS} for each in found["Neighbours"]], NEIGHBOURS),
        ([{key: str(each[key]) for key in SERVERS} for each in found["Servers"]], SERVERS),
        ([_outcome(each) for each in found["Outcomes"]], OUTCOMES),
        ([_dropped(each) for each in found["Dropped"]], DROPPED),
    )
    for rows, columns in sections:
        if rows:
            click.echo()
            show.listing(rows, columns, "table", quiet=False)
    click.echo()
    for finding in found["Findings"]:
        click.echo(told(finding))
    if not found["Findings"]:
        click.echo("nothing is wrong")


def _interface(link: Json) -> Mapping[str, str]:
    state = "down" if not link["Up"] else "up" if link["Carrier"] else "no carrier"
    return {
        "Name": link["Name"],
        "Network": link["Network"] or "-",
        "Host": link["HostLink"] or "-",
        "State": state,
        "Mac": link["Mac"] or "-",
        "Mtu": str(link["Mtu"]),
        "Addresses": ", ".join(link["Addresses"]) or "-",
        "Received": _traffic(link["Received"]),
        "Sent": _traffic(link["Sent"]),
    }


def _traffic(counts: Json) -> str:
    lost = counts["Errors"] + counts["Dropped"]
    return f"{counts['Packets']} ({size(counts['Octets'])})" + (f", {lost} lost" if lost else "")


def size(octets: int) -> str:
    """A number of bytes in the unit that keeps it short: `312 B`, `4.1 kB`."""
    amount = float(octets)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{octets} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def _way(way: Json) -> Mapping[str, str]:
    plain: dict[str, str] = {"0.0.0.0/0": "default", "::/0": "default (IPv6)"}
    return {
        "Destination": plain.get(str(way["Destination"]), str(way["Destination"])),
        "Via": way["Via"] or "-",
        "Interface": way["Interface"] or "-",
        "Table": "main" if way["Table"] == MAIN_TABLE else str(way["Table"]),
        "Source": way["Source"] or "-",
    }


def _outcome(outcome: Json) -> Mapping[str, str]:
    probe, works = outcome["Probe"], outcome["Works"]
    where = f"{probe['Address']} port {probe['Port']}" if probe["How"] == "connect" else probe["Address"]
    said = outcome["Said"]
    return {
        "What": probe["What"],
        "How": probe["How"],
        "Address": where,
        "Result": f"{'answers' if works else 'FAILS'}{f': {said}' if said else ''}",
        "Time": f"{outcome['Milliseconds']:.2f} ms" if works else "-",
    }


def _dropped(drop: Json) -> Mapping[str, str]:
    return {"At": drop["At"], "Packets": str(drop["Packets"]), "Bytes": size(drop["Octets"]), "Why": drop["Why"]}
