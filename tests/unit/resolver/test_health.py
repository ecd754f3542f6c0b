"""An upstream that fails is ill, and tried again after pauses that grow."""

from __future__ import annotations

from netrt.resolver.health import FIRST_PAUSE, LONGEST_PAUSE, Health


def test_it_is_well_until_it_fails_and_again_when_it_answers() -> None:
    health = Health()
    assert health.is_well
    health.failed(100.0)
    assert not health.is_well
    health.answered()
    assert health.is_well


def test_many_failures_at_once_are_one() -> None:
    health = Health()
    for moment in range(50):
        health.failed(100.0 + moment / 100)
    assert not health.trial_is_due(100.0 + FIRST_PAUSE - 0.1)
    assert health.trial_is_due(100.0 + FIRST_PAUSE)


def test_it_is_tried_once_a_pause() -> None:
    health = Health()
    assert not health.trial_is_due(100.0)
    health.failed(100.0)
    assert [health.trial_is_due(100.0 + FIRST_PAUSE) for _ in range(3)] == [True, False, False]


def test_pauses_grow_to_a_limit() -> None:
    health, now, pauses = Health(), 100.0, []
    for _ in range(8):
        health.failed(now)
        pause = next(step / 2 for step in range(1, 1000) if health.trial_is_due(now + step / 2))
        pauses.append(pause)
        now += pause + pause
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
