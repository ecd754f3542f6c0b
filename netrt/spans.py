"""Where the time of a command goes: spans, kept only for who asks.

Rule 1: a trace belongs to one command and follows it from thread to thread by hand; no other command writes into it. Rule 2: a
span that nobody asked for costs a look at one variable, so that the code that is measured is the code that runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import NamedTuple


class Span(NamedTuple):
    """One step: within how many others it is, when it began and how long it took, both in microseconds; the first begins at 0."""

    name: str
    depth: int
    began: int
    took: int


class Trace:
    """The spans of one command, in the order in which they began."""

    def __init__(self) -> None:
        self._began = time.perf_counter_ns()
        self._depth = 0
        self._rows: list[list[str | int]] = []

    def enter(self, name: str) -> int:
        """Begin a span, and return its number."""
        self._rows.append([name, self._depth, time.perf_counter_ns(), 0])
        self._depth += 1
        return len(self._rows) - 1

    def leave(self, number: int) -> None:
        """End a span."""
        row = self._rows[number]
        self._depth -= 1
        row[3] = time.perf_counter_ns() - int(row[2])

    @property
    def spans(self) -> tuple[Span, ...]:
        return tuple(
            Span(str(name), int(depth), (int(began) - self._began) // 1000, int(took) // 1000)
            for name, depth, began, took in self._rows
        )


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current() -> Trace | None:
    """The trace that the calling thread or task writes into, to be handed to another one."""
    return _current.get()


class into:
    """Write the spans of this block into a trace, or nowhere: `with into(trace): …`."""

    __slots__ = ("_token", "_trace")

    def __init__(self, trace: Trace | None) -> None:
        self._trace = trace

    def __enter__(self) -> None:
        self._token = _current.set(self._trace)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


class span:
    """A step: `with span("plan"): …`. The name may be a function, called only where somebody asked."""

    __slots__ = ("_name", "_number", "_trace")

    def __init__(self, name: str | Callable[[], str]) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._trace = _current.get()
        if self._trace is not None:
            self._number = self._trace.enter(self._name if isinstance(self._name, str) else self._name())

    def __exit__(self, *_: object) -> None:
        if self._trace is not None:
            self._trace.leave(self._number)
