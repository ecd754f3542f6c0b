"""What we add to links that somebody else made, in the namespace of a container that came by CNI."""

from __future__ import annotations

from collections.abc import Iterator

from netrt.dataplane.facts import HostFacts
from netrt.dataplane.objects import HOST, Object, Sysctl
from netrt.firewall.elements import foreign_elements, masquerade_elements, translation_elements
from netrt.model.container import Attachment, Container
from netrt.model.network import Network, bridge_options
from netrt.model.state import State


def compile_network(network: Network, facts: HostFacts) -> Iterator[Object]:
    """Something only where its bridge is to be kept apart from others."""
    bridge = bridge_options(network.options).bridge_name
    if bridge:
        yield from foreign_elements(network, bridge)


def compile_attachment(
    state: State, container: Container, network: Network, attachment: Attachment, facts: HostFacts
) -> Iterator[Object]:
    """What its published ports need besides themselves."""
    if any(mapping.ifname == attachment.ifname for mapping in container.held_ports):
        yield from translation_elements(attachment, [subnet.cidr for subnet in network.subnets])
        if attachment.plugged and attachment.plugged.masquerade:
            yield from masquerade_elements(attachment)
        bridge = bridge_options(network.options).bridge_name
        if bridge and attachment.address4:
            # what comes from 127.0.0.1 is led there, and its answers come back from there for a loopback address
            yield Sysctl(netns=HOST, name=f"net/ipv4/conf/{bridge}/route_localnet", value="1")
