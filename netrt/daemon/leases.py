"""Leases of DHCP servers: got before a container comes onto a network, renewed while it is there, given back when it has left.

Rule 1: a command waits for its lease here, and not on the engine's thread; the link that asks is not the container's yet, so that
one that gets no lease has left nothing. Rule 2: what a server says becomes part of the State by a command, as everything does.
Rule 3: what could not be given back ends by itself. On the event loop only."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from netrt.api.answer import Api
from netrt.daemon.conversation import confirmed, obtained, passed, sandbox_wire, stand_in_wire
from netrt.decide.leases import wish_of, with_leases, yet_to_lease
from netrt.errors import NetrtError, Unavailable
from netrt.ipam import dhcp
from netrt.ipam.dhcp import SECOND, Kind, Phase
from netrt.kernel.dhcp import packed
from netrt.model.address import host_of
from netrt.model.command import Command, NoteLease
from netrt.model.container import Attachment
from netrt.model.difference import difference
from netrt.model.lease import DhcpLease
from netrt.model.network import Network, parent_options
from netrt.model.state import AttachmentKey, State

T = TypeVar("T")

ANSWER = 4.0
"""Seconds that are listened for an answer about a lease that goes on."""
PAUSE = 20.0
"""Seconds until it is tried again where nobody gives a lease, or nobody can be asked."""
FREE = 3.0
"""Seconds that the kernel may take to forget a container's link."""
LAST = 2.0
"""Seconds that giving back may take when the daemon stops."""
LOOK = 60.0
"""Seconds after which the clock is looked at again: people may set it."""
AT_ONCE = 16
"""Who is asked about at the same time."""

log = logging.getLogger("netrt.leases")


