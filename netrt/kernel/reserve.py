"""Open files kept for the way back.

Theory: whoever runs out of open files does so half-way, and to look at what is there and take it back needs files too. So some
are held that stand for nothing, and let go for as long as that takes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

KEPT = 32
"""How many: twice what a look at a host with a few namespaces has open at one time, for others open files meanwhile as well."""


class Reserve:
    """To be used from one thread."""

    def __init__(self) -> None:
        self._kept: list[int] = []
        self.refill()

    def refill(self) -> None:
        """Hold as many as there should be, or as can be had."""
        with contextlib.suppress(OSError):
            while len(self._kept) < KEPT:
                self._kept.append(os.open(os.devnull, os.O_PATH | os.O_CLOEXEC))

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Let them go until the end of this."""
        self.close()
        try:
            yield
        finally:
            self.refill()

    def close(self) -> None:
        """Let them go."""
        while self._kept:
            os.close(self._kept.pop())
