"""Hundreds of attaches and detaches leave nothing behind: files, threads, memory, tracked connections, database. `make soak` does
thousands."""

from __future__ import annotations

import pytest

from tests.host import Host
from tests.soak.__main__ import soaked
from tests.soak.cycles import grown

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]


def test_nothing_grows(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETRT_ROOT", raising=False)
    before, after = soaked(host, 300, warm=150)
    assert not grown(before, after)
