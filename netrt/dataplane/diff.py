"""From what is to what should be: the one place that knows in which order a host is changed.

Rule 1: no link is up before its rules stand, and no rule goes before its link is gone. Published ports come and go with these
rules, in one transaction: they lead to an address that is not reachable yet, or not any more. Rule 2: what the kernel does by
itself (a deleted link takes its addresses, routes, sysctls and peer along) is never planned. Rule 3: a thing under a name that we
want but that does not bear our mark is a Conflict, raised before anything is touched. Rule 4: what stands on a link of
somebody else waits until that is there. Rule 5: ways of names go after links: the kernel needs a while to free their table, and
meanwhile no link of that sandbox can go.

    take down: redirects, shapers · rules, routes, neighbours · links · ways of names · addresses · namespaces · elements
    build up:  namespaces · links (down) · attributes · elements · shapers, redirects ·
               the host, then each sandbox: sysctls · settings · ways of names · addresses · links up ·
               routes · rules · neighbours · announcements
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from netrt.dataplane import ops
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import (
    HOST,
    MARK,
    STACKED,
    Address,
    Element,
    Foreign,
    Link,
    LinkKind,
    NamePort,
    Neighbor,
    Object,
    Pin,
    Redirect,
    Route,
    Rule,
    Setting,
    Shaper,
    Skeleton,
    Sysctl,
)
from netrt.dataplane.resized import resized
from netrt.errors import Conflict
from netrt.model.names import is_made_link_name

End = tuple[str, str]


def plan(seen: HostState, wanted: HostState) -> tuple[ops.Op, ...]:
    """The operations that turn `seen` into `wanted`, both about the same scope. Empty when nothing is to be done.

    Raises Conflict where something that is not ours stands under a wanted name.
    """
    if seen.objects == wanted.objects:
        return ()
    wanted = _possible(seen, wanted)
    unpinned = tuple(p for p in seen.all(Pin) if p.key not in wanted.objects)
    doomed = tuple(_doomed(seen, wanted))
    gone = _gone_with(seen, doomed, unpinned)
    loaded = _same_skeleton(seen, wanted)
    removed, added = _element_changes(seen, wanted) if loaded else ((), ())
    return (
        *_shaping_down(seen, wanted, gone),
        *_rules_down(seen, wanted, unpinned),
        *_routes_down(seen, wanted, gone),
        *_neighbors_down(seen, wanted, gone),
        *(ops.DelLink(link.netns, link.name) for link in doomed),
        *_name_ports_down(seen, wanted, unpinned),
        *_addresses_down(seen, wanted, gone),
        *(ops.UnpinNamespace(pin) for pin in unpinned),
        *_change(removed, ()),
        *(ops.PinNamespace(p) for p in wanted.all(Pin) if seen.objects.get(p.key) != p),
        *_links_made(seen, wanted, gone),
        *_ruleset(wanted, loaded),
        *_change((), added),
        *_shaping_up(seen, wanted, gone),
        *_namespaces_up(seen, wanted, gone),
    )


def _possible(seen: HostState, wanted: HostState) -> HostState:
    """Without what stands on links of others that are not there."""
    absent = {(thing.netns, thing.name) for thing in wanted.all(Foreign) if thing.key not in seen.objects}
    if not absent:
        return wanted
    absent |= {(link.netns, link.name) for link in wanted.all(Link) if link.lower and (HOST, link.lower) in absent}
    freed = [
        replace(link, master="", isolated=False, hairpin=False)
        for link in wanted.all(Link)
        if (link.netns, link.master) in absent
    ]
    return wanted.replaced((key for key, thing in wanted.objects.items() if _stands_on(thing, absent)), freed)


def _stands_on(thing: Object, absent: set[End]) -> bool:
    match thing:
        case Foreign() | Link():
            return (thing.netns, thing.name) in absent
        case Address() | Route() | Neighbor() | Setting():
            return (thing.netns, thing.link) in absent
        case Shaper() | Redirect():
            return (HOST, thing.link) in absent
        case Sysctl():
            return any(thing.netns == netns and f"/{name}/" in thing.name for netns, name in absent)
        case _:
            return False


def _ours(link: Link) -> bool:
    return link.netns != HOST or link.alias.startswith(MARK) or is_made_link_name(link.name)


def _doomed(seen: HostState, wanted: HostState) -> Iterator[Link]:
    """Links to delete: no longer wanted, or no longer what they should be and only made anew.

    Links inside sandboxes die with their other end, which is on the host, unless somebody moved that elsewhere (such a link is
    known as ours by its MAC); but those that stand on a link of the host have none.
    """
    for link in seen.all(Link):
        goal = wanted.get(Link, *link.key)
        if link.netns != HOST:
            stacked = link.kind in STACKED and link.alias.startswith(MARK)
            if (stacked and _other_kind(link, goal)) or _lost_its_peer(seen, wanted, link):
                yield link
            continue
        if goal is None:
            if _ours(link):
                yield link
            continue
        if not _ours(link):
            raise Conflict(
                f"an interface {link.name} exists on this host and is not ours",
                hint="choose another name, or remove it",
            )
        if _other_kind(link, goal) or (goal.peer is not None and not _paired(seen, link, goal.peer)):
            yield link


def _other_kind(link: Link, goal: Link | None) -> bool:
    """Whether one cannot be changed into the other."""
    return goal is None or (link.kind, link.lower, link.flavour) != (goal.kind, goal.lower, goal.flavour)


def _lost_its_peer(seen: HostState, wanted: HostState, link: Link) -> bool:
    """Whether its other end is nowhere to be seen, though it is to be a pair."""
    goal = wanted.get(Link, *link.key)
    paired = link.peer is not None or goal is None or goal.peer is None
    return not paired and goal is not None and (link.kind, link.mac) == (LinkKind.VETH, goal.mac)


def _paired(seen: HostState, link: Link, peer: End) -> bool:
    other = seen.get(Link, "link", *peer)
    return link.peer == peer and other is not None and other.peer == (link.netns, link.name)


def _gone_with(seen: HostState, doomed: Iterable[Link], unpinned: Iterable[Pin]) -> frozenset[End]:
    """All links that will not be there any more once these are deleted."""
    gone = {(link.netns, link.name) for link in doomed}
    gone |= {link.peer for link in doomed if link.peer is not None}
    paths = {pin.path for pin in unpinned}
    if paths:
        gone |= {(link.netns, link.name) for link in seen.all(Link) if link.netns in paths}
    return frozenset(gone)


def _stays(seen: HostState, gone: frozenset[End], end: End) -> Link | None:
    """The link as it was seen, if it was and is not deleted by this plan."""
    return None if end in gone else seen.get(Link, "link", *end)


# take down


def _name_ports_down(seen: HostState, wanted: HostState, unpinned: Iterable[Pin]) -> Iterator[ops.Op]:
    paths = {pin.path for pin in unpinned}
    for port in seen.all(NamePort):
        if port.key not in wanted.objects and port.netns not in paths:
            yield ops.TakeNamePort(port)


def _routes_down(seen: HostState, wanted: HostState, gone: frozenset[End]) -> Iterator[ops.Op]:
    for route in seen.all(Route):
        if route.key not in wanted.objects and (route.netns, route.link) not in gone:
            yield ops.DelRoute(route)


def _rules_down(seen: HostState, wanted: HostState, unpinned: Iterable[Pin]) -> Iterator[ops.Op]:
    paths = {pin.path for pin in unpinned}
    for rule in seen.all(Rule):
        if rule.key not in wanted.objects and rule.netns not in paths:
            yield ops.DelRule(rule)


def _neighbors_down(seen: HostState, wanted: HostState, gone: frozenset[End]) -> Iterator[ops.Op]:
    for held in seen.all(Neighbor):
        if held.key not in wanted.objects and (held.netns, held.link) not in gone:
            yield ops.DelNeighbor(held)


def _addresses_down(seen: HostState, wanted: HostState, gone: frozenset[End]) -> Iterator[ops.DelAddress]:
    """Also one whose routes were taken away: put in anew, it has them again."""
    grown = {before.key for before in resized(seen, wanted, gone).values()}
    for address in seen.all(Address):
        end = address.netns, address.link
        kept = (address.routed and address.key in wanted.objects) or address.key in grown
        lent = address.netns == HOST and not seen.get(Link, "link", *end)  # it is on a link of somebody else
        if not kept and end not in gone and (lent or wanted.get(Link, "link", *end)):
            yield ops.DelAddress(address)


def _shaping_down(seen: HostState, wanted: HostState, gone: frozenset[End]) -> Iterator[ops.Op]:
    """A redirect goes before the link that it leads through, and before another one takes its place."""
    for redirect in seen.all(Redirect):
        goal = wanted.get(Redirect, *redirect.key)
        if (HOST, redirect.link) in gone or (goal == redirect and (HOST, redirect.to) not in gone):
            continue
        if goal and not redirect.to and not wanted.get(Link, "link", HOST, redirect.link):
            raise Conflict(f"somebody else redirects what comes in by {redirect.link}")
        yield ops.DelRedirect(redirect)
    for shaper in seen.all(Shaper):
        if (HOST, shaper.link) not in gone and shaper.key not in wanted.objects:
            yield ops.DelShaper(shaper)


# build up


def _links_made(seen: HostState, wanted: HostState, gone: frozenset[End]) -> Iterator[ops.Op]:
    """Make missing links and set what differs, all but `up`; bridges before their ports."""
    goals = sorted(wanted.all(Link), key=lambda link: link.kind is not LinkKind.BRIDGE)
    for goal in goals:
        link = _stays(seen, gone, (goal.netns, goal.name))
        if link is None:
            if goal.netns == HOST or goal.kind in STACKED:
                yield _made(seen, wanted, gone, goal)
            continue
        if goal.netns != HOST and goal.kind in STACKED and not link.alias.startswith(MARK):
            raise _taken(goal.netns, goal.name)
        yield from _set(link, goal, gone)


def _taken(netns: str, name: str) -> Conflict:
    return Conflict(
        f"an interface {name} exists in the namespace {netns} already", hint="choose another interface name"
    )


def _made(seen: HostState, wanted: HostState, gone: frozenset[End], goal: Link) -> ops.Op:
    if goal.kind is LinkKind.IFB:
        return ops.AddIfb(goal)
    if goal.kind in STACKED:
        return ops.AddStacked(goal)
    if goal.peer is None:
        return ops.AddBridge(goal)
    if _stays(seen, gone, goal.peer):
        raise _taken(*goal.peer)
    inner = wanted.get(Link, "link", *goal.peer)
    assert inner is not None, "both ends of a pair are in one scope"
    return ops.AddVeth(goal, inner)


def _set(link: Link, goal: Link, gone: frozenset[End]) -> Iterator[ops.Op]:
    master = "" if (link.netns, link.master) in gone else link.master
    change = ops.SetLink(
        netns=goal.netns,
        name=goal.name,
        mac=goal.mac if link.mac != goal.mac else None,
        mtu=goal.mtu if link.mtu != goal.mtu else None,
        alias=goal.alias if link.alias != goal.alias else None,
        master=goal.master if master != goal.master else None,
        isolated=goal.isolated if (link.isolated and master == goal.master) != goal.isolated else None,
        hairpin=goal.hairpin if (link.hairpin and master == goal.master) != goal.hairpin else None,
    )
    if change != ops.SetLink(netns=goal.netns, name=goal.name):
        yield change


def _shaping_up(seen: HostState, wanted: HostState, gone: frozenset[End]) -> Iterator[ops.Op]:
    """Before their links are up."""
    for shaper in wanted.all(Shaper):
        if seen.objects.get(shaper.key) != shaper or (HOST, shaper.link) in gone:
            yield ops.SetShaper(shaper)
    for redirect in wanted.all(Redirect):
        ends = {(HOST, redirect.link), (HOST, redirect.to)}
        if seen.objects.get(redirect.key) != redirect or ends & gone:
            yield ops.SetRedirect(redirect)


def _namespaces_up(seen: HostState, wanted: HostState, gone: frozenset[End]) -> Iterator[ops.Op]:
    """Inside each namespace, one after another, so that each is entered once; the host first."""
    todo: dict[str, list[ops.Op]] = {HOST: []}
    changes = (_sysctls, _settings, _name_ports_up, _addresses_up, _raised)
    ways = (_routes_up, _rules_up, _neighbors_up, _announced)
    for change in (*changes, *ways):
        for netns, op in change(seen, wanted, gone):
            todo.setdefault(netns, []).append(op)
    for inside in todo.values():
        yield from inside


def _sysctls(seen: HostState, wanted: HostState, gone: frozenset[End]) -> Iterator[tuple[str, ops.Op]]:
    fresh = {name for _, name in gone}
    for sysctl in wanted.all(Sysctl):
        of_gone = fresh and any((sysctl.netns, name) in gone for name in fresh if f"/{name}/" in sysctl.name)
        if of_gone or seen.objects.get(sysctl.key) != sysctl:
            yield sysctl.netns, ops.SetSysctl(sysctl)


def _settings(seen: HostState, wanted: HostState, gone: frozenset[End]) -> Iterator[tuple[str, ops.Op]]:
    for setting in wanted.all(Setting):
        if seen.objects.get(setting.key) != setting or (setting.netns, setting.link) in gone:
            yield setting.netns, ops.ChangeSetting(setting)


def _name_ports_up(seen: HostState, wanted: HostState, _: frozenset[End]) -> Iterator[tuple[str, ops.Op]]:
    for port in wanted.all(NamePort):
        if seen.objects.get(port.key) != port:
            yield port.netns, ops.PutNamePort(port)


def _addresses_up(
    seen: HostState, wanted: HostState, gone: frozenset[End]
) -> Iterator[tuple[str, ops.AddAddress | ops.ResizeAddress]]:
    grown = resized(seen, wanted, gone)
    for address in wanted.all(Address):
        if address.key in grown:
            yield address.netns, ops.ResizeAddress(address, grown[address.key].address)
        elif seen.objects.get(address.key) != address or (address.netns, address.link) in gone:
            yield address.netns, ops.AddAddress(address)


def _raised(seen: HostState, wanted: HostState, gone: frozenset[End]) -> Iterator[tuple[str, ops.Op]]:
    for goal in sorted(wanted.all(Link), key=lambda goal: goal.kind is not LinkKind.BRIDGE):
        link = _stays(seen, gone, (goal.netns, goal.name))
        if goal.up and (link is None or not link.up):
            yield goal.netns, ops.SetLink(netns=goal.netns, name=goal.name, up=True)


def _routes_up(seen: HostState, wanted: HostState, gone: frozenset[End]) -> Iterator[tuple[str, ops.Op]]:
    # a link that loses an address may lose its routes too: they are set again, which changes nothing where they stayed
    shaken = {(op.address.netns, op.address.link) for op in _addresses_down(seen, wanted, gone)}
    for route in wanted.all(Route):
        held = seen.get(Route, *route.key)
        if held != route or (held.netns, held.link) in gone | shaken:
            yield route.netns, ops.SetRoute(route)


def _rules_up(seen: HostState, wanted: HostState, _: frozenset[End]) -> Iterator[tuple[str, ops.Op]]:
    for rule in wanted.all(Rule):
        if rule.key not in seen.objects:
            yield rule.netns, ops.SetRule(rule)


def _neighbors_up(seen: HostState, wanted: HostState, gone: frozenset[End]) -> Iterator[tuple[str, ops.Op]]:
    for goal in wanted.all(Neighbor):
        end = goal.netns, goal.link
        before, after = (held.get(Link, "link", *end) for held in (seen, wanted))
        forgotten = end in gone or (before and after and before.mac != after.mac)
        if forgotten or seen.objects.get(goal.key) != goal:
            yield goal.netns, ops.SetNeighbor(goal)


def _announced(seen: HostState, wanted: HostState, gone: frozenset[End]) -> Iterator[tuple[str, ops.Op]]:
    """New addresses of containers whose neighbours are beyond this host."""
    if not any(link.kind in STACKED for link in wanted.all(Link)):
        return
    for netns, op in _addresses_up(seen, wanted, gone):
        link = wanted.get(Link, "link", netns, op.address.link)
        if netns != HOST and link and link.kind in STACKED and link.up:
            yield netns, ops.Announce(op.address)


# nftables


def _same_skeleton(seen: HostState, wanted: HostState) -> bool:
    return seen.objects.get(("skeleton",)) == wanted.objects.get(("skeleton",))


def _ruleset(wanted: HostState, loaded: bool) -> Iterator[ops.Op]:
    skeleton = wanted.get(Skeleton, "skeleton")
    if not loaded:
        yield ops.LoadRuleset(skeleton, tuple(wanted.all(Element))) if skeleton else ops.DropRuleset()


def _element_changes(seen: HostState, wanted: HostState) -> tuple[tuple[Element, ...], tuple[Element, ...]]:
    removed = tuple(e for e in seen.all(Element) if wanted.objects.get(e.key) != e)
    added = tuple(e for e in wanted.all(Element) if seen.objects.get(e.key) != e)
    return removed, added


def _change(removed: Iterable[Element], added: Iterable[Element]) -> Iterator[ops.Op]:
    out, into = tuple(removed), tuple(added)
    if out or into:
        yield ops.ChangeElements(out, into)
