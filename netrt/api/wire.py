"""HTTP/1.1 on a unix socket, the client's end: one request after the other on a connection, each as one message, for head and
body apart would wake the daemon twice. `httptools` reads the answers: the standard library's client takes 25 ms to import and
reads the head of each answer as it would read an e-mail."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator, Mapping

from httptools import HttpParserError, HttpResponseParser

from netrt.errors import Invalid, Unavailable

CHUNK = 65536


class Answer:
    """The head of an answer, and of its body what has come and was not taken yet. `headers` by names in lower case."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.begun = self.ended = False
        self._parser = HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Raises HttpParserError."""
        self._parser.feed_data(data)

    # called by the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.begun = True

    def on_body(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.ended = True


class Connection:
    """For one thread at a time. OSError and HttpParserError: it is of no use any more."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket: socket.socket | None = None

    def connect(self) -> None:
        """Raises Unavailable."""
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            made.connect(self.path)
        except OSError as error:
            made.close()
            raise refusal(self.path, error) from error
        self._socket = made

    def ask(self, method: str, target: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request, with `body` as JSON where there is one, and read the head of its answer. Raises Invalid, OSError,
        HttpParserError."""
        if " " in target or not target.isascii() or not target.isprintable():
            raise Invalid(f"{target[:60]!r} cannot be asked for")
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {target} HTTP/1.1", "Host: netrt"]
        if content:
            lines.append("Content-Type: application/json")
        if content or method == "POST":
            lines.append(f"Content-Length: {len(content)}")
        lines.extend(f"{name}: {value}" for name, value in (headers or {}).items())
        self._open.sendall("\r\n".join((*lines, "", "")).encode() + content)
        answer = Answer()
        while not answer.begun:
            self._more(answer)
        return answer

    def read(self, answer: Answer) -> bytes:
        """The whole body. Raises OSError, HttpParserError."""
        return b"".join(self.stream(answer))

    def stream(self, answer: Answer) -> Iterator[bytes]:
        """The body as it comes. Raises OSError, HttpParserError."""
        while True:
            yield from answer.pieces
            answer.pieces.clear()
            if answer.ended:
                return
            self._more(answer)

    def _more(self, answer: Answer) -> None:
        data = self._open.recv(CHUNK)
        if not data:
            raise ConnectionResetError("the daemon has ended the connection")
        answer.feed(data)

    @property
    def _open(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionResetError("not connected")
        return self._socket

    def stale(self) -> bool:
        """Whether the other side has closed meanwhile (nothing else is to be read between two requests)."""
        return self._socket is not None and bool(select.select([self._socket], [], [], 0)[0])

    def close(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket = None


Broken = (OSError, HttpParserError)
"""What is raised where a connection breaks, or what comes by it is no answer."""


def refusal(path: str, error: OSError) -> Unavailable:
    """Why nobody can be talked to at this socket."""
    if isinstance(error, PermissionError):
        return Unavailable(f"permission denied on {path}", hint="be root or a member of group netrt")
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return Unavailable(f"netrtd is not running: nobody listens at {path}", hint="start it: netrtd", retry=True)
    return Unavailable(f"cannot connect to {path}: {error.strerror or error}")
