"""What answers about names cost, beside dnsmasq, which has the same names at the same place: in the namespace of who asks.

Rates by dnsperf with 100 questions outstanding, which are all names in random order; the time of one answer by a client that
asks for one name again and again. Servers are measured in turn, several times, and medians are taken. And what a name costs that
is somebody else's to know, where two of three that might are dead."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import dns.message

from netrt.dataplane.objects import NamePort
from netrt.dns.difference import seal
from netrt.dns.zone import ADDRESS, PORT, Names, Upstream, View, Zone
from netrt.kernel import nameport
from netrt.paths import Paths
from netrt.resolver.client import Resolver
from tests.bench.table import Row
from tests.namespaces import CLONE_NEWNET, setns
from tests.waiting import wait_until

FEW, MANY = 100, 10_000
ROUNDS, SECONDS = 7, 1.0
ALONE = 1_500
OUTSTANDING = 100


@dataclass(frozen=True)
class Server:
    """Where somebody answers, who knows so many names, in which namespace and from which address it is asked."""

    what: str
    count: int
    namespace: str
    address: str
    port: int
    source: str = "0.0.0.0"


def hosts(count: int) -> dict[str, tuple[str, ...]]:
    """So many names, each with an address of its own."""
    return {
        f"name{number}": (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",) for number in range(1, count + 1)
    }


def installed(program: str, package: str) -> str:
    """The path of a program, installed by apt if it is missing. Raises OSError where that is not possible."""
    path = os.defpath + ":/usr/sbin:/sbin:/usr/lib/podman"
    if not shutil.which(program, path=path):
        print(f"bench: installing {package}", file=sys.stderr)
        for words in (["update"], ["-y", "--no-install-recommends", "install", package]):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            done = subprocess.run(
                ["apt-get", "-qq", *words], env=environment, capture_output=True, text=True, check=False
            )
        if done.returncode:
            raise OSError(f"{package} cannot be installed: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
    found = shutil.which(program, path=path)
    if not found:
        raise OSError(f"{package} has no program {program}")
    return found


@dataclass(frozen=True)
class Tools:
    """Paths of programs."""

    dnsperf: str
    dnsmasq: str

    @staticmethod
    def had() -> Tools:
        """To be called where there is a network to install from. Raises OSError."""
        return Tools(dnsperf=installed("dnsperf", "dnsperf"), dnsmasq=installed("dnsmasq", "dnsmasq-base"))


class Clients:
    """Who asks."""

    def __init__(self, dnsperf: str) -> None:
        self._dnsperf = dnsperf

    def rate(self, server: Server, questions: str) -> float:
        """Answers a second."""
        argv = [*self._asking(server, questions), "-l", str(SECONDS)]
        said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        assert re.search(r"Queries lost: +0 ", said), f"{server.what} lost some: {said}"
        assert re.search(r"NOERROR \d+ \(100\.00%\)", said), f"{server.what} did not know some: {said}"
        return float(re.findall(r"Queries per second: +([\d.]+)", said)[0])

    def warmed(self, server: Server, questions: str) -> None:
        """Each name asked for once: what counts is what comes after."""
        subprocess.run([*self._asking(server, questions), "-n", "1"], capture_output=True, check=True)

    def _asking(self, server: Server, questions: str) -> list[str]:
        argv = ["ip", "netns", "exec", server.namespace, self._dnsperf, "-s", server.address, "-p", str(server.port)]
        return [*argv, "-a", server.source, "-d", questions, "-q", str(OUTSTANDING)]

    def alone(self, server: Server, name: str) -> float:
        """The median time of one answer in microseconds."""
        return statistics.median(self.times(server, [name] * ALONE)) * 1e6

    def times(self, server: Server, names: Sequence[str]) -> list[float]:
        """How long the answer for each of these takes, in seconds."""
        messages = {name: dns.message.make_query(name, "A").to_wire() for name in names}
        times = []
        with inside(server.namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(5)
            asking.bind((server.source, 0))
            asking.connect((server.address, server.port))
            for name in names:
                began = time.perf_counter()
                asking.send(messages[name])
                assert asking.recv(512)[3] & 15 == 0, f"{server.what} does not know {name}"
                times.append(time.perf_counter() - began)
        return times


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """The calling thread in a namespace."""
    with open("/proc/self/ns/net", "rb") as own, open(f"/run/netns/{name}", "rb") as other:
        setns(other.fileno(), CLONE_NEWNET)
        try:
            yield
        finally:
            setns(own.fileno(), CLONE_NEWNET)


@contextlib.contextmanager
def netrt_dns(namespace: str, count: int, upstreams: Sequence[str] = ()) -> Iterator[Server]:
    """Ours, serving so many names in a namespace, and asking others there for all else."""
    with tempfile.TemporaryDirectory() as root:
        paths = Paths.under(root)
        program = Path(sys.executable).with_name("netrt-dns")
        with ended(subprocess.Popen([program, "--root", root, "--log-level", "error"])):
            wait_until(Path(paths.resolver_socket).exists, what="netrt-dns")
            zone = Zone(network="n1", domain="bench", ttl=5, hosts=hosts(count))
            view = View(sandbox=f"/run/netns/{namespace}", networks=("n1",), upstreams=tuple(map(Upstream, upstreams)))
            with contextlib.closing(Resolver(paths.resolver_socket)) as client:
                taken = client.take(seal(Names(zones={"n1": zone}, views={view.sandbox: view})))
                assert not taken.errors, taken.errors
            with inside(namespace):
                assert nameport.put(NamePort(netns=view.sandbox, address=ADDRESS, port=PORT)) == 0
            yield Server("netrt-dns", count, namespace, ADDRESS, nameport.NAMES)


@contextlib.contextmanager
def dnsmasq(program: str, namespace: str, count: int, port: int = 10053) -> Iterator[Server]:
    """Reads the same names from a file of hosts, and listens in the same namespace."""
    server = Server("dnsmasq", count, namespace, "127.0.0.12", port)
    with tempfile.NamedTemporaryFile("w", prefix="hosts") as file:
        file.writelines(f"{address} {name}\n" for name, addresses in hosts(count).items() for address in addresses)
        file.flush()
        os.chmod(file.name, 0o644)
        argv = ["ip", "netns", "exec", namespace, program, "--keep-in-foreground"]
        argv += ["--conf-file=/dev/null", "--no-hosts", "--no-resolv", f"--addn-hosts={file.name}", "--user=root"]
        argv += ["--bind-interfaces", f"--listen-address={server.address}", f"--port={server.port}", "--pid-file="]
        with ended(subprocess.Popen([*argv, "--local-ttl=5"], stderr=subprocess.DEVNULL)):
            wait_until(lambda: answers(server, "name1"), what="dnsmasq")
            yield server


def answers(server: Server, name: str) -> bool:
    with inside(server.namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.2)
        asking.bind((server.source, 0))
        with contextlib.suppress(OSError):
            asking.connect((server.address, server.port))
            asking.send(dns.message.make_query(name, "A").to_wire())
            return asking.recv(512)[3] & 15 == 0
    return False


@contextlib.contextmanager
def ended(child: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        child.kill()
        child.wait()


@dataclass(frozen=True)
class Measured:
    """Medians: answers a second, and microseconds for one."""

    rate: float
    alone: float


def measured(clients: Clients, servers: Sequence[Server]) -> list[Measured]:
    """All servers in turn, each several times."""
    rates: dict[Server, list[float]] = {server: [] for server in servers}
    times: dict[Server, list[float]] = {server: [] for server in servers}
    with contextlib.ExitStack() as stack:
        files = {count: stack.enter_context(questions(count)) for count in {server.count for server in servers}}
        for server in servers:
            clients.warmed(server, files[server.count])
        for _ in range(ROUNDS):
            for server in servers:
                rates[server].append(clients.rate(server, files[server.count]))
                times[server].append(clients.alone(server, "name7"))
    return [Measured(statistics.median(rates[server]), statistics.median(times[server])) for server in servers]


@contextlib.contextmanager
def questions(count: int) -> Iterator[str]:
    """A file that asks for all names in random order."""
    names = list(hosts(count))
    random.Random(count).shuffle(names)
    with tempfile.NamedTemporaryFile("w", prefix="questions") as file:
        file.writelines(f"{name} A\n" for name in names)
        file.flush()
        yield file.name


def rows(tools: Tools) -> Iterator[Row]:
    """In a host that has no namespaces `few` and `many` yet."""
    clients = Clients(tools.dnsperf)
    with contextlib.ExitStack() as stack:
        servers = []
        for namespace, count in (("few", FEW), ("many", MANY)):
            subprocess.run(["ip", "netns", "add", namespace], check=True)
            subprocess.run(["ip", "-n", namespace, "link", "set", "lo", "up"], check=True)
            servers += [
                stack.enter_context(begin(namespace, count)) for begin in (netrt_dns, partial(dnsmasq, tools.dnsmasq))
            ]
        few, few_theirs, many, many_theirs = measured(clients, servers)
    for count, our, their in ((FEW, few, few_theirs), (MANY, many, many_theirs)):
        ratio = our.rate / their.rate
        yield Row(f"answers, {count:,} names / dnsmasq", ratio, 0.8, our.rate, their.rate, "/s", at_least=True)
        yield Row(f"one answer, {count:,} names / dnsmasq", our.alone / their.alone, 1.3, our.alone, their.alone, "us")
    yield forwarded(clients, tools.dnsmasq)
    yield Row("answers, 10,000 names / 100 names", many.rate / few.rate, 0.8, many.rate, few.rate, "/s", at_least=True)


def forwarded(clients: Clients, dnsmasq_program: str) -> Row:
    """Names that ours asks for: of three upstreams the first two only listen."""
    dead, patience, first = ("127.0.0.21", "127.0.0.22"), 0.05, 10
    subprocess.run(["ip", "netns", "add", "apart"], check=True)
    subprocess.run(["ip", "-n", "apart", "link", "set", "lo", "up"], check=True)
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(dnsmasq(dnsmasq_program, "apart", MANY, port=53))
        for address in dead:
            with inside("apart"):
                silent = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            silent.bind((address, 53))
        ours = stack.enter_context(netrt_dns("apart", FEW, (*dead, other.address)))
        times = clients.times(ours, [f"name{number}" for number in range(FEW + 1, FEW + 1 + ALONE)])[first:]
    worst = statistics.quantiles(times, n=100)[98]
    what = "99 % of forwarded, 2 of 3 upstreams dead / 50 ms"
    return Row(what, worst / patience, 1.0, worst * 1000, patience * 1000)
