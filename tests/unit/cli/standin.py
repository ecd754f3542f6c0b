"""A daemon that knows nothing: it answers requests on a unix socket with what a test put there, and keeps what was asked."""

from __future__ import annotations

import contextlib
import json
import os
import socketserver
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

Route = tuple[str, str]


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


def filled(value: Any) -> Any:
    """What a body really says: without fields that are empty, which mean the same as none."""
    if isinstance(value, dict):
        return {key: said for key, held in value.items() if (said := filled(held)) or said is False}
    return value


@dataclass
class StandIn:
    """`answers` maps (method, path) to a status and a JSON value; anything else is answered with 404."""

    socket: str
    answers: dict[Route, tuple[int, Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def answer(self, method: str, path: str, value: Any, status: int = 200) -> None:
        self.answers[method, path] = status, value

    @property
    def changes(self) -> list[Asked]:
        """The requests that were no GET."""
        return [each for each in self.asked if each.method not in ("GET", "HEAD")]


@contextlib.contextmanager
def standin(socket: str) -> Iterator[StandIn]:
    """A stand-in at this socket for as long as the block lasts."""
    known = StandIn(socket)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self) -> None:
            url = urlsplit(self.path)
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = unquote(url.path).removeprefix("/v1.47")
            known.asked.append(Asked(self.command, path, dict(parse_qsl(url.query)), json.loads(text or b"null")))
            missing = 404, {"message": f"{path} is not known"}
            status, value = known.answers.get((self.command, path), missing)
            lines = value if isinstance(value, tuple) else (value,)
            body = b"" if status == 204 else "".join(json.dumps(line) + "\n" for line in lines).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Api-Version", "1.47")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")

        do_GET = do_POST = do_DELETE = do_HEAD = reply

        def log_message(self, format: str, *args: Any) -> None: ...

        def address_string(self) -> str:
            return "unix"

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client may leave without a word; its test has what it wanted."""
            if not isinstance(sys.exc_info()[1], ConnectionError):
                super().handle_error(request, client_address)

    known.answer("GET", "/_ping", "OK")
    known.answer("HEAD", "/_ping", "OK")
    os.makedirs(os.path.dirname(socket), exist_ok=True)
    with Server(socket, Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield known
        finally:
            server.shutdown()
            thread.join()
