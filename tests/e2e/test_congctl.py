"""On a host whose default is BBR, TCP between containers of one network has what is better there, and nothing else has."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.command import Box, Netrt
from tests.host import Host
from tests.traffic import Place
from tests.waiting import wait_until

pytestmark = pytest.mark.root

DEFAULT = Path("/proc/sys/net/ipv4/tcp_congestion_control")
PORT = 5000


@pytest.fixture(autouse=True)
def bbr(host: Host) -> None:
    """Namespaces have the default of the whole machine, which no test may change."""
    default, there = (
        DEFAULT.read_text().strip(),
        Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text(),
    )
    if default != "bbr" or "cubic" not in there.split():
        pytest.skip(f"the default of this machine is {default}, not bbr, or there is nothing better: {there.strip()}")


def control(client: Place, server: Place, address: str) -> tuple[str, str]:
    """Of a connection: that of who asked, and that of who answers."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with server.open(family, socket.SOCK_STREAM) as listening, client.open(family, socket.SOCK_STREAM) as asking:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("", PORT))
        listening.listen()
        asking.settimeout(5)
        asking.connect((address, PORT))
        with listening.accept()[0] as answering:
            return _control(asking), _control(answering)


def _control(connection: socket.socket) -> str:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()


def routes(box: Box) -> str:
    return "".join(box.host.run("ip", "-n", Path(box.path).name, family, "route").stdout for family in ("-4", "-6"))


def test_only_neighbours_have_it(host: Host, netrt: Netrt) -> None:
    outside = Place(host, host.outside())
    for name, options in (("near", ()), ("plain", ("-o", "congctl=off"))):
        netrt("network", "create", "--ipv6", *options, name)
    web, peer = (
        netrt.box(name, "--network", "near", "-p", f"{port}:{PORT}") for name, port in (("web", 80), ("peer", 81))
    )
    for address in (web.ip4, web.ip6):
        assert control(peer, web, address) == ("cubic", "cubic")
    for address in ("192.0.2.2", "2001:db8::2"):
        assert control(web, outside, address) == ("bbr", "bbr")
    one, two = (netrt.box(name, "--network", "plain") for name in ("one", "two"))
    for address in (one.ip4, one.ip6):
        assert control(two, one, address) == ("bbr", "bbr")
    assert DEFAULT.read_text() == "bbr\n", "nothing else of the host is changed"


def test_it_is_mended_and_goes_with_the_hosts_default(host: Host, netrt: Netrt) -> None:
    netrt("network", "create", "--ipv6", "near")
    web, peer = (netrt.box(name, "--network", "near") for name in ("web", "peer"))
    before = routes(web)
    assert before.count("congctl cubic") == 2
    host.run("ip", "-n", Path(web.path).name, "route", "flush", "proto", "78")
    wait_until(lambda: routes(web) == before, what="the routes of ours")
    assert control(peer, web, web.ip4) == ("cubic", "cubic")
    netrt("daemon", "stop")
    DEFAULT.write_text("reno")  # in a namespace, any other one needs a sysctl of the whole machine
    netrt("ps")
    assert "congctl" not in routes(web)
    assert control(peer, web, web.ip6) == ("bbr", "bbr"), "a sandbox keeps the default that it was made with"
