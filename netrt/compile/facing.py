"""Which attachment of a container leads outside, and so carries the default route; and to whose address published ports lead."""

from __future__ import annotations

from netrt.model.container import Attachment
from netrt.model.state import State


def gateway_attachment(state: State, container_id: str, version: int) -> Attachment | None:
    """The attachment of a container that leads outside for one family: the first that can, in the order of attaching."""
    for attachment in state.attachments_of(container_id):
        if attachment.address(version) and state.networks[attachment.network_id].leads_outside(version):
            return attachment
    return None


def publishing_attachment(state: State, container_id: str, version: int) -> Attachment | None:
    """The attachment of a container to which ports of the host lead for one family: the first that the host is the gateway of."""
    for attachment in state.attachments_of(container_id):
        if attachment.address(version) and state.networks[attachment.network_id].publishes(version):
            return attachment
    return None
