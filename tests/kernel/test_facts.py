"""What the host is like: the way out, what is spoken for, and who may not become a router."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from netrt.dataplane import ops
from netrt.dataplane.facts import HostFacts
from netrt.dataplane.objects import HOST, Sysctl
from netrt.errors import KernelRefused
from netrt.kernel import sysctl
from netrt.kernel.kernel import LinuxKernel
from netrt.paths import Paths
from tests.contract.test_kernel import NETWORK, ONE
from tests.host import Host
from tests.waiting import wait_until

pytestmark = pytest.mark.root

PATHS = Paths()
FORWARD4 = ops.SetSysctl(Sysctl(netns=HOST, name="net/ipv4/ip_forward", value="1"))
FORWARD6 = ops.SetSysctl(Sysctl(netns=HOST, name="net/ipv6/conf/all/forwarding", value="1"))


@pytest.fixture
def kernel(host: Host) -> Iterator[LinuxKernel]:
    with closing(LinuxKernel(PATHS)) as made:
        yield made


def fresh(kernel: LinuxKernel) -> HostFacts:
    return kernel.facts(fresh=True)


# the way out


def test_without_a_way_out(kernel: LinuxKernel) -> None:
    facts = fresh(kernel)
    assert facts.mtu == 1500
    assert facts.routes == ()
    assert facts.addresses == ("127.0.0.1", "::1")


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_mtu_of_the_way_out_of_either_family(host: Host, kernel: LinuxKernel, family: str) -> None:
    host.outside()
    host.run("ip", "link", "set", "uplink", "mtu", "1400")
    host.run("ip", "-6" if family == "-4" else "-4", "route", "delete", "default")
    assert fresh(kernel).mtu == 1400


def test_mtu_of_the_route_counts(host: Host, kernel: LinuxKernel) -> None:
    host.outside()
    host.run("ip", "route", "change", "default", "via", "192.0.2.2", "mtu", "1380")
    assert fresh(kernel).mtu == 1380


def test_the_smaller_one_of_both_families(host: Host, kernel: LinuxKernel) -> None:
    host.outside()
    tunnel(host, mtu=1280)
    host.run("ip", "-6", "route", "replace", "default", "via", "fd99::2")
    assert fresh(kernel).mtu == 1280


def test_a_backup_way_out_does_not_count(host: Host, kernel: LinuxKernel) -> None:
    host.outside()
    tunnel(host, mtu=1280)
    host.run("ip", "route", "add", "default", "via", "10.99.0.2", "metric", "700")
    assert fresh(kernel).mtu == 1500


def tunnel(host: Host, mtu: int) -> None:
    """A VPN's interface."""
    host.run("ip", "link", "add", "wg0", "mtu", str(mtu), "type", "veth", "peer", "name", "wg0-far", "netns", "outside")
    host.run("ip", "addr", "add", "10.99.0.1/24", "dev", "wg0")
    host.run("ip", "addr", "add", "fd99::1/64", "dev", "wg0", "nodad")
    host.run("ip", "link", "set", "wg0", "up")


def test_a_default_route_in_two_halves(host: Host, kernel: LinuxKernel) -> None:
    """As OpenVPN's `redirect-gateway def1` does: it is the way out, and it overlaps nothing."""
    host.outside()
    tunnel(host, mtu=1420)
    before = fresh(kernel).routes
    for half in ("0.0.0.0/1", "128.0.0.0/1"):
        host.run("ip", "route", "add", half, "via", "10.99.0.2")
    for half in ("::/1", "8000::/1"):
        host.run("ip", "route", "add", half, "via", "fd99::2")
    facts = fresh(kernel)
    assert facts.mtu == 1420
    assert facts.routes == before


def test_a_default_route_in_a_table_of_its_own(host: Host, kernel: LinuxKernel) -> None:
    """As `wg-quick` does: a rule leads to a table whose default is the tunnel."""
    host.outside()
    tunnel(host, mtu=1420)
    host.run("ip", "route", "add", "default", "dev", "wg0", "table", "51820")
    host.run("ip", "rule", "add", "not", "fwmark", "51820", "table", "51820")
    assert fresh(kernel).mtu == 1420


# spoken for


def test_routes_of_every_kind_and_table_are_spoken_for(host: Host, kernel: LinuxKernel) -> None:
    host.outside()
    for route in (
        "10.8.0.0/16 via 192.0.2.2",
        "10.10.0.0/16 via 192.0.2.2 table 77",
        "blackhole 10.11.0.0/24",
        "unreachable 10.12.0.0/24",
        "prohibit 10.13.0.0/24",
        "local 10.14.0.0/24 dev lo",
        "10.15.0.0/24 nexthop via 192.0.2.2 nexthop via 192.0.2.3",
        "fd08::/48 via 2001:db8::2",
        "unreachable fd09::/48",
        "unreachable default metric 4000",
    ):
        host.run("ip", "route", "add", *route.split())
    host.run("ip", "addr", "add", "10.16.0.1", "peer", "10.17.0.1/32", "dev", "uplink")
    assert fresh(kernel).routes == (
        "10.10.0.0/16",
        "10.11.0.0/24",
        "10.12.0.0/24",
        "10.13.0.0/24",
        "10.14.0.0/24",
        "10.15.0.0/24",
        "10.16.0.1/32",
        "10.17.0.1/32",
        "10.8.0.0/16",
        "192.0.2.0/24",
        "2001:db8::/64",
        "fd08::/48",
        "fd09::/48",
    )


