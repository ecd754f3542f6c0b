"""Talking to the kernel over a netlink socket.

Rule 1: a socket belongs to the network namespace of the thread that made it, for ever. Rule 2: every request has exactly one
answer (an object, or a yes or no), so that many go out in one sendmsg and their answers are read together, in order. Rule 3: the
kernel does what is asked within sendmsg(2), so that answers are there when it returns; nothing ever waits for one. Rule 4: where
an answer is lost (the kernel had no memory for it), those that come after it are read before anything else is asked."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from types import TracebackType

from pyroute2.netlink import (
    NETLINK_ROUTE,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    SOL_NETLINK,
)

from netrt.errors import KernelRefused
from netrt.kernel.wire import Answer, Message, Request, answer, messages

_CAP_ACK, _EXT_ACK, _STRICT = 10, 11, 12  # NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK
_SIOCGSKNS = 0x894C
_ADD_MEMBERSHIP, _LISTEN_ALL_NSID = 1, 8  # NETLINK_
_ATTACH_FILTER, _RCVBUFFORCE = 26, 33  # SO_
HERE = -1
"""The number of a socket's own namespace."""
SIOCGIFMTU, SIOCGIFHWADDR, SIOCGIFINDEX = 0x8921, 0x8927, 0x8933
_IFREQ = struct.Struct("16s24s")
_BATCH = 32
"""Requests in one sendmsg; their answers fit the default receive buffer."""
_ROOM = 65536
"""Bytes for one recv(2); the kernel puts at most 32 KiB of a dump into one."""
_TRIES = 50
"""How often a dump is begun again because something changed under it."""


class Netlink:
    """A netlink socket. Used by one thread at a time; a context manager. `shared` is a socket that somebody else opened and uses
    too, at other times."""

    def __init__(self, protocol: int = NETLINK_ROUTE, shared: socket.socket | None = None) -> None:
        self._socket = shared or socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        for option in (_CAP_ACK, _EXT_ACK, _STRICT):
            self._socket.setsockopt(SOL_NETLINK, option, 1)
        self._sequence = 0
        self._unread = False
        """Whether answers may be waiting that nobody waits for."""

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    @contextlib.contextmanager
    def namespace(self) -> Iterator[int]:
        """The network namespace to which the socket belongs, as an open file."""
        descriptor = fcntl.ioctl(self._socket, _SIOCGSKNS)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def device(self, what: int, name: str) -> bytes:
        """As the function of that name."""
        return device(self._socket, what, name)

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """Send these and return their answers, in order. Each is done or refused on its own. Raises OSError."""
        answers: list[Answer] = []
        for start in range(0, len(requests), _BATCH):
            answers += self._batch(requests[start : start + _BATCH])
        return answers

    def _batch(self, requests: Sequence[Request]) -> list[Answer]:
        first = self._send(requests)
        answers: list[Answer] = []
        while len(answers) < len(requests):
            try:
                data = self._socket.recv(_ROOM, socket.MSG_DONTWAIT)
            except BlockingIOError:
                if not answers or not answers[-1].errno:
                    raise
                # nfnetlink answers once for all of a sendmsg that it refuses (no privilege)
                answers += answers[-1:] * (len(requests) - len(answers))
                break
            for message in messages(data):
                if message.sequence != first + len(answers):
                    raise OSError(errno.EPROTO, "an answer of the kernel is missing")
                answers.append(answer(message))
        self._unread = False
        return answers

    def _send(self, requests: Sequence[Request], flags: int = NLM_F_REQUEST) -> int:
        """Send these at once, each with the next number. Returns the first one's. Raises OSError."""
        if self._unread:
            self._forget()
        first = self._sequence + 1
        self._sequence += len(requests)
        self._unread = True
        self._socket.send(b"".join(request.pack(first + n, flags) for n, request in enumerate(requests)))
        return first

    def _forget(self) -> None:
        """Read what waits."""
        while True:
            try:
                self._socket.recv(_ROOM, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise

    def transact(self, begin: Request, requests: Sequence[Request], end: Request) -> int:
        """Send these as one netfilter transaction; each of `requests` asks to be acknowledged. 0 if all were granted, else the
        error number of the first that was not, and then the kernel has changed nothing. Raises OSError."""
        self._send((begin, *requests, end))
        errors: list[int] = []
        with contextlib.suppress(BlockingIOError):  # all answers are there when send returns
            while True:
                errors += [answer(m).errno for m in messages(self._socket.recv(_ROOM, socket.MSG_DONTWAIT))]
        self._unread = False
        refused = next(filter(None, errors), 0)
        return refused or (0 if len(errors) == len(requests) else errno.EIO)

    def dump(self, request: Request) -> list[Message]:
        """All objects that the request's filter lets pass; begun again while the kernel says that they changed meanwhile.

        Raises OSError where the kernel refuses, KernelRefused where it never holds still.
        """
        for _ in range(_TRIES):
            found = self._dump_once(request)
            if not any(message.flags & NLM_F_DUMP_INTR for message in found):
                return found[:-1]
        raise KernelRefused("the kernel's tables change faster than they can be read", errno=errno.EINTR, retry=True)

    def _dump_once(self, request: Request) -> list[Message]:
        self._send((request,), NLM_F_REQUEST | NLM_F_DUMP)
        found: list[Message] = []
        while not found or found[-1].type not in (NLMSG_DONE, NLMSG_ERROR):
            found += messages(self._socket.recv(_ROOM, socket.MSG_DONTWAIT))
        self._unread = False
        refused = answer(found[-1])
        if refused.errno:
            raise OSError(refused.errno, refused.text or "netlink dump refused")
        return found


def listening(
    protocol: int,
    groups: Sequence[int],
    room: int,
    program: Sequence[tuple[int, int, int, int]] = (),
    *,
    everywhere: bool = False,
) -> socket.socket:
    """A socket that hears what is announced to these groups, and does not wait for it. `room` bytes may lie there unread;
    `program` (classic BPF, linux/filter.h) says what is let through; `everywhere`: of each namespace that has a number in that
    of the calling thread, too. Raises OSError."""
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    with contextlib.suppress(PermissionError):
        made.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, room)
    if everywhere:
        made.setsockopt(SOL_NETLINK, _LISTEN_ALL_NSID, 1)
    if program:
        steps = b"".join(struct.pack("=HBBI", *step) for step in program)
        held = ctypes.create_string_buffer(steps, len(steps))
        made.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(held)))
    made.bind((0, 0))
    for group in groups:
        made.setsockopt(SOL_NETLINK, _ADD_MEMBERSHIP, group)
    made.setblocking(False)
    return made


def origin(extra: Sequence[tuple[int, int, bytes]]) -> int:
    """The number of the namespace of which something was announced, by what recvmsg(2) says beside it."""
    return int.from_bytes(extra[0][2][:4], sys.byteorder, signed=True) if extra else HERE


def halfword(value: int) -> int:
    """As a program of a socket reads it."""
    return int.from_bytes(struct.pack("=H", value), "big")


def device(asking: socket.socket, what: int, name: str) -> bytes:
    """What an ioctl of netdevice(7) says of a link of a socket's namespace: what follows the name in `struct ifreq`. A few bytes,
    where a message tells everything. Raises OSError; ENODEV where there is none."""
    raw = name.encode(errors="replace")
    if not 0 < len(raw) < 16 or set(raw) & set(b"\0:"):  # the kernel would cut it there, and find another
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), name)
    answer: bytes = fcntl.ioctl(asking, what, _IFREQ.pack(raw, b""))
    return answer[16:]
