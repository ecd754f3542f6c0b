"""`netrt diff`, `netrt gc` and `netrt doctor`: whether all is as it should be.

Exit status: 0 all is well, 3 something was found (`doctor`: an error, and not only warnings); 1 and 2 as everywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from netrt.cli import options
from netrt.cli.session import Session
from netrt.errors import one_line

FOUND = 3


@click.command()
@options.format_option
@click.pass_obj
def diff(session: Session, form: str) -> int:
    """Show what differs between what is asked for and what the kernel holds. Exit status 3 if something does.

    "-" is not there or is otherwise, "+" is there and should not be."""
    found = session.client.difference()
    if form == "json":
        click.echo(json.dumps(found))
    else:
        for sign, key in (("-", "Lacking"), ("+", "Stray")):
            for line in found[key]:
                click.echo(f"{sign} {line}")
    return FOUND if found["Lacking"] or found["Stray"] else 0


@click.command()
@click.option("--apply", is_flag=True, help="take it away; without this it is only shown")
@options.format_option
@click.pass_obj
def gc(session: Session, apply: bool, form: str) -> None:
    """Show what lies about that nobody needs, each with the proof, or take it away.

    What a container has is free only when its namespace is proven gone."""
    found = session.client.collect() if apply else session.client.garbage()
    if form == "json":
        click.echo(json.dumps(found))
        return
    for each in found:
        holds = f" [{', '.join(each['Holds'])}]" if each["Holds"] else ""
        click.echo(f"{'removed ' if apply else ''}{each['What']}{holds}: {each['Proof']}")
    if found and not apply:
        click.echo("netrt: nothing was changed; --apply takes it away", err=True)


@click.command()
@options.format_option
@click.pass_obj
def doctor(session: Session, form: str) -> int:
    """Look for what is wrong with this host, and say what helps. Exit status 3 if traffic suffers from it."""
    found = session.client.findings()
    if form == "json":
        click.echo(json.dumps(found))
    else:
        for finding in found:
            click.echo(told(finding))
        if not found:
            click.echo("nothing is wrong")
    return FOUND if any(finding["Level"] == "error" for finding in found) else 0


def told(finding: Mapping[str, Any]) -> str:
    """A finding in words."""
    networks = f" (networks: {', '.join(finding['Networks'])})" if finding["Networks"] else ""
    said = one_line(f"{finding['Level']}: {finding['Check']}: {finding['Text']}{networks}")
    return f"{said}\n    remedy: {one_line(finding['Remedy'])}"
