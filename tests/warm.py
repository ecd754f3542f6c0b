"""The command line and netrtd without their imports, as a test uses them: forked from a process that has made them (`forge`)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

LIMIT = 1 << 20
"""Bytes of a request at most."""

WITHIN = 60.0
"""Seconds that a command may take."""


class Warm:
    """Runs `netrt`. Made in the namespaces that the forking process is to live in."""

    def __init__(self) -> None:
        self._forge, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._forge.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LIMIT)
        with theirs:
            argv = [sys.executable, "-m", "tests.forge", str(theirs.fileno())]
            self._process = subprocess.Popen(argv, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`netrt WORDS` in the namespaces of the calling thread, nothing at its standard input. Raises TimeoutExpired."""
        ours, theirs = socket.socketpair()
        ours.settimeout(WITHIN)
        out, err = os.memfd_create("stdout"), os.memfd_create("stderr")
        entered = [os.open(f"/proc/thread-self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in ("net", "mnt")]
        request = json.dumps({"words": words, "environ": dict(os.environ), "directory": os.getcwd()})
        try:
            with theirs:
                socket.send_fds(self._forge, [request.encode()], [theirs.fileno(), out, err, *entered])
            status = int(ours.recv(16))
            said, complained = (os.pread(stream, os.fstat(stream).st_size, 0).decode() for stream in (out, err))
        except TimeoutError:
            raise subprocess.TimeoutExpired(["netrt", *words], WITHIN) from None
        finally:
            ours.close()
            for descriptor in (out, err, *entered):
                os.close(descriptor)
        return subprocess.CompletedProcess(["netrt", *words], status, said, complained)

    def close(self) -> None:
        self._forge.close()
        self._process.wait(WITHIN)
