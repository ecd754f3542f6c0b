"""What the client makes of answers, whole or not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from netrt.api.wire import Connection
from netrt.errors import Invalid, Unavailable


class Peer:
    """Who sits at the other end of the connection."""

    def __init__(self, path: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen()
        self.connection = Connection(str(path))
        self.connection.connect()
        self.socket, _ = self.listener.accept()

    def says(self, *pieces: bytes) -> None:
        """At once, and that is all."""
        for piece in pieces:
            self.socket.sendall(piece)
        self.socket.shutdown(socket.SHUT_WR)


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    made = Peer(tmp_path / "socket")
    with made.listener, made.socket, closing(made.connection):
        yield made


def test_a_request_is_one_message(peer: Peer) -> None:
    peer.says(b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n")
    answer = peer.connection.ask("POST", "/a%20b?c=d", {"e": "ü"}, {"Netrt-Trace": "1"})
    assert (answer.status, answer.headers, peer.connection.read(answer)) == (204, {"x-a": "b"}, b"")
    assert peer.socket.recv(4096) == (
        b"POST /a%20b?c=d HTTP/1.1\r\nHost: netrt\r\nContent-Type: application/json\r\nContent-Length: 15\r\n"
        b'Netrt-Trace: 1\r\n\r\n{"e": "\\u00fc"}'
    )


def test_there_is_time_while_the_answer_is_awaited(peer: Peer) -> None:
    peer.says(b"HTTP/1.1 204 No Content\r\n\r\n")
    heard: list[bytes] = []
    assert peer.connection.ask("GET", "/", meanwhile=lambda: heard.append(peer.socket.recv(4096))).status == 204
    assert heard == [b"GET / HTTP/1.1\r\nHost: netrt\r\n\r\n"]


def test_a_body_in_chunks_comes_as_it_is_sent(peer: Peer) -> None:
    peer.socket.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
    stream = peer.connection.stream(peer.connection.ask("GET", "/events"))
    assert next(stream) == b"first"
    peer.socket.sendall(b"6\r\nsecond\r\n0\r\n\r\n")
    assert list(stream) == [b"second"]
    assert not peer.connection.stale()


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", b"SSH-2.0-netrt\r\n", b"\0" * 100],
)
def test_what_is_not_a_whole_answer_breaks_the_connection(peer: Peer, said: bytes) -> None:
    peer.says(said)
    with pytest.raises(ConnectionError):
        peer.connection.read(peer.connection.ask("GET", "/"))


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/ü", "/\x7f"])
def test_nothing_else_goes_into_the_head(peer: Peer, target: str) -> None:
    with pytest.raises(Invalid):
        peer.connection.ask("GET", target)


def test_whoever_has_gone_is_noticed(peer: Peer) -> None:
    assert not peer.connection.stale()
    peer.socket.close()
    assert peer.connection.stale()
    peer.connection.close()
    with pytest.raises(ConnectionError):
        peer.connection.ask("GET", "/")
    peer.listener.close()
    with pytest.raises(Unavailable, match="nobody listens at"):
        peer.connection.connect()
