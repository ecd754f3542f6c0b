"""What the tests of operations share: the real kernel, on a host of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from netrt.kernel.kernel import LinuxKernel
from netrt.paths import Paths
from tests.host import Host


@pytest.fixture
def kernel(host: Host) -> Iterator[LinuxKernel]:
    with closing(LinuxKernel(Paths())) as made:
        yield made
