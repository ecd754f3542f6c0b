"""The CNI program, with somebody else in the place of the daemon."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cni import PLUGINS

SAID = b'{"cniVersion":"1.1.0"}'


@pytest.fixture
def door(tmp_path: Path) -> Iterator[socket.socket]:
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "run/cni.sock"))
        listener.listen()
        listener.settimeout(10)
        yield listener


def begun(tmp_path: Path) -> subprocess.Popen[bytes]:
    variables = {"CNI_COMMAND": "ADD", "NETRT_ROOT": str(tmp_path), "PATH": "/usr/bin:/bin"}
    pipe = subprocess.PIPE
    program = subprocess.Popen([f"{PLUGINS}/netrt-bridge"], stdin=pipe, stdout=pipe, stderr=pipe, env=variables)
    assert program.stdin
    program.stdin.write(b"{}")
    program.stdin.close()
    return program


@pytest.mark.parametrize(
    "pieces", [(b"0 5 %d\nheard" % len(SAID), SAID), (b"0 5 ", b"%d\nhea" % len(SAID), b"rd" + SAID)]
)
def test_it_ends_once_all_is_said(door: socket.socket, tmp_path: Path, pieces: tuple[bytes, ...]) -> None:
    """Though the daemon has not hung up."""
    with begun(tmp_path) as program:
        with closing(door.accept()[0]) as peer:
            for piece in pieces:
                peer.sendall(piece)
            assert program.wait(10) == 0
        assert program.stdout
        assert program.stderr
        assert (program.stdout.read(), program.stderr.read()) == (SAID, b"heard")


@pytest.mark.parametrize("answer", [b"", b"0", b"0 0 22\n", b"0 0 22\n" + SAID[:-1], b"0 3 0\nhe", b"0 0\n" + SAID])
def test_half_an_answer_is_none(door: socket.socket, tmp_path: Path, answer: bytes) -> None:
    with begun(tmp_path) as program:
        with closing(door.accept()[0]) as peer:
            peer.recv(65536)
            peer.sendall(answer)
        assert program.wait(10) == 1
        assert program.stdout
        said = json.loads(program.stdout.read())
    assert (said["code"], said["msg"]) == (11, "netrtd ended before it answered")
