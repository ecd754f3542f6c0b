"""What is needed to start or enter a container, and what is reported of its process (`/netrt/containers/…`)."""

from __future__ import annotations

from typing import Any

from netrt.api.schema.body import Body, decode
from netrt.api.schema.containers import shown_hostname
from netrt.errors import Invalid
from netrt.model.container import Container, ProcessSpec
from netrt.paths import Paths


class StartedBody(Body, frozen=True, kw_only=True):
    """POST …/started: the process 1 of the container, as the host sees it, and field 22 of its /proc/PID/stat."""

    pid: int
    start_ticks: int


class ExitedBody(Body, frozen=True, kw_only=True):
    """POST …/exited: 128 + N where signal N ended it; `error` says why it could not be started."""

    exit_code: int
    error: str | None = None


def launch_json(container: Container, paths: Paths) -> dict[str, Any]:
    """GET …/launch, and the file that the supervisor reads."""
    process = container.process or ProcessSpec(command=())
    return {
        "Id": container.id,
        "Name": container.name,
        "Netns": container.sandbox.path,
        "Inode": container.sandbox.inode,
        "Hostname": shown_hostname(container),
        "Directory": paths.container(container.id),
        "Command": process.command,
        "Env": process.env,
        "Cwd": process.cwd,
        "CapAdd": process.cap_add,
        "CapDrop": process.cap_drop,
        "ReadOnly": process.read_only,
        "AutoRemove": process.auto_remove,
        "Log": paths.log(container.id),
        "Socket": paths.socket,
        "Pid": container.state.pid,
        "StartTicks": container.state.start_ticks,
    }


def started(body: bytes) -> StartedBody:
    """Raises Invalid."""
    asked = decode(StartedBody, body)
    if not (0 < asked.pid < 1 << 31 and 0 <= asked.start_ticks < 1 << 63):
        raise Invalid("fields Pid and StartTicks are not those of a process")
    return asked


def exited(body: bytes) -> ExitedBody:
    """Raises Invalid."""
    asked = decode(ExitedBody, body)
    if not 0 <= asked.exit_code < 256:
        raise Invalid(f"field ExitCode: {asked.exit_code} is not 0 to 255")
    return asked
