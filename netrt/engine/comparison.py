"""Everything compared with what should be, in pieces between which commands are done.

Theory: what a piece wants of our tables is looked for with the rest of it, so that what is lacking there is found. What is there
and should not be is what was there from the beginning to the end and was in no piece. Only where there is such a thing, all rules
are compared at once, which takes as long as many commands."""

from __future__ import annotations

from netrt.dataplane.objects import Key
from netrt.engine.heal import Healed, Piece, heal, pieces
from netrt.engine.ports import Kernel
from netrt.errors import KernelRefused
from netrt.model.state import State


class Comparison:
    """One that begins with its first piece. Used from the engine's thread."""

    def __init__(self) -> None:
        self._left: list[Piece] | None = None
        self._there: frozenset[Key] = frozenset()
        self._met: set[Key] = set()

    def go_on(self, kernel: Kernel, state: State) -> Healed | None:
        """Mend the next piece; None where there is none."""
        try:
            if self._left is None:
                self._left = [Piece(rules=True), *reversed(list(pieces(state)))]
                self._there = kernel.elements()
            piece = self._left.pop() if self._left else None
            if piece is None or (piece.rules and not (self._there & kernel.elements()) - self._met):
                return None
        except KernelRefused as error:
            return Healed(refused=(error,))
        return heal(kernel, state, piece, self._met)
