"""From the names of one moment to those of a later one: what is sent to the server, which is little, and which answers it spoils.

Rule 1: `apply(before, changes(before, after)) == after`. Rule 2: a change fits one value only, the one whose mark it bears."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from immutables import Map
from msgspec.structs import replace

from netrt.dns.lookup import Entry
from netrt.dns.zone import Names, Service, View, Zone, plain
from netrt.errors import Conflict

V = TypeVar("V")

_encode = msgspec.json.Encoder(order="deterministic", enc_hook=plain).encode


class ZoneChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is new in a zone, which may be new itself. What is empty is gone."""

    network: str
    domain: str
    ttl: int
    subnets: tuple[str, ...] = ()
    hosts: Mapping[str, tuple[str, ...]] = {}
    pointers: Mapping[str, str] = {}
    services: Mapping[str, tuple[Service, ...]] = {}


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Leads from the names with the mark `since` to those with `mark`. `gone_zones` are ids, `gone_views` are paths."""

    since: str = ""
    mark: str = ""
    zones: tuple[ZoneChange, ...] = ()
    gone_zones: tuple[str, ...] = ()
    views: tuple[View, ...] = ()
    gone_views: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.zones or self.gone_zones or self.views or self.gone_views)


class Stale(msgspec.Struct, frozen=True, kw_only=True):
    """Which answers a change spoils: all of these sandboxes, and those that were made of one of these entries."""

    sandboxes: frozenset[str]
    entries: frozenset[Entry]


def seal(names: Names) -> Names:
    """The same with a mark that follows from what is in it."""
    return replace(names, mark=_digest(replace(names, mark="")))


def chained(before: Names, change: Change) -> Change:
    """The same change as the next one after `before`: its mark follows from that of `before` and from what it changes."""
    bare = replace(change, since=before.mark, mark="")
    return replace(bare, mark=_digest(bare)) if bare else replace(bare, mark=before.mark)


def _digest(value: object) -> str:
    return hashlib.sha256(_encode(value)).hexdigest()[:32]


def changes(before: Names, after: Names) -> Change:
    """What leads from one to the other. Parts that are the same object cost nothing."""
    zones = [
        zone_change(before.zones.get(network), zone)
        for network, zone in after.zones.items()
        if before.zones.get(network) != zone
    ]
    return Change(
        since=before.mark,
        mark=after.mark,
        zones=tuple(zones),
        gone_zones=tuple(network for network in before.zones if network not in after.zones),
        views=tuple(view for path, view in after.views.items() if before.views.get(path) != view),
        gone_views=tuple(path for path in before.views if path not in after.views),
    )


def zone_change(before: Zone | None, after: Zone) -> ZoneChange:
    """What is new in a zone."""
    old = before or empty(after)
    return ZoneChange(
        network=after.network,
        domain=after.domain,
        ttl=after.ttl,
        subnets=after.subnets,
        hosts=_put(old.hosts, after.hosts, ()),
        pointers=_put(old.pointers, after.pointers, ""),
        services=_put(old.services, after.services, ()),
    )


def empty(zone: Zone) -> Zone:
    """The same network without names."""
    return replace(zone, hosts={}, pointers={}, services={})


def _put(before: Mapping[str, V], after: Mapping[str, V], nothing: V) -> dict[str, V]:
    if before is after:
        return {}
    put = {key: value for key, value in after.items() if before.get(key) != value}
    return put | {key: nothing for key in before if key not in after}


def apply(names: Names, change: Change) -> Names:
    """The names after a change. Raises Conflict where it does not follow upon these."""
    if change.since != names.mark:
        raise Conflict(f"a change of names follows upon {change.since!r}, not upon {names.mark!r}")
    zones = {key: zone for key, zone in names.zones.items() if key not in change.gone_zones}
    for part in change.zones:
        zones[part.network] = _changed(zones.get(part.network), part)
    views = _taken(names.views, {view.sandbox: view for view in change.views} | dict.fromkeys(change.gone_views))
    return Names(zones=zones, views=views, mark=change.mark)


def _changed(zone: Zone | None, part: ZoneChange) -> Zone:
    return Zone(
        network=part.network,
        domain=part.domain,
        ttl=part.ttl,
        subnets=part.subnets,
        hosts=_taken(zone.hosts if zone else {}, part.hosts),
        pointers=_taken(zone.pointers if zone else {}, part.pointers),
        services=_taken(zone.services if zone else {}, part.services),
    )


def _taken(table: Mapping[str, V], put: Mapping[str, V | None]) -> Mapping[str, V]:
    """A table with new values, and without what is empty."""
    if not put:
        return table
    edited = Map(table).mutate()
    for key, value in put.items():
        if value:
            edited[key] = value
        else:
            edited.pop(key, None)
    return edited.finish()


def stale(before: Names, change: Change) -> Stale:
    """Which answers that were made of `before` are not right any more."""
    turned = {part.network for part in change.zones if _turned(before.zones.get(part.network), part)}
    turned.update(change.gone_zones)
    sandboxes = {*change.gone_views, *(view.sandbox for view in change.views)}
    if turned:
        sandboxes.update(path for path, view in before.views.items() if not turned.isdisjoint(view.networks))
    return Stale(
        sandboxes=frozenset(sandboxes),
        entries=frozenset(
            (part.network, key)
            for part in change.zones
            if part.network not in turned
            for table in (part.hosts, part.pointers, part.services)
            for key in table
        ),
    )


def _turned(zone: Zone | None, part: ZoneChange) -> bool:
    """Whether a zone is another one, and not only some of its names."""
    return zone is None or (zone.domain, zone.ttl, zone.subnets) != (part.domain, part.ttl, part.subnets)
