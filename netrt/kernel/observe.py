"""What the kernel holds of what a scope names, as the values that a plan compares.

Rule 1: in the small view of an attach nothing is dumped but the addresses of its links and the routes of its sandbox. Rule 2: two
ends are a pair only where the kernel says so: the host's end tells the other's index and the namespace that holds it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, field

from msgspec.structs import replace

from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import (
    HOST,
    MARK,
    ROUTE_PROTOCOL,
    STACKED,
    Address,
    Foreign,
    Link,
    LinkKind,
    Neighbor,
    Object,
    Pin,
    Redirect,
    Setting,
    Shaper,
    Sysctl,
)
from netrt.dataplane.scope import Scope
from netrt.errors import Invalid
from netrt.kernel import links, nameport, neighbors, routes, rules, shaping
from netrt.kernel.links import SeenLink
from netrt.kernel.netlink import Netlink
from netrt.kernel.netns import away, enter
from netrt.kernel.nft import Nft
from netrt.kernel.pins import Pins, pinned
from netrt.kernel.procfs import Procfs
from netrt.kernel.sysctl import Tree
from netrt.kernel.ways import routed, routes_of
from netrt.threads import begun

_KINDS = frozenset(LinkKind)


@dataclass(slots=True)
class _View:
    """What is looked at in one namespace."""

    links: set[str] = field(default_factory=set)
    with_addresses: set[str] = field(default_factory=set)
    sysctls: list[str] = field(default_factory=list)
    routes: bool = False
    closely: bool = False
    shaped: set[str] = field(default_factory=set)
    redirected: set[str] = field(default_factory=set)
    name_port: bool = False
    with_neighbors: set[str] = field(default_factory=set)
    proxies: bool = False
    rules: bool = False


@dataclass(slots=True)
class _Sight:
    """What was seen in one namespace. `names` tells the names of the indices that its links and routes speak of; `nsid` is the
    number by which the host's namespace knows it, `host` the one by which it knows the host's."""

    links: list[SeenLink]
    addresses: list[routes.SeenAddress]
    routes: list[routes.SeenRoute]
    sysctls: list[tuple[str, str]]
    names: dict[int, str]
    nsid: int = -1
    host: int = -1
    others: list[Object] = field(default_factory=list)
    neighbors: list[Neighbor] = field(default_factory=list)


def observe(scope: Scope, netlink: Netlink, settings: Tree, procfs: Procfs, nft: Nft, pins: Pins) -> HostState:
    """Look. `netlink` and `settings` are of the calling thread's namespace, the host's. Raises OSError, KernelRefused.

    libnftables takes a while to list thousands of elements, so that is done meanwhile."""
    filtering = [key for key in scope.keys if key[0] in ("element", "skeleton")]
    if not scope.everything:
        only_rules = len(filtering) == len(scope.keys) and not scope.links and not scope.sandboxes
        seen = [] if only_rules else _looked(scope, netlink, settings, procfs, pins)
        if filtering or scope.rules:
            seen += nft.seen(None if scope.rules else filtering)
    else:
        rules = begun(lambda: tuple(nft.seen(None)))
        try:
            seen = _looked(scope, netlink, settings, procfs, pins)
        finally:
            wait([rules])
        seen += rules.result()
    return HostState({thing.key: thing for thing in seen})


def _looked(scope: Scope, netlink: Netlink, settings: Tree, procfs: Procfs, pins: Pins) -> list[Object]:
    """All but what our nftables tables hold."""
    views, kept = _views(scope), list(_pins(scope, pins))
    if scope.everything:
        for pin in kept:  # also where nothing is wanted any more: links in there, unlike their namespace, end at a word
            views.setdefault(pin.path, _View())
    sights = {HOST: _look(netlink, settings, views.pop(HOST, _View()), everything=scope.everything)}
    there = {path: view for path, view in views.items() if pins.there(path)}
    if there:
        sights |= away(lambda: _look_inside(there, netlink, procfs, pins, everything=scope.everything))
    seen: list[Object] = [*kept, *_links(sights, scope), *_others(sights, scope)]
    for place, sight in sights.items():
        seen += _inside(place, sight, scope)
    return seen


def _views(scope: Scope) -> dict[str, _View]:
    views: dict[str, _View] = {}

    def at(netns: str) -> _View:
        return views.setdefault(netns, _View())

    for key in scope.keys:
        match key:
            case ("link", netns, name):
                at(netns).links.add(name)
            case ("sysctl", netns, name):
                at(netns).sysctls.append(name)
            case ("route", netns, *_):
                at(netns).routes = True
            case ("rule", netns, *_):
                at(netns).rules = True
            case ("neighbor", netns, _, _, "proxy"):
                at(netns).proxies = True
            case ("neighbor", netns, name, _):
                at(netns).links.add(name)
                at(netns).with_neighbors.add(name)
            case ("foreign", netns, name):
                at(netns).links.add(name)
            case ("setting", netns, name, _):
                at(netns).links.add(name)
            case ("shaper", name):
                at(HOST).links.add(name)
                at(HOST).shaped.add(name)
            case ("redirect", name):
                at(HOST).links.add(name)
                at(HOST).redirected.add(name)
            case ("nameport", netns):
                at(netns).name_port = True
    for netns, name in scope.links:
        at(netns).links.add(name)
        at(netns).with_addresses.add(name)
    for netns in scope.sandboxes:
        at(netns).routes = True
    if scope.everything:
        at(HOST).routes = at(HOST).proxies = True
        for netns, view in views.items():
            view.name_port = netns != HOST
    for view in views.values():
        view.closely = scope.closely
    return views


# look


def _look_inside(
    views: Mapping[str, _View], host: Netlink, procfs: Procfs, pins: Pins, *, everything: bool
) -> dict[str, _Sight]:
    """Look in these sandboxes, one after another, from the calling thread. `host` is a socket of the host's namespace."""
    sights = {}
    for path, view in views.items():
        with contextlib.suppress(Invalid), pins.opened(path) as netns:
            enter(netns)
            with Netlink() as netlink, Tree.of_sandbox(procfs) as settings:
                sights[path] = _look(netlink, settings, view, marked=everything)
                if view.rules or everything:
                    sights[path].others += rules.held(netlink, path)
                if any(link.kind in STACKED for link in sights[path].links):
                    with host.namespace() as outer:
                        sights[path].host = _nsid(netlink, outer)
            if view.name_port and (port := nameport.seen(path)):
                sights[path].others.append(port)
            sights[path].nsid = _nsid(host, netns)
    return sights


