"""The command line in this process, with a stand-in for its daemon."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from netrt.cli.main import execute
from tests.unit.cli.standin import StandIn, standin


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


Netrt = Callable[..., Result]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[StandIn]:
    with standin(str(tmp_path / "netrt.sock")) as running:
        yield running


@pytest.fixture
def netrt(
    daemon: StandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """`netrt("network", "ls")` runs one command line against the stand-in."""

    def run(*argv: str, input: str = "") -> Result:
        monkeypatch.setattr("sys.stdin", io.StringIO(input))
        status = execute(["--socket", daemon.socket, *argv])
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run
