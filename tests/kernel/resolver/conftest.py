"""The lab, and a site with upstreams, as fixtures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from netrt.dns import zone
from tests.host import Host
from tests.kernel.resolver.lab import APP, Box, Lab
from tests.kernel.resolver.upstream import Behaviour, Upstream, good
from tests.traffic import Place

BOX = ("198.51.100.100/24",)
OUTSIDE = tuple(f"198.51.100.{number}/24" for number in range(1, 6))


@pytest.fixture
def lab(host: Host) -> Iterator[Lab]:
    with contextlib.closing(Lab(host)) as made:
        yield made


@dataclass(frozen=True)
class Site:
    """`box` has a link to `outside`, where upstreams are; it sees `APP`."""

    lab: Lab
    box: Box
    outside: Place
    stack: contextlib.ExitStack

    def upstream(self, number: int, behaviour: Behaviour = good) -> Upstream:
        """One that answers, at an address of the outside that ends with this number."""
        made = Upstream(self.outside, f"198.51.100.{number}", behaviour)
        self.stack.callback(made.close)
        return made

    def use(self, *upstreams: Upstream) -> None:
        """Let unknown names of the box go to these."""
        self.lab.show(self.box.path, [APP], [zone.Upstream(upstream.address) for upstream in upstreams])


@pytest.fixture
def site(lab: Lab, host: Host) -> Iterator[Site]:
    box = lab.box("box")
    outside = Place(host, host.namespace("outside"))
    host.run("ip", "link", "add", "eth0", "netns", "box", "type", "veth", "peer", "name", "eth0", "netns", "outside")
    for name, addresses in (("box", BOX), ("outside", OUTSIDE)):
        for address in addresses:
            host.run("ip", "-n", name, "addr", "add", address, "dev", "eth0")
        host.run("ip", "-n", name, "link", "set", "eth0", "up")
    with contextlib.ExitStack() as stack:
        yield Site(lab, box, outside, stack)
