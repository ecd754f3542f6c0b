"""What becomes of a request whose daemon ends before it answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from netrt.api.client import Client
from netrt.errors import Unavailable

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"


class Mortals:
    """Daemons, each of which takes one request: so many end before they answer it, the next answers."""

    def __init__(self, path: str, ending: int) -> None:
        self.heard: list[bytes] = []
        self._ending = ending
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                request = connection.recv(4096)
                if not request:
                    return
                self.heard.append(request.partition(b"\r\n")[0])
                if len(self.heard) > self._ending:
                    connection.sendall(ANSWER)

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self._listener.getsockname())
        self._thread.join(10)
        self._listener.close()


@pytest.fixture
def mortals(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Mortals]:
    with closing(Mortals(str(tmp_path / "socket"), request.param)) as made:
        yield made


@pytest.mark.parametrize("mortals", [1], indirect=True)
def test_a_question_is_asked_once_more(mortals: Mortals, tmp_path: Path) -> None:
    with Client(socket=str(tmp_path / "socket")) as client:
        assert client.networks() == []
    assert mortals.heard == [b"GET /networks HTTP/1.1"] * 2


@pytest.mark.parametrize("mortals", [2], indirect=True)
def test_but_not_for_ever(mortals: Mortals, tmp_path: Path) -> None:
    with (
        Client(socket=str(tmp_path / "socket")) as client,
        pytest.raises(Unavailable, match="ended before it answered"),
    ):
        client.networks()
    assert len(mortals.heard) == 2


@pytest.mark.parametrize("mortals", [1], indirect=True)
def test_what_changes_something_is_asked_once(mortals: Mortals, tmp_path: Path) -> None:
    with (
        Client(socket=str(tmp_path / "socket")) as client,
        pytest.raises(Unavailable, match="ended before it answered"),
    ):
        client.remove_network("app")
    assert mortals.heard == [b"DELETE /networks/app HTTP/1.1"]
