"""The reference plugins beside ours, executed as a runtime does it: delegated IPAM plugins, and chains of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cni import PORTMAP, Cni, Config, bridge, network, port
from tests.e2e.conftest import HOST4, OUTSIDE4
from tests.host import Host
from tests.runtimes.conftest import needed
from tests.snapshot import differences, snapshot
from tests.traffic import Place, seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root

LEASES = Path("/run/leases/mynet")


def local(**more: Any) -> Config:
    """The reference's host-local."""
    ranges = [[{"subnet": "10.22.0.0/16"}]]
    return {"type": "host-local", "dataDir": "/run/leases", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}], **more}


def leases() -> list[str]:
    return sorted(path.name for path in LEASES.glob("10.*"))


def test_host_local_below_our_bridge(both: Cni, runtime_host: Host) -> None:
    lan, outside = network(bridge(ipam=local()), PORTMAP, version="1.0.0"), Place(runtime_host, "/run/netns/outside")
    cni = both
    cni.add(lan, cni.container("c0")).delete()
    before = snapshot(runtime_host)
    one = cni.add(lan, cni.container("c1"), portMappings=[port(8080, 80)])
    two = cni.add(lan, cni.container("c2"))
    assert leases() == [one.ip4, two.ip4]
    with one.container.tcp(80) as web:
        assert seen(two.container, one.ip4, 80, web) == two.ip4
        assert seen(outside, HOST4, 8080, web) == OUTSIDE4
    one.check()
    Path(LEASES, one.ip4).unlink()
    assert "host-local" in one.complaint()
    runtime_host.run("ip", "netns", "del", "c1")
    for made in (one, two):
        made.delete()
    runtime_host.run("ip", "netns", "del", "c2")
    assert not leases()
    assert not differences(before, snapshot(runtime_host))


def test_static_below_our_bridge(both: Cni, runtime_host: Host) -> None:
    ipam = {
        "type": "static",
        "addresses": [{"address": "10.22.0.7/16", "gateway": "10.22.0.1"}, {"address": "fd00:22::7/64"}],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    made = both.add(network(bridge(ipam=ipam), version="1.0.0"), both.container("c1"))
    assert made.addresses == ["10.22.0.7", "fd00:22::7"]
    with made.container.tcp(80) as web:
        assert seen(Place(runtime_host), made.ip4, 80, web) == "10.22.0.1"
    made.check()
    made.delete()


def test_dhcp_on_the_lan(both: Cni, runtime_host: Host) -> None:
    """The lease comes over the interface that is made first, and is given back."""
    needed("busybox")
    Path("/run/udhcpd.leases").touch()
    Path("/run/udhcpd.conf").write_text(
        "start 192.0.2.50\nend 192.0.2.60\ninterface eth0\nlease_file /run/udhcpd.leases\npidfile /run/udhcpd.pid\n"
        "opt subnet 255.255.255.0\nopt router 192.0.2.2\nopt lease 600\n"
    )
    runtime_host.spawn("ip", "netns", "exec", "outside", "busybox", "udhcpd", "-f", "/run/udhcpd.conf")
    Path("/run/cni").mkdir(exist_ok=True)
    runtime_host.spawn("/usr/lib/cni/dhcp", "daemon")
    wait_until(Path("/run/cni/dhcp.sock").exists, 10, "the DHCP client's daemon")
    lan = network({"type": "netrt-macvlan", "master": "uplink", "ipam": {"type": "dhcp"}}, version="1.0.0")
    made = both.add(lan, both.container("c1"))
    assert made.ip4.startswith("192.0.2.5")
    with made.container.tcp(80) as web:
        assert seen(Place(runtime_host, "/run/netns/outside"), made.ip4, 80, web) == OUTSIDE4
    made.check()
    made.delete()
    assert "eth0" not in runtime_host.run("ip", "-n", "c1", "link").stdout


def test_our_host_local_below_their_bridge(both: Cni, runtime_host: Host) -> None:
    ipam = {"type": "netrt-host-local", "subnet": "10.22.0.0/16", "routes": [{"dst": "0.0.0.0/0"}]}
    lan = network(bridge(ipam=ipam) | {"type": "bridge"}, version="1.0.0")
    one, two = both.add(lan, both.container("c1")), both.add(lan, both.container("c2"))
    assert [one.ip4, two.ip4] == ["10.22.0.2", "10.22.0.3"]
    with one.container.tcp(80) as web:
        assert seen(two.container, one.ip4, 80, web) == two.ip4
    one.check()
    one.delete()
    assert both.add(lan, both.container("c3")).ip4 == "10.22.0.4"


def test_their_loopback_and_ours(both: Cni, runtime_host: Host) -> None:
    """The same result for the same question."""
    runtime_host.run("ip", "netns", "add", "bare")
    said = []
    for kind in ("loopback", "netrt-loopback"):
        config = {"cniVersion": "1.0.0", "name": "lo", "type": kind}
        said.append(both.execute("ADD", config, netns="/run/netns/bare", ifname="lo").result)
        assert both.execute("DEL", config, netns="/run/netns/bare", ifname="lo").status == 0
    assert said[0].pop("dns") == {}
    assert said[0] == said[1]
