"""The kernel of this host, as the engine sees it (`engine.ports.Kernel`)."""

from __future__ import annotations

import logging
import select
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from itertools import groupby
from typing import assert_never

from pyroute2.netlink import NETLINK_NETFILTER, NETLINK_SOCK_DIAG

from netrt.dataplane import ops
from netrt.dataplane.facts import HostFacts
from netrt.dataplane.heard import Heard
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import HOST, Key
from netrt.dataplane.scope import Scope
from netrt.doctor.evidence import Evidence
from netrt.errors import KernelRefused
from netrt.firewall.drops import Drop, Place
from netrt.kernel import conntrack, netns
from netrt.kernel.apply import Hands, LinkOp, Sandboxes, do_inside, place, strangers
from netrt.kernel.deletion import Deletions
from netrt.kernel.entered import Entered
from netrt.kernel.events import Events
from netrt.kernel.evidence import examine
from netrt.kernel.facts import DEFAULT_MTU, gather, outside_mtu
from netrt.kernel.inhabited import inhabited
from netrt.kernel.listeners import listeners as read_listeners
from netrt.kernel.netlink import Netlink
from netrt.kernel.nft import Nft
from netrt.kernel.nftjournal import Abroad
from netrt.kernel.observe import marked, observe
from netrt.kernel.parents import lacking
from netrt.kernel.parents import parents as read_parents
from netrt.kernel.pins import Pins, husks
from netrt.kernel.procfs import Procfs
from netrt.kernel.refused import harmless, named, refused
from netrt.kernel.reserve import Reserve
from netrt.kernel.spares import SPARE, Spares
from netrt.kernel.sysctl import FORWARDING, Forwarding, Tree
from netrt.paths import Paths
from netrt.spans import span

ForgetOp = ops.ForgetAddress | ops.ForgetUntranslated | ops.ForgetPort
FilterOp = ops.LoadRuleset | ops.DropRuleset | ops.ChangeElements | ForgetOp
"""What is done to nftables and connection tracking."""

BesideOp = ops.PinNamespace | ops.UnpinNamespace | FilterOp
"""What is done from the host, and not to its links."""

_log = logging.getLogger(__name__)


