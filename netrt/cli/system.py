"""`netrt version`, `netrt events`, `netrt metrics`, `netrt daemon …`: about netrt itself."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from netrt.cli import options
from netrt.cli.lazy import CONTEXT
from netrt.cli.session import Session
from netrt.errors import Unavailable

STOP_SECONDS = 15


@click.command()
@options.format_option
@click.pass_obj
def version(session: Session, form: str) -> None:
    """Show the versions of client and daemon. Does not start the daemon."""
    from netrt import __version__

    server = _running(session, "/version")
    if form == "json":
        click.echo(json.dumps({"Client": {"Version": __version__}, "Server": server}))
        return
    click.echo(f"Client: netrt {__version__}")
    if server is None:
        click.echo("Server: not running")
    else:
        click.echo(f"Server: netrtd {server['Version']}, API {server['ApiVersion']}, Linux {server['KernelVersion']}")


def _running(session: Session, path: str) -> Any:
    """What a running daemon answers, or None where none runs. Raises Unavailable where we may not ask."""
    try:
        return session.bystander.request("GET", path)
    except Unavailable as error:
        if not error.retry:
            raise
        return None


# events


@click.command()
@click.option(
    "--since", default="", metavar="TIME", help="also what happened since: 10m, a date, or seconds since 1970"
)
@click.option("--until", default="", metavar="TIME", help="end then")
@options.filter_option
@options.format_option
@click.pass_obj
def events(session: Session, since: str, until: str, filters: options.Pairs, form: str) -> None:
    """Show what happens, as it happens."""
    for event in session.client.events(options.filters_of(filters), since=since, until=until):
        click.echo(json.dumps(event) if form == "json" else _event_text(event))


def _event_text(event: Mapping[str, Any]) -> str:
    seconds, nanoseconds = divmod(event["timeNano"], 10**9)
    when = datetime.fromtimestamp(seconds).astimezone().isoformat()
    day, zone = when[:19], when[19:]
    actor = event["Actor"]
    attributes = ", ".join(f"{key}={value}" for key, value in sorted(actor["Attributes"].items()))
    return f"{day}.{nanoseconds:09}{zone} {event['Type']} {event['Action']} {actor['ID']} ({attributes})"


@click.command()
@click.pass_obj
def metrics(session: Session) -> None:
    """Show what the daemon counts, as Prometheus reads it."""
    click.echo(session.client.request("GET", "/netrt/metrics"), nl=False)


# the daemon


@click.group(context_settings=CONTEXT)
def daemon() -> None:
    """Look at or stop the daemon."""


@daemon.command()
@options.format_option
@click.pass_obj
def status(session: Session, form: str) -> None:
    """Show whether the daemon runs, and for what. Exit status 1 where it does not."""
    info = _running(session, "/info")
    if info is None:
        click.echo("null" if form == "json" else f"netrtd is not running (socket {session.socket})")
        click.get_current_context().exit(1)
    pid = daemon_pid(session)
    if form == "json":
        click.echo(json.dumps({**info, "Pid": pid}))
        return
    click.echo(f"netrtd {info['ServerVersion']} is running" + (f" as process {pid}" if pid else ""))
    click.echo(f"Socket: {session.socket}")
    click.echo(f"State: {info['DockerRootDir']}")
    click.echo(f"Containers: {info['Containers']}, {info['ContainersRunning']} of them running")
    click.echo(f"Networks: {info['Networks']}")


@daemon.command()
@click.pass_obj
def stop(session: Session) -> None:
    """End the daemon. Containers and their traffic go on. Where none runs, there is nothing to do."""
    if _running(session, "/_ping") is None:
        click.echo("netrt: netrtd is not running", err=True)
        return
    pid = daemon_pid(session)
    if not pid:
        raise Unavailable("netrtd can be stopped by root only, and not by its socket", hint="as root, use --root DIR")
    descriptor = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        ended, _, _ = select.select([descriptor], [], [], STOP_SECONDS)
    finally:
        os.close(descriptor)
    if not ended:
        raise Unavailable(f"netrtd (process {pid}) has not ended within {STOP_SECONDS} s")


def daemon_pid(session: Session) -> int:
    """The process that holds the daemon's lock and wrote its number there; only to be asked while the daemon answers. 0 where
    that may not be read, or where `--socket` names the daemon of who knows which directory."""
    if session.socket != session.paths.socket:
        return 0
    try:
        with open(session.paths.lock, encoding="ascii") as lock:
            return int(lock.read())
    except PermissionError:
        return 0
