"""Load between two namespaces, for a benchmark: bounded, by two processes on one processor, so that what is measured is the work
for each byte, round trip or connection, whoever does it.

Run as a program it is one end: `serve` or the name of a load; it tells its figure on its standard output."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

SECONDS = 0.4
CHUNK = 128 * 1024
READY = "ready\n"


def stream(address: str, port: int) -> float:
    """Bytes a second that arrive."""
    data = bytes(CHUNK)
    with socket.create_connection((address, port)) as connection:
        connection.sendall(b"s")
        end, sent = time.monotonic() + SECONDS, 0
        began = time.monotonic()
        while time.monotonic() < end:
            connection.sendall(data)
            sent += CHUNK
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        return sent / (time.monotonic() - began)


def turns(address: str, port: int) -> float:
    """Round trips of one byte a second."""
    with socket.create_connection((address, port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"t")
        connection.recv(1)
        began, done = time.monotonic(), 0
        while time.monotonic() < began + SECONDS:
            for _ in range(50):
                connection.send(b"x")
                connection.recv(1)
            done += 50
        return done / (time.monotonic() - began)


def connections(address: str, port: int) -> float:
    """New connections a second, each opened, answered and closed by the other side."""
    began, done = time.monotonic(), 0
    while time.monotonic() < began + SECONDS:
        with socket.socket() as connection:
            connection.connect((address, port))
            connection.sendall(b"c")
            connection.recv(1)
        done += 1
    return done / (time.monotonic() - began)


def serve(port: int) -> None:
    """One connection after the other, each with the load that its first byte asks for, until the end of the benchmark."""
    room = bytearray(CHUNK)
    with socket.create_server(("", port), backlog=1024) as server:
        print(READY, end="", flush=True)
        while True:
            connection, _ = server.accept()
            with connection:
                match connection.recv(1):
                    case b"s":
                        while connection.recv_into(room):
                            pass
                        connection.sendall(b"e")
                    case b"t":
                        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        connection.send(b"x")
                        while byte := connection.recv(1):
                            connection.send(byte)
                    case b"c":
                        connection.send(b"c")


LOADS = {"stream": stream, "turns": turns, "connections": connections}


def within(namespace: str, *arguments: str) -> list[str]:
    """The command line of one end in a namespace (`/proc/self/ns/net` for the caller's own)."""
    return ["nsenter", f"--net={namespace}", sys.executable, str(Path(__file__)), *arguments]


def serving(namespace: str, port: int) -> subprocess.Popen[str]:
    """A server that is ready; to be killed by the caller."""
    child = subprocess.Popen(within(namespace, "serve", str(port)), stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == READY, f"no server in {namespace}"
    return child


def measured(load: str, namespace: str, address: str, port: int) -> float:
    """The figure of a load, from this namespace to a server."""
    done = subprocess.run(
        within(namespace, load, address, str(port)), stdout=subprocess.PIPE, text=True, check=True, timeout=30
    )
    return float(done.stdout)


def main(argv: Sequence[str]) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    match argv:
        case ["serve", port]:
            serve(int(port))
        case [load, address, port]:
            print(LOADS[load](address, int(port)))


if __name__ == "__main__":
    main(sys.argv[1:])
