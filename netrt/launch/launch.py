"""What is needed to start or enter a container, as the daemon tells it (`GET /netrt/containers/REF/launch`).

No typing, no dataclass: each supervisor, one per detached container, would carry them in its memory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from netrt.errors import Invalid

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Launch:
    """`netns` is the path of the sandbox, empty for the host's own, and `inode` the number of one that we did not make, or 0;
    `directory` holds the container's resolv.conf, hosts and hostname; `pid` is its process 1 as the host sees it and 0 when none
    runs, `start_ticks` when that began (field 22 of /proc/PID/stat); `socket` is the daemon's, unless told the one in the run
    directory that `directory` lies in."""

    def __init__(self, value: Mapping[str, object]) -> None:
        """From the decoded JSON. Raises Invalid for a value of the wrong kind."""
        self.id = _text(value, "Id")
        self.name = _text(value, "Name")
        self.netns = _text(value, "Netns")
        self.inode = _number(value, "Inode")
        self.hostname = _text(value, "Hostname")
        self.directory = _text(value, "Directory")
        self.command = _texts(value, "Command")
        self.env = _texts(value, "Env")
        self.cwd = _text(value, "Cwd") or "/"
        self.cap_add = _texts(value, "CapAdd")
        self.cap_drop = _texts(value, "CapDrop")
        self.read_only = bool(value.get("ReadOnly"))
        self.log = _text(value, "Log")
        self.socket = _text(value, "Socket") or f"{os.path.dirname(os.path.dirname(self.directory))}/netrt.sock"
        self.pid = _number(value, "Pid")
        self.start_ticks = _number(value, "StartTicks")

    def environment(self, terminal: str = "xterm", more: Sequence[str] = ()) -> dict[str, str]:
        """The environment of a process in the container: what every one has, the container's own, then `more` (KEY=VALUE)."""
        start = {"PATH": PATH, "HOME": "/root", "HOSTNAME": self.hostname, "TERM": terminal}
        given = (text.partition("=") for text in (*self.env, *more))
        return start | {key: value for key, _, value in given if key}


def _text(value: Mapping[str, object], key: str) -> str:
    found = value.get(key) or ""
    if not isinstance(found, str):
        raise Invalid(f"launch: {key} is not a text")
    return found


def _number(value: Mapping[str, object], key: str) -> int:
    found = value.get(key) or 0
    if not isinstance(found, int):
        raise Invalid(f"launch: {key} is not a number")
    return found


def _texts(value: Mapping[str, object], key: str) -> tuple[str, ...]:
    found = value.get(key) or ()
    if not isinstance(found, list | tuple) or not all(isinstance(text, str) for text in found):
        raise Invalid(f"launch: {key} is not a list of texts")
    return tuple(found)