class LinuxKernel:
    """Warm netlink sockets and one nftables context, all of the namespace in which it was made. Used from one thread.

    `lock_rules`: nobody else shall be able to change our nftables tables, where the kernel allows that. Closing a netfilter
    socket waits for a grace period (nft_rcv_nl_event), so that of connection tracking stays open.
    """

    def __init__(self, paths: Paths, *, lock_rules: bool = True) -> None:
        self._netlink = Netlink()
        self._conntrack = Netlink(NETLINK_NETFILTER)
        self._sockets = Netlink(NETLINK_SOCK_DIAG)
        self._settings = Tree()
        self._procfs = Procfs()
        self._deletions = Deletions()
        self._spares = Spares(self._deletions.close_soon)
        self._nft = Nft(lock=lock_rules)
        self._events = Events(self._netlink)
        self._abroad = Abroad()
        self._forwarding = Forwarding(paths.forwarding)
        self._entered = Entered(paths.entered)
        self._pins = Pins()
        self._reserve = Reserve()
        self._together = select.epoll()
        self._listened = False
        self._facts: HostFacts | None = None
        self._mtu = DEFAULT_MTU
        self._parents: set[str] = set()

    def close(self) -> None:
        """Close the sockets. Nothing in the kernel changes."""
        self._together.close()
        self._nft.close()
        self._events.close()
        self._abroad.close()
        self._netlink.close()
        self._conntrack.close()
        self._sockets.close()
        self._settings.close()
        self._procfs.close()
        self._spares.close()
        self._pins.close()
        self._reserve.close()
        self._entered.close()
        self._deletions.close()

    def facts(
        self,
        *,
        listeners: Collection[str] = (),
        owners: bool = False,
        fresh: bool = False,
        parents: Collection[str] = (),
    ) -> HostFacts:
        """What the host is like. Kept from call to call unless `fresh`; listeners are read anew, of these protocols only, with
        `owners` whose they are, which takes long; `parents` are links to look at, now and whenever it is `fresh`. Raises
        KernelRefused."""
        try:
            self._parents.update(parents)
            anew = fresh or self._facts is None
            if self._facts is None or anew:
                self._facts = gather(self._netlink, self._forwarding, self._mtu)
                self._mtu = self._facts.mtu
            if parents or (anew and self._parents):
                self._facts = self._with_parents(self._facts, probed=anew)
            if not listeners:
                return self._facts
            return replace(self._facts, listeners=read_listeners(listeners, self._sockets, owners=owners))
        except OSError as error:
            raise _unreadable(error) from error

    def _with_parents(self, facts: HostFacts, *, probed: bool) -> HostFacts:
        absent = lacking(self._netlink) if probed else facts.lacking
        return replace(facts, parents=dict(read_parents(self._netlink, sorted(self._parents))), lacking=absent)

    def observe(self, scope: Scope) -> HostState:
        """What the kernel holds of what the scope names. Raises KernelRefused where it cannot be read."""
        if scope.everything:
            scope = replace(scope, sandboxes=scope.sandboxes | self._entered.paths)
        try:
            return observe(scope, self._netlink, self._settings, self._procfs, self._nft, self._pins)
        except OSError as error:
            raise _unreadable(error) from error

    def alive(self, paths: Sequence[str]) -> Mapping[str, int]:
        """Which of these paths lead to a network namespace now (never the host's own), and its inode number."""
        return self._pins.alive(paths)

    def pin_of(self, inode: int) -> str:
        """The path of our pin of the namespace with this inode number; empty where there is none."""
        return self._pins.path_of(inode)

    def inhabited(self) -> frozenset[int]:
        """The inode numbers of the network namespaces that a process is in, or a mount keeps."""
        return inhabited()

    def heard(self) -> Heard:
        """What was announced since this was asked last, by whomever it was done. Raises KernelRefused where it cannot be read."""
        try:
            heard = self._events.heard()
            rules, foreign = self._nft.disturbed(), self._nft.foreign_disturbed()
            robbed, lost = self._abroad.robbed()
            return replace(
                heard,
                robbed=heard.robbed | self._events.links_into(robbed),
                unpinned=self._pins.taken(),
                rules=rules,
                foreign=foreign,
                way=(heard.way or heard.lost) and self._moved(),
                lost=heard.lost or lost,
            )
        except OSError as error:
            raise _unreadable(error) from error

    def _moved(self) -> bool:
        """Look again how large packets to the outside, and by parents, may be; whether that is news. A way that is away for a
        moment was as it will be."""
        facts = self._facts
        if facts is None:
            return False
        self._mtu = outside_mtu(self._netlink) or self._mtu
        parents = dict(read_parents(self._netlink, sorted(self._parents))) if self._parents else facts.parents
        self._facts = replace(facts, mtu=self._mtu, parents=parents)
        return self._facts != facts

    def marked(self, known: Collection[str]) -> frozenset[str]:
        """The names of the links of the host that bear our mark, but for those that are known. Raises KernelRefused where they
        cannot be read."""
        try:
            return marked(self._netlink, known)
        except OSError as error:
            raise _unreadable(error) from error

    def elements(self) -> frozenset[Key]:
        """The keys of all elements that our tables hold. Raises KernelRefused where they cannot be read."""
        try:
            return self._nft.keys()
        except OSError as error:
            raise _unreadable(error) from error

    def dropping(self) -> tuple[tuple[str, str], ...]:
        """Tables and chains of others that drop what is forwarded and what no rule of theirs accepts. Raises KernelRefused."""
        try:
            return self._nft.dropping()
        except OSError as error:
            raise _unreadable(error) from error

    @cached_property
    def ears(self) -> tuple[int, int]:
        """The files that can be read when there is something to hear: one for everything that can wait for a moment, and that of
        nftables, which cannot where our tables are not locked. One, because each wakes who listens, and during a command the
        engine then waits for the interpreter."""
        self._listened = True
        for ear in (self._events, self._abroad, self._pins, *((self._nft,) if self.locked else ())):
            self._together.register(ear, select.EPOLLIN)
        return self._together.fileno(), self._nft.fileno()

    @property
    def locked(self) -> bool:
        """Whether nobody else can change our nftables tables."""
        return self._nft.locked

    def rest(self, *, busy: bool = False) -> None:
        """Use the time between two commands to get ready for the next; `busy`: only where the next would miss it."""
        self._entered.forget()
        self._pins.leave()
        self._reserve.refill()
        self._spares.refill(1 if busy else SPARE)
        if not busy and not self._listened:
            self._nft.disturbed()  # else what is announced of our own changes waits for ever

    def expect(self, containers: int) -> None:
        """So many containers with namespaces of ours are about to come."""
        self._spares.expect(containers)

    def unfreed(self) -> int:
        """How many deletions of links the kernel has yet to end. The links are gone; only their memory is not free."""
        return self._deletions.unfreed

    def husks(self) -> Sequence[str]:
        """Files where pins of ours are kept that are no namespaces."""
        return husks()

    def dropped(self, places: Sequence[Place]) -> tuple[Drop, ...]:
        """What our rules dropped and counted at these places. Raises KernelRefused where it cannot be read."""
        try:
            return self._nft.dropped(places)
        except OSError as error:
            raise _unreadable(error) from error

    def examine(self) -> Evidence:
        """What a doctor looks at. Raises KernelRefused where it cannot be read."""
        try:
            return examine(self._netlink, mtu=self.facts(fresh=True).mtu, locked=self._nft.locked)
        except OSError as error:
            raise _unreadable(error) from error

    def reserve(self) -> AbstractContextManager[None]:
        """Have what is kept for the way back to look and to apply with, where nothing else is left."""
        return self._reserve.lent()

    def apply(self, todo: Sequence[ops.Op]) -> None:
        """Do these in order. Raises KernelRefused, naming the first that was refused."""
        sandboxes = Sandboxes(self._netlink, todo, self._pins.open)
        try:
            self._entered.note(strangers(todo))
            for inside, row in groupby(todo, lambda op: place(op) != HOST):
                if inside:
                    within = [op for op in row if isinstance(op, LinkOp)]
                    netns.away(lambda within=within: do_inside(within, sandboxes, self._procfs, self._deletions))  # type: ignore[misc]
                else:
                    self._on_host(row, sandboxes)
        except OSError as error:
            raise KernelRefused(f"cannot talk to the kernel: {error}", errno=error.errno or 0, retry=True) from error
        finally:
            sandboxes.close()

    def _on_host(self, row: Iterable[ops.Op], sandboxes: Sandboxes) -> None:
        hands = Hands(self._netlink, self._settings, sandboxes, self._deletions)
        for op in row:
            _log.debug("%s", op)
            try:
                if isinstance(op, LinkOp):
                    self._note_forwarding(op)
                    hands.do(op)
                else:
                    hands.finish()
                    self._beside(op, sandboxes)
            except OSError as error:
                if not harmless(op, error.errno or 0):
                    raise refused(op, error.errno or 0) from error
        hands.finish()

    def _note_forwarding(self, op: LinkOp) -> None:
        for family, name in FORWARDING.items():
            if isinstance(op, ops.SetSysctl) and op.sysctl.name == name and op.sysctl.value != "0":
                self._forwarding.about_to_raise(family)
                self._facts = None

    def _beside(self, op: BesideOp, sandboxes: Sandboxes) -> None:
        """Do what is not about links. Raises OSError, KernelRefused."""
        with span(type(op).__name__):
            self._done(op, sandboxes)

    def _done(self, op: BesideOp, sandboxes: Sandboxes) -> None:
        match op:
            case ops.PinNamespace(pin):
                sandboxes.close()
                if not self._pins.regained(pin.path):
                    self._pin(pin.path, sandboxes)
            case ops.UnpinNamespace(pin):
                sandboxes.close()
                self._pins.unpin(pin.path)
            case _:
                try:
                    self._filter(op)
                except KernelRefused as error:
                    raise named(op, error) from error

    def _pin(self, path: str, sandboxes: Sandboxes) -> None:
        wanted = sandboxes.to_lead.get(path)
        with self._spares.taken(wanted) as spare:
            self._pins.pin(path, spare and spare.file)
            if spare and wanted and spare.names == wanted:
                del sandboxes.to_lead[path]

    def _filter(self, op: FilterOp) -> None:
        """Do what is about nftables and connection tracking. Raises OSError, KernelRefused."""
        match op:
            case ops.LoadRuleset(skeleton, elements):
                self._nft.load(skeleton, elements)
            case ops.DropRuleset():
                self._nft.drop()
            case ops.ChangeElements(removed, added):
                self._nft.change(removed, added)
            case ops.ForgetAddress(address):
                conntrack.forget_address(address, self._conntrack)
            case ops.ForgetUntranslated(addresses):
                conntrack.forget_untranslated(addresses, self._conntrack)
            case ops.ForgetPort(protocol, host_ip, port, last, address):
                conntrack.forget_port(protocol, host_ip, port, last, address, self._conntrack)
            case _:
                assert_never(op)


def _unreadable(error: OSError) -> KernelRefused:
    return KernelRefused(f"cannot read the kernel's state: {error}", errno=error.errno or 0)
