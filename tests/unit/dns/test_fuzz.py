"""More than 200,000 mutated messages: an answer that reads well or silence, never an exception, never long."""

from __future__ import annotations

import pytest

from tests.unit.dns.fuzz import run

PARTS, EACH = 8, 26_000


@pytest.mark.parametrize("seed", range(PARTS))
def test_mutated_messages(seed: int) -> None:
    outcomes = run(seed, EACH)
    assert outcomes.total() == EACH
    assert all(outcomes[word] > EACH // 100 for word in ("answer", "error", "forwarded", "silence")), outcomes


def test_there_are_enough_of_them() -> None:
    assert PARTS * EACH >= 200_000
