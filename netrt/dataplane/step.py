"""What each operation does to a host, implicit effects included: the written-down meaning of an Op, and the fake kernel.

Where the real kernel refuses, `step` raises KernelRefused with the same errno. The contract tests run the same scenarios on this
and on a real kernel; where they disagree, this file is wrong."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Callable, Iterable
from functools import reduce

from msgspec.structs import replace

from netrt.dataplane import ops
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import (
    HOST,
    PIN_DIRECTORY,
    PIN_PREFIX,
    Address,
    Element,
    Key,
    Link,
    Neighbor,
    Object,
    Pin,
    Redirect,
    Route,
    Setting,
    Shaper,
    Sysctl,
)
from netrt.errors import KernelRefused


def _refuse(op: ops.Op, number: int) -> KernelRefused:
    return KernelRefused(f"cannot {op.describe()}: {errno.errorcode[number]}", errno=number)


def _on_link(thing: Object, netns: str, name: str) -> bool:
    """Whether this goes when the link goes."""
    if isinstance(thing, Address | Route | Neighbor | Setting):
        return thing.netns == netns and thing.link == name
    if isinstance(thing, Shaper | Redirect):
        return netns == HOST and thing.link == name
    return isinstance(thing, Sysctl) and thing.netns == netns and f"/{name}/" in thing.name


def _need_link(host: HostState, op: ops.Op, netns: str, name: str) -> Link:
    link = host.get(Link, "link", netns, name)
    if link is None:
        raise _refuse(op, errno.ENODEV)
    return link


def _need_any(host: HostState, op: ops.Op, netns: str, name: str) -> None:
    """A link, whosever it is."""
    if ("foreign", netns, name) not in host.objects:
        _need_link(host, op, netns, name)


def _need_netns(host: HostState, op: ops.Op, netns: str) -> None:
    if netns.startswith(f"{PIN_DIRECTORY}/{PIN_PREFIX}") and ("pin", netns) not in host.objects:
        raise _refuse(op, errno.ENOENT)


def _without_link(host: HostState, link: Link) -> HostState:
    above = [s for s in host.all(Link) if link.netns == HOST and s.lower == link.name]
    gone: list[Key] = [link.key, *(stacked.key for stacked in above)]
    ends = [(link.netns, link.name), *((stacked.netns, stacked.name) for stacked in above)]
    if link.peer is not None and host.get(Link, "link", *link.peer):
        gone.append(("link", *link.peer))
        ends.append(link.peer)
    gone += [t.key for t in host if any(_on_link(t, *end) for end in ends)]
    freed = [
        replace(p, master="", isolated=False, hairpin=False)
        for p in host.all(Link)
        if p.netns == link.netns and p.master == link.name
    ]
    led = [replace(r, to="") for r in host.all(Redirect) if (HOST, r.to) in ends and r.key not in gone]
    return host.replaced(gone, [*freed, *led])


def _pin(host: HostState, op: ops.PinNamespace) -> HostState:
    held = host.get(Pin, *op.pin.key)
    if held and not held.lost:
        raise _refuse(op, errno.EEXIST)
    return host.replaced(added=[op.pin])


def _unpin(host: HostState, op: ops.UnpinNamespace) -> HostState:
    if op.pin.key not in host.objects:
        raise _refuse(op, errno.ENOENT)
    for link in [link for link in host.all(Link) if link.netns == op.pin.path]:
        host = _without_link(host, link)
    rest = [t.key for t in host if getattr(t, "netns", HOST) == op.pin.path]
    return host.replaced([op.pin.key, *rest])


def _add_link(host: HostState, op: ops.AddBridge | ops.AddIfb | ops.AddStacked) -> HostState:
    if op.link.key in host.objects:
        raise _refuse(op, errno.EEXIST)
    return host.replaced(added=[replace(op.link, up=False)])


def _add_veth(host: HostState, op: ops.AddVeth) -> HostState:
    _need_netns(host, op, op.inner.netns)
    if op.host.key in host.objects or op.inner.key in host.objects:
        raise _refuse(op, errno.EEXIST)
    if op.host.master:
        _need_any(host, op, HOST, op.host.master)
    return host.replaced(added=[replace(op.host, up=False), replace(op.inner, up=False)])


def _add_stacked(host: HostState, op: ops.AddStacked) -> HostState:
    _need_netns(host, op, op.link.netns)
    _need_any(host, op, HOST, op.link.lower)
    return _add_link(host, op)


def _set_link(host: HostState, op: ops.SetLink) -> HostState:
    link = _need_link(host, op, op.netns, op.name)
    if op.master:
        _need_any(host, op, op.netns, op.master)
    changes = {
        name: value
        for name in ("mac", "mtu", "up", "alias", "master", "isolated", "hairpin")
        if (value := getattr(op, name)) is not None
    }
    if op.master is not None and op.master != link.master:
        changes = {"isolated": False, "hairpin": False} | changes  # the flags belong to the port, not to the link
    lost: list[Key] = []
    if op.up is False:  # the kernel drops routes, neighbours and IPv6 addresses of a link that goes down
        lost = [t.key for t in host if isinstance(t, Route | Neighbor) and _on_link(t, op.netns, op.name)]
        lost += [t.key for t in host.all(Address) if _on_link(t, op.netns, op.name) and ":" in t.address]
    if op.mac not in (None, link.mac):  # all that was known of others is forgotten
        lost += [t.key for t in host.all(Neighbor) if _on_link(t, op.netns, op.name)]
    return host.replaced(lost, [replace(link, **changes)])


def _add_address(host: HostState, op: ops.AddAddress) -> HostState:
    netns, link = op.address.netns, op.address.link
    _need_any(host, op, netns, link)
    off = host.get(Sysctl, "sysctl", netns, f"net/ipv6/conf/{link}/disable_ipv6")
    if ":" in op.address.address and off is not None and off.value == "1":
        raise _refuse(op, errno.EACCES)
    if op.address.key in host.objects:
        raise _refuse(op, errno.EEXIST)
    return host.replaced(added=[op.address])


def _del_address(host: HostState, op: ops.DelAddress) -> HostState:
    gone = op.address
    if gone.key not in host.objects:
        raise _refuse(op, errno.EADDRNOTAVAIL)
    host = host.replaced([gone.key])
    family = ":" in gone.address
    if family or any(_on_link(a, gone.netns, gone.link) and ":" not in a.address for a in host.all(Address)):
        return host
    # without its last IPv4 address a link loses its IPv4 routes
    return host.replaced([r.key for r in host.all(Route) if _on_link(r, gone.netns, gone.link) and ":" not in r.dst])


def _resize_address(host: HostState, op: ops.ResizeAddress) -> HostState:
    address = op.address
    _need_any(host, op, address.netns, address.link)
    if address.key in host.objects:
        raise _refuse(op, errno.EEXIST)
    return host.replaced([("address", address.netns, address.link, op.before)], [address])


def _set_route(host: HostState, op: ops.SetRoute) -> HostState:
    route = op.route
    link = _need_link(host, op, route.netns, route.link)
    via = ipaddress.ip_address(route.via or route.dst.partition("/")[0])
    reachable = not route.via or any(
        via in ipaddress.ip_interface(a.address).network
        for a in host.all(Address)
        if a.netns == route.netns and a.link == route.link
    )
    if not (link.up and reachable):  # the networks of a link that is down are not reachable either
        raise _refuse(op, errno.ENETUNREACH if via.version == 4 else errno.EHOSTUNREACH)
    return host.replaced(added=[route])


def _del_route(host: HostState, op: ops.DelRoute) -> HostState:
    if op.route.key not in host.objects:
        raise _refuse(op, errno.ESRCH)
    return host.replaced([op.route.key])


def _set_rule(host: HostState, op: ops.SetRule) -> HostState:
    _need_netns(host, op, op.rule.netns)
    if op.rule.key in host.objects:
        raise _refuse(op, errno.EEXIST)
    return host.replaced(added=[op.rule])


def _del_rule(host: HostState, op: ops.DelRule) -> HostState:
    if op.rule.key not in host.objects:
        raise _refuse(op, errno.ENOENT)
    return host.replaced([op.rule.key])


def _set_neighbor(host: HostState, op: ops.SetNeighbor) -> HostState:
    _need_any(host, op, op.neighbor.netns, op.neighbor.link)
    return host.replaced(added=[op.neighbor])


def _del_neighbor(host: HostState, op: ops.DelNeighbor) -> HostState:
    if op.neighbor.key not in host.objects:
        raise _refuse(op, errno.ENOENT)
    return host.replaced([op.neighbor.key])


def _set_sysctl(host: HostState, op: ops.SetSysctl) -> HostState:
    parts = op.sysctl.name.split("/")
    lost: list[Key] = []
    if parts[2:3] == ["conf"] and parts[3] not in ("all", "default"):
        there = {("link", op.sysctl.netns, parts[3]), ("foreign", op.sysctl.netns, parts[3])}
        if there.isdisjoint(host.objects):
            raise _refuse(op, errno.ENOENT)
        if parts[1] == "ipv6" and parts[4] == "disable_ipv6" and op.sysctl.value == "1":
            on = [t for t in host if _on_link(t, op.sysctl.netns, parts[3]) and not isinstance(t, Sysctl)]
            lost = [t.key for t in on if isinstance(t, Address) and ":" in t.address]
            lost += [t.key for t in on if isinstance(t, Route) and ":" in t.dst]
            lost += [t.key for t in on if isinstance(t, Neighbor) and ":" in t.address]
    return host.replaced(lost, [op.sysctl])


def _change_setting(host: HostState, op: ops.ChangeSetting) -> HostState:
    _need_any(host, op, op.setting.netns, op.setting.link)
    return host.replaced(added=[op.setting])


def _set_shaper(host: HostState, op: ops.SetShaper) -> HostState:
    _need_any(host, op, HOST, op.shaper.link)
    return host.replaced(added=[op.shaper])


def _del_shaper(host: HostState, op: ops.DelShaper) -> HostState:
    if op.shaper.key not in host.objects:
        raise _refuse(op, errno.ENOENT)
    return host.replaced([op.shaper.key])


def _set_redirect(host: HostState, op: ops.SetRedirect) -> HostState:
    _need_any(host, op, HOST, op.redirect.link)
    _need_link(host, op, HOST, op.redirect.to)
    if op.redirect.key in host.objects:
        raise _refuse(op, errno.EEXIST)
    return host.replaced(added=[op.redirect])


def _del_redirect(host: HostState, op: ops.DelRedirect) -> HostState:
    if op.redirect.key not in host.objects:
        raise _refuse(op, errno.ENOENT)
    return host.replaced([op.redirect.key])


def _put_name_port(host: HostState, op: ops.PutNamePort) -> HostState:
    _need_netns(host, op, op.port.netns)
    return host.replaced(added=[op.port])


def _take_name_port(host: HostState, op: ops.TakeNamePort) -> HostState:
    if op.port.key not in host.objects:
        raise _refuse(op, errno.ENOENT)
    return host.replaced([op.port.key])


def _load(host: HostState, op: ops.LoadRuleset) -> HostState:
    return host.replaced([e.key for e in host.all(Element)], [op.skeleton, *op.elements])


def _drop(host: HostState, op: ops.DropRuleset) -> HostState:
    if ("skeleton",) not in host.objects:
        raise _refuse(op, errno.ENOENT)
    return host.replaced([("skeleton",), *(e.key for e in host.all(Element))])


def _change(host: HostState, op: ops.ChangeElements) -> HostState:
    if ("skeleton",) not in host.objects or any(host.objects.get(e.key) != e for e in op.removed):
        raise _refuse(op, errno.ENOENT)
    left = host.replaced(e.key for e in op.removed)
    if any(left.objects.get(e.key, e) != e for e in op.added):
        raise _refuse(op, errno.EEXIST)
    return left.replaced(added=op.added)


def _unseen(
    host: HostState, op: ops.Announce | ops.ForgetAddress | ops.ForgetUntranslated | ops.ForgetPort
) -> HostState:
    return host


STEPS: dict[type, Callable[..., HostState]] = {
    ops.PinNamespace: _pin,
    ops.UnpinNamespace: _unpin,
    ops.AddBridge: _add_link,
    ops.AddIfb: _add_link,
    ops.AddVeth: _add_veth,
    ops.AddStacked: _add_stacked,
    ops.SetLink: _set_link,
    ops.DelLink: lambda host, op: _without_link(host, _need_link(host, op, op.netns, op.name)),
    ops.AddAddress: _add_address,
    ops.DelAddress: _del_address,
    ops.ResizeAddress: _resize_address,
    ops.SetRoute: _set_route,
    ops.DelRoute: _del_route,
    ops.SetRule: _set_rule,
    ops.DelRule: _del_rule,
    ops.SetNeighbor: _set_neighbor,
    ops.DelNeighbor: _del_neighbor,
    ops.Announce: _unseen,
    ops.SetSysctl: _set_sysctl,
    ops.ChangeSetting: _change_setting,
    ops.SetShaper: _set_shaper,
    ops.DelShaper: _del_shaper,
    ops.SetRedirect: _set_redirect,
    ops.DelRedirect: _del_redirect,
    ops.PutNamePort: _put_name_port,
    ops.TakeNamePort: _take_name_port,
    ops.LoadRuleset: _load,
    ops.DropRuleset: _drop,
    ops.ChangeElements: _change,
    ops.ForgetAddress: _unseen,
    ops.ForgetUntranslated: _unseen,
    ops.ForgetPort: _unseen,
}


def step(host: HostState, op: ops.Op) -> HostState:
    """The host after this operation. Raises KernelRefused as the kernel would, with its errno."""
    return STEPS[type(op)](host, op)


def steps(host: HostState, todo: Iterable[ops.Op]) -> HostState:
    """The host after these operations, one after another."""
    return reduce(step, todo, host)
