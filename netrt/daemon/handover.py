"""Names handed over to netrt-dns: what a commit changes of them, at that moment, and all of them to one that has begun anew.

Rule 1: who got an answer to a command can rely on its names, for they are served by then. Rule 2: names that go are gone before
that to which they lead, and names that come, come after it. Rule 3: where netrt-dns is not there it is brought back first; where
that is not possible the command stands without names, and they are handed over as soon as it is."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable

from netrt import __version__
from netrt.compile.names import Resolving, compile_names, names_change
from netrt.dns.difference import apply
from netrt.errors import Conflict, Unavailable
from netrt.model.difference import difference
from netrt.model.state import State
from netrt.resolver.client import Resolver
from netrt.resolver.messages import Taken

PAUSE = 2.0
"""Seconds after netrt-dns could not be brought back until that is tried again."""

log = logging.getLogger("netrt.names")


class Handover:
    """Used from the engine's thread. `bring_back` brings netrt-dns back, or waits for who does, and raises Unavailable where it
    does not come; `resolving` tells what names depend on beside the State, as it is now; `serves` is told the process that
    serves, each time that it is another one."""

    def __init__(
        self,
        resolver: Resolver,
        bring_back: Callable[[], object],
        resolving: Callable[[], Resolving],
        serves: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._resolver = resolver
        self._bring_back = bring_back
        self._resolving = resolving
        self._serves = serves
        self._known = Resolving()
        self._state = State()
        self._names = compile_names(self._state, self._known)
        self._pid = 0
        self._later = 0.0
        self._awaited: State | None = None
        """The State whose names were begun and not settled yet."""
        self._begun = False
        """Whether a change was sent whose answer is still to come."""
        self._unsaid = False
        """Whether all names are to be told."""

    @property
    def due(self) -> bool:
        """Whether there are names that nobody serves."""
        return bool(self._names.views) and not self._pid

    def leaving(self, before: State, after: State) -> None:
        """Withdraw the names of what is in `before` and not in `after`, for it is about to be taken down."""
        gone, put = difference(before.attachments, after.attachments)
        moved = [
            k
            for k, attachment in put
            if k in before.attachments and not set(before.attachments[k].hosts) <= set(attachment.hosts)
        ]
        if not gone and not moved:
            return
        rest = after
        if put or difference(before.containers, after.containers)[1]:
            rest = before
            for key in (*gone, *moved):
                rest = rest.without_attachment(key)
        self.settle(rest)

    def begin(self, state: State) -> None:
        """Begin to have the names of this State served, while there is something else to do."""
        self._finish()
        if not self._names.views and not names_change(self._names, self._state, state, self._known):
            self._state = self._awaited = state  # nobody has names, whatever else they depend on
            self._unsaid = not self._pid
            return
        known, change = self._resolving(), None
        if known == self._known:
            change = names_change(self._names, self._state, state, known)
            self._names = apply(self._names, change)
        else:
            self._names = compile_names(state, known)
        self._known, self._state, self._awaited = known, state, state
        if change and self._pid:
            with contextlib.suppress(Unavailable):  # then all is told
                self._resolver.begin(change)
                self._begun = True
        self._unsaid = not self._pid or change is None or (bool(change) and not self._begun)

    def settle(self, state: State) -> None:
        """Have the names of this State served. What stands in the way is logged."""
        if state is not self._awaited:
            self.begin(state)
        self._awaited = None
        self._finish()

    def _finish(self) -> None:
        if self._begun:
            self._begun = False
            try:
                self._note(self._resolver.finish())
            except (Conflict, Unavailable):
                self._unsaid = True
        if self._unsaid:
            self._unsaid = False
            self._tell()

    def again(self, ended: int = 0) -> None:
        """Bring netrt-dns back where nobody serves, or where this was the process that served."""
        if self._pid == ended:
            self._forget()
        if self.due:
            self._tell()

    def close(self) -> None:
        """Names go on being served."""
        self._resolver.close()

    def _tell(self) -> None:
        if not self._names.views and self._resolver.absent:  # nobody needs one, and nobody has old ones
            return
        try:
            self._note(self._told())
        except Unavailable as error:
            self._forget()
            log.error("names are not served: %s", error)

    def _told(self) -> Taken:
        """All names, to whoever is there, or to one that is brought back. Raises Unavailable."""
        try:
            return self._taken()
        except Unavailable:
            if not self._names.views:  # then nobody needs it
                return Taken(mark="", version="")
            if time.monotonic() < self._later:
                raise
        self._later = time.monotonic() + PAUSE
        self._bring_back()
        taken = self._taken()
        self._later = 0.0
        return taken

    def _taken(self) -> Taken:
        """Raises Unavailable; one that is there and does not answer is of no use, and is ended."""
        pid = self._resolver.connect()
        try:
            taken = self._resolver.take(self._names)
        except Unavailable:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            raise
        if pid != self._pid:
            if taken.version != __version__:  # it understands us, and to replace it would cost questions
                log.info("netrt-dns is of version %s; restart it when it suits", taken.version)
            self._pid = pid
            self._serves(pid)
        return taken

    def _forget(self) -> None:
        self._resolver.close()
        self._pid = 0
        self._begun = False

    def _note(self, taken: Taken) -> None:
        for path, why in taken.errors.items():
            log.warning("no names in %s: %s", path, why)
