"""`netrt capture`: the packets of a container or a network, live and in a file.

The daemon says where to listen; this process does, with the rights of whoever called it. It ends with --count, with Ctrl-C or
SIGTERM, or with the last interface, and then the file is whole, and the exit status 0."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from netrt.cli import options
from netrt.cli.report import report
from netrt.cli.session import Session

_LOOK = 0.25
"""Seconds after which it is looked whether it is to end, though nothing comes."""


@click.command()
@click.option(
    "-w",
    "--write",
    "file",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="write pcapng (- is the standard output)",
)
@click.option("-c", "--count", type=click.IntRange(1), help="end after so many packets")
@click.option("-q", "--quiet", is_flag=True, help="no line for each packet")
@click.argument("name", metavar="CONTAINER|NETWORK", type=options.OBJECT)
@click.argument("words", metavar="[FILTER]", nargs=-1)
@click.pass_obj
def capture(
    session: Session, name: str, words: tuple[str, ...], file: str | None, count: int | None, quiet: bool
) -> None:
    """Show the packets of a container or a network, a line for each, and write them to a file.

    FILTER is one of tcpdump's (`tcp port 80`). "<" is what the interface sends, ">" what comes in."""
    places = session.client.captures(name)
    logging.getLogger("scapy").setLevel(logging.ERROR)  # it speaks when it is imported
    from netrt.cli import packets
    from netrt.cli.ears import Ears

    lines = packets.compiled(" ".join(words))
    ears = Ears(places, lines)
    with contextlib.closing(ears), contextlib.ExitStack() as stack:
        written = stack.enter_context(contextlib.closing(packets.File(file))) if file else None
        shown = _to(sys.stderr) if file == "-" else _to(sys.stdout)
        ended = stack.enter_context(_until_told())
        progress = stack.enter_context(_progress(name, count, quiet))
        report(f"listening on {', '.join(place['Name'] for place in places)}")
        heard = 0
        while not ended() and not ears.over and heard != count:
            for packet in ears.hear(_LOOK):
                heard += 1
                if written:
                    written.write(packet)
                if not quiet:
                    shown(packets.summary(packet))
                if heard == count:
                    break
            if written:
                written.flush()
            progress(heard)
        missed, lost = ears.missed(), ears.lost
    gone = f"; gone: {', '.join(lost)}" if lost else ""
    report(
        f"{heard} packet{'s' * (heard != 1)}"
        + (f", {missed} missed, for there were too many at once" if missed else "")
        + gone
    )


def _to(stream: Any) -> Callable[[str], None]:
    return lambda line: click.echo(line, file=stream)


@contextlib.contextmanager
def _until_told() -> Iterator[Callable[[], bool]]:
    """Whether somebody asked for the end. A second Ctrl-C is as usual."""
    told: list[int] = []

    def note(number: int, frame: object) -> None:
        told.append(number)
        signal.signal(signal.SIGINT, before[0])

    before = [signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield lambda: bool(told)
    finally:
        for number, old in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, old)


@contextlib.contextmanager
def _progress(name: str, count: int | None, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal where packets are not shown."""
    if not quiet or not sys.stderr.isatty():
        yield lambda heard: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} packets"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=count)
        yield lambda heard: bar.update(task, completed=heard)
