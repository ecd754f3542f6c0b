"""The socket of the CNI program, asked by hand."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import Any

import pytest

from tests.unit.api.conftest import Desk

CONFIG = {"cniVersion": "1.1.0", "name": "mynet", "type": "netrt-bridge", "ipam": {"type": "netrt-host-local"}}


def question(verb: str, config: dict[str, Any], **variables: str) -> bytes:
    """What the program sends, without its length."""
    said = {"CNI_COMMAND": verb, **variables}
    return (
        b"\0".join([b"netrt-bridge", *(f"{k}={v}".encode() for k, v in said.items())])
        + b"\0\0"
        + json.dumps(config).encode()
    )


def told(desk: Desk, *pieces: bytes) -> bytes:
    """The answer to what is said in these pieces; then nothing more is. It may come before all of them were read."""
    heard = []
    with socket.socket(socket.AF_UNIX) as peer, contextlib.suppress(ConnectionError):
        peer.settimeout(10)
        peer.connect(desk.paths.plugin_socket)
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                peer.sendall(piece)
        while chunk := peer.recv(65536):
            heard.append(chunk)
    return b"".join(heard)


def parsed(answer: bytes) -> tuple[int, Any]:
    head, _, said = answer.partition(b"\n")
    status, errors, output = map(int, head.split())
    assert (errors, output) == (0, len(said))
    return status, json.loads(said) if said else None


def framed(body: bytes) -> bytes:
    return b"%d\n%s" % (len(body), body)


def test_a_question_is_answered(desk: Desk) -> None:
    ipam = {"type": "netrt-host-local", "subnet": "10.22.0.0/16"}
    names = {"CNI_CONTAINERID": "c1", "CNI_NETNS": "/run/netns/c1", "CNI_IFNAME": "eth0"}
    status, said = parsed(told(desk, framed(question("ADD", {**CONFIG, "ipam": ipam}, **names))))
    assert status == 0
    assert said["ips"][0]["address"] == "10.22.0.2/16"
    assert parsed(told(desk, framed(question("DEL", CONFIG, **names)))) == (0, None)
    assert not desk.engine.state.attachments


def test_it_may_come_in_pieces(desk: Desk) -> None:
    whole = framed(question("VERSION", {"cniVersion": "1.0.0", "padding": "x" * 200_000}))
    status, said = parsed(told(desk, *(whole[at : at + 50_000] for at in range(0, len(whole), 50_000))))
    assert status == 0
    assert said["supportedVersions"][-1] == "1.1.0"
    assert parsed(told(desk, whole[:1], whole[1:2], whole[2:]))[0] == 0


def test_a_refusal_is_an_error_of_cni(desk: Desk) -> None:
    status, said = parsed(told(desk, framed(question("ADD", CONFIG))))
    assert (status, said["code"]) == (1, 4)
    assert "CNI_CONTAINERID" in said["msg"]


@pytest.mark.parametrize(
    "nonsense",
    [b"POST /netrt/cni HTTP/1.0\r\n", b"-1\n", b"\n", b"99999999999\n", b"9999999\n", b"1e3\n", b"x" * 100_000],
)
def test_a_question_without_its_length_is_refused(desk: Desk, nonsense: bytes) -> None:
    status, said = parsed(told(desk, nonsense))
    assert (status, said["msg"]) == (1, "a question begins with its length in bytes")


def test_who_goes_before_the_end_costs_nothing(desk: Desk) -> None:
    files = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(desk.paths.plugin_socket)
            peer.sendall(b"100\nnetrt-bridge")
    assert parsed(told(desk, framed(question("VERSION", {}))))[0] == 0
    assert len(os.listdir("/proc/self/fd")) == files
