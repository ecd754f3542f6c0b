"""The client's end of the socket: one connection kept open for requests, one more for each stream. Every run of the command line
pays for what is imported here."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import netrt.errors
from netrt.api.wire import Connection
from netrt.errors import Invalid, NetrtError, Unavailable
from netrt.paths import ROOT_VARIABLE, Paths

if TYPE_CHECKING:
    from netrt.api.reply import Answer

NOTHING: Mapping[str, str] = {}

_TRACE = "Netrt-Trace"
_BY_STATUS = {400: "Invalid", 403: "InUse", 404: "NotFound", 409: "Conflict", 503: "Unavailable"}


class Transport:
    """Requests to the daemon; where nobody listens, and no `socket` was named, it is started. For one thread at a time."""

    def __init__(self, socket: str | None, root: str | None) -> None:
        root = root or os.environ.get(ROOT_VARIABLE) or None
        self.path = socket or Paths.under(root).socket
        self._on_demand = None if socket else root or ""
        self._kept: Connection | None = None
        self.traced: Callable[[str, float, list[Any]], None] | None = None
        """Told of each request where its time went: which one it was, milliseconds from here, and the daemon's spans."""
        self.meanwhile: Callable[[], object] | None = None
        """Done once, while the daemon works on the next request."""

    def request(self, method: str, path: str, query: Mapping[str, str] = NOTHING, body: Any = None) -> Any:
        """Ask, and return the decoded JSON of the answer, None where it has no body. A question (GET) that a daemon took with it
        to its end is asked once more, of the next one. Raises NetrtError."""
        check_utf8(query)
        check_utf8(body)
        return self._answered(method, path, query, body, again=method == "GET")

    def _answered(self, method: str, path: str, query: Mapping[str, str], body: Any, *, again: bool) -> Any:
        connection = self._kept
        if connection is None or connection.stale():
            self.close()
            connection = self._kept = self._connected()
        began = time.perf_counter()
        meanwhile, self.meanwhile = self.meanwhile, None
        try:
            answer = connection.ask(method, _target(path, query), body, {_TRACE: "1"} if self.traced else {}, meanwhile)
            content = connection.read(answer)
        except NetrtError:
            raise
        except OSError as error:
            self.close()
            if again:
                return self._answered(method, path, query, body, again=False)
            raise Unavailable(
                f"netrtd at {self.path} ended before it answered", hint="see its log", retry=True
            ) from error
        except BaseException:  # interrupted: what comes next on this connection would be the answer to this
            self.close()
            raise
        if self.traced:
            took = (time.perf_counter() - began) * 1000
            self.traced(f"{method} {path}", took, json.loads(answer.headers.get(_TRACE.lower()) or "[]"))
        return _decoded(answer, content)

    def stream(self, path: str, query: Mapping[str, str] = NOTHING) -> Iterator[bytes]:
        """The bytes of an answer as they come, until it ends. Raises NetrtError."""
        connection = self._connected()
        try:
            answer = connection.ask("GET", _target(path, query))
            if answer.status >= 300:
                _decoded(answer, connection.read(answer))
            yield from connection.stream(answer)
        except OSError as error:
            raise Unavailable(f"netrtd at {self.path} ended", retry=True) from error
        finally:
            connection.close()

    def close(self) -> None:
        if self._kept:
            self._kept.close()
        self._kept = None

    def _connected(self) -> Connection:
        connection = Connection(self.path)
        try:
            connection.connect()
        except Unavailable as error:
            if self._on_demand is None or not error.retry:
                raise
            _start_daemon(self._on_demand)
            connection.connect()
        return connection


_WORDS = {"Cmd": "argument", "Env": "variable", "": "name"}
"""What some fields are called on a command line."""


def check_utf8(value: object, field: str = "") -> None:
    """Raises Invalid where a text of a request, whichever, came from bytes that are not UTF-8: JSON has no such texts."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Invalid(f"{_WORDS.get(field, field)} {value[:80]!r} is not UTF-8") from None
    elif isinstance(value, Mapping):
        for key, each in value.items():
            check_utf8(key, field)
            check_utf8(each, key)
    elif isinstance(value, list | tuple):
        for each in value:
            check_utf8(each, field)


_PLAIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"


def segment(text: str) -> str:
    """A part of a path. What quotes it is loaded where it is needed: names and ids stand as they are. Raises Invalid."""
    if not text.strip(_PLAIN):
        return text
    check_utf8(text)
    from urllib.parse import quote

    return quote(text, safe="")


def list_of(name: str, values: Sequence[Any]) -> list[Any]:
    """What an argument holds that is to be several. Raises Invalid for a text alone, whose letters nobody means."""
    if isinstance(values, str | bytes):
        raise Invalid(f"{name}: {values[:40]!r} is one text, where a list of them is meant", hint=f"[{values[:40]!r}]")
    return list(values)


def _target(path: str, query: Mapping[str, str]) -> str:
    if not query:
        return path
    from urllib.parse import urlencode

    return f"{path}?{urlencode(query)}"


def _decoded(answer: Answer, content: bytes) -> Any:
    if answer.status < 400:
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return json.loads(content) if is_json and content else content.decode() or None
    try:
        said = json.loads(content)
    except ValueError:
        said = {"message": f"HTTP status {answer.status}"}
    raise error_of(answer.status, said)


def error_of(status: int, said: Mapping[str, Any]) -> NetrtError:
    """The error that an answer tells of: of our own daemon the same one that was raised there, of another by its status."""
    more = said.get("Netrt") or {}
    message, hint = more.get("Message", said.get("message", "")), more.get("Hint", "")
    if more.get("Error") == "NotStarted":
        from netrt.launch.program import NotStarted

        return NotStarted(message, int(more.get("ExitStatus", 125)))
    kind = getattr(netrt.errors, more.get("Error") or _BY_STATUS.get(status, "KernelRefused"), Unavailable)
    error = kind(message, hint=hint, retry=bool(more.get("Retry")))
    assert isinstance(error, NetrtError)
    return error


def _start_daemon(root: str) -> None:
    """In a process of its own, which ends when the daemon is ready; its stderr is for the user. Raises Unavailable."""
    import subprocess

    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = "import sys; sys.path.insert(0, sys.argv[1]); from netrt.daemon.ondemand import main; main(sys.argv[2])"
    done = subprocess.run([sys.executable, "-c", code, top, root], check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Unavailable(done.stdout.strip() or "netrtd could not be started", hint="see what it said")
