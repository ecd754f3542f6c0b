"""What others did that cannot be mended by us, said in the log: once each, and again when it is over or comes back."""

from __future__ import annotations

import logging

from netrt.engine.heal import away
from netrt.engine.ports import Kernel
from netrt.model.state import State

log = logging.getLogger("netrt.engine")


class Alarms:
    """Remembers what was said."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._dropping: frozenset[tuple[str, str]] = frozenset()
        self._away: frozenset[tuple[str, str]] = frozenset()

    def drops(self) -> None:
        """Chains of others that drop what they do not accept."""
        dropping = frozenset(self._kernel.dropping())
        for table, chain in sorted(dropping - self._dropping):
            log.warning(
                "chain %s in table %s, of somebody else, drops what containers send unless it accepts it", chain, table
            )
        self._dropping = dropping

    def bridges(self, state: State) -> None:
        """Bridges of others that have gone and that networks stand on, and those that are there again."""
        gone = away(self._kernel, state)
        for network, bridge in sorted(gone - self._away):
            log.error(
                "bridge %s is gone, which somebody else made: containers of network %s reach nobody until it is there again",
                bridge,
                network,
            )
        for network, bridge in sorted(self._away - gone):
            log.warning("bridge %s, which network %s stands on, is there again", bridge, network)
        self._away = gone
