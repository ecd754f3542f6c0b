"""The listening sockets: those that systemd hands over, or ones that we make."""

from __future__ import annotations

import contextlib
import grp
import os
import socket
from dataclasses import dataclass

from netrt.errors import Unavailable
from netrt.paths import Paths

FIRST_INHERITED = 3
"""The number of the first descriptor of socket activation (sd_listen_fds(3))."""

LONGEST_PATH = 107
"""Bytes that a unix socket's path may have (unix(7))."""


def group_number(name: str) -> int | None:
    """The number of a group, None if there is no such group."""
    with contextlib.suppress(KeyError):
        return grp.getgrnam(name).gr_gid
    return None


def inherited() -> list[socket.socket]:
    """The sockets of socket activation; none if we were not started so."""
    if os.environ.pop("LISTEN_PID", "") != str(os.getpid()):
        return []
    found = range(FIRST_INHERITED, FIRST_INHERITED + int(os.environ.pop("LISTEN_FDS", "0")))
    for number in found:
        os.set_inheritable(number, False)
    return [socket.socket(fileno=number) for number in found]


@dataclass(frozen=True, slots=True)
class Door:
    """A listening socket, and where it is if that is for us to take away."""

    listener: socket.socket
    ours: str = ""

    def close(self) -> None:
        """Let nobody else find it. Who is at it already is not concerned."""
        if self.ours:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.ours)


def doors(paths: Paths, group: int | None) -> tuple[Door, Door]:
    """For clients, and for the CNI program: of those that were handed over the latter is known by its name. Raises
    Unavailable."""
    handed = inherited()
    name = os.path.basename(paths.plugin_socket)
    by_name = {os.path.basename(listener.getsockname()) == name: Door(listener) for listener in reversed(handed)}
    return (
        by_name.get(False) or Door(listening(paths.socket, group), paths.socket),
        by_name.get(True) or Door(listening(paths.plugin_socket, group), paths.plugin_socket),
    )


def check_path(path: str) -> None:
    """Raises Unavailable where no socket can have this path."""
    if len(os.fsencode(_making(path))) > LONGEST_PATH:
        longest = LONGEST_PATH - len(_making(""))
        raise Unavailable(f"the path of the socket is too long: {path}", hint=f"at most {longest} bytes")


def _making(path: str) -> str:
    """The name under which a socket is made ready."""
    return f"{path}.new"


def listening(path: str, group: int | None) -> socket.socket:
    """Listen at `path`, for root and the group (mode 0660). One that is there already is replaced: who holds the lock is the only
    daemon. It appears under its name when it is ready. Raises Unavailable."""
    check_path(path)
    new = _making(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        before = os.umask(0o177)
        try:
            listener.bind(new)
        finally:
            os.umask(before)
        os.chown(new, -1, group if group is not None else -1)
        os.chmod(new, 0o660)
        listener.listen(1024)
        os.rename(new, path)
    except OSError as error:
        listener.close()
        raise Unavailable(f"cannot listen at {path}: {error.strerror}") from error
    return listener
