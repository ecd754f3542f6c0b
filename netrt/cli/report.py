"""What went wrong, as one line on the standard error output."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from netrt.errors import NetrtError, NotFound, one_line


def report(message: str) -> None:
    click.echo(f"netrt: {one_line(message)}", err=True)


def for_each(names: Iterable[str], act: Callable[[str], None], *, missing_is_fine: bool = False) -> None:
    """Do something for each name, whatever becomes of the others; exit with status 1 if any was refused.

    With `missing_is_fine`, what does not exist is said, but is no failure.
    """
    failed = False
    for name in names:
        try:
            act(name)
        except NetrtError as error:
            report(str(error))
            failed = failed or not (missing_is_fine and isinstance(error, NotFound))
    if failed:
        click.get_current_context().exit(1)
