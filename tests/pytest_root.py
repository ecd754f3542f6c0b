"""Our pytest plugin: the mark `root`, and the fixtures `host` and `netrt`.

Rule 1: what is marked `root` is skipped, with the reason, where we are not root.
Rule 2: a test that touches the network or netrt's directories asks for `host`, and then has its own of both.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

from tests.command import Netrt
from tests.host import Host
from tests.namespaces import own_namespaces
from tests.warm import Warm


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "root: needs root (CAP_SYS_ADMIN and CAP_NET_ADMIN)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture
def host() -> Iterator[Host]:
    """The test's main thread, and so its threads and subprocesses, as a host of its own. Needs root."""
    with own_namespaces(), contextlib.closing(Host()) as made:
        made.run("ip", "link", "set", "lo", "up")
        yield made


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """The command line without its imports, for all tests of a session."""
    with contextlib.closing(Warm()) as made:
        yield made


@pytest.fixture
def netrt(warm: Warm, host: Host, monkeypatch: pytest.MonkeyPatch) -> Netrt:
    """The command line in that host, its daemon started by the first command and ended with the host."""
    monkeypatch.delenv("NETRT_ROOT", raising=False)
    return Netrt(host, warm)
