"""Who has which port of this host, by the kernel's own list of sockets (sock_diag, as `ss` reads it).

Theory: a TCP or SCTP port is taken by a socket that listens, a UDP port by one that is bound but not connected. The list names an
inode and no process; which process holds it stands in /proc/PID/fd, and reading all of those costs tens of milliseconds on a full
host. So owners are looked up only when they are asked for.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import struct
from collections.abc import Collection, Iterator
from socket import AF_INET, AF_INET6, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP
from typing import NamedTuple

from pyroute2.netlink.diag import SOCK_DIAG_BY_FAMILY, SS_CLOSE, SS_LISTEN, inet_diag_msg

from netrt.dataplane.facts import Listener
from netrt.kernel.netlink import Netlink
from netrt.kernel.wire import Message, Request, address, attributes, numbers

_REQUEST = struct.Struct("=BBBxI48x")  # struct inet_diag_req_v2: family, protocol, extensions, states; no address
_SOCKET = struct.Struct("!BxxxH2x16s")  # struct inet_diag_msg: family, source port, source address, …
_INODE_AT, _SIZE = 68, 72
_ONLY_IPV6 = numbers(inet_diag_msg)["INET_DIAG_SKV6ONLY"]
_PROTOCOLS = (("tcp", IPPROTO_TCP, SS_LISTEN), ("udp", IPPROTO_UDP, SS_CLOSE), ("sctp", IPPROTO_SCTP, SS_LISTEN))
_SOCKET_LINK = re.compile(r"socket:\[([0-9]+)\]\Z")
_MAPPED = bytes(10) + b"\xff\xff"
"""An IPv4 address in the shape of an IPv6 address begins so (RFC 4291, 2.5.5.2)."""


class _Bound(NamedTuple):
    protocol: str
    ip: str
    port: int
    dual: bool
    inode: int


def listeners(protocols: Collection[str], netlink: Netlink, *, owners: bool = False) -> tuple[Listener, ...]:
    """The sockets that have a port of these protocols in the namespace of `netlink` (of NETLINK_SOCK_DIAG); with `owners`, also
    whose they are. Each protocol costs a walk through the kernel's table of its sockets. Raises OSError."""
    bound = [
        _read(protocol, message)
        for protocol, number, state in _PROTOCOLS
        if protocol in protocols
        for family in (AF_INET, AF_INET6)
        for message in _dump(netlink, family, number, state)
    ]
    names = _owners({b.inode for b in bound if b.port}) if owners else {}
    return tuple(
        Listener(protocol=b.protocol, ip=b.ip, port=b.port, dual=b.dual, owner=names.get(b.inode, ""))
        for b in bound
        if b.port
    )


def _dump(netlink: Netlink, family: int, protocol: int, state: int) -> list[Message]:
    try:
        return netlink.dump(Request(SOCK_DIAG_BY_FAMILY, 0, _REQUEST.pack(family, protocol, 0, 1 << state)))
    except OSError as error:
        if error.errno != errno.ENOENT:  # ENOENT: the protocol is not loaded, so nobody listens
            raise
        return []


def _read(protocol: str, message: Message) -> _Bound:
    family, port, raw = _SOCKET.unpack_from(message.body)
    (inode,) = struct.unpack_from("=I", message.body, _INODE_AT)
    if family == AF_INET:
        return _Bound(protocol, address(raw[:4]), port, False, inode)
    if raw.startswith(_MAPPED):
        return _Bound(protocol, address(raw[12:]), port, False, inode)
    everywhere = not any(raw)
    only_ipv6 = everywhere and attributes(message.body, _SIZE).get(_ONLY_IPV6, b"\0") != b"\0"
    return _Bound(protocol, address(raw), port, everywhere and not only_ipv6, inode)


def _owners(inodes: set[int]) -> dict[int, str]:
    """ "program (pid N)" by the inode of a socket, for those that a process is seen to hold."""
    found: dict[int, str] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # the process ended, or is not ours to look at
            for inode in _sockets(pid):
                if inode in inodes and inode not in found:
                    found[inode] = f"{_program(pid)} (pid {pid})"
        if len(found) == len(inodes):
            break
    return found


def _sockets(pid: str) -> Iterator[int]:
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):  # closed meanwhile
            match = _SOCKET_LINK.match(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
            if match:
                yield int(match[1])


def _program(pid: str) -> str:
    with open(f"/proc/{pid}/comm") as file:
        name = file.read().strip()
    return "".join(character if character.isprintable() else "?" for character in name)
