"""How a verb reaches the daemon, and where netrt's files are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import click

import netrt
from netrt.cli.report import for_each
from netrt.errors import Invalid
from netrt.paths import Paths

NOTHING: Mapping[str, str] = {}


def place(kind: str, name: str, *tail: str) -> str:
    """The API's path of an object: `/networks/NAME/connect`, whatever characters the name has. Raises Invalid."""
    from urllib.parse import quote

    if not name:
        raise Invalid("a name cannot be empty")
    return "/".join(("", kind, quote(name, safe=""), *tail))


class Session:
    """One run of the command line: where its files are (`paths`), and requests to the daemon.

    With `on_demand` the daemon is started where none runs, unless `socket` says where it is.
    """

    def __init__(self, *, root: str | None = None, socket: str | None = None, on_demand: bool = True) -> None:
        self.root = root
        self.paths = Paths.under(root)
        self.socket = socket or self.paths.socket
        self._starts = on_demand and not socket

    @cached_property
    def client(self) -> netrt.Client:
        """The client of the API; it connects when it is first asked."""
        return netrt.Client(root=self.root) if self._starts else netrt.Client(socket=self.socket)

    def request(self, method: str, path: str, *, query: Mapping[str, str] = NOTHING, body: Any = None) -> Any:
        """Ask, and return the decoded JSON answer. Raises NetrtError as the daemon says, Unavailable where none answers."""
        return self.client.request(method, path, query=query, body=body)

    def change(
        self, method: str, path: str, *, query: Mapping[str, str] = NOTHING, body: Any = None, dry_run: bool
    ) -> Any:
        """Ask for a change, and return the answer; for a dry run print the plan instead, and return None."""
        if not dry_run:
            return self.request(method, path, query=query, body=body)
        plan = self.request(method, path, query={**query, "dry-run": "1"}, body=body)["Plan"]
        for line in plan:
            click.echo(line)
        if not plan:
            click.echo("the kernel stays as it is", err=True)
        return None

    def remove_each(self, kind: str, names: Iterable[str], *, force: bool, dry_run: bool) -> None:
        """Remove networks or containers, and print the names of those that are gone."""

        def remove(name: str) -> None:
            self.change("DELETE", place(kind, name), query={"force": "1"} if force else NOTHING, dry_run=dry_run)
            if not dry_run:
                click.echo(name)

        for_each(names, remove, missing_is_fine=force)
