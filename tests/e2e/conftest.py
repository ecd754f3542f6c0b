"""What the packet tests share: a host with an outside, two networks, and three containers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.command import Box, Netrt
from tests.host import Host
from tests.traffic import Place

HOST4, HOST6 = "192.0.2.1", "2001:db8::1"
OUTSIDE4, OUTSIDE6 = "192.0.2.2", "2001:db8::2"


@pytest.fixture(params=["bridge netfilter on", "bridge netfilter off"])
def bridge_netfilter(host: Host, request: pytest.FixtureRequest) -> bool:
    """Whether packets inside a bridge go through the host's own netfilter hooks. Hosts differ; netrt must work either way."""
    wanted = bool(request.param == "bridge netfilter on")
    for family in ("iptables", "ip6tables"):
        switch = Path(f"/proc/sys/net/bridge/bridge-nf-call-{family}")
        if switch.exists():
            switch.write_text("1" if wanted else "0")
        elif wanted:
            pytest.skip("this kernel has no bridge netfilter")
    return wanted


@dataclass(frozen=True, kw_only=True)
class Site:
    """`web` and `peer` are on network `lan`, `far` on `other`; both networks have IPv4 and IPv6. `here` is the host."""

    netrt: Netrt
    here: Place
    outside: Place
    web: Box
    peer: Box
    far: Box

    @property
    def gateways(self) -> tuple[str, str]:
        """The host's addresses on `lan`: IPv4 and IPv6."""
        return str(self.web.on()["Gateway"]), str(self.web.on()["IPv6Gateway"])


WEB_PORTS = ("-p", "8080:80", "-p", "5353:53/udp")


@pytest.fixture
def site(host: Host, netrt: Netrt) -> Site:
    """The site, `web` publishing 8080 → 80/tcp and 5353 → 53/udp on every address of the host."""
    outside = Place(host, host.outside())
    for network in ("lan", "other"):
        netrt("network", "create", "--ipv6", network)
    return Site(
        netrt=netrt,
        here=Place(host),
        outside=outside,
        web=netrt.box("web", "--network", "lan", *WEB_PORTS),
        peer=netrt.box("peer", "--network", "lan"),
        far=netrt.box("far", "--network", "other"),
    )
