"""Operations on what decides which way a packet goes: routes, rules, neighbours. To be had from `ops`, as all others."""

from __future__ import annotations

import msgspec

from netrt.dataplane.objects import HOST, Neighbor, Route, Rule


def inside(netns: str) -> str:
    """Where, for the end of a description; nothing for the host."""
    return "" if netns == HOST else f" in {netns.rpartition('/')[2]}"


def _way(route: Route) -> str:
    words = [f"route {route.dst}", *([f"via {route.via}"] if route.via else []), f"dev {route.link}"]
    for name in ("src", "metric", "table", "mtu", "advmss", "congctl"):
        words += [f"{name} {getattr(route, name)}"] if getattr(route, name) else []
    return " ".join(words)


def _lookup(rule: Rule) -> str:
    to, most = f" to {rule.dst}" if rule.dst else "", " but its defaults" if rule.suppress else ""
    return f"rule {rule.priority} from {rule.src}{to} table {rule.table or 'main'}{most}"


class SetRoute(msgspec.Struct, frozen=True, gc=False):
    """Add a route, or replace the one of ours to the same destination."""

    route: Route

    def describe(self) -> str:
        return f"{_way(self.route)}{inside(self.route.netns)}"


class DelRoute(msgspec.Struct, frozen=True, gc=False):
    """Remove a route of ours."""

    route: Route

    def describe(self) -> str:
        return f"delete {_way(self.route)}{inside(self.route.netns)}"


class SetNeighbor(msgspec.Struct, frozen=True, gc=False):
    """Put a permanent neighbour into a link's table, in the place of what is known of its address."""

    neighbor: Neighbor

    def describe(self) -> str:
        held = self.neighbor
        if held.proxy:
            return f"answer for {held.address} on {held.link}{inside(held.netns)}"
        return f"neighbour {held.address} at {held.mac} dev {held.link}{inside(held.netns)}"


class DelNeighbor(msgspec.Struct, frozen=True, gc=False):
    """Remove a permanent neighbour."""

    neighbor: Neighbor

    def describe(self) -> str:
        held = self.neighbor
        if held.proxy:
            return f"answer no more for {held.address} on {held.link}{inside(held.netns)}"
        return f"delete neighbour {held.address} dev {held.link}{inside(held.netns)}"


class SetRule(msgspec.Struct, frozen=True, gc=False):
    """Add a rule."""

    rule: Rule

    def describe(self) -> str:
        return f"{_lookup(self.rule)}{inside(self.rule.netns)}"


class DelRule(msgspec.Struct, frozen=True, gc=False):
    """Remove a rule of ours."""

    rule: Rule

    def describe(self) -> str:
        return f"delete {_lookup(self.rule)}{inside(self.rule.netns)}"
