"""Open files that are there when there are no others."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator

import pytest

from netrt.kernel.reserve import KEPT, Reserve


@pytest.fixture
def reserve() -> Iterator[Reserve]:
    made, limits = Reserve(), resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        yield made
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        made.close()


def used_up() -> list[int]:
    """All files that can be opened."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        while len(found) < 1000:
            found.append(os.open(os.devnull, os.O_RDONLY))
    return found


def test_they_are_lent_and_come_back(reserve: Reserve) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 10, hard))
    taken = used_up()
    with reserve.lent():
        lent = used_up()
        assert len(lent) == KEPT
        for file in lent[:5]:
            os.close(file)
    for file in (*lent[5:], *taken):
        os.close(file)
    reserve.refill()
    with reserve.lent():
        assert not reserve._kept
    assert len(reserve._kept) == KEPT
