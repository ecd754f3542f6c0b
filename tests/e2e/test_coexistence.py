"""Beside Docker's, libvirt's and CNI's rules, made as they make them: who reaches whom among theirs is the same before netrt,
while it is at work, and when all of it is gone; and their rules are not touched. (No dockerd and no libvirtd run here.)"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import Netrt
from tests.host import Host
from tests.traffic import Place, seen

pytestmark = pytest.mark.root

DOCKER = """
table ip nat {
	chain DOCKER { iifname "theirs0" counter return; iifname != "theirs0" tcp dport 9080 counter dnat to 10.77.0.2:80; }
	chain PREROUTING { type nat hook prerouting priority dstnat; policy accept; fib daddr type local counter jump DOCKER; }
	chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept;
		oifname != "theirs0" ip saddr 10.77.0.0/24 counter masquerade; }
}
table ip filter {
	chain DOCKER { ip daddr 10.77.0.2 iifname != "theirs0" oifname "theirs0" tcp dport 80 counter accept;
		iifname != "theirs0" oifname "theirs0" counter drop; }
	chain DOCKER-USER { counter return; }
	chain FORWARD { type filter hook forward priority filter; policy drop;
		counter jump DOCKER-USER;
		oifname "theirs0" ct state related,established counter accept;
		oifname "theirs0" counter jump DOCKER;
		iifname "theirs0" counter accept; }
}
"""

LIBVIRT = """
table ip libvirt_network {
	chain guest_output { ip saddr 10.77.0.0/24 iif "theirs0" counter accept; iif "theirs0" counter reject; }
	chain guest_input { oif "theirs0" ip daddr 10.77.0.0/24 ct state established,related counter accept
		oif "theirs0" counter reject; }
	chain guest_cross { iif "theirs0" oif "theirs0" counter accept; }
	chain forward { type filter hook forward priority filter; policy accept;
		counter jump guest_cross; counter jump guest_input; counter jump guest_output; }
	chain guest_nat { type nat hook postrouting priority srcnat; policy accept;
		ip saddr 10.77.0.0/24 ip daddr != 10.77.0.0/24 counter masquerade; }
}
"""

CNI = """
table ip nat {
	chain CNI-pod { ip daddr 10.77.0.0/24 counter accept; ip daddr != 224.0.0.0/4 counter masquerade; }
	chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; ip saddr 10.77.0.2 counter jump CNI-pod; }
	chain CNI-DN-pod { tcp dport 9080 counter dnat to 10.77.0.2:80; }
	chain CNI-HOSTPORT-DNAT { tcp dport 9080 counter jump CNI-DN-pod; }
	chain PREROUTING { type nat hook prerouting priority dstnat; policy accept
		fib daddr type local counter jump CNI-HOSTPORT-DNAT; }
}
table ip filter {
	chain CNI-FORWARD { ip daddr 10.77.0.0/24 ct state related,established counter accept; ip saddr 10.77.0.0/24 counter accept; }
	chain FORWARD { type filter hook forward priority filter; policy accept; counter jump CNI-FORWARD; }
}
"""


def theirs(host: Host) -> tuple[Place, Place]:
    """Their bridge, and two containers of theirs on it."""
    host.run(
        "ip",
        "-batch",
        "-",
        input="link add theirs0 type bridge\naddr add 10.77.0.1/24 dev theirs0\nlink set theirs0 up\n",
    )
    places = []
    for number in (2, 3):
        name = f"guest{number}"
        path = host.namespace(name)
        host.run("ip", "link", "add", f"vg{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        host.run("ip", "link", "set", f"vg{number}", "master", "theirs0", "up")
        words = f"addr add 10.77.0.{number}/24 dev eth0\nlink set eth0 up\nroute add default via 10.77.0.1\n"
        host.run("ip", "-n", name, "-batch", "-", input=words)
        places.append(Place(host, path))
    return places[0], places[1]


@pytest.mark.parametrize("rules", [DOCKER, LIBVIRT, CNI], ids=["docker", "libvirt", "cni"])
def test_their_matrix_stays_as_it_is(host: Host, netrt: Netrt, rules: str) -> None:
    outside = Place(host, host.outside())
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    one, two = theirs(host)
    host.run("nft", "-f", "-", input=rules)
    here = Place(host)
    asked: list[tuple[Place, str, int, Place, int]] = [
        (one, "10.77.0.3", 7000, two, 7000),
        (two, "10.77.0.2", 80, one, 80),
        (one, "192.0.2.2", 7000, outside, 7000),
        (one, "10.77.0.1", 7001, here, 7001),
        (here, "10.77.0.2", 80, one, 80),
        (outside, "192.0.2.1", 9080, one, 80),
        (outside, "192.0.2.1", 7001, here, 7001),
    ]

    def matrix() -> list[str]:
        found = []
        for client, address, port, server, inner in asked:
            with server.tcp(inner) as listening:
                found.append(seen(client, address, port, listening, 1.0))
        return found

    def listed() -> str:
        tables = {line.split("table ", 1)[1].rstrip(" {") for line in rules.splitlines() if line.startswith("table ")}
        return "".join(host.run("nft", "-s", "-a", "list", "table", *table.split()).stdout for table in sorted(tables))

    before, standing = matrix(), listed()
    assert before[0]
    assert before[2]
    netrt("network", "create", "--ipv6", "app")
    netrt("container", "create", "--name", "web", "--network", "app", "-p", "8080:80")
    assert matrix() == before
    netrt("daemon", "stop")
    assert matrix() == before
    netrt("rm", "web")
    netrt("network", "rm", "app")
    netrt("daemon", "stop")
    assert matrix() == before
    assert listed() == standing
