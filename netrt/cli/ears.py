"""Sockets that hear the packets of interfaces, also such in other network namespaces.

A socket belongs to the namespace in which it was opened, for ever; so a thread goes there, opens it, and ends. It hears nothing
before its filter stands and it is bound, so that no packet is shown that was not asked for."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from netrt.errors import Unavailable
from netrt.launch.enter import open_network_namespace
from netrt.launch.syscalls import CLONE_NEWNET, setns

_ETH_P_ALL = 0x0300  # in network byte order
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 26, 33, 35
_SOL_PACKET, _ADD_MEMBERSHIP, _STATISTICS, _PROMISCUOUS = 263, 1, 6, 1
_OUTGOING = 4  # PACKET_OUTGOING
_ROOM = 8 << 20
"""Bytes that wait in the kernel while packets are shown."""
_LARGEST = 262144
_TIME = struct.Struct("=qq")
_FILTER_LINE = struct.Struct("=HBBI")  # struct sock_filter


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A packet: where, when (seconds since the epoch), whether the link sent it, and its bytes."""

    name: str
    time: float
    sent: bool
    data: bytes


class Ears:
    """Open ears. `lost` are the names of those whose interface went away."""

    def __init__(self, places: Sequence[dict[str, Any]], lines: Sequence[tuple[int, int, int, int]]) -> None:
        self._open: dict[socket.socket, str] = {}
        self.lost: list[str] = []
        self._selector = selectors.DefaultSelector()
        try:
            for place in places:
                self._add(place, lines)
        except BaseException:
            self.close()
            raise

    def _add(self, place: dict[str, Any], lines: Sequence[tuple[int, int, int, int]]) -> None:
        try:
            made = _in_namespace(
                place["Netns"], place["Inode"], lambda: _opened(place["Link"], lines, promiscuous=place["Promiscuous"])
            )
        except PermissionError as error:
            raise Unavailable("packets are heard by root only (CAP_NET_RAW, CAP_SYS_ADMIN)", hint="use sudo") from error
        except OSError as error:
            raise Unavailable(f"{place['Name']} cannot be listened to: {error.strerror or error}") from error
        self._open[made] = place["Name"]
        self._selector.register(made, selectors.EVENT_READ)

    def missed(self) -> int:
        """How many packets the kernel could not keep since this was asked last."""
        told = (each.getsockopt(_SOL_PACKET, _STATISTICS, 8) for each in self._open)
        return sum(struct.unpack("=II", each)[1] for each in told)

    def hear(self, timeout: float) -> Iterator[Heard]:
        """What is there, or comes first within `timeout` seconds."""
        for key, _ in self._selector.select(timeout):
            assert isinstance(key.fileobj, socket.socket)
            yield from self._read(key.fileobj)

    @property
    def over(self) -> bool:
        """Whether nothing is left to listen to."""
        return not self._open

    def _read(self, ear: socket.socket) -> Iterator[Heard]:
        name = self._open[ear]
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):  # then it is others' turn
                try:
                    data, ancillary, _, where = ear.recvmsg(_LARGEST, 64)
                except OSError as error:
                    if error.errno != errno.ENETDOWN:
                        raise
                    if not ear.getsockname()[0]:  # of an interface that is gone the kernel tells no name
                        self._lose(ear)
                    return
                yield Heard(name=name, time=_when(ancillary), sent=where[2] == _OUTGOING, data=data)

    def _lose(self, ear: socket.socket) -> None:
        self._selector.unregister(ear)
        self.lost.append(self._open.pop(ear))
        ear.close()

    def close(self) -> None:
        self._selector.close()
        for ear in self._open:
            ear.close()


def _when(ancillary: Sequence[tuple[int, int, bytes]]) -> float:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIME.unpack_from(data)
            return float(seconds + nanoseconds / 1e9)
    return 0.0


def _opened(link: str, lines: Sequence[tuple[int, int, int, int]], *, promiscuous: bool) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # 0: deaf until it is bound
    try:
        if lines:
            _attach(made, lines)
        made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        with contextlib.suppress(OSError):  # a smaller buffer does, too
            made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
        made.bind((link, socket.ntohs(_ETH_P_ALL)))
        if promiscuous:
            membership = struct.pack("=IHH8x", socket.if_nametoindex(link), _PROMISCUOUS, 0)
            made.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, membership)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def _attach(to: socket.socket, lines: Sequence[tuple[int, int, int, int]]) -> None:
    """A BPF program: struct sock_fprog, a length and a pointer."""
    program = ctypes.create_string_buffer(b"".join(_FILTER_LINE.pack(*line) for line in lines))
    to.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(lines), ctypes.addressof(program)))


def _in_namespace(path: str, inode: int, make: Callable[[], socket.socket]) -> socket.socket:
    """What is made by a thread that is in the namespace at `path`, or here for an empty one."""
    if not path:
        return make()
    made: list[socket.socket] = []
    errors: list[BaseException] = []
    namespace = open_network_namespace(path, inode)

    def visit() -> None:
        try:
            setns(namespace, CLONE_NEWNET, "the network namespace")
            made.append(make())
        except BaseException as error:  # handed over to who waits, whatever it is
            errors.append(error)

    thread = threading.Thread(target=visit)
    thread.start()
    thread.join()
    os.close(namespace)
    if errors:
        raise errors[0]
    return made[0]
