"""Everything compared with what should be, in pieces between which commands are done.

Theory: what a piece wants of our tables is looked for with the rest of it, so that what is lacking there is found. What is there
and should not be is what was there from the beginning to the end and no piece wanted. Only where there is such a thing, all rules
are compared at once, which takes as long as many commands."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from netrt.dataplane.objects import Key
from netrt.engine.heal import Healed, Piece, heal, pieces
from netrt.engine.ports import Kernel
from netrt.errors import KernelRefused
from netrt.model.state import State


class Comparison:
    """Used from the engine's thread."""

    def __init__(self) -> None:
        self._left: Iterator[Piece] | None = None
        self._unwanted: set[Key] = set()
        """What our tables held at the beginning, and no piece wanted so far."""

    def go_on(self, kernel: Kernel, state: State) -> Healed | None:
        """First look anew at what the host is like, then mend one piece after the other; None where there is none left."""
        try:
            if self._left is None:
                self._left = chain(pieces(state), [Piece(rules=True)])
                kernel.facts(fresh=True)
                self._unwanted = set(kernel.elements())
                return Healed()
            piece = next(self._left, None)
            if piece is None or (piece.rules and not (self._unwanted and self._unwanted & kernel.elements())):
                return None
        except KernelRefused as error:
            return Healed(refused=(error,))
        wanted: set[Key] = set()
        healed = heal(kernel, state, piece, wanted)
        self._unwanted -= wanted
        return healed
