"""Packets and connections, made inside the namespaces of a test's host.

Sockets are opened in a namespace and used from the test itself, so that no process is needed at either end. A question is always
"which address does the asked one see?"; an empty answer means that nothing arrived, or that the answer did not come back."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tests.host import Host

PATIENT = 5.0
"""Seconds that something which must arrive may take on a busy machine."""
BRIEF = 0.5
"""Seconds after which something counts as not arriving."""

ETH_P_ALL = 3

T = TypeVar("T")


class Place:
    """A network namespace: the host itself (an empty path), or one by its path."""

    def __init__(self, host: Host, path: str = "") -> None:
        self.host = host
        self.path = path

    def call(self, function: Callable[..., T], *args: Any, **named: Any) -> T:
        """Call a function in this namespace."""
        if not self.path:
            return function(*args, **named)
        with self.host.inside(self.path) as call:
            return call(function, *args, **named)  # type: ignore[no-any-return]

    def open(self, family: int, kind: int) -> socket.socket:
        """A socket of this namespace."""
        return self.call(socket.socket, family, kind)

    def listener(self, kind: int, port: int, address: str = "::") -> socket.socket:
        """A listening TCP or bound UDP socket; `::` is both families."""
        made = self.open(family(address), kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        if kind == socket.SOCK_STREAM:
            made.listen()
        return made

    def tcp(self, port: int, address: str = "::") -> socket.socket:
        return self.listener(socket.SOCK_STREAM, port, address)

    def udp(self, port: int, address: str = "::") -> socket.socket:
        return self.listener(socket.SOCK_DGRAM, port, address)


def family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _plain(address: str) -> str:
    return address.removeprefix("::ffff:")


def seen(
    client: Place, address: str, port: int, server: socket.socket, patience: float = PATIENT, source: str = ""
) -> str:
    """The address from which `server` (TCP listener or UDP) sees `client` when that asks `address` at `port`; both ways are
    proven by a random word and its answer. Empty if it does not work within `patience` seconds."""
    with client.open(family(address), server.type) as asking:
        if source:
            asking.bind((source, 0))
        asking.setblocking(False)
        try:
            asking.connect_ex((address, port))
            if server.type == socket.SOCK_STREAM:
                return _stream(asking, server, patience)
            return _datagram(asking, server, patience)
        except OSError:
            return ""


def _stream(asking: socket.socket, server: socket.socket, patience: float) -> str:
    word, deadline = os.urandom(8), time.monotonic() + patience
    while (left := deadline - time.monotonic()) > 0:
        ready, writable, _ = select.select([server], [asking], [], left)
        if writable and asking.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return ""
        if not ready:
            continue
        conversation, peer = server.accept()
        with conversation:
            conversation.settimeout(patience)
            asking.settimeout(patience)
            asking.sendall(word)
            if conversation.recv(8) != word:
                continue  # a connection of an earlier question, late
            conversation.sendall(word[::-1])
            return _plain(peer[0]) if asking.recv(8) == word[::-1] else ""
    return ""


def _datagram(asking: socket.socket, server: socket.socket, patience: float) -> str:
    word, deadline = os.urandom(8), time.monotonic() + patience
    asking.send(word)
    while (left := deadline - time.monotonic()) > 0 and select.select([server], [], [], left)[0]:
        got, peer = server.recvfrom(64)
        if got == word:
            server.sendto(word[::-1], peer)
            asking.settimeout(patience)
            return _plain(peer[0]) if asking.recv(64) == word[::-1] else ""
    return ""


@contextmanager
def conversation(client: Place, address: str, port: int, server: Place, server_port: int) -> Iterator[None]:
    """A TCP connection that was open before, and still carries words both ways afterwards, whoever speaks first."""
    listening = server.tcp(server_port)
    asking = client.open(family(address), socket.SOCK_STREAM)
    asking.settimeout(PATIENT)
    asking.connect((address, port))
    talking, _ = listening.accept()
    talking.settimeout(PATIENT)
    listening.close()

    def talk(*first: socket.socket) -> None:
        for one, other in (first, first[::-1]):
            word = os.urandom(8)
            one.sendall(word)
            assert other.recv(8) == word

    talk(asking, talking)
    yield
    talk(talking, asking)
    for each in (asking, talking):
        each.close()


def containing(word: bytes) -> Callable[[bytes], bool]:
    """Whether a frame holds this word."""
    return lambda frame: word in frame


class Wire:
    """Raw frames on one interface of a place."""

    def __init__(self, place: Place, interface: str) -> None:
        self.socket = place.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((interface, 0))

    def send(self, *frames: Any) -> None:
        """Send frames (scapy's, or bytes) as they are."""
        for frame in frames:
            self.socket.send(bytes(frame))

    def heard_until(self, last: Callable[[bytes], bool], patience: float = PATIENT) -> list[bytes]:
        """The frames that arrived up to the first one for which `last` is true. AssertionError if it does not come."""
        frames: list[bytes] = []
        deadline = time.monotonic() + patience
        while True:
            left = max(0.0, deadline - time.monotonic())
            assert select.select([self.socket], [], [], left)[0], f"the last frame never came: {frames}"
            frame, (_, _, direction, _, _) = self.socket.recvfrom(65536)
            if direction != socket.PACKET_OUTGOING:
                frames.append(frame)
            if last(frame):
                return frames

    def close(self) -> None:
        self.socket.close()
