"""`netrt inspect`: containers and networks by name or id, as Docker's JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from netrt.cli import options
from netrt.cli.report import report
from netrt.cli.session import Session
from netrt.errors import NotFound

KINDS = ("container", "network")
"""Where a name may be from, in the order of looking."""


@click.command()
@options.inspect_format_option
@click.option("--type", "kind", type=click.Choice(KINDS), help="look only among these")
@options.objects_argument
@click.pass_obj
def inspect(session: Session, names: tuple[str, ...], form: str | None, kind: str | None) -> None:
    """Show containers and networks as a JSON list."""
    show_found(session, names, [kind] if kind else KINDS, form)


def show_found(session: Session, names: Sequence[str], kinds: Sequence[str], form: str | None) -> None:
    """Print what is found, then say what is not, with exit status 1."""
    found, missing = [], []
    for name in names:
        each = _find(session, name, kinds)
        if each is None:
            missing.append(name)
        else:
            found.append(each)
    click.echo(json.dumps(found, separators=(",", ":")) if form == "json" else json.dumps(found, indent=4))
    for name in missing:
        report(f"no such {kinds[0] if len(kinds) == 1 else 'object'}: {name}")
    if missing:
        click.get_current_context().exit(1)


def _find(session: Session, name: str, kinds: Sequence[str]) -> Any:
    look = {"container": session.client.container, "network": session.client.network}
    for kind in kinds:
        try:
            return look[kind](name)
        except NotFound:
            continue
    return None
