"""The loop: moments in their order, faults that concern nobody else, and nothing left of what was cancelled."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

from netrt.resolver.loop import READ, Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    with contextlib.closing(made):
        yield made


def test_moments_come_in_their_order(loop: Loop) -> None:
    seen: list[str] = []
    loop.later(0.02, lambda: (seen.append("second"), loop.stop())[1])
    loop.later(0.01, lambda: seen.append("first"))
    loop.cancel(loop.later(0.0, lambda: seen.append("cancelled")))
    loop.run()
    assert seen == ["first", "second"]


def test_what_is_cancelled_takes_no_room(loop: Loop) -> None:
    for _ in range(100_000):
        loop.cancel(loop.later(1000, loop.stop))
    assert len(loop._timers) < 2_000


def test_a_fault_ends_nothing(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    hear, say = os.pipe()
    os.write(say, b"12")

    def read(_: int) -> None:
        if os.read(hear, 1) == b"1":
            raise RuntimeError("fault one")
        loop.stop()

    def ring() -> None:
        raise RuntimeError("fault two")

    try:
        loop.later(0, ring)
        loop.watch(hear, READ, read)
        loop.run()
    finally:
        loop.forget(hear)
        os.close(hear)
        os.close(say)
    assert "fault one" in caplog.text
    assert "fault two" in caplog.text


def test_what_is_forgotten_is_not_called(loop: Loop) -> None:
    hear, say = os.pipe()
    loop.watch(hear, READ, lambda _: pytest.fail("it was forgotten"))
    loop.forget(hear)
    loop.forget(hear)
    os.write(say, b"1")
    loop.later(0.01, loop.stop)
    loop.run()
    os.close(hear)
    os.close(say)
