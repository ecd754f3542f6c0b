"""What whole commands take, from the start of the process to its end."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from netrt.api.client import Client
from tests.bench.table import Row

ROUNDS = 30
PROGRAM = str(Path(sys.executable).with_name("netrt"))


def took(command: Sequence[str]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


def in_turn(*commands: Sequence[str]) -> list[float]:
    """The median of each."""
    rounds = [[took(command) for command in commands] for _ in range(ROUNDS + 2)][2:]
    return [statistics.median(figures) for figures in zip(*rounds, strict=True)]


def rows(client: Client) -> Iterator[Row]:
    """In a host with a daemon."""
    client.create_network("commands")
    run, bare, look, words, python, click = in_turn(
        [PROGRAM, "run", "--rm", "--network", "commands", "--", "true"],
        ["unshare", "-n", "true"],
        [PROGRAM, "network", "ls"],
        [PROGRAM, "--help"],
        [sys.executable, "-c", "import json, socket, subprocess"],
        [sys.executable, "-c", "import click, json, os; os._exit(0)"],
    )
    yield Row("netrt run -- true, beyond unshare -n true", (run - bare) / 60, 1.0, run - bare, 60)
    yield Row("of it: a start of Python, with click and json", click / (run - bare), 0, click, run - bare)
    yield Row("netrt network ls / 250 ms", look / 250, 1.0, look, 250)
    yield Row("netrt --help / 150 ms", words / 150, 1.0, words, 150)
    yield Row("netrt network ls / a bare Python", look / python, 0, look, python)
    client.remove_network("commands")
