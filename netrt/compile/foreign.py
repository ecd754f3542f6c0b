"""What we add to links that somebody else made, in the namespace of a container that came by CNI."""

from __future__ import annotations

from collections.abc import Iterator

from netrt.compile.shaping import compile_shaping
from netrt.compile.tuning import compile_tuning
from netrt.dataplane.facts import HostFacts
from netrt.dataplane.objects import HOST, Foreign, Object, Setting, Sysctl
from netrt.firewall.elements import foreign_elements, masquerade_elements, translation_elements
from netrt.model.container import Attachment, Container
from netrt.model.network import Network
from netrt.model.plugged import Tuning
from netrt.model.state import State


def compile_network(state: State, network: Network, facts: HostFacts) -> Iterator[Object]:
    """Something only where its bridge is to be kept apart from others."""
    bridge = network.bridge.bridge_name
    if bridge:
        yield from foreign_elements(network, bridge)


def compile_attachment(
    state: State, container: Container, network: Network, attachment: Attachment, facts: HostFacts
) -> Iterator[Object]:
    """What its published ports need besides themselves, its limits, and its settings."""
    if any(mapping.ifname == attachment.ifname for mapping in container.held_ports):
        yield from _translated(network, attachment)
    host_link = attachment.plugged.host_link if attachment.plugged else ""
    if attachment.bandwidth and host_link:
        yield Foreign(netns=HOST, name=host_link)
        yield from compile_shaping(attachment, host_link, facts.mtu)
    if attachment.tuning:
        yield from _tuned(container.sandbox.path, attachment.ifname, attachment.tuning)


def _translated(network: Network, attachment: Attachment) -> Iterator[Object]:
    yield from translation_elements(attachment, [subnet.cidr for subnet in network.subnets])
    if attachment.plugged and attachment.plugged.masquerade:
        yield from masquerade_elements(attachment)
    bridge = network.bridge.bridge_name
    if bridge and attachment.address4:
        # what comes from 127.0.0.1 is led there, and its answers come back from there for a loopback address
        yield Foreign(netns=HOST, name=bridge)
        yield Sysctl(netns=HOST, name=f"net/ipv4/conf/{bridge}/route_localnet", value="1")


def _tuned(netns: str, ifname: str, tuning: Tuning) -> Iterator[Object]:
    yield Foreign(netns=netns, name=ifname)
    yield from compile_tuning(netns, ifname, tuning)
    if tuning.mac:
        yield Setting(netns=netns, link=ifname, name="mac", value=tuning.mac)
    if tuning.mtu:
        yield Setting(netns=netns, link=ifname, name="mtu", value=str(tuning.mtu))
