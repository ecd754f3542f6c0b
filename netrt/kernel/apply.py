"""Operations done: each namespace entered once for the operations that follow one another in it, several requests in one sendmsg.

Rule 1: requests wait until something needs them done (a sysctl, an index, another namespace) or the row ends. Rule 2: a link of
ours gets its mark in the same system call that makes it, so that no crash leaves one without; but under a name that a person
chose there may stand a link of theirs, and that never gets our mark.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, islice
from typing import assert_never

from msgspec.structs import replace

from netrt.dataplane import ops
from netrt.dataplane.objects import HOST
from netrt.errors import Invalid
from netrt.kernel import links, nameport, neighbors, routes, rules, shaping, sysctl
from netrt.kernel.announce import announce
from netrt.kernel.deletion import Deletions
from netrt.kernel.netlink import SIOCGIFINDEX, Netlink
from netrt.kernel.netns import OWN_PINS, enter
from netrt.kernel.procfs import Procfs
from netrt.kernel.refused import gone, harmless, refused
from netrt.kernel.wire import Answer, Request, number
from netrt.model.address import host_of
from netrt.spans import span

LinkOp = (
    ops.AddBridge
    | ops.AddVeth
    | ops.AddStacked
    | ops.SetLink
    | ops.DelLink
    | ops.AddAddress
    | ops.DelAddress
    | ops.ResizeAddress
    | ops.SetRoute
    | ops.DelRoute
    | ops.SetRule
    | ops.DelRule
    | ops.SetNeighbor
    | ops.DelNeighbor
    | ops.Announce
    | ops.SetSysctl
    | ops.ChangeSetting
    | ops.AddIfb
    | ops.SetShaper
    | ops.DelShaper
    | ops.SetRedirect
    | ops.DelRedirect
    | ops.PutNamePort
    | ops.TakeNamePort
)
"""What is done in one namespace, by a thread that is in it."""


ShapingOp = ops.SetShaper | ops.DelShaper | ops.SetRedirect | ops.DelRedirect


def place(op: ops.Op) -> str:
    """The namespace from which an operation is done."""
    match op:
        case ops.SetLink() | ops.DelLink():
            return op.netns
        case ops.AddStacked():
            return op.link.netns
        case ops.AddAddress() | ops.DelAddress() | ops.ResizeAddress() | ops.Announce():
            return op.address.netns
        case ops.SetRoute() | ops.DelRoute():
            return op.route.netns
        case ops.SetRule() | ops.DelRule():
            return op.rule.netns
        case ops.SetNeighbor() | ops.DelNeighbor():
            return op.neighbor.netns
        case ops.SetSysctl():
            return op.sysctl.netns
        case ops.ChangeSetting():
            return op.setting.netns
        case ops.PutNamePort() | ops.TakeNamePort():
            return op.port.netns
        case _:
            return HOST


def strangers(todo: Iterable[ops.Op]) -> frozenset[str]:
    """The sandboxes in which these make links and that are not pinned by us."""
    inside = {
        op.inner.netns if isinstance(op, ops.AddVeth) else op.link.netns for op in todo if isinstance(op, MakingOp)
    }
    return frozenset(path for path in inside if path != HOST and not path.startswith(OWN_PINS))


MakingOp = ops.AddVeth | ops.AddStacked


NO_LINK = 0x7FFFFFFF
"""An index that no link has."""


class Sandboxes:
    """Sandboxes as open files. The last one stays open: an attach pins it, reaches into it and enters it. `host` is a socket of
    the host's namespace, by which links are known that others in sandboxes stand on; `reach` opens one; `to_lead` are those, of
    the sandboxes of `todo`, in which a name port is still to be put, and which one."""

    def __init__(self, host: Netlink, todo: Iterable[ops.Op], reach: Callable[[str], int]) -> None:
        self.host = host
        self._reach = reach
        self.to_lead = {op.port.netns: replace(op.port, netns="") for op in todo if isinstance(op, ops.PutNamePort)}
        self._path, self._descriptor = HOST, -1

    def open(self, path: str) -> int:
        """The open file, good until the next call. Raises Invalid."""
        if path != self._path:
            self.close()
            self._descriptor = self._reach(path)
            self._path = path
        return self._descriptor

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._path, self._descriptor = HOST, -1


def do_inside(todo: Iterable[LinkOp], sandboxes: Sandboxes, procfs: Procfs, deletions: Deletions) -> None:
    """Do these in their sandboxes, from the calling thread, which enters them one after another.

    What is to be taken away from a sandbox that is gone is gone too. Raises KernelRefused."""
    for path, group in groupby(todo, place):
        row = tuple(group)
        try:
            enter(sandboxes.open(path))
        except Invalid as error:
            for op in row:
                if not harmless(op, errno.ENODEV):
                    raise gone(op, error.message) from None
            continue
        except OSError as error:
            raise refused(row[0], error.errno or 0, "the namespace cannot be entered") from error
        with Netlink() as netlink, sysctl.Tree.of_sandbox(procfs) as settings:
            hands = Hands(netlink, settings, sandboxes, deletions)
            for op in row:
                hands.do(op)
            hands.finish()


class Hands:
    """Operations in the namespace of a socket and of settings, by a thread that is in that namespace."""

    def __init__(self, netlink: Netlink, settings: sysctl.Tree, sandboxes: Sandboxes, deletions: Deletions) -> None:
        self._netlink = netlink
        self._settings = settings
        self._sandboxes = sandboxes
        self._deletions = deletions
        self._waiting: list[tuple[LinkOp, tuple[Request, ...]]] = []
        self._doomed: list[ops.DelLink] = []
        self._indices: dict[str, int] = {}

    def do(self, op: LinkOp) -> None:
        """Do this, now or before `finish` returns. Raises KernelRefused for the first that is refused."""
        if isinstance(op, ops.DelLink):
            self._flush()
            self._doomed.append(op)
            return
        self._delete_doomed()
        match op:
            case ops.AddBridge(link):
                self._make(op, link.name, links.add_bridge(link))
            case ops.AddVeth(host, inner):
                netns, bridge = self._netns(op, inner.netns), self._master(op, host.master)
                self._make(op, host.name, links.add_veth(op, netns, bridge, ipv6=self._settings.has_ipv6()))
            case ops.AddStacked(link):
                self._make(op, link.name, links.add_stacked(link, *self._lower(op)))
            case ops.SetLink():
                master = None if op.master is None else self._master(op, op.master)
                self._wait(op, *links.set_link(op, master))
            case ops.AddAddress(address):
                self._wait(op, routes.add_address(address, self._index(address.link)))
            case ops.DelAddress(address):
                self._wait(op, routes.delete_address(address, self._index(address.link)))
            case ops.ResizeAddress(address, before):
                self._resize(op, routes.resize_address(address, before, self._index(address.link)))
            case ops.SetRoute(route):
                self._wait(op, routes.add_route(route, self._needed(op, route.link)))
            case ops.DelRoute(route):
                self._wait(op, routes.delete_route(route, self._index(route.link)))
            case ops.SetRule(rule):
                self._wait(op, rules.add_rule(rule))
            case ops.DelRule(rule):
                self._wait(op, rules.delete_rule(rule))
            case ops.SetNeighbor(held):
                self._wait(op, neighbors.set_neighbor(held, self._needed(op, held.link)))
            case ops.DelNeighbor(held):
                self._wait(op, neighbors.delete_neighbor(held, self._index(held.link)))
            case ops.SetSysctl(setting):
                self._flush()
                try:
                    with span("SetSysctl"):
                        self._settings.write(setting.name, setting.value)
                except OSError as error:
                    raise refused(op, error.errno or 0) from None
            case ops.ChangeSetting(setting):
                self._wait(op, links.change_setting(setting))
            case ops.PutNamePort() | ops.TakeNamePort():
                self._lead(op)
            case ops.AddIfb(link):
                self._make(op, link.name, links.add_ifb(link, ipv6=self._settings.has_ipv6()))
            case ops.Announce(address):
                self._flush()
                try:
                    announce(address.link, host_of(address.address))
                except OSError as error:
                    raise refused(op, error.errno or 0) from None
            case _:
                self._shape(op)

    def _lead(self, op: ops.PutNamePort | ops.TakeNamePort) -> None:
        if isinstance(op, ops.PutNamePort) and op.port.netns not in self._sandboxes.to_lead:
            return  # the namespace was made with it
        self._flush()
        with span(type(op).__name__):
            close = self._deletions.close_soon
            self._checked(op, nameport.put(op.port) if isinstance(op, ops.PutNamePort) else nameport.take(close))

    def _resize(self, op: ops.ResizeAddress, requests: tuple[Request, Request]) -> None:
        """For IPv4 the second one only where the first was not refused; for IPv6 nothing may come between them."""
        first, second = requests
        if ":" in op.before:
            self._wait(op, first, second)
        else:
            self._wait(op, first)
            self._flush()
            self._wait(op, second)

    def _checked(self, op: LinkOp, number: int) -> None:
        self._granted(op, Answer(number, ""))

    def _shape(self, op: ShapingOp) -> None:
        match op:
            case ops.SetShaper(shaper):
                self._wait(op, shaping.set_bucket(shaper, self._needed(op, shaper.link)))
            case ops.DelShaper(shaper):
                self._wait(op, shaping.delete_bucket(self._index(shaper.link)))
            case ops.SetRedirect(redirect):
                index, to = self._needed(op, redirect.link), self._needed(op, redirect.to)
                self._wait(op, *shaping.set_redirect(redirect, index, to))
            case ops.DelRedirect(redirect):
                self._wait(op, shaping.delete_redirect(self._index(redirect.link)))
            case _:
                assert_never(op)

    def _wait(self, op: LinkOp, *requests: Request) -> None:
        """Let requests wait. Their indices were looked up before this call, and that may have sent what waited until then."""
        self._waiting.append((op, requests))

    def finish(self) -> None:
        """Do what is still to be done. Raises KernelRefused."""
        self._flush()
        self._delete_doomed()

    def _flush(self) -> None:
        """Send what waits, and look at the answers in order."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        with span(lambda: _words(op for op, _ in waiting)):
            answers = iter(self._netlink.ask([request for _, requests in waiting for request in requests]))
        for op, requests in waiting:
            for answer in islice(answers, len(requests)):
                if isinstance(op, ops.SetRoute) and answer.errno == errno.EEXIST:
                    self._replace(op)
                else:
                    self._granted(op, answer)

    def _replace(self, op: ops.SetRoute) -> None:
        """Put a route of ours in the place of another of ours; the kernel would replace anybody's."""
        ours = map(routes.read_route, self._netlink.dump(routes.get_routes(ours=True)))
        if not any(routes.as_object(route, op.route.netns, op.route.link).key == op.route.key for route in ours):
            raise refused(op, errno.EEXIST)
        (answer,) = self._netlink.ask([routes.add_route(op.route, self._index(op.route.link), replace=True)])
        if answer.errno:
            raise refused(op, answer.errno, answer.text)

    def _make(
        self, op: ops.AddBridge | ops.AddVeth | ops.AddIfb | ops.AddStacked, name: str, requests: Sequence[Request]
    ) -> None:
        """Make a link (the first request) and give it its mark (the rest); one that cannot be marked is not left behind."""
        self._flush()
        at_once = len(requests) if name.startswith(links.OWN_NAMES) or isinstance(op, ops.AddStacked) else 1
        with span(type(op).__name__):
            answers = self._netlink.ask(requests[:at_once])
            if not answers[0].errno:
                answers += self._netlink.ask(requests[at_once:])
        for nth, answer in enumerate(answers):
            if answer.errno:
                if nth:
                    self._netlink.ask([links.delete_link(name)])
                raise refused(op, answer.errno, answer.text)

    def _delete_doomed(self) -> None:
        """Delete links, several by one request."""
        row, self._doomed = self._doomed, []
        if not row:
            return
        with span(lambda: _words(row)):
            self._delete(row)
        self._indices.clear()

    def _delete(self, row: Sequence[ops.DelLink]) -> None:
        if len(row) > 1:
            group = 1 + secrets.randbelow(2**31 - 1)  # one that no other link is in; 0 is that of all others
            for op, answer in zip(
                row, self._netlink.ask([links.put_in_group(op.name, group) for op in row]), strict=True
            ):
                self._granted(op, answer)
            answer = self._deletions.delete(self._netlink, links.delete_group(group), [op.name for op in row])
            if answer.errno in (0, errno.ENODEV):  # ENODEV: all of them went meanwhile
                return
        for op in row:
            request = links.delete_link_at(self._index(op.name))
            self._granted(op, self._deletions.delete(self._netlink, request, [op.name]))

    def _granted(self, op: LinkOp, answer: Answer) -> None:
        if answer.errno and not harmless(op, answer.errno):
            raise refused(op, answer.errno, answer.text)

    def _lower(self, op: ops.AddStacked) -> tuple[int, int]:
        """The index of the link of the host that a new one stands on, and the number by which this namespace knows the host's."""
        (found,) = self._sandboxes.host.ask([links.get_link(op.link.lower)])
        if found.message is None:
            raise refused(op, found.errno, f"there is no {op.link.lower}")
        index = links.read_link(found.message).index
        if op.link.netns == HOST:
            return index, -1
        with self._sandboxes.host.namespace() as netns:
            answer = links.known_as(self._netlink, netns)
        if answer.message is None:
            raise refused(op, answer.errno, answer.text)
        return index, links.read_nsid(answer.message)

    def _netns(self, op: LinkOp, path: str) -> int | None:
        try:
            return None if path == HOST else self._sandboxes.open(path)
        except Invalid as error:
            raise gone(op, error.message) from None

    def _master(self, op: LinkOp, name: str) -> int:
        """The index of a bridge, 0 for none."""
        return self._needed(op, name) if name else 0

    def _needed(self, op: LinkOp, name: str) -> int:
        index = self._index(name)
        if index == NO_LINK:
            raise refused(op, errno.ENODEV, f"there is no {name}")
        return index

    def _index(self, name: str) -> int:
        """The index of a link, NO_LINK where there is none: then the kernel says so in its own words."""
        index = self._indices.get(name)
        if index is None:
            self._flush()
            try:
                index = number(self._netlink.device(SIOCGIFINDEX, name)[:4])
            except OSError:
                return NO_LINK
            self._indices[name] = index
        return index


def _words(row: Iterable[LinkOp]) -> str:
    """What kinds of operations these are, for a span."""
    return " ".join(dict.fromkeys(type(op).__name__ for op in row))
