"""Questions of one sandbox that others answer: each is put to one upstream after the other until one replies.

Rule 1: the next upstream is asked while there is still time before the client loses patience (musl after 2.5 s, glibc after 5),
and what the earlier ones say late is still listened to. Rule 2: the same question is asked once, however many wait for it.
Rule 3: so many may wait for a sandbox, and so many for all; who comes on top is told SERVFAIL at once."""

from __future__ import annotations

import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from functools import partial

from netrt.dns.answer import NOERROR, NXDOMAIN, REFUSED
from netrt.dns.forward import Forward, failure, relay
from netrt.dns.zone import Upstream
from netrt.resolver.exchange import Exchange, opened
from netrt.resolver.health import Health
from netrt.resolver.loop import Loop, Timer
from netrt.resolver.sockets import Home, Sockets

PATIENCE, PATIENCE_WITH_ILL, PATIENCE_LATER = 0.6, 0.25, 1.0
"""Seconds until the next upstream is asked: after one that was well, one that was ill, and in the second round."""
DEADLINE = 4.2
"""Seconds until the client is told SERVFAIL."""
MOST, MOST_OF_ONE = 8192, 256
"""Clients that may wait, in all sandboxes and in one."""

Deliver = Callable[[bytes | None], None]
Told = Callable[[Exchange, bytes | None], None]

_USEFUL = frozenset({NOERROR, NXDOMAIN})
"""What ends the search for an answer; after anything else the next upstream may know better."""

_log = logging.getLogger(__name__)


class Outside:
    """What all forwarders share: the way into sandboxes, what is known of upstreams that the host asks, and how many wait."""

    def __init__(self, loop: Loop, home: Home) -> None:
        self.loop = loop
        self.home = home
        self.health: defaultdict[Upstream, Health] = defaultdict(Health)
        self.waiting = 0


class Forwarder:
    """Of one sandbox."""

    def __init__(self, outside: Outside, sockets: Sockets, name: str) -> None:
        self.loop = outside.loop
        self._outside = outside
        self._sockets = sockets
        self._name = name
        self._health: defaultdict[Upstream, Health] = defaultdict(Health)
        self._questions: dict[bytes, _Question] = {}
        self._trials: set[Exchange] = set()
        self._waiting = 0

    def ask(self, asked: Forward, deliver: Deliver) -> None:
        """Deliver the answer when it is there, or SERVFAIL."""
        if self._waiting >= MOST_OF_ONE or self._outside.waiting >= MOST:
            deliver(failure(asked))
            return
        self._count(1)
        question = self._questions.get(asked.message)
        if question:
            question.waiting.append((asked, deliver))
            return
        question = self._questions[asked.message] = _Question(self, asked, deliver)
        question.begin()

    def redirect(self, upstreams: Sequence[Upstream]) -> None:
        """Who waits is answered by these from now on; REFUSED if there are none."""
        for question in list(self._questions.values()):
            question.redirect(upstreams)

    def close(self) -> None:
        """Nobody is answered any more."""
        for question in list(self._questions.values()):
            question.close()
        for trial in self._trials:
            trial.close()
        self._trials.clear()

    def over(self, asked: Forward, waiting: int) -> None:
        """A question is not asked any more, for which so many waited."""
        del self._questions[asked.message]
        self._count(-waiting)

    def _count(self, more: int) -> None:
        self._waiting += more
        self._outside.waiting += more

    def health(self, upstream: Upstream) -> Health:
        return (self._outside.health if upstream.from_host else self._health)[upstream]

    def order(self, upstreams: Sequence[Upstream]) -> list[Upstream]:
        """Who is well first."""
        return sorted(upstreams, key=lambda upstream: not self.health(upstream).is_well)

    def exchange(self, upstream: Upstream, asked: Forward, told: Told) -> Exchange | None:
        """Put a question to an upstream. None where that is not possible at all."""
        connect = partial(opened, self._outside.home, self._sockets.namespace, upstream)
        try:
            return Exchange(self.loop, upstream, asked, connect, told)
        except OSError as error:
            self.failed(upstream, error.strerror or str(error))
            return None

    def answered(self, exchange: Exchange) -> None:
        """Its upstream is well if it was quick enough."""
        if time.monotonic() - exchange.began < PATIENCE:
            health = self.health(exchange.upstream)
            if not health.is_well:
                _log.info("upstream %s answers again (%s)", exchange.upstream.address, self._name)
            health.answered()

    def failed(self, upstream: Upstream, why: str) -> None:
        health = self.health(upstream)
        if health.is_well:
            _log.warning("upstream %s does not answer (%s): %s", upstream.address, self._name, why)
        health.failed(self.loop.now)

    def try_the_ill(self, asked: Forward) -> None:
        """Put a question to those who may be well again. Their answers tell only that they are."""
        for upstream in asked.upstreams:
            if self.health(upstream).trial_is_due(self.loop.now):
                trial = self.exchange(upstream, asked, self._tried)
                if trial:
                    self._trials.add(trial)
                    self.loop.later(PATIENCE, partial(self._tried, trial, None))

    def _tried(self, trial: Exchange, reply: bytes | None) -> None:
        if trial not in self._trials:
            return
        self._trials.remove(trial)
        trial.close()
        if reply is None:
            self.health(trial.upstream).failed(self.loop.now)
        else:
            self.answered(trial)


