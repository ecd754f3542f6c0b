"""Trying from inside a sandbox who answers: all at once, and for a bounded time.

Theory: an echo request makes the kernel ask for the neighbour's MAC first, so where no reply comes the neighbour entry tells
whether nobody has the address, or whether somebody does who does not answer. What is asked is asked again, for it may be lost."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netrt.doctor.inside import REFUSED, How, Neighbour, Outcome, Probe
from netrt.kernel.checksum import checksum
from netrt.kernel.netns import enter, on_thread

PATIENCE = 2.0
"""Seconds after which nobody answers."""

_AGAIN = 0.5
"""Seconds after which a datagram is sent again."""

_ICMP = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence (RFC 792, RFC 4443)
_REQUESTS = {socket.AF_INET: 8, socket.AF_INET6: 128}
_REPLIES = {socket.AF_INET: 0, socket.AF_INET6: 129}
_NOBODY = ("failed", "incomplete", "")


@dataclass(slots=True)
class _Try:
    """One probe on its way."""

    probe: Probe
    number: int
    socket: socket.socket
    message: bytes = b""
    began: float = 0.0
    works: bool | None = None
    took: float = 0.0
    said: str = ""

    def ends(self, works: bool, said: str = "") -> None:
        if self.works is None:
            self.works, self.said, self.took = works, said, (time.monotonic() - self.began) * 1000


@dataclass(slots=True)
class _Tries:
    """All of them. `identifier` tells our echo replies from those of others."""

    identifier: int = field(default_factory=lambda: int.from_bytes(os.urandom(2), "big"))
    rows: list[_Try] = field(default_factory=list)

    def begin(self, probes: Sequence[tuple[int, Probe]]) -> None:
        """Open sockets in the calling thread's namespace, which they stay in."""
        for number, probe in probes:
            family = socket.AF_INET6 if ":" in probe.address else socket.AF_INET
            made = _Try(probe, number, _opened(probe, family))
            made.socket.setblocking(False)
            self.rows.append(made)
            _ended_by_errors(made, lambda made=made, family=family: self._address(made, family))  # type: ignore[misc]

    def send(self) -> None:
        """Begin, all at once."""
        for made in self.rows:
            made.began = time.monotonic()
            if made.works is None:
                _ended_by_errors(made, lambda made=made: _send(made))  # type: ignore[misc]

    def _address(self, made: _Try, family: int) -> None:
        probe = made.probe
        if probe.interface:
            made.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, probe.interface.encode())
        if probe.how is How.CONNECT:
            return
        made.socket.connect((probe.address, probe.port))
        if probe.how is How.ECHO:
            made.message = _request(family, self.identifier, made.number)
        else:
            made.message = _question(probe.question, made.number)

    def wait(self) -> None:
        """Until all have ended, or nobody can be waited for any longer."""
        with selectors.DefaultSelector() as selector:
            for made in self.rows:
                if made.works is None:
                    events = selectors.EVENT_WRITE if made.probe.how is How.CONNECT else selectors.EVENT_READ
                    selector.register(made.socket, events, made)
            now = time.monotonic()
            end, again = now + PATIENCE, now + _AGAIN
            while selector.get_map() and (now := time.monotonic()) < end:
                for key, _ in selector.select(max(0.0, min(end, again) - now)):
                    self._heard(key.data)
                    if key.data.works is not None:
                        selector.unregister(key.fileobj)
                if time.monotonic() >= again:
                    again += _AGAIN
                    self._repeat()

    def _repeat(self) -> None:
        for made in self.rows:
            if made.works is None and made.message:
                with contextlib.suppress(OSError):  # an error of before is told where answers are read
                    made.socket.send(made.message)

    def _heard(self, made: _Try) -> None:
        try:
            if made.probe.how is How.CONNECT:
                number = made.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                refused = REFUSED if number == errno.ECONNREFUSED else os.strerror(number)
                made.ends(not number, refused if number else "")
            elif made.probe.how is How.ECHO:
                self._reply(made, made.socket.recv(2048))
            else:
                _answer(made, made.socket.recv(2048))
        except BlockingIOError:
            return
        except OSError as error:
            made.ends(False, error.strerror or str(error))

    def _reply(self, made: _Try, data: bytes) -> None:
        family = made.socket.family
        at = (data[0] & 15) * 4 if family == socket.AF_INET else 0  # an IPv4 header comes along
        if len(data) >= at + _ICMP.size:
            kind, _, _, identifier, number = _ICMP.unpack_from(data, at)
            if (kind, identifier, number) == (_REPLIES[family], self.identifier, made.number):
                made.ends(True)

    def close(self) -> None:
        for made in self.rows:
            made.socket.close()


