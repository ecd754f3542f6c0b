"""All sandboxes that are served: opened and closed as views come and go, and looked after.

Rule 1: a sandbox's sockets stay open as long as it has a view and its namespace is the same; other names are no reason to close
them. Rule 2: what cannot be opened is told, and tried again."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from netrt.dns.difference import Change
from netrt.dns.zone import Names, View
from netrt.errors import NetrtError
from netrt.resolver.book import Book
from netrt.resolver.forwarder import Forwarder, Outside
from netrt.resolver.loop import Loop
from netrt.resolver.sandbox import Sandbox
from netrt.resolver.sockets import Home, Sockets, identity
from netrt.resolver.streams import MOST, Streams

LOOK_AFTER = 2.0
"""Seconds between two looks at the namespaces of all sandboxes."""

_log = logging.getLogger(__name__)


class Server:
    """Serves the names that it was told last."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._book = Book(Names())
        self._outside = Outside(loop, Home())
        self._streams = Streams(MOST)
        self._open: dict[str, Sandbox] = {}
        self._errors: dict[str, str] = {}
        loop.later(LOOK_AFTER, self._look_after)

    @property
    def names(self) -> Names:
        return self._book.names

    def take(self, names: Names) -> dict[str, str]:
        """Serve these names and no others. Which sandboxes cannot be served, and why."""
        self._book.take(names)
        for path in [path for path in self._open if path not in names.views]:
            self._close(path)
        for path, sandbox in self._open.items():
            sandbox.see(names.views[path])
        self._errors.clear()
        return self._settle(names.views)

    def change(self, change: Change) -> dict[str, str]:
        """The same for a change. Raises Conflict where it does not follow upon the present names."""
        spoilt = self._book.change(change)
        views = self.names.views
        for path in spoilt.sandboxes:
            if path not in views:
                self._close(path)
            elif path in self._open:
                self._open[path].see(views[path])
        return self._settle(view.sandbox for view in change.views)

    def close(self) -> None:
        for path in list(self._open):
            self._close(path)

    def _look_after(self) -> None:
        """Namespaces that vanished, or were replaced, take their sockets with them; where one is new, we come."""
        self._settle(self.names.views)
        self._loop.later(LOOK_AFTER, self._look_after)

    def _settle(self, paths: Iterable[str]) -> dict[str, str]:
        """Have the right sockets in these sandboxes. What is wrong with which."""
        return {path: error for path in paths if (error := self._settled(path, self.names.views[path]))}

    def _settled(self, path: str, view: View) -> str:
        sandbox = self._open.get(path)
        if sandbox and sandbox.sockets.identity == identity(path):
            return ""
        if sandbox:
            self._close(path)
        try:
            self._open[path] = self._opened(view)
        except (NetrtError, OSError) as error:
            text = str(error) if isinstance(error, NetrtError) else error.strerror or str(error)
            if self._errors.get(path) != text:
                _log.warning("no names in %s: %s", path, text)
            self._errors[path] = text
            return text
        self._errors.pop(path, None)
        return ""

    def _opened(self, view: View) -> Sandbox:
        """Raises Unavailable, OSError."""
        sockets = Sockets(self._outside.home, view.sandbox, view.inode)
        forwarder = Forwarder(self._outside, sockets, view.sandbox)
        return Sandbox(self._loop, self._book, forwarder, self._streams, view, sockets)

    def _close(self, path: str) -> None:
        self._errors.pop(path, None)
        sandbox = self._open.pop(path, None)
        if sandbox:
            sandbox.close()
