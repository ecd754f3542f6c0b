"""Which attachment of a container leads outside: it carries the default route, and published ports lead to its address."""

from __future__ import annotations

from netrt.model.container import Attachment
from netrt.model.network import GatewayMode, Mode, Network, bridge_options
from netrt.model.state import State


def leads_outside(network: Network, version: int) -> bool:
    """Whether a network has a way to the outside for one family (4 or 6)."""
    if network.mode is not Mode.BRIDGE or network.internal or not network.subnets_of(version):
        return False
    return bridge_options(network.options).gateway_mode(version) is not GatewayMode.ISOLATED


def gateway_attachment(state: State, container_id: str, version: int) -> Attachment | None:
    """The attachment of a container that leads outside for one family: the first that can, in the order of attaching."""
    for attachment in state.attachments_of(container_id):
        if attachment.address(version) and leads_outside(state.networks[attachment.network_id], version):
            return attachment
    return None