def _look(netlink: Netlink, settings: Tree, view: _View, *, everything: bool = False, marked: bool = False) -> _Sight:
    """Look in the calling thread's namespace, to which `netlink` and `settings` belong. `marked`: also at links that bear our
    mark; `everything`: also at what else of ours there is on a host."""
    if everything or marked:
        held_now = list(_addresses(netlink))
        lent = {a.index for a in held_now if a.ours} if everything else set()
        found = [link for link in _all_links(netlink) if link.name in view.links or _marked(link) or link.index in lent]
        ours = {link.index for link in found}
        addresses = [a for a in held_now if a.index in ours]
    else:
        found = list(_some_links(netlink, view.links))
        addresses = [a for link in found if link.name in view.with_addresses for a in _addresses(netlink, link.index)]
    ways = routes_of(netlink, routes.get_routes(ours=True)) if view.routes else []
    held = routed(netlink, found, addresses) if view.closely else addresses
    shaped = [link for link in found if link.name in view.shaped or (everything and link.qdisc == "tbf")]
    pairs = [link for link in found if everything and link.kind == LinkKind.VETH and _marked(link)]
    redirected = [*pairs, *(link for link in found if link.name in view.redirected and link not in pairs)]
    return _Sight(
        links=found,
        addresses=held,
        routes=ways,
        sysctls=[(name, value) for name in view.sysctls if (value := settings.read(name)) is not None],
        names=_names(found, ways),
        others=[*_shapers(netlink, shaped), *_redirects(netlink, redirected)],
        neighbors=[
            *(
                n
                for link in found
                if _has_neighbors(link, view, everything)
                for n in neighbors.permanent(netlink, link.index, link.name)
            ),
            *(neighbors.proxies(netlink) if view.proxies else ()),
        ],
    )


def _has_neighbors(link: SeenLink, view: _View, everything: bool) -> bool:
    """Whether to read a link's permanent neighbours: of ours are only those of links that stand on another one."""
    return link.name in view.with_neighbors or (everything and link.kind in STACKED and _marked(link))


def _shapers(netlink: Netlink, shaped: Sequence[SeenLink]) -> Iterator[Shaper]:
    answers = netlink.ask([shaping.get_bucket(link.index) for link in shaped])
    for link, answer in zip(shaped, answers, strict=True):
        held = shaping.read_bucket(answer.message, link.name) if answer.message is not None else None
        if held is not None:
            yield held


def _redirects(netlink: Netlink, redirected: Sequence[SeenLink]) -> Iterator[Redirect]:
    """A qdisc without our filter is a redirect that leads nowhere."""
    answers = iter(netlink.ask([request for link in redirected for request in shaping.get_redirect(link.index)]))
    for link, qdisc, led in zip(redirected, answers, answers, strict=True):
        if qdisc.message is not None:
            to = shaping.read_redirect(led.message) if led.message is not None else 0
            yield Redirect(link=link.name, to=_name(to) if to else "")


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:  # it went meanwhile
        return ""


def marked(netlink: Netlink, known: Collection[str]) -> frozenset[str]:
    """The names of the links here that bear our mark, but for those that are known. Raises OSError."""
    with open("/proc/thread-self/net/dev", encoding="utf-8", errors="ignore") as file:  # ours are all of ASCII
        names = {line.partition(":")[0].strip() for line in file.readlines()[2:]}  # the first two are the table's head
    return frozenset(link.name for link in _some_links(netlink, names.difference(known, ("",))) if _marked(link))


def _marked(link: SeenLink) -> bool:
    return link.name.startswith(links.OWN_NAMES) or link.alias.startswith(MARK)


