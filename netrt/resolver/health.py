"""Whether an upstream answers, as far as one place knows. No I/O; the moment is told.

Rule: who does not answer in time is ill, and is asked again by way of trial after a pause that grows; no question waits for it
as long as another one is well. What one sandbox sees of an upstream is not believed for others, for it may lie to itself."""

from __future__ import annotations

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0


class Health:
    """Of one upstream. It is well until it fails."""

    __slots__ = ("_pause", "_until")

    def __init__(self) -> None:
        self._pause = 0.0
        self._until = 0.0

    @property
    def is_well(self) -> bool:
        return not self._pause

    def answered(self) -> None:
        """It did so in time."""
        self._pause = 0.0

    def failed(self, now: float) -> None:
        """It did not answer in time. What fails within the pause, all having begun before it, counts once."""
        if self.is_well or now >= self._until:
            self._pause = min(self._pause * 2, LONGEST_PAUSE) or FIRST_PAUSE
            self._until = now + self._pause

    def trial_is_due(self, now: float) -> bool:
        """Whether to try if it is well again. True once; then it is given another pause before the next one."""
        due = not self.is_well and now >= self._until
        if due:
            self._until = now + self._pause
        return due
