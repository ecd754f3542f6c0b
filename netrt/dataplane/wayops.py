"""Operations on what decides which way a packet goes: routes, rules, neighbours. To be had from `ops`, as all others."""

from __future__ import annotations

from dataclasses import dataclass

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
    most = " but its defaults" if rule.suppress else ""
    return f"rule {rule.priority} from {rule.src} table {rule.table or 'main'}{most}"


@dataclass(frozen=True, slots=True)
class SetRoute:
    """Add a route, or replace the one of ours to the same destination."""

    route: Route

    def describe(self) -> str:
        return f"{_way(self.route)}{inside(self.route.netns)}"


@dataclass(frozen=True, slots=True)
class DelRoute:
    """Remove a route of ours."""

    route: Route

    def describe(self) -> str:
        return f"delete {_way(self.route)}{inside(self.route.netns)}"


@dataclass(frozen=True, slots=True)
class SetNeighbor:
    """Put a permanent neighbour into a link's table, in the place of what is known of its address."""

    neighbor: Neighbor

    def describe(self) -> str:
        held = self.neighbor
        if held.proxy:
            return f"answer for {held.address} on {held.link}{inside(held.netns)}"
        return f"neighbour {held.address} at {held.mac} dev {held.link}{inside(held.netns)}"


@dataclass(frozen=True, slots=True)
class DelNeighbor:
    """Remove a permanent neighbour."""

    neighbor: Neighbor

    def describe(self) -> str:
        held = self.neighbor
        if held.proxy:
            return f"answer no more for {held.address} on {held.link}{inside(held.netns)}"
        return f"delete neighbour {held.address} dev {held.link}{inside(held.netns)}"


@dataclass(frozen=True, slots=True)
class SetRule:
    """Add a rule."""

    rule: Rule

    def describe(self) -> str:
        return f"{_lookup(self.rule)}{inside(self.rule.netns)}"


@dataclass(frozen=True, slots=True)
class DelRule:
    """Remove a rule of ours."""

    rule: Rule

    def describe(self) -> str:
        return f"delete {_lookup(self.rule)}{inside(self.rule.netns)}"