class _Question:
    """Asked until somebody says something useful, all have said that they cannot, or the time is over."""

    def __init__(self, forwarder: Forwarder, asked: Forward, deliver: Deliver) -> None:
        self.waiting = [(asked, deliver)]
        self._forwarder = forwarder
        self._asked = asked
        self._upstreams: Sequence[Upstream] = asked.upstreams
        self._to_ask: deque[Upstream] = deque()
        self._first_round = True
        self._under_way: list[Exchange] = []
        self._useless: bytes | None = None
        self._next: Timer | None = None
        self._end = forwarder.loop.later(DEADLINE, self._give_up)

    def begin(self) -> None:
        self._to_ask.extend(self._forwarder.order(self._upstreams))
        if self._forwarder.health(self._to_ask[0]).is_well:
            self._forwarder.try_the_ill(self._asked)
        self._ask_next()

    def redirect(self, upstreams: Sequence[Upstream]) -> None:
        """Ask only these from now on."""
        self._upstreams = upstreams
        for exchange in [exchange for exchange in self._under_way if exchange.upstream not in upstreams]:
            self._under_way.remove(exchange)
            exchange.close()
        if not upstreams:
            self._finish(lambda asked: failure(asked, REFUSED))
        elif not self._under_way:
            self._to_ask = deque(self._forwarder.order(upstreams))
            self._ask_next()

    def close(self) -> None:
        """Not asked any more, and nobody is told."""
        self._forwarder.loop.cancel(self._end)
        self._stop_waiting()
        for exchange in self._under_way:
            exchange.close()
        self._forwarder.over(self._asked, len(self.waiting))

    def _stop_waiting(self) -> None:
        if self._next:
            self._forwarder.loop.cancel(self._next)
            self._next = None

    def _ask_next(self) -> None:
        """Ask the next one that can be asked. Where nobody is left, wait for those who were; where these are none, give up."""
        self._stop_waiting()
        while self._to_ask:
            upstream = self._to_ask.popleft()
            well = self._forwarder.health(upstream).is_well
            exchange = self._forwarder.exchange(upstream, self._asked, self._told)
            if exchange:
                self._under_way.append(exchange)
                patience = (PATIENCE if well else PATIENCE_WITH_ILL) if self._first_round else PATIENCE_LATER
                self._next = self._forwarder.loop.later(patience, partial(self._late, exchange))
                return
        if self._under_way:
            self._next = self._forwarder.loop.later(PATIENCE_LATER, partial(self._late, None))
        else:
            self._give_up()

    def _late(self, exchange: Exchange | None) -> None:
        """Time for the next upstream, or after the last one, for the first again: the question may have been lost."""
        self._next = None
        if exchange and exchange in self._under_way and not exchange.heard:
            self._forwarder.failed(exchange.upstream, "too late")
        if not self._to_ask:
            if self._useless:
                self._give_up()
                return
            self._first_round = False
            self._to_ask.extend(self._forwarder.order(self._upstreams))
        self._ask_next()

    def _told(self, exchange: Exchange, reply: bytes | None) -> None:
        self._under_way.remove(exchange)
        if reply is None:
            self._forwarder.failed(exchange.upstream, "nobody is there")
            self._ask_next()
            return
        self._forwarder.answered(exchange)
        if reply[3] & 15 in _USEFUL:
            self._finish(lambda asked: relay(asked, reply))
        else:
            self._useless = reply
            self._ask_next()

    def _give_up(self) -> None:
        useless = self._useless
        self._finish(lambda asked: relay(asked, useless) if useless else failure(asked))

    def _finish(self, wire: Callable[[Forward], bytes]) -> None:
        self.close()
        for asked, deliver in self.waiting:
            deliver(wire(asked))
