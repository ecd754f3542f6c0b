"""Routes as they are there, and which addresses lack those that the kernel makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netrt.kernel import routes
from netrt.kernel.links import SeenLink
from netrt.kernel.netlink import Netlink
from netrt.kernel.wire import Request


def routes_of(netlink: Netlink, request: Request) -> list[routes.SeenRoute]:
    """The routes that a dump shows. Raises OSError."""
    return [routes.read_route(message) for message in netlink.dump(request)]


def routed(
    netlink: Netlink, found: Sequence[SeenLink], addresses: Sequence[routes.SeenAddress]
) -> list[routes.SeenAddress]:
    """The addresses, with the mark on those that lack routes of the kernel's own. A link that is down has none."""
    up = {link.index for link in found if link.up}
    there = {
        index: routes.made(netlink.dump(routes.get_made(index)))
        for index in {address.index for address in addresses} & up
    }
    return [replace(a, routed=routes.made_of(a) <= there.get(a.index, routes.made_of(a))) for a in addresses]
