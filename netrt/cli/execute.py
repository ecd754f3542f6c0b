"""`netrt exec`, `netrt stop` and `netrt logs`: what is about the process in a container."""

from __future__ import annotations

import os
import sys

import click

from netrt.cli import options
from netrt.cli.report import for_each, report
from netrt.cli.session import Session, say
from netrt.errors import Conflict, NetrtError

BROKEN_PIPE = 128 + 13
"""What a shell shows for a program that wrote to a reader that had gone."""


@click.command(name="exec", context_settings=options.RUN_CONTEXT)
@click.option("-e", "--env", multiple=True, metavar="KEY=VALUE", help="environment; KEY alone: as it is here")
@click.option("-w", "--workdir", default="", metavar="DIR", help="working directory inside")
@click.option("--privileged", is_flag=True, help="with all capabilities")
@click.option("-i", "--interactive", is_flag=True, help="accepted: the input is always passed on")
@click.option("-t", "--tty", is_flag=True, help="accepted: the terminal is always passed on")
@options.container_argument
@click.argument("command", nargs=-1, required=True)
@click.pass_obj
def execute(
    session: Session,
    container: str,
    command: tuple[str, ...],
    env: tuple[str, ...],
    workdir: str,
    privileged: bool,
    interactive: bool,
    tty: bool,
) -> int:
    """Run a command inside a container, and exit with its status.

    In a container that was made without a command it runs in the container's network, with its resolv.conf and hosts.
    """
    from netrt.launch.program import OWN_FAILURE, NotStarted

    given = [text if "=" in text else f"{text}={os.environ[text]}" for text in env if "=" in text or text in os.environ]
    try:
        return _inside(session, container, command, given, workdir, privileged)
    except NetrtError as error:
        report(str(error))
        return error.status if isinstance(error, NotStarted) else OWN_FAILURE


def _inside(
    session: Session, container: str, command: tuple[str, ...], env: list[str], workdir: str, privileged: bool
) -> int:
    from netrt.api.connection import segment
    from netrt.launch.foreground import hold_signals, wait
    from netrt.launch.launch import Launch
    from netrt.launch.start import start_more

    launch = Launch(session.client.request("GET", f"/netrt/containers/{segment(container)}/launch"))
    if launch.command and not launch.pid:
        raise Conflict(f"container {launch.name} is not running", hint=f"netrt start {launch.name}")
    terminal = os.environ.get("TERM") or "xterm"
    child = start_more(launch, command, env=env, cwd=workdir, privileged=privileged, terminal=terminal)
    child.ready()
    hold_signals()
    child.release()
    return wait(child.pid)


@click.command()
@click.option("-t", "--timeout", "--time", default=10, show_default=True, help="seconds until SIGKILL; -1: never")
@options.dry_run_option
@options.containers_argument
@click.pass_obj
def stop(session: Session, names: tuple[str, ...], timeout: int, dry_run: bool) -> None:
    """Stop containers by SIGTERM, then SIGKILL, and print their names."""

    def act(name: str) -> None:
        plan = session.client.stop(name, timeout=timeout, dry_run=dry_run)
        say(plan if dry_run else name, dry_run=dry_run)

    for_each(names, act)


class Tail(click.ParamType[int]):
    """A number of lines, or `all`, which is -1 here."""

    name = "N|all"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if text in ("all", "-1"):
            return -1
        return int(text) if text.isdecimal() else self.fail(f"{text!r} is neither a number nor all", param, ctx)


@click.command()
@click.option("-f", "--follow", is_flag=True, help="go on until the container ends")
@click.option("-n", "--tail", type=Tail(), default="all", help="only the last N lines")
@click.option("-t", "--timestamps", is_flag=True, help="begin each line with its time")
@options.container_argument
@click.pass_obj
def logs(session: Session, container: str, follow: bool, tail: int, timestamps: bool) -> int:
    """Show what a container printed that runs in the background (`run -d`, `start`)."""
    streams = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}
    lines = session.client.logs(container, follow=follow, tail=None if tail < 0 else tail, timestamps=timestamps)
    try:
        for stream, line in lines:
            streams[stream].write(line)
            streams[stream].flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter's end would complain
        return BROKEN_PIPE
    return 0
