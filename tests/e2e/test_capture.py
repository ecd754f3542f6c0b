"""`netrt capture` on real packets: what is heard, filtered, written, and how it ends."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import UDP
from scapy.utils import PcapNgReader

from tests.command import PROGRAM, Box, Netrt
from tests.host import Host

pytestmark = pytest.mark.root


@pytest.fixture
def pair(netrt: Netrt) -> tuple[Box, Box]:
    netrt("network", "create", "--subnet", "10.1.0.0/24", "app")
    netrt("network", "create", "--subnet", "10.2.0.0/24", "back")
    web = netrt.box("web", "--network", "app", "--network", "back")
    return web, netrt.box("db", "--network", "app")


def begun(host: Host, *words: str) -> subprocess.Popen[str]:
    """A capture that listens."""
    child = host.spawn(PROGRAM, "capture", *words)
    assert child.stderr is not None
    said = child.stderr.readline()
    assert said.startswith("netrt: listening on "), said
    return child


def say(pair: tuple[Box, Box], *ports: int) -> None:
    """A datagram from web to each of these ports of db."""
    with pair[0].open(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for port in ports:
            asking.sendto(b"hello", (pair[1].ip4, port))


def written(path: Path) -> Iterator[Any]:
    with PcapNgReader(str(path)) as reader:
        yield from reader


def test_count_ends_it_and_the_file_has_the_names_of_interfaces(
    host: Host, pair: tuple[Box, Box], tmp_path: Path
) -> None:
    """The filter stands before the first packet is heard; both interfaces are listened to."""
    file = tmp_path / "x.pcapng"
    child = begun(host, "-w", str(file), "--count", "3", "web", "udp", "and", "dst", "portrange", "1000-1099")
    say(pair, 53, 1000, 1001, 2000, 1002, 1003)
    out, errors = child.communicate(timeout=30)
    assert child.returncode == 0, errors
    assert errors.splitlines()[-1] == "netrt: 3 packets"
    lines = out.splitlines()
    assert [line.split()[1:3] for line in lines] == [["eth0", "<"]] * 3
    assert "Ether / IP / UDP 10.1.0.2:" in lines[0]
    packets = list(written(file))
    assert [packet[UDP].dport for packet in packets] == [1000, 1001, 1002]
    assert {packet.sniffed_on for packet in packets} == {"eth0"}
    assert {packet.direction for packet in packets} == {2}, "outbound, in the words of pcapng"


def test_it_ends_cleanly_when_told(host: Host, pair: tuple[Box, Box], tmp_path: Path) -> None:
    """By Ctrl-C and by SIGTERM. A network is heard on its bridge, once each packet, though it is for neither the host nor all."""
    bridges = set(host.run("ip", "-br", "link", "show", "type", "bridge").stdout.split())
    for number in (signal.SIGINT, signal.SIGTERM):
        file = tmp_path / f"{number}.pcapng"
        child = begun(host, "-w", str(file), "app", "udp")
        say(pair, 7, 8)
        assert child.stdout is not None
        assert all(child.stdout.readline() for _ in range(2))
        child.send_signal(number)
        _, errors = child.communicate(timeout=30)
        assert child.returncode == 0, errors
        assert errors.splitlines()[-1] == "netrt: 2 packets"
        assert {packet.sniffed_on for packet in written(file)} < bridges
        assert [packet[UDP].dport for packet in written(file)] == [7, 8]


def test_it_ends_with_the_last_interface(host: Host, netrt: Netrt, pair: tuple[Box, Box]) -> None:
    child = begun(host, "web")
    netrt("network", "disconnect", "back", "web")
    assert child.poll() is None, "there is another"
    netrt("rm", "-f", "web")
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 0
    assert "; gone: eth1, eth0" in errors.splitlines()[-1]


def test_what_cannot_be_captured_is_refused(netrt: Netrt, pair: tuple[Box, Box]) -> None:
    assert "filter 'tcp porx': can't parse filter expression" in netrt.refused("capture", "web", "tcp", "porx")
    assert "no container and no network 'nobody'" in netrt.refused("capture", "nobody")
    assert "/none/x cannot be written: No such file" in netrt.refused("capture", "-w", "/none/x", "web")
    assert "0 is not in the range" in netrt.refused("capture", "--count", "0", "web")


def test_what_takes_long_shows_that_it_goes_on(host: Host, pair: tuple[Box, Box]) -> None:
    """On a terminal only, on the standard error output: a sign of life of `debug`, and how many packets there were."""
    for words, parts in (
        (("debug", "web"), ("asking from inside web",)),
        (("capture", "--quiet", "--count", "2", "web", "udp"), ("web", "0 packets", "2 packets")),
    ):
        leader, follower = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        child = subprocess.Popen([PROGRAM, *words], stdout=subprocess.PIPE, stderr=follower, env=environment)
        os.close(follower)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while chunk := os.read(leader, 65536):
                shown += chunk
                if b"0 packets" in shown and b"2 packets" not in shown:
                    say(pair, 7)
        os.close(leader)
        out, _ = child.communicate(timeout=30)
        assert not [part for part in parts if part.encode() not in shown], shown
        assert b"asking" not in out
        assert b"\x1b" not in out
