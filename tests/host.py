"""What a test does as a host: run and start commands, make namespaces, act inside them, and have an outside."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.namespaces import CLONE_NEWNET, setns
from tests.waiting import wait_until

UPLINK = """\
link add uplink type veth peer name eth0 netns outside
addr add 192.0.2.1/24 dev uplink
addr add 2001:db8::1/64 dev uplink nodad
link set uplink up
"""
OUTSIDE = """\
addr add 192.0.2.2/24 dev eth0
addr add 2001:db8::2/64 dev eth0 nodad
link set lo up
link set eth0 up
"""
ROUTES = """\
route add default via 192.0.2.2
route add default via 2001:db8::2
"""


class Host:
    """The host that a test is. Everything that it starts is ended, and everything that it makes is gone, after the test."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[str]] = []

    def run(self, *argv: str, input: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. With `check`, a failure is an AssertionError that shows what the command said."""
        done = subprocess.run(argv, check=False, input=input, capture_output=True, text=True, timeout=60)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def spawn(self, *argv: str) -> subprocess.Popen[str]:
        """Start a command with pipes at its standard streams; ended after the test."""
        pipe = subprocess.PIPE
        child = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self._children.append(child)
        return child

    def namespace(self, name: str) -> str:
        """Make a network namespace as `ip netns add` does, its `lo` up. Returns its path."""
        self.run("ip", "netns", "add", name)
        self.run("ip", "-n", name, "link", "set", "lo", "up")
        return f"/run/netns/{name}"

    def outside(self) -> str:
        """Make the Internet: a namespace `outside` (192.0.2.2/24, 2001:db8::2/64 on `eth0`), joined to the host's link `uplink`
        (192.0.2.1/24, 2001:db8::1/64), to which the host's default routes lead. Returns its path."""
        self.run("ip", "netns", "add", "outside")
        self.run("ip", "-batch", "-", input=UPLINK)
        self.run("ip", "-n", "outside", "-batch", "-", input=OUTSIDE)
        self.run("ip", "-batch", "-", input=ROUTES)
        wait_until(
            self._carried, what="the carrier of the uplink, without which IPv6 loses the first packet for a second"
        )
        return "/run/netns/outside"

    def _carried(self) -> bool:
        return " UP " in self.run("ip", "-n", "outside", "-br", "link", "show", "eth0").stdout

    @contextlib.contextmanager
    def inside(self, path: str) -> Iterator[Callable[..., Any]]:
        """`with host.inside(path) as call: call(function, *args)` runs the function in a thread that is in the network namespace
        at `path`, and returns its result. A socket made so stays in that namespace and may be used anywhere."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with ThreadPoolExecutor(1, initializer=setns, initargs=(descriptor, CLONE_NEWNET)) as thread:
                yield lambda function, *args, **named: thread.submit(function, *args, **named).result()
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """End what was started, and close its pipes."""
        for child in self._children:
            child.kill()
            child.communicate()
