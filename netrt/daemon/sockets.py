"""The listening socket: the one that systemd hands over, or one that we make."""

from __future__ import annotations

import contextlib
import grp
import os
import socket

from netrt.errors import Unavailable

FIRST_INHERITED = 3
"""The number of the first descriptor of socket activation (sd_listen_fds(3))."""

LONGEST_PATH = 107
"""Bytes that a unix socket's path may have (unix(7))."""


def group_number(name: str) -> int | None:
    """The number of a group, None if there is no such group."""
    with contextlib.suppress(KeyError):
        return grp.getgrnam(name).gr_gid
    return None


def inherited() -> socket.socket | None:
    """The socket of socket activation, or None if we were not started so."""
    if os.environ.pop("LISTEN_PID", "") != str(os.getpid()) or os.environ.pop("LISTEN_FDS", "0") == "0":
        return None
    os.set_inheritable(FIRST_INHERITED, False)
    return socket.socket(fileno=FIRST_INHERITED)


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
