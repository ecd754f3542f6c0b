"""Networks that change while they are used: connections of all kinds go on, and what is new works."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import dns.message
import pytest

from tests.command import Box, Netrt
from tests.e2e.conftest import HOST4, HOST6, OUTSIDE4, OUTSIDE6
from tests.host import Host
from tests.snapshot import differences, snapshot
from tests.traffic import PATIENT, Place, conversation, seen

pytestmark = pytest.mark.root

APP = ("--subnet", "10.1.0.0/24", "--subnet", "fd00:1::/112", "--label", "tier=front", "app")


@contextmanager
def everybody_talks(host: Host, web: Box, peer: Box) -> Iterator[None]:
    """Connections to `web`, which publishes 8080 to 80: in the network, by the published port from everywhere, and out of it."""
    here, outside = Place(host), Place(host, "/run/netns/outside")
    ways = (
        (outside, HOST4, 8080, web, 80),
        (here, "127.0.0.1", 8080, web, 80),
        (here, web.ip4, 81, web, 81),
        (peer, web.ip4, 82, web, 82),
        (peer, HOST4, 8080, web, 80),
        (web, OUTSIDE4, 83, outside, 83),
        (outside, HOST6, 8080, web, 80),
        (here, "::1", 8080, web, 80),
        (peer, web.ip6, 84, web, 84),
        (peer, HOST6, 8080, web, 80),
        (web, OUTSIDE6, 85, outside, 85),
    )
    with ExitStack() as stack:
        for way in ways[: None if web.ip6 else 6]:
            stack.enter_context(conversation(*way))
        yield


def addresses(host: Host, *where: str) -> list[str]:
    """The addresses of global scope."""
    links = json.loads(host.run("ip", *where, "-j", "addr", "show", "scope", "global").stdout)
    return [f"{a['local']}/{a['prefixlen']}" for link in links for a in link.get("addr_info", ()) if a]


def both_ways(one: Box, other: Box) -> None:
    """One reaches the other, and is seen as who it is; and back."""
    for asking, asked in ((one, other), (other, one)):
        for theirs, mine in ((asked.ip4, asking.ip4), (asked.ip6, asking.ip6)):
            with asked.tcp(99) as server:
                assert not theirs or not mine or seen(asking, theirs, 99, server) == mine


def test_a_subnet_grows(host: Host, netrt: Netrt) -> None:
    host.outside()
    netrt("network", "create", *APP)
    web, peer = netrt.box("web", "--network", "app", "-p", "8080:80"), netrt.box("peer", "--network", "app")
    with everybody_talks(host, web, peer):
        said = netrt("network", "update", "app", "--grow", "10.1.0.0/22", "--grow", "fd00:1::/64")
        assert said == ""
    assert addresses(host, "-n", web.path.rpartition("/")[2]) == ["10.1.0.2/22", "fd00:1::2/64"]
    assert {"10.1.0.1/22", "fd00:1::1/64"} < set(addresses(host))
    assert not {"10.1.0.1/24", "fd00:1::1/112"} & set(addresses(host))
    netrt("diff")
    assert [each["Subnet"] for each in netrt.inspect("app")["IPAM"]["Config"]] == ["10.1.0.0/22", "fd00:1::/64"]
    assert netrt.inspect("web")["NetworkSettings"]["Networks"]["app"]["IPPrefixLen"] == 22
    both_ways(web, netrt.box("far", "--network", "app", "--ip", "10.1.3.254", "--ip6", "fd00:1::abcd:ef01"))


def test_a_subnet_comes(host: Host, netrt: Netrt) -> None:
    host.outside()
    netrt("network", "create", *APP)
    netrt("network", "create", "--internal", "--subnet", "10.8.0.0/30", "inner")
    web, peer = netrt.box("web", "--network", "app", "-p", "8080:80"), netrt.box("peer", "--network", "app")
    only = netrt.box("only", "--network", "inner")
    with everybody_talks(host, web, peer):
        netrt("network", "update", "--add-subnet", "10.2.0.0/24", "--gateway", "10.2.0.254", "app")
        netrt("network", "update", "--add-subnet", "10.9.0.0/24", "inner")
    new = netrt.box("new", "--network", "app", "--ip", "10.2.0.9", "-p", "8081:80")
    both_ways(web, new)
    assert new.on()["Gateway"] == "10.2.0.254"
    outside = Place(host, "/run/netns/outside")
    assert seen(outside, HOST4, 8081, new.tcp(80)) == OUTSIDE4
    assert seen(new, OUTSIDE4, 83, outside.tcp(83)) == HOST4
    more = netrt.box("more", "--network", "inner")
    assert more.ip4 == "10.9.0.2", "10.8.0.0/30 has room for one"
    both_ways(only, more)
    netrt("diff")


def test_a_family_comes(host: Host, netrt: Netrt) -> None:
    host.outside()
    netrt("network", "create", "--subnet", "10.1.0.0/24", "app")
    web, peer = netrt.box("web", "--network", "app", "-p", "8080:80"), netrt.box("peer", "--network", "app")
    assert "IPv6, which network app has not (wish for it: --ipv6)" in netrt.refused(
        "network", "update", "app", "--add-subnet", "fd00:1::/64"
    )
    with everybody_talks(host, web, peer):
        netrt("network", "update", "app", "--ipv6", "--add-subnet", "fd00:1::/64")
    web, peer = Box(host, netrt.inspect("web")), Box(host, netrt.inspect("peer"))
    assert (web.ip6, peer.ip6) == ("fd00:1::2", "fd00:1::3")
    with everybody_talks(host, web, peer):
        netrt("network", "update", "app", "--grow", "fd00:1::/60")
    netrt("diff")


def test_labels_and_resolvers(host: Host, netrt: Netrt) -> None:
    outside = Place(host, host.outside())
    netrt("network", "create", *APP)
    web, peer = netrt.box("web", "--network", "app", "-p", "8080:80"), netrt.box("peer", "--network", "app")
    before = snapshot(host)
    with everybody_talks(host, web, peer), outside.udp(53) as asked:
        netrt("network", "update", "--label", "owner=me", "--label-rm", "tier", "--dns", OUTSIDE4, "app")
        asked.settimeout(PATIENT)
        with web.open(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.sendto(dns.message.make_query("example.org", "A").to_wire(), ("127.0.0.11", 53))
            assert b"example" in asked.recv(512)
    assert not differences(before, snapshot(host))
    app = netrt.inspect("app")
    assert (app["Labels"], app["Netrt"]) == ({"owner": "me"}, {"Dns": [OUTSIDE4]})
    netrt("network", "update", "--dns", "host", "app")
    assert "Netrt" not in netrt.inspect("app")
    assert not netrt("network", "ls", "-q", "--filter", "label=tier")


def test_refused_or_only_told(host: Host, netrt: Netrt) -> None:
    host.outside()
    netrt("network", "create", *APP)
    netrt("network", "create", "--subnet", "10.3.0.0/24", "other")
    netrt("container", "create", "--name", "web", "--network", "app")
    before = snapshot(host)
    cases = (
        ("nobody --label a=b", "no network named nobody"),
        ("host --label a=b", "host is predefined and cannot be changed"),
        ("app", "nothing is to be changed"),
        ("app --grow 10.1.0.0/23 --grow 10.1.0.9/22", "did you mean 10.1.0.0/22?"),
        ("app --grow 10.5.0.0/16", "contains no subnet of network app (has: 10.1.0.0/24, fd00:1::/112)"),
        ("app --grow 10.1.0.0/24", "has subnet 10.1.0.0/24 already"),
        ("app --grow 10.1.0.0/25", "10.1.0.0/25 is smaller than subnet 10.1.0.0/24"),
        ("app --grow 10.0.0.0/14", "overlaps network other (10.3.0.0/24)"),
        ("app --add-subnet 10.3.0.128/25", "overlaps network other (10.3.0.0/24)"),
        ("app --add-subnet 192.0.2.128/25", "overlaps the host's route 192.0.2.0/24"),
        ("app --add-subnet 10.1.0.0/28", "subnets 10.1.0.0/24 and 10.1.0.0/28 of one network overlap"),
        ("app --add-subnet 10.4.0.0/24 --gateway 10.5.0.1", "gateway 10.5.0.1 is outside"),
        ("app --label-rm nothing", "no label nothing (has: tier)"),
        ("app --dns there", "invalid DNS server"),
    )
    for words, part in cases:
        assert part in netrt.refused("network", "update", *words.split())
    said = netrt("network", "update", "--dry-run", "app", "--grow", "10.1.0.0/22")
    assert "set address 10.1.0.2/22 in the place of 10.1.0.2/24 on eth0" in said
    assert not differences(before, snapshot(host))
    assert netrt.inspect("app")["Labels"] == {"tier": "front"}
