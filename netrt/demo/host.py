"""The host that the demo plays on, and its outside: a namespace beyond an uplink, with a web server of its own."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape

HOST4, HOST6 = "192.0.2.1", "2001:db8::1"
OUTSIDE4, OUTSIDE6 = "192.0.2.2", "2001:db8::2"

TIER = (sys.executable, "-m", "netrt.demo.tier")
NETRT = str(Path(sys.executable).with_name("netrt"))

_UPLINK = f"""\
link set lo up
link add uplink type veth peer name eth0 netns outside
addr add {HOST4}/24 dev uplink
addr add {HOST6}/64 dev uplink nodad
link set uplink up
"""
_OUTSIDE = f"""\
link set lo up
addr add {OUTSIDE4}/24 dev eth0
addr add {OUTSIDE6}/64 dev eth0 nodad
link set eth0 up
route add default via {HOST4}
route add default via {HOST6}
"""
_ROUTES = f"""\
route add default via {OUTSIDE4}
route add default via {OUTSIDE6}
"""


class Failed(Exception):
    """A command of the demo failed; the text is what it said."""


def run(*argv: str, input: str | None = None) -> str:
    """Run a command and return what it printed. Raises Failed."""
    done = subprocess.run(argv, input=input, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{shlex.join(argv)}: exit status {done.returncode}\n{done.stdout}{done.stderr}".strip())
    return done.stdout


def shown(console: Console, *words: str, also: tuple[str, ...] = ()) -> str:
    """Show `$ netrt WORDS` and do it (with `also` behind, not shown). Returns what it printed. Raises Failed."""
    line = f"  [dim]$[/] [bold cyan]netrt[/] [cyan]{escape(shlex.join(words))}[/]{' …' if also else ''}"
    console.print(line, soft_wrap=True)
    return run(NETRT, *words, *also)


@contextlib.contextmanager
def outside() -> Iterator[None]:
    """Join the outside to this host, with a server on its port 80."""
    run("ip", "netns", "add", "outside")
    run("ip", "-batch", "-", input=_UPLINK)
    run("ip", "-n", "outside", "-batch", "-", input=_OUTSIDE)
    run("ip", "-batch", "-", input=_ROUTES)
    command = ["ip", "netns", "exec", "outside", *TIER, "serve", "outside"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            server.stdout.readline()
            yield
        finally:
            server.kill()


def listening(container: str) -> None:
    """Wait until the tier in a container says that it listens."""
    with subprocess.Popen([NETRT, "logs", "-f", container], stdout=subprocess.PIPE, text=True) as log:
        try:
            assert log.stdout is not None
            if "listening" not in log.stdout.readline():
                raise Failed(f"{container} ended before it listened")
        finally:
            log.kill()
