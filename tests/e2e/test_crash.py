"""netrtd killed right before and right after each kernel operation and each save of attach, detach and publish: the next one
finds all of before or all of after. `make sweep` does so with every flow."""

from __future__ import annotations

import pytest

from tests.crash.flows import ATTACH
from tests.crash.sweep import Sweep
from tests.host import Host

pytestmark = pytest.mark.root


@pytest.mark.parametrize("name", ATTACH)
def test_a_kill_at_any_point_leaves_before_or_after(name: str, host: Host) -> None:
    report = Sweep(host, ATTACH[name]).report
    assert not report.wrong, "\n\n".join(report.wrong)
    assert report.before >= 1
    assert report.after >= 1
