"""netrtd's end: it tells netrt-dns names, and waits until they are served. Synchronous, for one thread.

Whoever is woken by a unix socket runs on the processor of who woke it, at once. So what is only begun is sent by a thread of its
own, which then waits: netrt-dns takes its place, and not that of who has other things to do meanwhile."""

from __future__ import annotations

import os
import socket
import struct
import time
from concurrent.futures import Future

import msgspec

from netrt.dns.difference import Change
from netrt.dns.zone import Names
from netrt.errors import Conflict, Unavailable
from netrt.resolver.messages import All, Frames, Message, Some, Taken, framed, read_taken
from netrt.threads import workers

PATIENCE = 5.0
"""Seconds that netrt-dns may take to serve what it is told."""

CHUNK = 65536


class Resolver:
    """netrt-dns, reached by a connection that is made when it is first needed and again after it broke."""

    def __init__(self, path: str, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        self._socket: socket.socket | None = None
        self._frames = Frames()
        self._sender = workers(1, "names")
        self._sending: Future[None] | None = None

    def take(self, names: Names) -> Taken:
        """Have these names served and no others. Raises Unavailable."""
        return self._said(All(names))

    def change(self, change: Change) -> Taken:
        """Have the present names served with a change. Raises Conflict where it does not fit them (`take` does), Unavailable."""
        self.begin(change)
        return self.finish()

    def begin(self, change: Change) -> None:
        """As `change`, which `finish` waits for. Raises Unavailable."""
        connection, message = self._connected(), framed(Some(change))
        self._sending = self._sender.submit(self._sent, connection, message)

    def finish(self) -> Taken:
        """The answer to what was begun. Raises Conflict, Unavailable."""
        sending, self._sending = self._sending, None
        try:
            if sending:
                sending.result()
        except OSError as error:
            raise self._mute(error) from error
        return self._answer()

    @property
    def absent(self) -> bool:
        """Whether nobody can be there."""
        return self._socket is None and not os.path.exists(self._path)

    def connect(self) -> int:
        """The process that serves: its number, which stays its own while the connection holds. Raises Unavailable."""
        connection = self._connected()
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[0])

    def fileno(self) -> int:
        """The connection's descriptor, which can be read when netrt-dns has ended; -1 where there is none."""
        return self._socket.fileno() if self._socket else -1

    def close(self) -> None:
        """Names go on being served."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        if self._socket is None:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            made.settimeout(self._patience)
            try:
                made.connect(self._path)
            except OSError as error:
                made.close()
                raise Unavailable(f"netrt-dns is not there: {self._path}: {_words(error)}", retry=True) from error
            self._socket, self._frames = made, Frames()
        return self._socket

    def _said(self, message: Message) -> Taken:
        self._send(message)
        return self._answer()

    def _send(self, message: Message) -> None:
        connection = self._connected()
        try:
            self._sent(connection, framed(message))
        except OSError as error:
            raise self._mute(error) from error

    def _sent(self, connection: socket.socket, message: bytes) -> None:
        connection.settimeout(self._patience)
        connection.sendall(message)

    def _answer(self) -> Taken:
        try:
            taken = self._read(self._connected())
        except (OSError, EOFError, ValueError, msgspec.MsgspecError) as error:
            raise self._mute(error) from error
        if taken.refused:
            raise Conflict(taken.refused)
        return taken

    def _mute(self, error: Exception) -> Unavailable:
        self.close()  # an answer that comes late would be taken for that to the next message
        return Unavailable(f"netrt-dns does not answer: {_words(error)}", retry=True)

    def _read(self, connection: socket.socket) -> Taken:
        deadline = time.monotonic() + self._patience
        while (body := self._frames.next()) is None:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            piece = connection.recv(CHUNK)
            if not piece:
                raise EOFError("it has ended")
            self._frames.add(piece)
        return read_taken(body)


def _words(error: Exception) -> str:
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
