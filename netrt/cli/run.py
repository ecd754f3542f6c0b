"""`netrt run` and `netrt start`.

In the foreground the command line itself starts the process, so that terminal, streams and signals are simply inherited, and
ends with its exit status; `-d` and `start` leave that to the daemon. Exit statuses are those of `docker run`: 125 netrt failed,
126 the command cannot be run, 127 there is no such command, else the command's own, 128 + N where signal N ended it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import click

from netrt.cli import options
from netrt.cli.report import for_each, report
from netrt.cli.session import Session, say
from netrt.errors import Conflict, InUse, Invalid, KernelRefused, NetrtError


@click.command(cls=options.DockerCommand, context_settings=options.RUN_CONTEXT)
@options.container_options
@click.option("-d", "--detach", is_flag=True, help="run in the background, print the id, keep the output for `logs`")
@click.option("-i", "--interactive", is_flag=True, help="accepted: in the foreground the input is always passed on")
@click.option("-t", "--tty", is_flag=True, help="accepted: in the foreground the terminal is always passed on")
@options.dry_run_option
@click.argument("command", nargs=-1, required=True)
@click.pass_obj
def run(
    session: Session,
    /,
    detach: bool,
    interactive: bool,
    tty: bool,
    dry_run: bool,
    command: tuple[str, ...],
    **asked: Any,
) -> int:
    """Create a container and run a command of this host in it."""
    from netrt.cli.wishes import container_wishes

    here = not detach and not dry_run
    made = ""
    try:
        wishes = container_wishes(**asked, command=command)
        if here and os.geteuid() != 0:
            raise Invalid("running in the foreground needs root", hint="members of group netrt can use -d")
        if here:
            session.client.meanwhile(lambda: import_module("netrt.cli.foreground"))
        if dry_run:
            import shlex

            say(session.client.create_container(**wishes, dry_run=True), dry_run=True)
            say(f"start {shlex.join(command)}")
            return 0
        with _interrupts_later():
            made = session.client.create_container(**wishes)
        if here:
            from netrt.cli.foreground import foreground

            return foreground(session, made)
        with _interrupts_later():
            session.client.start(made)
            say(made)
            made = ""  # it runs, so it stays whatever comes now
        return 0
    except KeyboardInterrupt:
        if made:
            _take_back(session, made)
        raise
    except NetrtError as error:
        from netrt.launch.program import OWN_FAILURE, NotStarted

        if made and _is_refusal(error):
            _take_back(session, made)
        report(str(error))
        return error.status if isinstance(error, NotStarted) else OWN_FAILURE


@contextlib.contextmanager
def _interrupts_later() -> Iterator[None]:
    """What the daemon is doing meanwhile is known when an interrupt is raised: at the end. A second one is raised at once."""
    came = False

    def note(*_: object) -> None:
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = True

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # it is ignored
        yield
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt


def _is_refusal(error: NetrtError) -> bool:
    """Whether the daemon would not have it run, e.g. for a port that is taken, so that nothing has become of it."""
    from netrt.launch.report import Refused

    return isinstance(error, InUse | Conflict | KernelRefused | Refused)


def _take_back(session: Session, made: str) -> None:
    """Remove what was created here, unless somebody started it meanwhile."""
    with contextlib.suppress(NetrtError):
        session.client.remove_container(made)


@click.command()
@options.dry_run_option
@options.containers_argument
@click.pass_obj
def start(session: Session, names: tuple[str, ...], dry_run: bool) -> None:
    """Start containers again, in the background, and print their names."""

    def act(name: str) -> None:
        plan = session.client.start(name, dry_run=dry_run)
        say(plan if dry_run else name, dry_run=dry_run)

    for_each(names, act)
