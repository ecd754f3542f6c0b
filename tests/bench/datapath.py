"""What packets cost: between containers of one network beside a bridge without any rules, and new connections to a published port
beside Docker-like iptables rules, all in one run and in turn."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from netrt.api.client import Client
from netrt.kernel.facts import near_congctl
from tests.bench.load import measured, serving
from tests.bench.table import Row

ROUNDS = 15
PORT = 5000
PUBLISHED = 10_000
FIRST = 20_000


@dataclass(frozen=True)
class Way:
    """From a namespace to a server at an address, and by which port."""

    what: str
    namespace: str
    address: str
    port: int = PORT


def median(load: str, way: Way) -> float:
    return statistics.median(measured(load, way.namespace, way.address, way.port) for _ in range(ROUNDS))


def beside(load: str, way: Way, other: Way) -> tuple[float, float, float]:
    """The ratio of the figures of two ways, and both figures: medians of several rounds, in each of which both are measured one
    right after the other, now this one first and now that, for the machine's pace changes from second to second."""
    rounds = []
    for number in range(ROUNDS):
        pair = (way, other) if number % 2 else (other, way)
        found = {each.what: measured(load, each.namespace, each.address, each.port) for each in pair}
        rounds.append((found[way.what], found[other.what]))
    ratio = statistics.median(one / another for one, another in rounds)
    return ratio, statistics.median(one for one, _ in rounds), statistics.median(another for _, another in rounds)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextlib.contextmanager
