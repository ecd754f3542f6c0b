"""Routes as they are there, and which addresses lack those that the kernel makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from netrt.kernel import routes
from netrt.kernel.links import SeenLink
from netrt.kernel.netlink import Netlink
from netrt.kernel.wire import Request

Made = Mapping[int, set[tuple[str, int]]]
"""By link, destination and table of the routes that the kernel made."""


def routes_of(netlink: Netlink, request: Request) -> list[routes.SeenRoute]:
    """The routes that a dump shows. Raises OSError."""
    return [routes.read_route(message) for message in netlink.dump(request)]


def closely(
    netlink: Netlink, found: Sequence[SeenLink], addresses: Sequence[routes.SeenAddress]
) -> tuple[list[routes.SeenRoute], list[routes.SeenAddress]]:
    """The routes of ours, and what `routed` says, by one dump of all: for a container, which has few. Raises OSError."""
    dumped = netlink.dump(routes.get_routes())
    ours = [routes.read_route(message) for message in dumped if routes.is_ours(message)]
    return ours, routed(routes.of_kernel(dumped), found, addresses)


def made_on(netlink: Netlink, addresses: Iterable[routes.SeenAddress]) -> Made:
    """The routes that the kernel made on the links of these addresses. Raises OSError."""
    made: dict[int, set[tuple[str, int]]] = {}
    for link in {address.index for address in addresses}:
        made |= routes.of_kernel(netlink.dump(routes.get_routes(link=link)))
    return made


def routed(made: Made, found: Sequence[SeenLink], addresses: Sequence[routes.SeenAddress]) -> list[routes.SeenAddress]:
    """The addresses, with the mark on those that lack routes of the kernel's own. A link that is down has none."""
    up = {link.index for link in found if link.up}
    return [replace(a, routed=a.index not in up or routes.made_of(a) <= made.get(a.index, set())) for a in addresses]