def _all_links(netlink: Netlink) -> Iterator[SeenLink]:
    return map(links.read_link, netlink.dump(links.all_links()))


def _some_links(netlink: Netlink, names: set[str]) -> Iterator[SeenLink]:
    for answer in netlink.ask([links.get_link(name) for name in names]):
        if answer.message is not None:
            yield links.read_link(answer.message)
        elif answer.errno != errno.ENODEV:
            raise OSError(answer.errno, answer.text or os.strerror(answer.errno))


def _addresses(netlink: Netlink, index: int = 0) -> list[routes.SeenAddress]:
    try:
        found = map(routes.read_address, netlink.dump(routes.get_addresses(index)))
        return list(found)
    except OSError as error:
        if error.errno != errno.ENODEV:  # the link went meanwhile
            raise
        return []


def _names(found: list[SeenLink], ways: list[routes.SeenRoute]) -> dict[int, str]:
    """The names of these links, and of what they and the routes refer to."""
    names = {link.index: link.name for link in found}
    for index in {link.master for link in found} | {way.link for way in ways}:
        if index and index not in names and (name := _name(index)):
            names[index] = name
    return names


def _nsid(netlink: Netlink, netns: int) -> int:
    (answer,) = netlink.ask([links.get_nsid(netns)])
    return links.read_nsid(answer.message) if answer.message is not None else -1


# tell


def _pins(scope: Scope, pins: Pins) -> Iterator[Pin]:
    paths = {key[1] for key in scope.keys if key[0] == "pin"}
    return pins.seen(sorted(paths | pinned() if scope.everything else paths))


def _links(sights: Mapping[str, _Sight], scope: Scope) -> Iterator[Object]:
    pairs = dict(_pairs(sights))
    for netns, sight in sights.items():
        for link in sight.links:
            marked = scope.everything and _marked(link) and (netns == HOST or link.kind in STACKED)
            if not marked and ("link", netns, link.name) not in scope.keys:
                continue
            kind = LinkKind(link.kind) if link.kind in _KINDS else LinkKind.OTHER
            yield Link(
                netns=netns,
                name=link.name,
                kind=kind,
                mac="" if netns == HOST and kind in (LinkKind.VETH, LinkKind.IFB) else link.mac,
                mtu=link.mtu,
                up=link.up,
                alias=link.alias if netns == HOST or kind in STACKED else "",
                master=sight.names.get(link.master, ""),
                isolated=link.isolated,
                hairpin=link.hairpin,
                peer=pairs.get((netns, link.name)),
                lower=_lower(netns, link, sights) if kind in STACKED else "",
                flavour=link.flavour,
            )


def _lower(netns: str, link: SeenLink, sights: Mapping[str, _Sight]) -> str:
    """The name of the link of the host that this one stands on; empty where it stands on one of another namespace."""
    on_host = link.peer_nsid < 0 if netns == HOST else link.peer_nsid == sights[netns].host >= 0
    return _name(link.peer) if on_host else ""


def _others(sights: Mapping[str, _Sight], scope: Scope) -> Iterator[Object]:
    """Links of others that were asked for, and properties of links."""
    for key in scope.keys:
        match key:
            case ("foreign", netns, name) if netns in sights:
                if any(link.name == name for link in sights[netns].links):
                    yield Foreign(netns=netns, name=name)
            case ("setting", netns, name, what) if netns in sights:
                for link in sights[netns].links:
                    if link.name == name:
                        yield Setting(netns=netns, link=name, name=what, value=link.setting(what))


def _pairs(sights: Mapping[str, _Sight]) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """End to end, both ways, of the pairs between the host and a sandbox."""
    inner = {
        (sight.nsid, link.index): (netns, link.name)
        for netns, sight in sights.items()
        if netns != HOST and sight.nsid >= 0
        for link in sight.links
    }
    for link in sights[HOST].links:
        other = inner.get((link.peer_nsid, link.peer))
        if other and link.kind == LinkKind.VETH:
            yield (HOST, link.name), other
            yield other, (HOST, link.name)


def _inside(netns: str, sight: _Sight, scope: Scope) -> Iterator[Object]:
    """A link-local address, and one that a router told, is the kernel's own, and one on a link of somebody else without our mark
    is theirs, unless it is asked for."""
    others = {link.index for link in sight.links if netns == HOST and not _marked(link)}
    for seen in sight.addresses:
        address = Address(netns=netns, link=sight.names[seen.index], address=seen.address, routed=seen.routed)
        not_ours = seen.link_local or seen.told or (seen.index in others and not seen.ours)
        if not not_ours or address.key in scope.keys:
            yield address
    for way in sight.routes:
        if way.link in sight.names and way.protocol == ROUTE_PROTOCOL:
            route = routes.as_object(way, netns, sight.names[way.link])
            if netns != HOST or scope.everything or route.key in scope.keys:
                yield route
    for held in (replace(each, netns=netns) for each in sight.neighbors):
        # in a sandbox, people may have made others
        if held.key in scope.keys or (scope.everything and netns == HOST):
            yield held
    for name, value in sight.sysctls:
        yield Sysctl(netns=netns, name=name, value=value)
    yield from sight.others