def bare_bridge() -> Iterator[Way]:
    """Two namespaces on a bridge in a third one, where there is no rule at all."""
    for name in ("bare", "bare1", "bare2"):
        ip("netns", "add", name)
    ip("-n", "bare", "link", "add", "br0", "type", "bridge")
    ip("-n", "bare", "link", "set", "br0", "up")
    for number in (1, 2):
        end, inside = f"port{number}", f"bare{number}"
        ip("-n", "bare", "link", "add", end, "master", "br0", "type", "veth", "peer", "name", "eth0", "netns", inside)
        ip("-n", "bare", "link", "set", end, "up")
        ip("-n", inside, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
        ip("-n", inside, "link", "set", "eth0", "up")
    with ended(serving("/run/netns/bare2", PORT)):
        yield Way("bare", "/run/netns/bare1", "10.77.0.2")


@contextlib.contextmanager
def ended(child: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        child.kill()
        child.wait()


def address_of(client: Client, container: str, network: str) -> str:
    found = client.container(container)["NetworkSettings"]["Networks"][network]["IPAddress"]
    assert isinstance(found, str)
    return found


def bridged(client: Client) -> Iterator[Row]:
    """Containers of one network, with the congestion control of the bare bridge."""
    client.create_network("path", options={"congctl": "off"})
    ours = between(client, "path")
    with ended(serving("/run/netns/netrt-path2", PORT)), bare_bridge() as bare:
        for load, what, unit, scale in (("stream", "stream", "MB", 1e6), ("turns", "round trips", "/s", 1)):
            ratio, figure, against = beside(load, ours, bare)
            yield Row(f"{what}, one network / bare bridge", ratio, 0.95, figure / scale, against / scale, unit,
                      at_least=True)  # fmt: skip
        if near_congctl():
            yield from near(client, ours, bare)


def between(client: Client, network: str) -> Way:
    """From one new container of a network to another, where nobody serves yet."""
    for number in (1, 2):
        client.create_container(f"{network}{number}", networks=[network])
    return Way(network, f"/run/netns/netrt-{network}1", address_of(client, f"{network}2", network))


def near(client: Client, untuned: Way, bare: Way) -> Iterator[Row]:
    """What the congestion control that neighbours get on such a host is worth; and how much more there is to be had: a bare
    bridge between hosts whose default was no BBR in the first place."""
    client.create_network("near")
    ours = between(client, "near")
    with ended(serving("/run/netns/netrt-near2", PORT)):
        ratio, figure, against = beside("stream", ours, untuned)
        yield Row("stream, host with BBR / without congctl", ratio, 2.0, figure / 1e6, against / 1e6, "MB",
                  at_least=True)  # fmt: skip
        for number in (1, 2):
            ip("netns", "exec", f"bare{number}", "sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno")
        ratio, figure, against = beside("stream", ours, bare)
    yield Row("the same / bare bridge with Reno", ratio, 0, figure / 1e6, against / 1e6, "MB")


@contextlib.contextmanager
def iptables_host() -> Iterator[Way]:
    """A host as Docker makes it with iptables: a rule for each published port; asked from outside."""
    for name in ("old", "old-box", "old-out"):
        ip("netns", "add", name)
    ip("-n", "old", "link", "add", "br0", "type", "bridge")
    ip("-n", "old", "addr", "add", "10.78.0.1/16", "dev", "br0")
    ip("-n", "old", "link", "set", "br0", "up")
    ip("-n", "old", "link", "add", "port1", "master", "br0", "type", "veth", "peer", "name", "eth0", "netns", "old-box")
    ip("-n", "old", "link", "set", "port1", "up")
    ip("-n", "old-box", "addr", "add", "10.78.0.2/16", "dev", "eth0")
    ip("-n", "old-box", "link", "set", "eth0", "up")
    ip("-n", "old-box", "route", "add", "default", "via", "10.78.0.1")
    ip("-n", "old", "link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", "old-out")
    ip("-n", "old", "addr", "add", "10.79.0.1/24", "dev", "up0")
    ip("-n", "old", "link", "set", "up0", "up")
    ip("-n", "old-out", "addr", "add", "10.79.0.2/24", "dev", "eth0")
    ip("-n", "old-out", "link", "set", "eth0", "up")
    subprocess.run(["ip", "netns", "exec", "old", "sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
    subprocess.run(["ip", "netns", "exec", "old", "iptables-restore"], input=docker_rules(), text=True, check=True)
    with ended(serving("/run/netns/old-box", PORT)):
        yield Way("iptables", "/run/netns/old-out", "10.79.0.1", FIRST + PUBLISHED - 1)


def docker_rules() -> str:
    """The chains of Docker's bridge driver, for one container with all the ports."""
    ports = range(FIRST, FIRST + PUBLISHED)
    forwards = "".join(
        f"-A DOCKER ! -i br0 -p tcp -m tcp --dport {port} -j DNAT --to 10.78.0.2:{PORT}\n" for port in ports
    )
    hides = f"-A POSTROUTING -s 10.78.0.2/32 -d 10.78.0.2/32 -p tcp -m tcp --dport {PORT} -j MASQUERADE\n"
    return (
        "*nat\n:DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n"
        "-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER\n"
        f"-A POSTROUTING -s 10.78.0.0/16 ! -o br0 -j MASQUERADE\n{hides}{forwards}COMMIT\n"
        "*filter\n:FORWARD ACCEPT [0:0]\n:DOCKER - [0:0]\n"
        "-A FORWARD -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -o br0 -j DOCKER\n"
        f"-A DOCKER -d 10.78.0.2/32 ! -i br0 -o br0 -p tcp -m tcp --dport {PORT} -j ACCEPT\nCOMMIT\n"
    )


def published(client: Client) -> Iterator[Row]:
    """New connections by a published port, from outside: the last of so many, the same while it is the only one, and Docker's."""
    ip("netns", "add", "out")
    ip("link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", "out")
    ip("addr", "add", "10.76.0.1/24", "dev", "up0")
    ip("link", "set", "up0", "up")
    ip("-n", "out", "addr", "add", "10.76.0.2/24", "dev", "eth0")
    ip("-n", "out", "link", "set", "eth0", "up")
    last = FIRST + PUBLISHED - 1
    client.create_container("served", networks=["path"], ports=[f"{last}:{PORT}"])
    ours = Way("ours", "/run/netns/out", "10.76.0.1", last)
    with ended(serving("/run/netns/netrt-served", PORT)):
        before = median("connections", ours)
        client.create_container("others", networks=["path"], ports=[f"{FIRST}-{last - 1}:{FIRST + 1}-{last}"])
        with iptables_host() as theirs:
            ratio, figure, old = beside("connections", ours, theirs)
        client.remove_container("others")
        alone = statistics.mean((before, median("connections", ours)))
    yield Row("connections, last of 10,000 ports / only port", figure / alone, 0.9, figure, alone, "/s", at_least=True)
    yield Row("connections, last of 10,000 ports / iptables", ratio, 4.0, figure, old, "/s", at_least=True)
    client.remove_container("served")


def rows(client: Client) -> Iterator[Row]:
    """In a host with a daemon. Bridge netfilter off, as on a host on which nobody turned it on."""
    switch = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if switch.exists():
        switch.write_text("0")
    yield from bridged(client)
    yield from published(client)
