"""A socket of the CNI program's own: one question and one answer a connection.

A runtime waits for each plugin, and HTTP would be a twelfth of an ADD: so here is as little as can be, a length and so many bytes
there, a status, two lengths and what is to be printed back. Everything else (who may ask, what is done) is as at the server's
`/netrt/cni`.

Rule: what was begun is brought to its end, even if the program is killed meanwhile: its runtime then asks for DEL."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import msgspec

from netrt.api.answer import Api
from netrt.api.plugins.dispatch import Printed, run
from netrt.api.schema.body import LIMIT
from netrt.api.server import Acceptor, check_peer
from netrt.cni.refusal import error_json
from netrt.cni.version import CURRENT
from netrt.errors import Invalid, NetrtError

_SAID_WITHIN = 60.0
"""Seconds that a question may take to come."""
_CHUNK = 1 << 16
_LONGEST_LENGTH = 9
"""Digits."""


class Lane:
    """On the event loop only: answers at a listening unix socket, which it closes. Members of `group` (a number) may ask too."""

    def __init__(self, api: Api, listener: socket.socket, group: int | None) -> None:
        self._api = api
        self._group = group
        self._loop = asyncio.get_running_loop()
        self._acceptor = Acceptor(listener, self._serve)

    async def close(self) -> None:
        """Take nobody any more, and let those finish who are there."""
        await self._acceptor.close()

    async def _serve(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(ConnectionError, TimeoutError):
            printed = await self._answer(peer)
            head = b"%d %d %d\n" % (not printed.well, len(printed.errors), len(printed.output))
            await self._loop.sock_sendall(peer, head + printed.errors + printed.output)

    async def _answer(self, peer: socket.socket) -> Printed:
        try:
            check_peer(peer, self._group)
            body = await _read(peer)
        except NetrtError as error:
            return Printed(False, msgspec.json.encode(error_json(error, CURRENT)))
        return await run(self._api, body)


async def _read(peer: socket.socket) -> bytes:
    """Raises Invalid, ConnectionError, TimeoutError."""
    said = b""
    with contextlib.suppress(BlockingIOError):
        said = peer.recv(_CHUNK)  # nearly always all of it
    if _missing(said) != 0:
        async with asyncio.timeout(_SAID_WITHIN):
            said = await _read_on(peer, said)
    return said.partition(b"\n")[2]


async def _read_on(peer: socket.socket, said: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    while (missing := _missing(said)) is None:
        said += await _more(loop, peer)
    chunks = [said]
    while missing > 0:
        chunks.append(await _more(loop, peer))
        missing -= len(chunks[-1])
    return b"".join(chunks)


def _missing(said: bytes) -> int | None:
    """How much of a question is yet to come; None where its length is. Raises Invalid."""
    length, end, body = said.partition(b"\n")
    if not end and len(said) < _LONGEST_LENGTH:
        return None
    if not length.isdigit() or len(length) > _LONGEST_LENGTH or int(length) > LIMIT:
        raise Invalid("a question begins with its length in bytes", hint=f"at most {LIMIT}")
    return int(length) - len(body)


async def _more(loop: asyncio.AbstractEventLoop, peer: socket.socket) -> bytes:
    chunk = await loop.sock_recv(peer, _CHUNK)
    if not chunk:
        raise ConnectionResetError
    return chunk
