"""Connections from sandboxes: messages behind their lengths, several in a row if the client likes (RFC 7766).

Rule 1: what a connection may hold is bounded: one message that comes in, answers up to a limit that go out; who does not read
its answers is not read from. Rule 2: a message that is not whole in time, or an answer that is not taken, ends the connection.
Rule 3: where there are too many, the one that was longest without a question makes room for a new one."""

from __future__ import annotations

import contextlib
import errno
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from netrt.dns.query import LONGEST
from netrt.resolver.loop import GONE, READ, WRITE, Loop

MOST, MOST_OF_ONE = 4096, 64
"""Connections, of all sandboxes and of one."""
PATIENCE = 5.0
"""Seconds for a message to come, or for some of an answer to be taken."""
WAITING = 32
"""Answers of one connection that may be under way."""
UNSENT = 128 * 1024
"""While so many bytes wait to be sent, no more questions are read."""
FULL = 1.0
"""Seconds without new connections where no more descriptors can be had."""

_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Asked(Protocol):
    """Who answers what comes over the connections of one sandbox."""

    def share(self) -> int:
        """How much may still be done for this sandbox in this turn of the loop."""

    def answer(self, message: bytes, deliver: Callable[[bytes | None], None]) -> None:
        """`deliver` is called once, with the answer or with None where there is none to give."""


class Streams:
    """Connections, the one that asked last at the end."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: OrderedDict[Stream, None] = OrderedDict()

    def add(self, stream: Stream) -> None:
        if len(self._open) >= self._most:
            next(iter(self._open)).close()
        self._open[stream] = None

    def touch(self, stream: Stream) -> None:
        self._open.move_to_end(stream)

    def remove(self, stream: Stream) -> None:
        del self._open[stream]

    def close(self) -> None:
        for stream in list(self._open):
            stream.close()


class Listener:
    """Takes the connections of one sandbox."""

    def __init__(self, loop: Loop, everybodys: Streams, listening: socket.socket, asked: Asked) -> None:
        self._loop = loop
        self._socket = listening
        self._asked = asked
        self._own = Streams(MOST_OF_ONE)
        self._lists = (everybodys, self._own)
        self._closed = False

    def open(self) -> None:
        """Raises OSError where the socket cannot be watched."""
        self._loop.watch(self._socket.fileno(), READ, self._readable)

    def close(self) -> None:
        self._closed = True
        self._loop.forget(self._socket.fileno())
        self._own.close()

    def _readable(self, _: int) -> None:
        try:
            connection, _client = self._socket.accept()
        except OSError as error:
            if error.errno in _NO_ROOM:
                self._loop.change(self._socket.fileno(), 0)
                self._loop.later(FULL, self._again)
            return
        connection.setblocking(False)
        with contextlib.suppress(OSError):
            Stream(self._loop, connection, self._asked, self._lists)

    def _again(self) -> None:
        if not self._closed:
            self._loop.change(self._socket.fileno(), READ)


class Stream:
    """One connection."""

    def __init__(self, loop: Loop, connection: socket.socket, asked: Asked, lists: tuple[Streams, ...]) -> None:
        """Raises OSError where it cannot be watched; then it is closed."""
        self._loop = loop
        self._socket = connection
        self._asked = asked
        self._lists = lists
        self._message = bytearray()
        self._unsent = bytearray()
        self._waiting = 0
        self._ended = False
        self._closed = False
        self._events = READ
        self._last = time.monotonic()
        self._timer = loop.later(PATIENCE, self._patience)
        for streams in lists:
            streams.add(self)
        try:
            loop.watch(connection.fileno(), READ, self._event)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Nothing more is read or sent."""
        if self._closed:
            return
        self._closed = True
        self._loop.cancel(self._timer)
        self._loop.forget(self._socket.fileno())
        for streams in self._lists:
            streams.remove(self)
        self._socket.close()

    def _patience(self) -> None:
        left = self._last + PATIENCE - time.monotonic()
        if left <= 0:
            self.close()
        else:
            self._timer = self._loop.later(left, self._patience)

    def _event(self, events: int) -> None:
        if self._closed:
            return
        if events & GONE:
            self.close()
            return
        try:
            if events & WRITE:
                self._send()
            self._read()
        except BlockingIOError:
            pass
        except OSError:
            self.close()
        self._settle()

    def _read(self) -> None:
        """Messages while there are any and it is our turn; what is not read yet is kept by the kernel. Raises OSError."""
        while self._takes_more() and self._asked.share() > 0:
            missing = self._missing()
            if missing > LONGEST:
                raise OSError(errno.EMSGSIZE, "no question is that long")
            if missing:
                chunk = self._socket.recv(missing)
                self._ended = not chunk
                self._message += chunk
            else:
                self._take()

    def _takes_more(self) -> bool:
        return not (self._closed or self._ended) and self._waiting < WAITING and len(self._unsent) < UNSENT

    def _missing(self) -> int:
        """Bytes until the length is known, or the message is whole."""
        known = len(self._message)
        return 2 - known if known < 2 else 2 + int.from_bytes(self._message[:2], "big") - known

    def _take(self) -> None:
        message = bytes(self._message[2:])
        self._message.clear()
        self._last = time.monotonic()
        for streams in self._lists:
            streams.touch(self)
        self._waiting += 1
        self._asked.answer(message, self._deliver)

    def _deliver(self, wire: bytes | None) -> None:
        if self._closed:
            return
        self._waiting -= 1
        if wire is not None:
            self._unsent += len(wire).to_bytes(2, "big") + wire
        try:
            self._send()
        except BlockingIOError:
            pass
        except OSError:
            self.close()
        self._settle()

    def _send(self) -> None:
        """As much as is taken. Raises OSError."""
        while self._unsent:
            del self._unsent[: self._socket.send(self._unsent)]
            self._last = time.monotonic()

    def _settle(self) -> None:
        """Wait for what can be done next."""
        if self._closed:
            return
        if self._ended and not self._waiting and not self._unsent:
            self.close()
            return
        events = (READ if self._takes_more() else 0) | (WRITE if self._unsent else 0)
        if events != self._events:
            self._events = events
            self._loop.change(self._socket.fileno(), events)
