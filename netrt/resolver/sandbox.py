"""One sandbox that is served: messages come in at its sockets, answers go out.

Rule: in one turn of the loop a sandbox gets only so much done, by datagrams and connections together, so that one that floods
us makes the others wait for a millisecond and not more. What waits in its own sockets is the kernel's, and bounded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from netrt.dns.answer import cache_key
from netrt.dns.forward import Forward
from netrt.dns.query import LONGEST
from netrt.dns.zone import View
from netrt.resolver.book import Book
from netrt.resolver.forwarder import Forwarder
from netrt.resolver.loop import READ, Loop
from netrt.resolver.sockets import Sockets
from netrt.resolver.streams import Listener, Streams

SHARE = 32
"""What a sandbox gets done in a turn: so many messages with ready answers."""
MADE = 8
"""How much of its share a message takes whose answer must be made first."""

_log = logging.getLogger(__name__)


class Sandbox:
    """Serves from `__init__` to `close`."""

    def __init__(
        self, loop: Loop, book: Book, forwarder: Forwarder, streams: Streams, view: View, sockets: Sockets
    ) -> None:
        """Raises OSError where the sockets cannot be watched; then they are closed."""
        self.view = view
        self.sockets = sockets
        self._loop = loop
        self._book = book
        self._forwarder = forwarder
        self._shelf = book.borrow(view)
        self._turn = 0
        self._left = 0
        self._listener = Listener(loop, streams, sockets.tcp, self)
        try:
            loop.watch(sockets.udp.fileno(), READ, self._readable)
            self._listener.open()
        except OSError:
            self.close()
            raise

    def see(self, view: View) -> None:
        """Another view, or zones that are others than before."""
        shelf = self._book.borrow(view)
        self._book.give_back(self._shelf)
        self._shelf = shelf
        if view.upstreams != self.view.upstreams:
            self._forwarder.redirect(view.upstreams)
        self.view = view

    def close(self) -> None:
        """Withdraw: nobody is answered any more, not even those who wait."""
        self._loop.forget(self.sockets.udp.fileno())
        self._listener.close()
        self._forwarder.close()
        self._book.give_back(self._shelf)
        self.sockets.close()

    def share(self) -> int:
        """How much may still be done in this turn."""
        if self._turn != self._loop.turn:
            self._turn, self._left = self._loop.turn, SHARE
        return self._left

    def answer(self, message: bytes, deliver: Callable[[bytes | None], None]) -> None:
        """The answer to a message that came over a connection is delivered, now or later or never."""
        self.share()
        key = cache_key(message)
        kept = self._shelf.streams.get(key) if key else None
        if kept is None:
            self._left -= MADE
            self._make(message, deliver, tcp=True)
        else:
            self._left -= 1
            deliver(message[:2] + (kept if isinstance(kept, bytes) else kept.body()))

    def _readable(self, _: int) -> None:
        """Datagrams. This is where most of this process's time goes."""
        receive, send, ready = self.sockets.udp.recvfrom, self.sockets.udp.sendto, self._shelf.datagrams
        left = self.share()
        while left > 0:
            try:
                message, client = receive(LONGEST + 1)
            except OSError:  # there is none, or an error of an earlier answer is told
                break
            key = cache_key(message)
            kept = ready.get(key) if key else None
            if kept is None:
                left -= MADE
                self._make(message, partial(self._send, client), tcp=False)
                continue
            left -= 1
            try:
                send(message[:2] + (kept if isinstance(kept, bytes) else kept.body()), client)
            except OSError:  # who does not take its answer asks again
                continue
        self._left = left

    def _send(self, client: tuple[str, int], wire: bytes | None) -> None:
        if wire is None:
            return
        try:
            self.sockets.udp.sendto(wire, client)
        except OSError as error:
            _log.debug("an answer could not be sent in %s: %s", self.view.sandbox, error)

    def _make(self, message: bytes, deliver: Callable[[bytes | None], None], *, tcp: bool) -> None:
        try:
            made = self._book.answer(self.view, self._shelf, message, tcp=tcp)
        except Exception:  # a fault of ours in one message must not end the answers to all others
            _log.exception("a message from %s is not answered: %s", self.view.sandbox, message.hex())
            made = None
        if isinstance(made, Forward):
            self._forwarder.ask(made, deliver)
        else:
            deliver(made)
