"""netrt-dns's end of the control socket: names come in, and are acknowledged when they are served. For root only.

Rule: the names stay when who told them is gone, and are then written to a file for the next start of this process."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
from collections.abc import Callable

import msgspec

from netrt import __version__
from netrt.errors import NetrtError, Unavailable
from netrt.resolver.loop import READ, Loop
from netrt.resolver.messages import All, Frames, Message, Taken, framed, read_message
from netrt.resolver.server import Server

BACKLOG = 16
CHUNK = 262_144
ACKNOWLEDGED_WITHIN = 1.0
"""Seconds that netrtd may take to read what it is told; it waits for it."""

_log = logging.getLogger(__name__)


class Control:
    """Listens, and does what is said. `changed` is called after other names are served, `left` when netrtd is gone."""

    def __init__(
        self, loop: Loop, server: Server, path: str, changed: Callable[[], None], left: Callable[[], None]
    ) -> None:
        """Raises Unavailable."""
        self._loop = loop
        self._server = server
        self._path = path
        self._changed = changed
        self._left = left
        self._listener = _listening(path)
        self._connections: dict[socket.socket, Frames] = {}
        loop.watch(self._listener.fileno(), READ, self._accept)

    def close(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        for connection in list(self._connections):
            self._end(connection)

    def _accept(self, _: int) -> None:
        try:
            connection, _address = self._listener.accept()
        except OSError:
            return
        if _user(connection) != 0:
            connection.close()
            return
        connection.setblocking(False)
        self._connections[connection] = Frames()
        self._loop.watch(connection.fileno(), READ, lambda _: self._read(connection))

    def _end(self, connection: socket.socket) -> None:
        del self._connections[connection]
        self._loop.forget(connection.fileno())
        connection.close()

    def _read(self, connection: socket.socket) -> None:
        frames = self._connections[connection]
        try:
            piece = connection.recv(CHUNK)
            frames.add(piece)
            while (body := frames.next()) is not None:
                self._acknowledge(connection, self._do(read_message(body)))
        except BlockingIOError:
            return
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            _log.warning("netrtd is not understood: %s", error)
            piece = b""
        if not piece:
            self._end(connection)
            self._left()

    def _do(self, message: Message) -> Taken:
        server = self._server
        try:
            errors = server.take(message.names) if isinstance(message, All) else server.change(message.change)
        except NetrtError as error:
            return Taken(mark=server.names.mark, version=__version__, refused=str(error))
        self._changed()
        return Taken(mark=server.names.mark, version=__version__, errors=errors)

    def _acknowledge(self, connection: socket.socket, taken: Taken) -> None:
        connection.settimeout(ACKNOWLEDGED_WITHIN)
        connection.sendall(framed(taken))
        connection.setblocking(False)


def _user(connection: socket.socket) -> int:
    """Who is at the other end."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def _listening(path: str) -> socket.socket:
    """Listen at `path`, for root only. One that is there already is replaced: who holds the lock is the only server."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    before = os.umask(0o177)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        listener.bind(path)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Unavailable(f"cannot listen at {path}: {error.strerror or error}") from error
    finally:
        os.umask(before)
    return listener
