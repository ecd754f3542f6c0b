"""What follows each commit: the files of the containers that it touched, names, then everybody who listens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from netrt.daemon.handover import Handover
from netrt.dataplane.ops import Op
from netrt.launch.files import HostFiles, refresh
from netrt.model.decision import Event
from netrt.model.state import State
from netrt.paths import Paths

log = logging.getLogger("netrt.publisher")


class Publisher:
    """Called on the engine's thread, as is `tell`, which gets each commit, and `mended`, which gets each repair."""

    def __init__(
        self,
        paths: Paths,
        tell: Callable[[State, State, Sequence[Event]], object],
        names: Handover | None = None,
        mended: Callable[[Sequence[Op]], object] = lambda done: None,
    ) -> None:
        self._paths = paths
        self._tell = tell
        self._names = names
        self._mended = mended

    def leaving(self, before: State, after: State) -> None:
        """Withdraw names."""
        if self._names:
            self._names.leaving(before, after)

    def arriving(self, after: State) -> None:
        """Begin to serve names."""
        if self._names:
            self._names.begin(after)

    def committed(self, before: State, after: State, events: Sequence[Event]) -> None:
        """Write files and tell listeners. The commit stands whatever happens here: what fails is logged."""
        if before.containers is not after.containers or before.attachments is not after.attachments:
            self._files(before, after)
        if self._names:
            self._names.settle(after)
        self._tell(before, after, events)

    def again(self, state: State) -> None:
        """All files and all names, as far as they are others than before."""
        self._files(State(), state)
        if self._names:
            self._names.settle(state)

    def repaired(self, done: Sequence[Op]) -> None:
        """Count what was mended."""
        self._mended(done)

    def _files(self, before: State, after: State) -> None:
        try:
            refresh(self._paths, before, after, HostFiles.read)
        except OSError as error:
            log.error("files of containers cannot be written: %s", error)
