"""`make bench-peers`: answers about names beside Docker's embedded server and aardvark-dns, from Debian's packages.

dockerd runs in a host of its own, with a container that has all names as its aliases, and is asked from another one; aardvark-dns
is told a network whose containers have one name each. Both are asked with 100 questions outstanding, in turn with ours."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.docker import PROGRAM, Docker, install
from tests.bench.names import Clients, Server, answers, ended, hosts, installed, measured, netrt_dns
from tests.bench.table import Row, shown
from tests.namespaces import own_namespaces
from tests.waiting import wait_until

FEW, MORE = 100, 1_000
PAUSE = "int pause(void);\nint main(void) { for (;;) pause(); }\n"
"""A program that waits."""


@contextmanager
def aardvark(program: str, namespace: str, count: int) -> Iterator[Server]:
    """It answers whoever asks from the address of a container that it knows."""
    server = Server("aardvark-dns", count, namespace, "127.0.0.13", 10053, source=hosts(1)["name1"][0])
    subprocess.run(["ip", "-n", namespace, "addr", "add", f"{server.source}/32", "dev", "lo"], check=True)
    with tempfile.TemporaryDirectory() as directory:
        lines = [f"{number:064x} {address}  {name}" for number, (name, (address,)) in enumerate(hosts(count).items())]
        Path(directory, "bench").write_text("\n".join([server.address, *lines]) + "\n")
        argv = ["ip", "netns", "exec", namespace, program, "--config", directory, "--port", str(server.port), "run"]
        with ended(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)):
            wait_until(lambda: answers(server, "name1"), 20, "aardvark-dns")
            yield server


@contextmanager
def dockers(docker: Docker, namespace: str, count: int) -> Iterator[Server]:
    """Asked from the container `ask`, whose namespace gets this name."""
    image = docker.image(PAUSE)
    docker("network", "create", "bench")
    aliases = [word for name in hosts(count) for word in ("--network-alias", name)]
    docker("run", "-d", "--network", "bench", *aliases, image, PROGRAM)
    docker("run", "-d", "--network", "bench", "--name", "ask", image, PROGRAM)
    (found,) = json.loads(docker("inspect", "ask"))
    subprocess.run(["ip", "netns", "attach", namespace, str(found["State"]["Pid"])], check=True)
    server = Server("dockerd", count, namespace, "127.0.0.11", 53)
    wait_until(lambda: answers(server, "name1"), 20, "Docker's server")
    yield server


def rows(dnsperf: str, program: str) -> Iterator[Row]:
    with own_namespaces(), ExitStack() as stack:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for namespace in ("few", "more"):
            subprocess.run(["ip", "netns", "add", namespace], check=True)
            subprocess.run(["ip", "-n", namespace, "link", "set", "lo", "up"], check=True)
        docker = Docker()
        stack.callback(docker.close)
        servers = [
            stack.enter_context(netrt_dns("few", FEW)),
            stack.enter_context(dockers(docker, "docker", FEW)),
            stack.enter_context(netrt_dns("more", MORE)),
            stack.enter_context(aardvark(program, "more", MORE)),
        ]
        few, theirs, more, podmans = measured(Clients(dnsperf), servers)
    for what, count, our, their, limit in (
        ("Docker's server", FEW, few, theirs, 2.5),
        ("aardvark-dns", MORE, more, podmans, 10.0),
    ):
        yield Row(f"answers, {count:,} names / {what}", our.rate / their.rate, limit, our.rate, their.rate, "/s", True)
        yield Row(f"one answer, {count:,} names / {what}", our.alone / their.alone, 0, our.alone, their.alone, "us")


def main() -> int:
    dnsperf = installed("dnsperf", "dnsperf")
    install()
    return not shown(rows(dnsperf, installed("aardvark-dns", "aardvark-dns")), "names-peers.json")


if __name__ == "__main__":
    sys.exit(main())
