"""Docker's ways to write ports, ages and columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netrt.cli import show


def port(public: int, private: int, ip: str = "0.0.0.0", protocol: str = "tcp") -> dict[str, object]:
    return {"IP": ip, "PublicPort": public, "PrivatePort": private, "Type": protocol}


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], ""),
        ([port(8080, 80)], "0.0.0.0:8080->80/tcp"),
        ([port(8080, 80, "::")], "[::]:8080->80/tcp"),
        ([port(8081, 81), port(8080, 80), port(8082, 82)], "0.0.0.0:8080-8082->80-82/tcp"),
        ([port(8080, 80), port(8081, 82)], "0.0.0.0:8080->80/tcp, 0.0.0.0:8081->82/tcp"),
        ([port(53, 53, protocol="udp"), port(53, 53)], "0.0.0.0:53->53/tcp, 0.0.0.0:53->53/udp"),
        ([{"PrivatePort": 80, "Type": "tcp"}, {"PrivatePort": 81, "Type": "tcp"}], "80-81/tcp"),
        ([port(8080, 80, "127.0.0.1"), port(8081, 81)], "0.0.0.0:8081->81/tcp, 127.0.0.1:8080->80/tcp"),
    ],
)
def test_ports_text(ports: list[dict[str, object]], text: str) -> None:
    assert show.ports_text(ports) == text


def test_ten_thousand_ports_are_one_range() -> None:
    assert show.ports_text([port(n, n) for n in range(20000, 30000)]) == "0.0.0.0:20000-29999->20000-29999/tcp"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "Less than a second"),
        (1.9, "1 second"),
        (59.9, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (5400, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_duration(seconds: float, words: str) -> None:
    assert show.duration(seconds) == words


@given(st.floats(min_value=0, max_value=1e10))
def test_every_age_has_words(seconds: float) -> None:
    assert show.duration(seconds)


def test_a_terminal_shows_what_a_pipe_shows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"ID": "ID", "Name": "NAME"}
    rows = [{"ID": "1", "Name": "[bold]web[/bold]"}, {"ID": "22", "Name": ""}]
    show.listing(rows, columns, "table", quiet=False)
    piped = capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    show.listing(rows, columns, "table", quiet=False)
    drawn = capsys.readouterr().out
    assert [line.split() for line in drawn.splitlines()] == [line.split() for line in piped.splitlines()]
    assert piped == "ID        NAME\n1         [bold]web[/bold]\n22\n"
