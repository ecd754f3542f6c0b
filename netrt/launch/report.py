"""Telling the daemon what became of a process.

One POST by hand on the unix socket: `http.client` would cost every supervisor 6 MB of memory and every start 25 ms of imports.
Nothing is read of the answer but its status."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping

_TIMEOUT = 30.0


def post(socket_path: str, path: str, body: Mapping[str, object]) -> int:
    """POST JSON and return the HTTP status. Raises OSError (also when the answer is none)."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: netrt\r\nConnection: close\r\nContent-Type: application/json\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_TIMEOUT)
        connection.connect(socket_path)
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        with connection.makefile("rb") as answer:
            words = answer.readline(200).split()
    if len(words) < 2 or not words[1].isdigit():
        raise ConnectionError("the daemon gave no answer")
    return int(words[1])


def started(socket_path: str, container_id: str, pid: int, start_ticks: int) -> int:
    """Report that a container's process 1 is there. Returns the HTTP status. Raises OSError."""
    return post(socket_path, f"/netrt/containers/{container_id}/started", {"Pid": pid, "StartTicks": start_ticks})


def exited(socket_path: str, container_id: str, exit_code: int, error: str = "") -> int:
    """Report that it has ended, or (with `error`) that it could not be started. Returns the HTTP status. Raises OSError."""
    body = {"ExitCode": exit_code, "Error": error}
    return post(socket_path, f"/netrt/containers/{container_id}/exited", body)
