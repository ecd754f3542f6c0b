"""`netrt publish …`: published ports of a container, changed while it runs."""

from __future__ import annotations

import click

from netrt.cli import options
from netrt.cli.lazy import CONTEXT
from netrt.cli.session import Session, say

ports_argument = click.argument("ports", metavar="SPEC...", nargs=-1, required=True)


@click.group(context_settings=CONTEXT)
def publish() -> None:
    """Change the published ports of a container while it runs. SPEC is as for `run -p`."""


@publish.command()
@options.dry_run_option
@options.container_argument
@ports_argument
@click.pass_obj
def add(session: Session, container: str, ports: tuple[str, ...], dry_run: bool) -> None:
    """Publish more ports."""
    say(session.client.publish(container, add=ports, dry_run=dry_run), dry_run=dry_run)


@publish.command()
@options.dry_run_option
@options.container_argument
@ports_argument
@click.pass_obj
def rm(session: Session, container: str, ports: tuple[str, ...], dry_run: bool) -> None:
    """Publish ports no more; a PORT alone means wherever it is published."""
    say(session.client.publish(container, remove=ports, dry_run=dry_run), dry_run=dry_run)
