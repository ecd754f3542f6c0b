"""Which attachment of a container leads outside, and so carries the default route; and to whose address published ports lead."""

from __future__ import annotations

from collections.abc import Callable

from netrt.model.container import Attachment
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


def _first(state: State, container_id: str, version: int, can: Callable[[Network], bool]) -> Attachment | None:
    fit = [a for a in state.attachments_of(container_id) if a.address(version) and can(state.networks[a.network_id])]
    return max(fit, key=lambda attachment: attachment.gw_priority, default=None)
