"""Telling the daemon what became of a process.

One POST by hand on the unix socket: `http.client` would cost every supervisor 6 MB of memory and every start 25 ms of imports,
`socket` still 3 ms.
Each connection carries one request; the daemon closes it after its answer."""

from __future__ import annotations

import _socket
import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Mapping

from netrt.errors import Unavailable
from netrt.launch.enter import start_ticks
from netrt.launch.launch import Launch
from netrt.launch.logfile import timestamp
from netrt.launch.spawn import Child

_TIMEOUT = 30.0
_CHUNK = 8192

ANSWER_WITHIN = 10.0
"""Seconds in which a daemon that ended over a report has to come back, and say whether it noted that."""

_PAUSE = 0.05


def post(socket_path: str, path: str, body: Mapping[str, object]) -> str:
    """POST JSON. Returns an empty text when it was accepted, else the daemon's reason. Raises OSError (also for no answer)."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: netrt\r\nConnection: close\r\nContent-Type: application/json\r\n"
    with contextlib.closing(_socket.socket(_socket.AF_UNIX)) as connection:
        connection.settimeout(_TIMEOUT)
        connection.connect(socket_path)
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        pieces = []
        while piece := connection.recv(_CHUNK):
            pieces.append(piece)
    answer, _, said = b"".join(pieces).partition(b"\r\n\r\n")
    words = answer.split(maxsplit=2)
    if len(words) < 2:
        raise ConnectionError("no answer")
    return "" if words[1].startswith(b"2") else _reason(said) or f"HTTP status {words[1].decode()}"


def _reason(said: bytes) -> str:
    try:
        return str(json.loads(said)["message"])
    except (ValueError, KeyError, TypeError):
        return ""


class Refused(Unavailable):
    """The daemon does not want this process to run, e.g. because the container has one already."""


def let_go(child: Child, launch: Launch) -> None:
    """Tell the daemon of a container's process 1, and let it run. Raises NotStarted; Unavailable where the daemon does not
    answer, Refused where it says no, KeyboardInterrupt where one was held until now. Nothing runs then."""
    child.ready()
    if signal.SIGINT in signal.sigpending():
        child.abandon()
        raise KeyboardInterrupt
    noted = {"Pid": child.pid, "StartTicks": start_ticks(child.pid)}
    try:
        refusal = _until_answered(launch.socket, f"/netrt/containers/{launch.id}/started", noted)
    except OSError as error:
        child.abandon()
        raise Unavailable(f"the daemon does not answer at {launch.socket}: {error.strerror or error}") from error
    if refusal:
        child.abandon()
        raise Refused(refusal)
    child.release()


def _until_answered(socket_path: str, path: str, body: Mapping[str, object]) -> str:
    """As `post`; but where the daemon ends over the request, which may be noted by then, the next one is asked. Where nobody
    listened in the first place, nothing can be noted."""
    asked, deadline = False, time.monotonic() + ANSWER_WITHIN
    while True:
        try:
            return post(socket_path, path, body)
        except OSError as error:
            asked = asked or not isinstance(error, FileNotFoundError | ConnectionRefusedError)
            if not asked or time.monotonic() > deadline:
                raise
        select.select((), (), (), _PAUSE)


def tell_end(launch: Launch, status: int, error: str = "") -> None:
    """Tell the daemon that the process has ended, or (with `error`) that it could not be started; or write it into `exit.json`
    in the container's directory, where a daemon finds it that is away now."""
    with contextlib.suppress(OSError):
        if not post(launch.socket, f"/netrt/containers/{launch.id}/exited", {"ExitCode": status, "Error": error}):
            return
    end = {"ExitCode": status, "Error": error, "FinishedAt": timestamp(time.time_ns())}
    with contextlib.suppress(OSError):
        with open(f"{launch.directory}/exit.json.new", "w", encoding="utf-8") as file:
            json.dump(end, file)
        os.rename(f"{launch.directory}/exit.json.new", f"{launch.directory}/exit.json")
