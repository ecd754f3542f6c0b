"""What others break is mended within a second, and counted; and while it is broken nothing passes that must not.

All the time a packet each millisecond goes every way that is allowed and every way that is not."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from netrt.api.client import Client
from tests.e2e.conftest import Site
from tests.e2e.vandals import (
    Vandal,
    bridge,
    figure,
    inside,
    ip,
    listening,
    mended_within_a_second,
    repairs,
    sysctl,
    text,
    ways,
)
from tests.probes import Probes, probing
from tests.snapshot import differences, snapshot
from tests.waiting import wait_until

pytestmark = pytest.mark.root


def replaced(site: Site) -> None:
    """Another namespace under the name of one of ours, before anybody looks."""
    site.netrt.host.run("ip", "-batch", "-", input="netns del {0}\nnetns add {0}\n".format(Path(site.web.path).name))


def usurped(site: Site) -> None:
    """A bridge under the name of one of ours, which has another name."""
    commands = "link set {0} name other\nlink add {0} type bridge\nlink set {0} up\n".format(bridge(site))
    site.netrt.host.run("ip", "-batch", "-", input=commands)


BRIDGE: dict[str, tuple[Vandal, str]] = {
    "deleted": (ip("ip link del {bridge}"), "bridge"),
    "down": (ip("ip link set {bridge} down"), "link attribute"),
    "IPv4 address removed": (ip("ip addr del {gateway4}/24 dev {bridge}"), "address"),
    "IPv6 address removed": (ip("ip addr del {gateway6}/64 dev {bridge}"), "address"),
    "addresses flushed": (ip("ip addr flush dev {bridge}"), "address"),
    "MTU": (ip("ip link set {bridge} mtu 1400"), "link attribute"),
    "MAC": (ip("ip link set {bridge} address 02:00:00:00:00:77"), "link attribute"),
    "mark removed": (ip("ip link set {bridge} alias mine"), "link attribute"),
    "IPv4 route removed": (ip("ip route del {four}"), "address"),
    "IPv6 route removed": (ip("ip -6 route del {six}"), "address"),
    "IPv4 local route removed": (ip("ip route del table local local {gateway4} dev {bridge}"), "address"),
    "IPv6 local route removed": (ip("ip -6 route del table local local {gateway6} dev {bridge}"), "address"),
}
NAME: dict[str, tuple[Vandal, str]] = {
    "taken away": (ip("ip link set {bridge} name other"), "bridge"),
    "given to another": (usurped, "link"),
}
"""Of a bridge. Our rules know bridges by their names, so until it has it again more passes than should."""
PORT: dict[str, tuple[Vandal, str]] = {
    "released from the bridge": (ip("ip link set {port} nomaster"), "link attribute"),
    "down": (ip("ip link set {port} down"), "link attribute"),
    "deleted": (ip("ip link del {port}"), "link"),
    "renamed": (ip("ip link set {port} name other"), "link"),
    "mark removed": (ip("ip link set {port} alias mine"), "link attribute"),
    "MTU": (ip("ip link set {port} mtu 1300"), "link attribute"),
    "moved away": (ip("ip link set {port} netns outside"), "link"),
    "hairpin off": (ip("bridge link set dev {port} hairpin off"), "link attribute"),
}
SANDBOX: dict[str, tuple[Vandal, str]] = {
    "IPv4 address removed": (inside("addr del {web4}/24 dev eth0"), "address"),
    "IPv6 address removed": (inside("addr del {web6}/64 dev eth0"), "address"),
    "addresses flushed": (inside("addr flush dev eth0"), "address"),
    "default routes removed": (inside("route del default"), "route"),
    "IPv6 default route removed": (inside("-6 route del default"), "route"),
    "route to the subnet removed": (inside("route del {four} proto kernel"), "address"),
    "down": (inside("link set eth0 down"), "link attribute"),
    "MTU": (inside("link set eth0 mtu 1300"), "link attribute"),
    "MAC": (inside("link set eth0 address 02:00:00:00:00:78"), "link attribute"),
    "deleted": (inside("link del eth0"), "link"),
    "rules flushed": (ip("ip netns exec {web} nft flush ruleset"), "name port"),
    "rules to ask for names flushed": (ip("ip netns exec {web} nft flush table ip netrt"), "name port"),
}
FORWARDING: dict[str, tuple[Vandal, str]] = {
    "IPv4": (sysctl("net/ipv4/ip_forward"), "sysctl"),
    "IPv6": (sysctl("net/ipv6/conf/all/forwarding"), "sysctl"),
    "IPv4, of the bridge": (sysctl("net/ipv4/conf/{bridge}/forwarding"), "sysctl"),
    "IPv6, of the bridge": (sysctl("net/ipv6/conf/{bridge}/forwarding"), "sysctl"),
}
PIN: dict[str, tuple[Vandal, str]] = {
    "deleted": (ip("ip netns del {web}"), "namespace"),
    "replaced": (replaced, "namespace"),
}
ALL = {"pin": PIN, "bridge": BRIDGE, "port": PORT, "sandbox": SANDBOX, "forwarding": FORWARDING}


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    with listening() as made:
        yield made


@pytest.fixture
def probes(site: Site) -> Iterator[Probes]:
    with probing(*ways(site)) as made:
        yield made


@pytest.mark.parametrize("of", ALL)
def test_what_is_broken_is_mended_within_a_second(site: Site, probes: Probes, client: Client, of: str) -> None:
    mended(site, probes, client, ALL[of])


def test_a_bridge_that_lost_its_name_has_it_again_within_a_second(site: Site, client: Client) -> None:
    with probing(*ways(site), never=False) as probes:
        mended(site, probes, client, NAME)


def mended(site: Site, probes: Probes, client: Client, acts: Mapping[str, tuple[Vandal, str]]) -> None:
    before = snapshot(site.netrt.host)

    def done(name: str) -> float:
        """Do it, and return for how long something that is allowed did not arrive, or something did that is not."""
        vandalise, kind = acts[name]
        counted, began = repairs(client), time.monotonic()
        vandalise(site)
        wait_until(lambda: repairs(client)[kind] > counted[kind], 5, f"a repair: {name}")
        probes.flowing(time.monotonic(), name)
        quiet = probes.rounds + 50
        wait_until(lambda: probes.rounds > quiet, 10)
        late = [way.arrivals[-1] - began for way in probes.forbidden if way.arrivals]
        return max(0.0, *late, *(way.gap(began, time.monotonic()) for way in probes.allowed))

    mended_within_a_second(acts, done)
    assert not differences(before, snapshot(site.netrt.host))


def test_what_we_do_ourselves_is_not_taken_for_vandalism(site: Site, client: Client) -> None:
    for number in range(20):
        client.create_container(f"c{number}", networks=["lan"], ports=[f"{9000 + number}:80"])
    for number in range(20):
        client.remove_container(f"c{number}")
    client.create_network("more")
    client.remove_network("more")
    BRIDGE["MTU"][0](site)  # when that is mended, all that was heard before was looked at
    wait_until(lambda: repairs(client)["link attribute"], what="a repair")
    assert +repairs(client) == Counter({"link attribute": 1})
    assert figure(client, "netrt_comparisons_total") == 1


def test_a_drop_policy_of_others_is_reported_and_left_alone(site: Site, client: Client) -> None:
    site.netrt.host.run("nft", "-f", "-", input=FOREIGN)
    before = site.netrt.host.run("nft", "list", "table", "ip", "other").stdout
    assert 'netrt_foreign_drop_policy{chain="forward",table="ip other"} 1.0' in text(client)
    log = Path("/run/netrt/netrtd.log")
    wait_until(
        lambda: "chain forward in table ip other, of somebody else, drops" in log.read_text(), what="the warning"
    )
    assert site.netrt.host.run("nft", "list", "table", "ip", "other").stdout == before


FOREIGN = """\
table ip other {
	chain forward {
		type filter hook forward priority 0; policy drop;
	}
}
"""
