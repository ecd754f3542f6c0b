"""`netrt dns …`: the names that containers find each other by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from netrt.cli import options
from netrt.cli.lazy import CONTEXT
from netrt.cli.session import Session

ADDRESSES = ("A", "AAAA")
ANSWER_COLUMNS = {"Name": "NAME", "Type": "TYPE", "Data": "DATA", "TTL": "TTL", "Why": "WHY"}
ZONE_COLUMNS = {"Name": "NAME", "Type": "TYPE", "Data": "DATA", "Whose": "WHOSE"}


@click.group(context_settings=CONTEXT)
def dns() -> None:
    """Look at names: what containers are answered, and why."""


@dns.command()
@click.option("--from", "sandbox", type=options.CONTAINER, help="who asks; without it a container on every network")
@options.format_option
@click.argument("name")
@click.argument("rdtype", metavar="[TYPE]", required=False)
@click.pass_obj
def query(session: Session, name: str, rdtype: str | None, sandbox: str | None, form: str) -> None:
    """Show what a container would be answered that asks for NAME, and why. Nobody is asked for it.

    TYPE is A, AAAA, PTR, SRV or another one; without it A and AAAA are meant, and PTR for an address."""
    from netrt.cli import show

    kinds = [rdtype] if rdtype else [""] if _is_address(name) else ADDRESSES
    found = [session.client.query(name, kind, sandbox=sandbox or "") for kind in kinds]
    if form == "json":
        for each in found:
            click.echo(json.dumps(each))
        return
    rows = [_answer_row(each, record) for each in found for record in each["Records"]]
    if rows:
        show.listing(rows, ANSWER_COLUMNS, form, quiet=False)
    else:
        click.echo(_without_records(found[0]))


def _is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()


def _answer_row(said: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, str]:
    why = [
        f"{_whose(because)} on {because['Network']}" for because in said["Because"] if because["Data"] == record["Data"]
    ]
    return {**{key: str(record[key]) for key in ("Name", "Type", "Data", "TTL")}, "Why": ", ".join(why)}


def _whose(record: Mapping[str, Any]) -> str:
    return f"{record['As']} of {record['Container']}"


def _without_records(said: Mapping[str, Any]) -> str:
    upstreams = ", ".join(
        each["Address"] + (" (from the host)" if each["FromHost"] else "") for each in said["Upstreams"]
    )
    outcome = f"forwarded to {upstreams}" if upstreams else said["Status"] or "not asked of netrt"
    return f"{said['Name']} {outcome}: {said['Why']}"


@dns.command()
@options.format_option
@options.network_argument
@click.pass_obj
def ls(session: Session, network: str, form: str) -> None:
    """List all names on a network: its zone. Containers on it may ask with or without the network's own name at the end."""
    from netrt.cli import show

    rows = [{**record, "Whose": _whose(record)} for record in session.client.zone(network)["Records"]]
    show.listing(rows, ZONE_COLUMNS, form, quiet=False)
