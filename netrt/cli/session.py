"""How a verb reaches the daemon, where netrt's files are, and how what was said is printed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cached_property

import click

import netrt
from netrt.cli.report import for_each
from netrt.paths import Paths


class Session:
    """One run of the command line: where its files are (`paths`), and the client of the daemon.

    `client` starts the daemon where none runs, unless `socket` says where it is; `bystander` never does. Both connect when they
    are first asked something.
    """

    def __init__(self, *, root: str | None = None, socket: str | None = None, trace: bool = False) -> None:
        self.root = os.path.abspath(root) if root else None
        self.paths = Paths.under(self.root)
        self.socket = socket or self.paths.socket
        self._named = socket
        self._trace = trace

    @cached_property
    def client(self) -> netrt.Client:
        return self._watched(netrt.Client(socket=self._named, root=self.root))

    @cached_property
    def bystander(self) -> netrt.Client:
        return self._watched(netrt.Client(socket=self.socket))

    def _watched(self, client: netrt.Client) -> netrt.Client:
        if self._trace:
            from netrt.cli.trace import show

            client.trace(show)
        return client


def say(text: str, *, dry_run: bool = False) -> None:
    """Print what a verb of the client returned: an id or nothing, or the plan of a dry run."""
    if text:
        click.echo(text)
    elif dry_run:
        click.echo("the kernel stays as it is", err=True)


def remove_each(remove: Callable[..., str], names: Iterable[str], *, force: bool, dry_run: bool) -> None:
    """Remove networks or containers, and print the names of those that are gone."""

    def act(name: str) -> None:
        plan = remove(name, force=force, dry_run=dry_run)
        say(plan if dry_run else name, dry_run=dry_run)

    for_each(names, act, missing_is_fine=force)
