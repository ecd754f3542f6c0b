"""The one place where tests wait: for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float = 5.0, what: str = "") -> T:
    """Ask until the answer is true, and return it. AssertionError after `timeout` seconds, naming `what` and the last answer."""
    deadline = time.monotonic() + timeout
    pause = 0.002
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {timeout} s for {what or condition}; last answer: {answer!r}"
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    return answer
