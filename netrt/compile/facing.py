"""Which attachment of a container leads outside, and so carries the default route; and to whose address published ports lead."""

from __future__ import annotations

from collections.abc import Callable

from netrt.model.address import host_of
from netrt.model.container import Attachment, Container
from netrt.model.network import Network
from netrt.model.state import State


def gateway_attachment(state: State, container_id: str, version: int) -> Attachment | None:
    """The attachment of a container that leads outside for one family: of those that can, the one of the highest priority, and of
    equals the first in the order of attaching."""
    return _first(state, container_id, version, lambda network: network.leads_outside(version))


def publishing_attachment(state: State, container_id: str, version: int) -> Attachment | None:
    """The attachment of a container to which ports of the host lead for one family: in the same order, the first that the host is
    the gateway of."""
    return _first(state, container_id, version, lambda network: network.publishes(version))


def port_ends(state: State, container: Container, ifname: str) -> tuple[str, str, str | None]:
    """Where published ports lead that are tied to this interface, or to none: the addresses of either family, and the host
    address of those that name none."""

    def end(version: int) -> Attachment | None:
        if ifname:
            tied = state.attachments.get((container.id, ifname))
            return tied if tied and tied.address(version) else None
        return publishing_attachment(state, container.id, version)

    to4, to6 = end(4), end(6)
    binding = state.networks[to4.network_id].bridge.host_binding_ipv4 if to4 else None
    return host_of(to4.address4) if to4 else "", host_of(to6.address6) if to6 else "", binding


def _first(state: State, container_id: str, version: int, can: Callable[[Network], bool]) -> Attachment | None:
    fit = [a for a in state.attachments_of(container_id) if a.address(version) and can(state.networks[a.network_id])]
    return max(fit, key=lambda attachment: attachment.gw_priority, default=None)