def _ended_by_errors(made: _Try, work: Callable[[], None]) -> None:
    try:
        work()
    except OSError as error:
        made.ends(False, error.strerror or str(error))


def _send(made: _Try) -> None:
    if made.probe.how is How.CONNECT:
        made.socket.connect_ex((made.probe.address, made.probe.port))
    else:
        made.socket.send(made.message)


def _opened(probe: Probe, family: int) -> socket.socket:
    if probe.how is How.CONNECT:
        return socket.socket(family, socket.SOCK_STREAM)
    if probe.how is How.ECHO:
        protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
        return socket.socket(family, socket.SOCK_RAW, protocol)
    return socket.socket(family, socket.SOCK_DGRAM)


def _request(family: int, identifier: int, number: int) -> bytes:
    """An echo request; the kernel computes the checksum of ICMPv6 itself."""
    kind = _REQUESTS[socket.AddressFamily(family)]
    bare = _ICMP.pack(kind, 0, 0, identifier, number)
    return _ICMP.pack(kind, 0, checksum(bare) if family == socket.AF_INET else 0, identifier, number)


def _question(name: str, number: int) -> bytes:
    import dns.message

    kind = "NS" if name == "." else "A"
    return dns.message.make_query(name, kind, id=number).to_wire()


def _answer(made: _Try, data: bytes) -> None:
    import dns.exception
    import dns.message
    import dns.rcode

    try:
        message = dns.message.from_wire(data, ignore_trailing=True)
    except dns.exception.DNSException:
        return
    if message.id == made.number:
        broken = message.rcode() == dns.rcode.SERVFAIL
        made.ends(not broken, dns.rcode.to_text(message.rcode()))


def try_all(netns: int, probes: Sequence[Probe]) -> tuple[_Try, ...]:
    """What came of each, in order. The sandbox is an open file; who is to be asked from the host is. Raises OSError."""
    tries = _Tries()
    numbered = list(enumerate(probes, 1))

    def inside() -> None:
        enter(netns)
        tries.begin([each for each in numbered if each[1].how is not How.ASK_HOST])

    try:
        tries.begin([each for each in numbered if each[1].how is How.ASK_HOST])
        on_thread(inside)
        tries.send()
        tries.wait()
        return tuple(sorted(tries.rows, key=lambda made: made.number))
    finally:
        tries.close()


def outcomes(tries: Sequence[_Try], known: Sequence[Neighbour]) -> Iterator[Outcome]:
    """What came of each in words; `known` are the neighbours of the sandbox afterwards."""
    states = {(each.interface, each.address): each.state for each in known}
    for made in tries:
        said = made.said if made.works is not None else _silence(made.probe, states)
        yield Outcome(probe=made.probe, works=bool(made.works), milliseconds=round(made.took, 2), said=said)


def _silence(probe: Probe, states: Mapping[tuple[str, str], str]) -> str:
    if probe.how is not How.ECHO:
        return f"no answer within {PATIENCE:g} s"
    state = states.get((probe.interface, probe.address), "")
    if state in _NOBODY:
        return "nobody has this address"
    return "somebody has this address, and does not answer"
