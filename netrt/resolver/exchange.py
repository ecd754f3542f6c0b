"""One question put to one upstream, and its reply: by datagram, and by connection where that says that there is more.

Rule: a reply is one that comes from the address that was asked (the socket is connected), to the port that the kernel chose at
random for this one question, under its random number, with its question."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable

from netrt.dns.forward import Forward, is_reply, truncated
from netrt.dns.zone import Upstream
from netrt.resolver.loop import READ, WRITE, Loop, Timer
from netrt.resolver.sockets import Home

PORT = 53
LARGEST = 65535
FALSE_REPLIES = 16
"""Datagrams of one exchange that may be something else than its reply; after these it is over, for somebody guesses."""

CONNECTION_PATIENCE = 2.0
"""Seconds for the reply over a connection; then the beginning that came by datagram must do."""


def opened(home: Home, namespace: int, upstream: Upstream, kind: int) -> socket.socket:
    """A socket in a sandbox (or on the host, if so wanted) that is connected, or connecting, to an upstream. Raises OSError."""
    inside = contextlib.nullcontext() if upstream.from_host else home.left_for(namespace)
    with inside:
        family, _, _, _, address = socket.getaddrinfo(
            upstream.address, PORT, type=kind, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )[0]
        made = socket.socket(family, kind | socket.SOCK_NONBLOCK)
        try:
            with contextlib.suppress(BlockingIOError):
                made.connect(address)
        except OSError:
            made.close()
            raise
    return made


class Exchange:
    """Goes on until `told` is called, once: with the reply, or with None where there will be none. Or until it is closed."""

    def __init__(
        self,
        loop: Loop,
        upstream: Upstream,
        asked: Forward,
        connect: Callable[[int], socket.socket],
        told: Callable[[Exchange, bytes | None], None],
    ) -> None:
        """Raises OSError where the upstream cannot be asked at all."""
        self.upstream = upstream
        self.began = loop.now
        self.heard = False
        self._loop = loop
        self._asked = asked
        self._connect = connect
        self._told = told
        self._number = int.from_bytes(os.urandom(2), "big")
        self._message = self._number.to_bytes(2, "big") + asked.message[2:]
        self._partial: bytes | None = None
        self._patience: Timer | None = None
        self._false = 0
        self._received = bytearray()
        self._socket = connect(socket.SOCK_DGRAM)
        try:
            self._socket.send(self._message)
            loop.watch(self._socket.fileno(), READ, self._datagram)
        except OSError:
            self._socket.close()
            raise

    def close(self) -> None:
        """Whatever still comes is not listened to."""
        if self._patience:
            self._loop.cancel(self._patience)
        self._loop.forget(self._socket.fileno())
        self._socket.close()

    def _end(self, reply: bytes | None) -> None:
        self.close()
        self._told(self, reply)

    def _datagram(self, _: int) -> None:
        try:
            wire = self._socket.recv(LARGEST)
        except BlockingIOError:
            return
        except OSError:  # nobody is there, as some router or the upstream's host says
            self._end(None)
            return
        if not is_reply(self._asked, self._number, wire):
            self._false += 1
            if self._false >= FALSE_REPLIES:
                self._end(None)
        elif truncated(wire):
            self._ask_for_all(wire)
        else:
            self._end(wire)

    def _ask_for_all(self, partial: bytes) -> None:
        """The same once more, over a connection."""
        self.close()
        try:
            self._socket = self._connect(socket.SOCK_STREAM)
            self._loop.watch(self._socket.fileno(), WRITE, self._connected)
        except OSError:
            self._end(partial)
            return
        self.heard = True
        self._partial = partial
        self._patience = self._loop.later(CONNECTION_PATIENCE, lambda: self._end(partial))

    def _connected(self, _: int) -> None:
        message = len(self._message).to_bytes(2, "big") + self._message
        try:
            sent = self._socket.send(message)
        except BlockingIOError:
            return
        except OSError:
            sent = 0
        if sent < len(message):  # a fresh connection takes so little at once, or it is none
            self._end(self._partial)
            return
        self._loop.forget(self._socket.fileno())
        self._loop.watch(self._socket.fileno(), READ, self._stream)

    def _stream(self, _: int) -> None:
        known = len(self._received)
        length = 2 + int.from_bytes(self._received[:2], "big") if known >= 2 else 2
        try:
            chunk = self._socket.recv(length - known)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        self._received += chunk
        if not chunk:
            self._end(self._partial)
        elif known >= 2 and len(self._received) == length:
            wire = bytes(self._received[2:])
            self._end(wire if is_reply(self._asked, self._number, wire) else self._partial)
