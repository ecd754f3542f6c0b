"""What is said to DHCP servers and heard of them, with the clock of the event loop.

Rule 1: what to say, and whether an answer is one, is decided in `netrt.ipam.dhcp`. Rule 2: a question is repeated until the
answer comes or who asks gives up."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator

from netrt.errors import Conflict, KernelRefused, NetrtError, Unavailable
from netrt.ipam import dhcp
from netrt.ipam.dhcp import Client, Kind, Question, Reply
from netrt.kernel.dhcp import listening, packed, standing_in, unpacked
from netrt.model.lease import DhcpLease
from netrt.model.parent import MacvlanMode, ParentOptions

OTHERS = 1.0
"""Seconds that another server may take to offer the address that was asked for, after one has offered another."""
BUSY = 0.05
"""Seconds until it is looked again whether a MAC is free."""
_BUSY = (errno.EBUSY, errno.EADDRINUSE)
_LARGEST = 4096


async def passed(seconds: float) -> None:
    """So much time."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.get_running_loop().create_future(), seconds)


@contextlib.asynccontextmanager
async def sandbox_wire(path: str, link: str) -> AsyncIterator[socket.socket]:
    """On a link in a sandbox. Raises Invalid, KernelRefused."""
    with await asyncio.to_thread(listening, path, link) as wire:
        yield wire


@contextlib.asynccontextmanager
async def stand_in_wire(options: ParentOptions, mac: str, within: float) -> AsyncIterator[socket.socket]:
    """On a link like that of a container which is not there. The kernel takes some time to forget a link that was; so long as
    `within` seconds it is waited for. Raises KernelRefused."""
    deadline = time.monotonic() + within
    busy = (*_BUSY, errno.EINVAL) if options.flavour == MacvlanMode.PASSTHRU else _BUSY
    while True:
        station = standing_in(options.parent, options.flavour, mac)
        coming = asyncio.ensure_future(asyncio.to_thread(station.__enter__))
        try:
            wire = await asyncio.shield(coming)
            break
        except KernelRefused as error:
            if error.errno not in busy or time.monotonic() > deadline:
                raise
        except asyncio.CancelledError:
            with contextlib.suppress(KernelRefused):
                await coming
                await asyncio.to_thread(station.__exit__, None, None, None)
            raise
        await passed(BUSY)
    try:
        yield wire
    finally:
        await asyncio.to_thread(station.__exit__, None, None, None)


async def answered(wire: socket.socket, question: Question, fits: Callable[[Reply], bool]) -> Reply:
    """The first fitting answer to a question, which is asked again and again. Raises OSError where the link is gone or down."""
    loop, frame = asyncio.get_running_loop(), packed(question)
    for pause in _pauses():
        await loop.sock_sendall(wire, frame)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                while True:
                    reply = unpacked(await loop.sock_recv(wire, _LARGEST))
                    if reply is not None and question.answers(reply) and fits(reply):
                        return reply
    raise AssertionError("pauses do not end")


def _pauses() -> Iterator[float]:
    yield from dhcp.PAUSES
    while True:
        yield dhcp.PAUSES[-1]


async def obtained(
    wire: socket.socket,
    client: Client,
    seconds: float,
    clock: Callable[[], int],
    *,
    wanted: str = "",
    insists: bool = False,
) -> DhcpLease:
    """A lease of whoever gives one first, within so many seconds; of the address `wanted`, if possible or (`insists`) at all
    events. Raises Unavailable where nobody gives one, Conflict where nobody gives the one that is insisted on, OSError."""
    why: list[NetrtError] = []

    def fits(offer: Reply) -> bool:
        if lack := dhcp.usable(offer):
            why.append(Unavailable(f"the DHCP server {offer.server or offer.server_mac} offers a lease that {lack}"))
            return False
        if insists and offer.address != wanted:
            why.append(Conflict(f"the DHCP server {offer.server} offers {offer.address}, not {wanted}"))
            limit.reschedule(min(limit.when() or 0, asyncio.get_running_loop().time() + OTHERS))
            return False
        return True

    try:
        async with asyncio.timeout(seconds) as limit:
            for pause in _pauses():
                question = dhcp.discover(client, secrets.randbits(32), wanted)
                asked = dhcp.accept(question, await answered(wire, question, fits))
                at = clock()
                given = await answered(wire, asked, lambda reply: reply.kind is Kind.NAK or not dhcp.usable(reply))
                if given.kind is Kind.ACK:
                    return dhcp.leased(client.identifier, given, at)
                why.append(Unavailable(f"the DHCP server {given.server} took back its offer"))
                await passed(pause)  # it may take back the next one, too, and the LAN is not ours alone
    except TimeoutError:
        pass
    raise (why or [Unavailable(f"no DHCP server answered within {seconds:g} s")])[-1]


async def confirmed(wire: socket.socket, question: Question, seconds: float) -> Reply | None:
    """What becomes of a lease: an ACK or a NAK, or None where nobody says anything. Raises OSError."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await answered(wire, question, lambda reply: reply.kind is Kind.NAK or not dhcp.usable(reply))
    return None