class Leases:
    """One task for each attachment whose address a DHCP server gives. `wait`: seconds that a new one may take."""

    def __init__(self, wait: float) -> None:
        self._wait = wait
        self._api: Api
        self._keepers: dict[AttachmentKey, tuple[int, asyncio.Task[None]]] = {}
        self._farewells: set[asyncio.Future[None]] = set()
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._last: dict[AttachmentKey, str] = {}
        """The address that an attachment had before it had none."""

    def begin(self, api: Api) -> None:
        """Look after the leases that there are: each is asked about now, for nobody has for a while."""
        self._api = api
        self._look_after(State(), api.engine.state, early=True)
        api.hub.watch(self._look_after)

    async def close(self) -> None:
        """Leases stay; those that are being given back are."""
        for _, task in self._keepers.values():
            task.cancel()
        if self._farewells:
            await asyncio.wait(self._farewells, timeout=LAST)

    # before a command

    @contextlib.asynccontextmanager
    async def granted(self, command: Command) -> AsyncIterator[Command]:
        """The command with leases for what it attaches. Raises NetrtError; then, and where the work within raises, they are given
        back."""
        before = self._api.engine.state
        after = await asyncio.wrap_future(self._api.engine.rehearse(command))
        leases: dict[str, DhcpLease] = {}
        new = {attachment.network_id: attachment for attachment in yet_to_lease(before, after)}
        try:
            for network_id, attachment in new.items():
                wanted = wish_of(after, command, network_id)
                leases[network_id] = await self._while_open(self._new(after, attachment, wanted))
            yield with_leases(after, command, leases)
        except BaseException:
            for network_id, lease in leases.items():
                await self._give_back(after.networks[network_id], new[network_id].mac, lease)
            raise

    async def _new(self, state: State, attachment: Attachment, wanted: str) -> DhcpLease:
        network = state.networks[attachment.network_id]
        client = dhcp.client_of(state.containers[attachment.container_id], attachment)
        options = parent_options(network)
        try:
            async with stand_in_wire(options, attachment.mac, FREE) as wire:
                lease = await obtained(wire, client, self._wait, self._api.clock, wanted=wanted, insists=bool(wanted))
        except OSError as error:
            raise Unavailable(f"network {network.name}: {options.parent}: {error.strerror}", retry=True) from error
        except Unavailable as error:
            hint = f"a server is needed on the LAN of {options.parent}; [dhcp] wait in netrt.toml gives it more time"
            raise Unavailable(f"network {network.name}: {error.message}", hint=hint, retry=True) from error
        log.info("%s: %s gives %s", client.hostname, lease.server, lease.address)
        return lease

    async def _while_open(self, work: Coroutine[Any, Any, T]) -> T:
        """Raises Unavailable where the daemon stops meanwhile."""
        task, closing = asyncio.ensure_future(work), asyncio.ensure_future(self._api.hub.closed.wait())
        try:
            await asyncio.wait((task, closing), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise Unavailable("the daemon is stopping", retry=True)
        finally:
            closing.cancel()
            task.cancel()
            await asyncio.wait((task,))

    # after each commit

    def _look_after(self, before: State, after: State, *, early: bool = False) -> None:
        """`early`: ask at once."""
        gone, put = difference(before.attachments, after.attachments)
        for key in gone:
            self._left(before, before.attachments[key])
        for key, attachment in put:
            if key in before.attachments and before.attachments[key].order != attachment.order:
                self._left(before, before.attachments[key])
            if after.networks[attachment.network_id].dhcp and key not in self._keepers:
                task = asyncio.ensure_future(self._kept(key, early=early))
                self._keepers[key] = attachment.order, task

    def _left(self, before: State, attachment: Attachment) -> None:
        _, task = self._keepers.pop(attachment.key, (0, None))
        if task:
            task.cancel()
        self._last.pop(attachment.key, None)
        if attachment.dhcp:
            network = before.networks[attachment.network_id]
            work = asyncio.ensure_future(self._give_back(network, attachment.mac, attachment.dhcp))
            self._farewells.add(work)
            work.add_done_callback(self._farewells.discard)

    async def _give_back(self, network: Network, mac: str, lease: DhcpLease) -> None:
        """As far as that can be done."""
        address, frame = host_of(lease.address), packed(dhcp.farewell(mac, lease, secrets.randbits(32)))
        try:
            async with stand_in_wire(parent_options(network), mac, FREE) as wire:
                await asyncio.get_running_loop().sock_sendall(wire, frame)
            log.info("%s is given back to %s", address, lease.server)
        except (NetrtError, OSError) as error:
            log.warning("%s cannot be given back, and ends by itself: %s", address, error)

    # while it is there

    async def _kept(self, key: AttachmentKey, *, early: bool) -> None:
        """Look after one attachment until cancelled."""
        while (attachment := self._api.engine.state.attachments.get(key)) is not None:
            try:
                await self._step(attachment, early=early)
            except (NetrtError, OSError) as error:
                log.warning("the lease of %s: %s", attachment.address4 or attachment.ifname, error)
                await passed(PAUSE)
            early = False

    async def _step(self, attachment: Attachment, *, early: bool) -> None:
        """Do what is next, and wait until something else is. Raises NetrtError, OSError."""
        lease = attachment.dhcp
        if lease is None:
            await self._anew(attachment)
            return
        now = self._api.clock()
        what, until = dhcp.phase(lease, now)
        if what is Phase.OVER:
            await self._lost(attachment, "has ended, and nobody renewed it")
        elif what is Phase.BOUND and not early:
            await self._until(until)
        else:
            left = (until - now) / SECOND if until else ANSWER
            answered = await self._asked(attachment, lease, min(ANSWER, left), anybody=what is Phase.REBINDING)
            if not answered and what is not Phase.BOUND:
                await self._until(dhcp.again(lease, now))

    async def _asked(self, attachment: Attachment, lease: DhcpLease, seconds: float, *, anybody: bool) -> bool:
        """Ask for a lease to go on. Whether somebody answered."""
        state, at = self._api.engine.state, self._api.clock()
        container = state.containers[attachment.container_id]
        client = dhcp.client_of(container, attachment)
        question = dhcp.renewal(client, lease, secrets.randbits(32), anybody=anybody)
        async with self._turn, sandbox_wire(container.sandbox.path, attachment.ifname) as wire:
            reply = await confirmed(wire, question, seconds)
        if reply is None:
            log.info("%s: nobody answers about %s", container.name, host_of(lease.address))
        elif reply.kind is Kind.NAK:
            await self._lost(attachment, f"is refused by {reply.server}")
        else:
            log.info("%s: %s goes on, says %s", container.name, host_of(lease.address), reply.server)
            await self._note(attachment, dhcp.leased(lease.client, reply, at))
        return reply is not None

    async def _anew(self, attachment: Attachment) -> None:
        """Get a lease for who has none any more."""
        container = self._api.engine.state.containers[attachment.container_id]
        client = dhcp.client_of(container, attachment)
        async with self._turn, sandbox_wire(container.sandbox.path, attachment.ifname) as wire:
            wanted = self._last.get(attachment.key, "")
            lease = await obtained(wire, client, self._wait, self._api.clock, wanted=wanted)
        log.info("%s: %s gives %s", container.name, lease.server, lease.address)
        await self._note(attachment, lease)

    async def _lost(self, attachment: Attachment, why: str) -> None:
        log.warning("the lease of %s %s", attachment.address4, why)
        self._last[attachment.key] = host_of(attachment.address4)
        await self._note(attachment, None)

    async def _note(self, attachment: Attachment, lease: DhcpLease | None) -> None:
        container, ifname = attachment.key
        await self._api.ask(NoteLease(container=container, ifname=ifname, lease=lease))

    async def _until(self, moment: int) -> None:
        """0: for ever."""
        while not moment or (left := moment - self._api.clock()) > 0:
            await passed(min(LOOK, left / SECOND) if moment else LOOK)
