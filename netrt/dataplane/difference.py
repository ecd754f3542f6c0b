"""What of a host is not as it should be, in words that name each single thing."""

from __future__ import annotations

from functools import reduce

from msgspec.structs import fields

from netrt.dataplane.diff import plan
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import (
    HOST,
    Address,
    Element,
    Foreign,
    Link,
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
from netrt.dataplane.step import step


def told(seen: HostState, wanted: HostState) -> tuple[str, ...]:
    """One line for each wanted thing that was not seen, or was seen to be otherwise. Elements are named where their table is as
    it should be."""
    lines = []
    loaded = all(seen.objects.get(table.key) == table for table in wanted.all(Skeleton))
    for key, thing in wanted.objects.items():
        held = seen.objects.get(key)
        if isinstance(thing, Element) and not loaded:
            continue
        if held is None:
            lines.append(f"{_named(thing)} is missing")
        elif held != thing:
            lines.append(f"{_named(thing)} {_changed(held, thing)}")
    return tuple(lines)


def strayed(seen: HostState, wanted: HostState) -> tuple[str, ...]:
    """One line for each thing of ours that was seen, and that the plan for what is wanted takes away. Raises Conflict."""
    after = reduce(step, plan(seen, wanted), seen)
    kept = {*after.objects, *wanted.objects}
    return tuple(_named(thing) for key, thing in seen.objects.items() if key not in kept)


def _named(thing: Object) -> str:
    match thing:
        case Pin(path=path):
            return f"namespace {path}"
        case Link():
            return f"interface {thing.name}{_where(thing.netns)}"
        case Address():
            return f"address {thing.address} of {thing.link}{_where(thing.netns)}"
        case Route():
            return f"route {thing.dst} by {thing.link}{_where(thing.netns)}"
        case Rule():
            return f"rule from {thing.src}{f' to {thing.dst}' if thing.dst else ''}{_where(thing.netns)}"
        case Neighbor(proxy=True):
            return f"answer for {thing.address} on {thing.link}{_where(thing.netns)}"
        case Neighbor():
            return f"neighbour {thing.address} of {thing.link}{_where(thing.netns)}"
        case Sysctl():
            return f"setting {thing.name}{_where(thing.netns)}"
        case Foreign():
            return f"interface {thing.name}{_where(thing.netns)}, which somebody else made,"
        case Setting():
            return f"{thing.name} of {thing.link}{_where(thing.netns)}"
        case Shaper():
            return f"the limit of {thing.link} on the host"
        case Redirect():
            return f"the way of what comes in by {thing.link} on the host"
        case NamePort():
            return f"the way of questions for names{_where(thing.netns)}"
        case Element():
            return f"element {{ {' . '.join(thing.at)} }} of {thing.set} in nftables table {thing.table} netrt"
        case Skeleton():
            return "nftables table netrt"


def _where(netns: str) -> str:
    return " on the host" if netns == HOST else f" in {netns}"


def _changed(held: Object, thing: Object) -> str:
    if isinstance(thing, Skeleton):
        return "has other rules than ours"
    if isinstance(thing, Pin):
        return "has lost its file, though it lives"
    changes = [
        f"has {field.name} {_shown(getattr(held, field.name))} instead of {_shown(getattr(thing, field.name))}"
        for field in fields(thing)
        if getattr(held, field.name) != getattr(thing, field.name)
    ]
    return " and ".join(changes)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(str(part) or "the host" for part in value) or "none"
    return str(value) or "none"
