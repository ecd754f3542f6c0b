"""HTTP/1.1 on a unix socket, the client's end: one request after the other on a connection, each as one message, for head and
body apart would wake the daemon twice. While the daemon works there is time: what reads its answer is loaded then.

`socket` would be 3 ms of each command, for enumerations of all that the kernel knows; what is done by it, `_socket` does."""

from __future__ import annotations

import _socket
import contextlib
import json
import select
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from netrt.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from netrt.api.reply import Answer

CHUNK = 65536


class Connection:
    """For one thread at a time. OSError: it is of no use any more."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket: _socket.socket | None = None

    def connect(self) -> None:
        """Raises Unavailable."""
        made = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            made.connect(self.path)
        except OSError as error:
            made.close()
            raise refusal(self.path, error) from error
        self._socket = made

    def ask(
        self,
        method: str,
        target: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        meanwhile: Callable[[], object] | None = None,
    ) -> Answer:
        """Send a request, with `body` as JSON where there is one, and read the head of its answer; do `meanwhile` in between.
        Raises Invalid, OSError."""
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
        from netrt.api.reply import Answer

        if meanwhile:
            with contextlib.suppress(Exception):  # it only saves time; who needs what could not be done meets it again
                meanwhile()
        answer = Answer()
        while not answer.begun:
            self._more(answer)
        return answer

    def read(self, answer: Answer) -> bytes:
        """The whole body. Raises OSError."""
        return b"".join(self.stream(answer))

    def stream(self, answer: Answer) -> Iterator[bytes]:
        """The body as it comes. Raises OSError."""
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
    def _open(self) -> _socket.socket:
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


def refusal(path: str, error: OSError) -> Unavailable:
    """Why nobody can be talked to at this socket."""
    if isinstance(error, PermissionError):
        return Unavailable(f"permission denied on {path}", hint="be root or a member of group netrt")
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return Unavailable(f"netrtd is not running: nobody listens at {path}", hint="start it: netrtd", retry=True)
    return Unavailable(f"cannot connect to {path}: {error.strerror or error}")
