"""`netrt container …`, and the same verbs at the top level: what is about a container and not about its process."""

from __future__ import annotations

from typing import Any

import click

from netrt.cli import options
from netrt.cli.lazy import CONTEXT, LazyGroup
from netrt.cli.session import Session, remove_each, say

VERBS = {
    "create": ("netrt.cli.container:create", "Create a container without starting it"),
    "run": ("netrt.cli.run:run", "Create a container and run a command of this host in it"),
    "exec": ("netrt.cli.execute:execute", "Run a command inside a container"),
    "ls": ("netrt.cli.container:ls", "List containers"),
    "start": ("netrt.cli.run:start", "Start containers again"),
    "stop": ("netrt.cli.execute:stop", "Stop containers"),
    "rm": ("netrt.cli.container:rm", "Remove containers"),
    "update": ("netrt.cli.container:update", "Change the limits of a container while it runs"),
    "rename": ("netrt.cli.container:rename", "Give a container another name"),
    "logs": ("netrt.cli.execute:logs", "Show what a container printed"),
    "port": ("netrt.cli.container:port", "List the published ports of a container"),
    "inspect": ("netrt.cli.container:inspect", "Show containers as a JSON list"),
}


@click.group(cls=LazyGroup, verbs=VERBS, context_settings=CONTEXT)
def container() -> None:
    """Manage containers."""


@click.command(cls=options.DockerCommand, context_settings=options.RUN_CONTEXT)
@options.container_options
@click.option("--netns", default="", metavar="PATH", help="adopt the network namespace at PATH")
@click.option("--pid", type=click.IntRange(min=1), metavar="N", help="adopt the network namespace of process N")
@options.dry_run_option
@click.argument("command", nargs=-1)
@click.pass_obj
def create(session: Session, /, dry_run: bool, pid: int | None, **asked: Any) -> None:
    """Create a container without starting it, and print its id.

    With --netns or --pid it is a network namespace that somebody else made; that is never deleted.
    """
    from netrt.cli.wishes import container_wishes

    say(session.client.create_container(**container_wishes(**asked, pid=pid or 0), dry_run=dry_run), dry_run=dry_run)


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="also those that do not run")
@options.filter_option
@options.format_option
@options.no_trunc_option
@options.quiet_option
@click.pass_obj
def ls(session: Session, everything: bool, filters: options.Pairs, form: str, no_trunc: bool, quiet: bool) -> None:
    """List containers."""
    from netrt.cli import show

    found = session.client.containers(options.filters_of(filters), every=everything)
    rows = [show.container_row(each, no_trunc) for each in found]
    show.listing(rows, show.CONTAINER_COLUMNS, form, quiet)


@click.command()
@options.inspect_format_option
@options.containers_argument
@click.pass_obj
def inspect(session: Session, names: tuple[str, ...], form: str | None) -> None:
    """Show containers as a JSON list."""
    from netrt.cli.inspect import show_found

    show_found(session, names, ["container"], form)


@click.command()
@click.option("-f", "--force", is_flag=True, help="end its process first; no failure where it does not exist")
@options.dry_run_option
@options.containers_argument
@click.pass_obj
def rm(session: Session, names: tuple[str, ...], force: bool, dry_run: bool) -> None:
    """Remove containers, and print their names."""
    remove_each(session.client.remove_container, names, force=force, dry_run=dry_run)


@click.command()
@options.dry_run_option
@options.container_argument
@click.argument("name", metavar="NEW_NAME")
@click.pass_obj
def rename(session: Session, container: str, name: str, dry_run: bool) -> None:
    """Give a container another name."""
    from netrt.model.names import check_name

    wanted = check_name("container name", name)
    say(session.client.rename(container, wanted, dry_run=dry_run), dry_run=dry_run)


@click.command()
@click.option("--bandwidth", required=True, metavar="LIMITS", help="as in ingress=10mbit,egress=0; 0 is no limit")
@click.option("--network", default="", metavar="NETWORK", help="on this network only")
@options.dry_run_option
@options.container_argument
@click.pass_obj
def update(session: Session, container: str, bandwidth: str, network: str, dry_run: bool) -> None:
    """Change the limits of a container while it runs."""
    say(session.client.limit(container, bandwidth, network=network, dry_run=dry_run), dry_run=dry_run)


@click.command()
@options.container_argument
@click.argument("wanted", metavar="[PORT[/PROTOCOL]]", default="")
@click.pass_obj
def port(session: Session, container: str, wanted: str) -> None:
    """List the published ports of a container, or where one of its ports is published."""
    from netrt.cli import show
    from netrt.errors import NotFound

    bindings = session.client.container(container)["NetworkSettings"]["Ports"] or {}
    if not wanted:
        lines = [f"{inside} -> {show.binding_text(each)}" for inside, held in bindings.items() for each in held or ()]
    else:
        inside = wanted if "/" in wanted else f"{wanted}/tcp"
        lines = [show.binding_text(each) for each in bindings.get(inside) or ()]
        if not lines:
            raise NotFound(f"port {inside} of {container} is not published")
    click.echo("\n".join(lines), nl=bool(lines))
