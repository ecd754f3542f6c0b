"""What checks of health said last. It is known to this process only; what follows from it is in the State."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple


class Probe(NamedTuple):
    """One check of a container: when it began and ended (nanoseconds since the epoch), 0 where all is well, what was said."""

    began: int
    ended: int
    exit_code: int
    output: str


@dataclass(slots=True)
class Probes:
    """The last checks of a container, and how many in a row have failed."""

    failures: int = 0
    log: deque[Probe] = field(default_factory=lambda: deque(maxlen=5))
