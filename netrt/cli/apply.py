"""`netrt apply` and `netrt export`: networks and containers as a file asks for them, and a file of those that are there."""

from __future__ import annotations

from collections.abc import Iterator

import click

import netrt
from netrt.cli.report import report
from netrt.cli.session import Session
from netrt.declare.export import exported, left_out
from netrt.declare.plan import Plan, plan
from netrt.declare.present import present
from netrt.declare.wish import Present
from netrt.errors import NotFound, one_line


@click.command()
@click.option("-f", "--file", "path", required=True, metavar="FILE", help="a file of netrt's or of compose; - is stdin")
@click.option("--dry-run", is_flag=True, help="print what would be added, changed and removed, and change nothing")
@click.option("--prune", is_flag=True, help="remove what an earlier apply of this project made and is not in the file")
@click.option("-p", "--project-name", "project", default="", metavar="NAME", help="in place of the one in the file")
@click.option(
    "--profile", "profiles", multiple=True, metavar="NAME", help="of a compose file: services of this profile, too"
)
@click.pass_obj
def apply(session: Session, path: str, dry_run: bool, prune: bool, project: str, profiles: tuple[str, ...]) -> None:
    """Make networks and containers as a file says: its own (networks, containers), or the network part of a compose file.

    What is to be done is printed first: + added, ~ changed, - removed, = left. A second time there is nothing to do."""
    from netrt.cli.steps import performed, rehearse
    from netrt.cli.wishfile import read_wish
    from netrt.declare.conflicts import check

    wish = read_wish(path, project=project, profiles=profiles, publish_address=_publish_address(session.client))
    there = seen(session.client)
    made = plan(there, wish, prune=prune)
    check(there, wish, made)
    rehearse(session.client, made)
    for change in made.changes:
        click.echo(one_line(str(change)))
    if dry_run:
        click.echo(f"{_sum(made)} (dry run: nothing is changed)")
        return
    for _ in performed(session.client, made):
        pass
    click.echo(_sum(made))


def _sum(made: Plan) -> str:
    signs = [change.sign for change in made.changes]
    return f"{signs.count('+')} added, {signs.count('~')} changed, {signs.count('-')} removed"


def _publish_address(client: netrt.Client) -> str:
    return str(client.request("GET", "/info").get("Netrt", {}).get("PublishAddress", ""))


def seen(client: netrt.Client) -> Present:
    """What is there."""
    return present(client.networks(), _containers(client))


def _containers(client: netrt.Client) -> Iterator[dict[str, object]]:
    """All of them, the oldest first; one that goes meanwhile is not there."""
    for each in reversed(client.containers(every=True)):
        try:
            yield client.container(each["Id"])
        except NotFound:
            continue


@click.command()
@click.pass_obj
def export(session: Session) -> None:
    """Print networks and containers as a file for apply, addresses included."""
    from netrt.cli.wishfile import as_yaml

    there = seen(session.client)
    click.echo(as_yaml(exported(there)), nl=False)
    for name, why in left_out(there):
        report(f"container {name} is left out: it {why}")
