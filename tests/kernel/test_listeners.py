"""Who has which port, as the kernel's list of sockets says."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pyroute2.netlink import NETLINK_SOCK_DIAG

from netrt.dataplane.facts import Listener
from netrt.kernel.listeners import listeners
from netrt.kernel.netlink import Netlink
from netrt.model.port import PROTOCOLS
from tests.host import Host

pytestmark = pytest.mark.root

ME = f"{Path('/proc/self/comm').read_text().strip()} (pid {os.getpid()})"


@pytest.fixture
def sockets(host: Host) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def found_by(protocols: Collection[str], *, owners: bool = False) -> tuple[Listener, ...]:
    with Netlink(NETLINK_SOCK_DIAG) as netlink:
        return listeners(protocols, netlink, owners=owners)


def opened(
    stack: ExitStack, family: int, kind: int, address: tuple[str, int], *, only_ipv6: bool = False
) -> socket.socket:
    made = stack.enter_context(socket.socket(family, kind))
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_ipv6)
    made.bind(address)
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made


TCP, UDP, V4, V6 = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.AF_INET, socket.AF_INET6


@pytest.mark.parametrize(
    ("family", "kind", "address", "only_ipv6", "expected"),
    [
        (V4, TCP, "0.0.0.0", False, Listener(protocol="tcp", ip="0.0.0.0", port=8080)),
        (V4, TCP, "127.0.0.1", False, Listener(protocol="tcp", ip="127.0.0.1", port=8080)),
        (V6, TCP, "::", False, Listener(protocol="tcp", ip="::", port=8080, dual=True)),
        (V6, TCP, "::", True, Listener(protocol="tcp", ip="::", port=8080)),
        (V6, TCP, "::1", False, Listener(protocol="tcp", ip="::1", port=8080)),
        (V6, TCP, "::ffff:127.0.0.1", False, Listener(protocol="tcp", ip="127.0.0.1", port=8080)),
        (V4, UDP, "0.0.0.0", False, Listener(protocol="udp", ip="0.0.0.0", port=8080)),
        (V6, UDP, "::", False, Listener(protocol="udp", ip="::", port=8080, dual=True)),
        (V6, UDP, "::", True, Listener(protocol="udp", ip="::", port=8080)),
    ],
)
def test_what_a_socket_takes(
    sockets: ExitStack, family: int, kind: int, address: str, only_ipv6: bool, expected: Listener
) -> None:
    opened(sockets, family, kind, (address, 8080), only_ipv6=only_ipv6)
    assert found_by(PROTOCOLS) == (expected,)


def test_whose_they_are(sockets: ExitStack) -> None:
    opened(sockets, V4, TCP, ("0.0.0.0", 80))
    opened(sockets, V4, UDP, ("0.0.0.0", 53))
    assert [(found.port, found.owner) for found in found_by(PROTOCOLS, owners=True)] == [(80, ME), (53, ME)]


def test_connections_take_no_port(sockets: ExitStack) -> None:
    server = opened(sockets, V4, TCP, ("127.0.0.1", 80))
    client = sockets.enter_context(socket.create_connection(("127.0.0.1", 80)))
    sockets.enter_context(server.accept()[0])
    assert client
    question = opened(sockets, V4, UDP, ("127.0.0.1", 0))
    question.connect(("127.0.0.1", 53))
    assert [found.port for found in found_by(PROTOCOLS)] == [80]


def test_a_socket_without_a_port_takes_none(sockets: ExitStack) -> None:
    sockets.enter_context(socket.socket(V4, UDP))
    sockets.enter_context(socket.socket(V4, TCP))
    assert found_by(PROTOCOLS) == ()


def test_only_the_protocols_that_are_asked_for(sockets: ExitStack) -> None:
    opened(sockets, V4, TCP, ("0.0.0.0", 80))
    opened(sockets, V4, UDP, ("0.0.0.0", 53))
    assert [found.port for found in found_by({"tcp"})] == [80]
    assert found_by(()) == ()


def test_many_listeners(sockets: ExitStack) -> None:
    """More than one recv(2) holds."""
    ports = list(range(20000, 20300))
    for port in ports:
        opened(sockets, V4, UDP, ("0.0.0.0", port))
    assert sorted(found.port for found in found_by(PROTOCOLS)) == ports