def test_an_address_on_a_link_that_is_down_is_spoken_for(host: Host, kernel: LinuxKernel) -> None:
    host.run("ip", "link", "add", "br0", "type", "bridge")
    host.run("ip", "addr", "add", "10.20.0.1/16", "dev", "br0")
    facts = fresh(kernel)
    assert facts.routes == ("10.20.0.0/16",)
    assert "10.20.0.1" in facts.addresses


def test_our_own_networks_are_not_in_our_way(host: Host, kernel: LinuxKernel) -> None:
    kernel.apply([*NETWORK, *ONE.attached()])
    host.run("ip", "route", "add", "10.30.0.0/16", "via", "10.1.0.2", "proto", "78")
    facts = fresh(kernel)
    assert facts.routes == ()
    assert {"10.1.0.1", "fd00::1"} <= set(facts.addresses)


def test_facts_are_kept_until_fresh_ones_are_asked_for(host: Host, kernel: LinuxKernel) -> None:
    before = kernel.facts()
    host.outside()
    assert kernel.facts() is before
    assert kernel.facts(fresh=True) != before


# forwarding


def test_a_host_that_is_no_router(host: Host, kernel: LinuxKernel) -> None:
    """Whether it was one is told by the file, across processes, once forwarding is on."""
    assert fresh(kernel).raised == {4, 6}
    kernel.apply([FORWARD4])
    assert fresh(kernel).raised == {4, 6}
    with closing(LinuxKernel(PATHS)) as next_process:
        assert next_process.facts().raised == {4, 6}
    assert sysctl.read(FORWARD4.sysctl.name) == "1"


def test_a_host_that_is_a_router(host: Host, kernel: LinuxKernel) -> None:
    host.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    assert fresh(kernel).raised == {6}
    kernel.apply([FORWARD4])
    assert fresh(kernel).raised == {6}
    kernel.apply([FORWARD6])
    assert fresh(kernel).raised == {6}


def test_the_memory_is_of_this_boot_and_namespace(host: Host, kernel: LinuxKernel) -> None:
    kernel.apply([FORWARD4, FORWARD6])
    file = Path(PATHS.forwarding)
    boot, namespace, _ = file.read_text().splitlines()[0].split()
    file.write_text(f"0000-{boot[5:]} {namespace} 4\n{boot} {int(namespace) + 1} 6\n")
    assert fresh(kernel).raised == frozenset()


def test_what_cannot_be_remembered_is_not_raised(host: Host, kernel: LinuxKernel) -> None:
    Path(PATHS.run).write_text("in the way")
    with pytest.raises(KernelRefused, match="cannot set net/ipv4/ip_forward = 1: "):
        kernel.apply([FORWARD4])
    assert sysctl.read(FORWARD4.sysctl.name) == "0"


def test_routes_learnt_from_router_advertisements_are_kept(host: Host, kernel: LinuxKernel) -> None:
    """A host that forwards ignores router advertisements, and loses its default route, where accept_ra is 1 and not 2."""
    host.outside()
    host.run("sysctl", "-qw", "net.ipv6.conf.uplink.accept_ra=1")
    host.run("ip", "link", "add", "quiet", "type", "bridge")
    host.run("sysctl", "-qw", "net.ipv6.conf.quiet.accept_ra=0")
    host.run("ip", "-6", "route", "delete", "default")
    host.run(
        "ip", "-6", "route", "add", "default", "via", "2001:db8::2", "dev", "uplink", "proto", "ra", "expires", "1000"
    )
    kernel.apply([FORWARD6])
    assert sysctl.read("net/ipv6/conf/uplink/accept_ra") == "2"
    assert sysctl.read("net/ipv6/conf/quiet/accept_ra") == "0"


def test_a_kernel_without_ipv6(tmp_path: Path) -> None:
    """`ipv6.disable=1`: it is off everywhere, and may be switched off again."""
    (tmp_path / "net" / "ipv4").mkdir(parents=True)
    off, ra = "net/ipv6/conf/eth0/disable_ipv6", "net/ipv6/conf/eth0/accept_ra"
    assert (sysctl.read(off, str(tmp_path)), sysctl.read(ra, str(tmp_path))) == ("1", "0")
    sysctl.write(off, "1", str(tmp_path))
    with pytest.raises(FileNotFoundError):
        sysctl.write(off, "0", str(tmp_path))
    (tmp_path / "net" / "ipv6").mkdir()
    assert sysctl.read(off, str(tmp_path)) is None


def test_listeners_are_read_when_asked_for(host: Host, kernel: LinuxKernel) -> None:
    child = host.spawn("python3", "-m", "http.server", "8080")
    wait_until(lambda: kernel.facts(listeners=("tcp",)).listeners, what="a server")
    assert kernel.facts().listeners == kernel.facts(listeners=("udp",)).listeners == ()
    (server,) = kernel.facts(listeners=("tcp",)).listeners
    assert (server.protocol, server.ip, server.port, server.owner) == ("tcp", "0.0.0.0", 8080, "")
    (server,) = kernel.facts(listeners=("tcp",), owners=True).listeners
    assert server.owner == f"python3 (pid {child.pid})"
