"""Resolvers that netrt-dns forwards to: on an address of a namespace, and as good or bad as the test wants."""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections.abc import Callable, Iterable

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from dns.message import Message

from tests.traffic import Place

Behaviour = Callable[[Message, bool], Iterable[bytes]]
"""What is sent for a question, which came by TCP or not; nothing is silence."""

ANSWER = "203.0.113.7"


def reply(asked: Message, *records: str, rdtype: str = "A", rcode: int = 0, flags: int = 0) -> Message:
    made = dns.message.make_response(asked, recursion_available=True)
    made.set_rcode(dns.rcode.from_text(str(rcode)) if isinstance(rcode, str) else dns.rcode.Rcode(rcode))
    made.flags |= flags
    if records:
        made.answer.append(dns.rrset.from_text(asked.question[0].name, 60, "IN", rdtype, *records))
    return made


def good(asked: Message, tcp: bool) -> list[bytes]:
    return [reply(asked, ANSWER).to_wire()]


def silent(asked: Message, tcp: bool) -> list[bytes]:
    return []


def failing(asked: Message, tcp: bool) -> list[bytes]:
    return [reply(asked, rcode=2).to_wire()]


class Upstream:
    """Answers on a thread of its own until it is closed. `behaviour` may be changed; `seen` is what it was asked, and from
    where."""

    def __init__(self, place: Place, address: str, behaviour: Behaviour = good) -> None:
        self.address = address
        self.behaviour = behaviour
        self.seen: list[tuple[Message, tuple[str, int]]] = []
        self.udp, self.tcp = place.udp(53, address), place.tcp(53, address)
        self._hear, self._say = os.pipe()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        os.close(self._say)
        self._thread.join()
        os.close(self._hear)
        self.udp.close()
        self.tcp.close()

    def asked_for(self, name: str) -> int:
        """How often."""
        return sum(str(message.question[0].name) == f"{name}." for message, _ in self.seen)

    def _work(self) -> None:
        with selectors.DefaultSelector() as waiting:
            for file in (self._hear, self.udp, self.tcp):
                waiting.register(file, selectors.EVENT_READ)
            while True:
                for key, _ in waiting.select():
                    if key.fileobj == self._hear:
                        return
                    (self._datagram if key.fileobj is self.udp else self._connection)()

    def _datagram(self) -> None:
        wire, peer = self.udp.recvfrom(65535)
        for answer in self._answers(wire, peer, tcp=False):
            self.udp.sendto(answer, peer)

    def _connection(self) -> None:
        connection, peer = self.tcp.accept()
        with connection:
            connection.settimeout(1)
            try:
                length = int.from_bytes(connection.recv(2, socket.MSG_WAITALL), "big")
                wire = connection.recv(length, socket.MSG_WAITALL)
                for answer in self._answers(wire, peer, tcp=True):
                    connection.sendall(len(answer).to_bytes(2, "big") + answer)
            except OSError:
                pass

    def _answers(self, wire: bytes, peer: tuple[str, int], *, tcp: bool) -> Iterable[bytes]:
        asked = dns.message.from_wire(wire)
        self.seen.append((asked, peer))
        return self.behaviour(asked, tcp)
