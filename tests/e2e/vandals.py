"""What the tests of vandalism share: acts, the packets that flow meanwhile, and what netrt counted."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from netrt.api.client import Client
from tests.command import Box
from tests.e2e.conftest import HOST4, HOST6, Site
from tests.probes import Way, way

SECOND = 1.0


Vandal = Callable[[Site], None]


def text(client: Client) -> str:
    return str(client.request("GET", "/netrt/metrics"))


def repairs(client: Client) -> Counter[str]:
    """How many there were, by kind."""
    found = re.findall(r'netrt_repairs_total\{kind="([^"]+)"\} ([0-9.]+)', text(client))
    return Counter({kind: int(float(number)) for kind, number in found})


def figure(client: Client, name: str) -> float:
    return float(re.findall(rf"^{name} ([0-9.]+)$", text(client), re.MULTILINE)[0])


def shown(site: Site, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(site.netrt.host.run("ip", "-j", *words).stdout or "[]")
    return found


def bridge(site: Site) -> str:
    """The bridge of the network `lan`."""
    gateway = site.gateways[0]
    links = shown(site, "addr", "show", "type", "bridge")
    return next(link["ifname"] for link in links if any(a.get("local") == gateway for a in link["addr_info"]))


def port(site: Site, box: Box | None = None) -> str:
    """The host's end of the link of a container, of `web` without a name."""
    (inner,) = shown(site, "-n", Path((box or site.web).path).name, "link", "show", "eth0")
    return next(link["ifname"] for link in shown(site, "link", "show") if link["ifindex"] == inner["link_index"])


def subnets(site: Site) -> tuple[str, str]:
    on = site.web.on()
    return (
        str(ip_network(f"{on['Gateway']}/{on['IPPrefixLen']}", strict=False)),
        str(ip_network(f"{on['IPv6Gateway']}/{on['GlobalIPv6PrefixLen']}", strict=False)),
    )


def ip(words: str) -> Vandal:
    """`ip …`, with the names of things filled in."""

    def act(site: Site) -> None:
        (four, six), gateways = subnets(site), site.gateways
        filled = words.format(
            bridge=bridge(site), port=port(site), four=four, six=six, gateway4=gateways[0], gateway6=gateways[1],
            web4=site.web.ip4, web6=site.web.ip6, web=Path(site.web.path).name,
        )  # fmt: skip
        site.netrt.host.run(*filled.split())

    return act


def sysctl(name: str) -> Vandal:
    return lambda site: Path("/proc/sys", name.format(bridge=bridge(site))).write_text("0") and None


def inside(words: str) -> Vandal:
    return ip("ip -n {web} " + words)


def mended_within_a_second(acts: Iterable[str], done: Callable[[str], float]) -> None:
    """`done` does an act, and tells how long it lasted. What lasted longer, perhaps on a busy machine, is done once more."""
    slow = {name: took for name in acts if (took := done(name)) > SECOND}
    again = {name: took for name in slow if (took := done(name)) > SECOND}
    assert not again, f"at first {slow}"


def listening() -> Client:
    """A client of the daemon that runs."""
    return Client(socket="/run/netrt/netrt.sock")


def ways(site: Site) -> tuple[list[Way], list[Way]]:
    """What is allowed: neighbours, and the published port. What is not: another network, and from outside the container's own
    address; from the container the host's ports."""
    four, six = subnets(site)
    for family, subnet, via in (("-4", four, HOST4), ("-6", six, HOST6)):
        site.netrt.host.run("ip", "-n", "outside", family, "route", "add", subnet, "via", via)
    web, host = site.web.udp(9000), site.here.udp(7070)
    published = site.web.udp(53)
    allowed = [
        way("neighbour, IPv4", site.peer, site.web.ip4, 9000, web),
        way("neighbour, IPv6", site.peer, site.web.ip6, 9000, web),
        way("published port, IPv4", site.outside, HOST4, 5353, published),
        way("published port, IPv6", site.outside, HOST6, 5353, published),
    ]
    forbidden = [
        way("another network, IPv4", site.far, site.web.ip4, 9000, web),
        way("another network, IPv6", site.far, site.web.ip6, 9000, web),
        way("from outside, IPv4", site.outside, site.web.ip4, 9000, web),
        way("from outside, IPv6", site.outside, site.web.ip6, 9000, web),
        way("to the host, IPv4", site.web, HOST4, 7070, host),
        way("to the host, IPv6", site.web, HOST6, 7070, host),
    ]
    return allowed, forbidden
