"""Sockets in other network namespaces: the thread goes there, opens them, and comes back. They stay there, wherever it is.

Rule: who cannot come back ends. Nothing may ever be opened in a namespace by mistake."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import socket
import struct
import sys
from collections.abc import Iterator

from netrt.dns.zone import ADDRESS, PORT
from netrt.launch.enter import open_network_namespace
from netrt.launch.syscalls import CLONE_NEWNET, setns

DESCRIPTORS = 262_144
"""As many as this may be open: three for each sandbox, one for each connection and each question to an upstream."""

BACKLOG = 64
"""TCP connections of one sandbox that wait to be taken."""

WAITING = 512 * 1024
"""Bytes of datagrams of one sandbox that may wait while this process gets no time, as the kernel counts them, which doubles it: a
thousand questions or so, where its usual 208 KiB are 250."""

_IP_FREEBIND, _SO_RCVBUFFORCE = 15, 33
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def raise_limit() -> None:
    """Allow this process as many open descriptors as it may have, and where it is root, DESCRIPTORS."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (max(hard, DESCRIPTORS), hard):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return


class Home:
    """The namespace that this process lives in, which is left for moments only."""

    def __init__(self) -> None:
        self._own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    @contextlib.contextmanager
    def left_for(self, namespace: int) -> Iterator[None]:
        """The calling thread inside another namespace (an open file). Raises OSError."""
        setns(namespace, CLONE_NEWNET, "a sandbox")
        try:
            yield
        finally:
            try:
                setns(self._own, CLONE_NEWNET, "the host's namespace")
            except OSError as error:
                sys.exit(f"netrt-dns: {error}")


class Sockets:
    """What we have open in a sandbox: its namespace, a socket for datagrams and one for connections."""

    def __init__(self, home: Home, path: str, inode: int) -> None:
        """Raises Unavailable where there is no namespace at `path`, or not the one with this number (0: any), OSError where the
        sockets cannot be had."""
        self.namespace = open_network_namespace(path, inode)
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, self.namespace)
            status = os.fstat(self.namespace)
            self.identity = status.st_dev, status.st_ino
            with home.left_for(self.namespace):
                _raise_loopback()
                self.udp = undo.enter_context(_bound(socket.SOCK_DGRAM))
                self.tcp = undo.enter_context(_bound(socket.SOCK_STREAM))
            self.tcp.listen(BACKLOG)
            undo.pop_all()

    def close(self) -> None:
        self.udp.close()
        self.tcp.close()
        os.close(self.namespace)


def _raise_loopback() -> None:
    """Nobody reaches 127.0.0.11 where the loopback is down; and what is bound before there is any address answers with a wrong
    one ever after. Namespaces that somebody else made may come so."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        name, flags = struct.unpack("16sH22x", fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16s24x", b"lo")))
        if not flags & _IFF_UP:
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", name, flags | _IFF_UP))


def _bound(kind: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)  # whatever addresses the loopback has
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of a server that was killed linger
        else:
            made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, WAITING)
        made.bind((ADDRESS, PORT))
    except OSError:
        made.close()
        raise
    return made


def identity(path: str) -> tuple[int, int] | None:
    """What tells the namespace at a path from every other one, None where nothing is."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
