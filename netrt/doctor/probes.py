"""What to try from inside a sandbox: its gateways, its peers, its own published ports, and who answers for names.

Rule 1: nobody is tried but whom the container may reach, on networks of its own, and all at once. Rule 2: no more than `MOST`
peers of a network, so that a full one costs no more than another."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from netrt.compile.facing import publishing_attachment
from netrt.compile.names import Resolving, compile_names
from netrt.dns.zone import ADDRESS
from netrt.doctor.inside import About, How, Probe
from netrt.model.address import family, host_of
from netrt.model.container import Attachment, Container
from netrt.model.network import Ingress, Mode, Network, has_names
from netrt.model.port import PortMapping
from netrt.model.state import State

MOST = 32
"""How many peers of one network are tried."""

DNS = 53
ROOT = "."
"""What forwarders are asked for: the servers of the root, which any resolver knows."""


def probes(state: State, container: Container, resolving: Resolving) -> Iterator[Probe]:
    """What is tried for a container that has a sandbox of its own or shares one."""
    owner = state.containers[container.shares] if container.shares else container
    for attachment in state.attachments_of(owner.id):
        network = state.networks[attachment.network_id]
        yield from _gateways(network, attachment)
        yield from _peers(state, network, attachment)
    for mapping in owner.held_ports:
        yield from _port(state, owner, mapping)
    yield from _names(state, owner, resolving)


def _gateways(network: Network, attachment: Attachment) -> Iterator[Probe]:
    for interface in attachment.addresses:
        version = family(interface)
        gateway = network.subnet_of(interface).gateway if network.leads_outside(version) else None
        if gateway:
            what = f"gateway of {network.name}"
            yield Probe(about=About.GATEWAY, how=How.ECHO, what=what, address=gateway, interface=attachment.ifname)


def kept_apart(network: Network) -> bool:
    """Whether containers of one network do not reach each other, as somebody asked."""
    if network.mode is not Mode.BRIDGE:
        return network.options.get("macvlan_mode") in ("private", "vepa")
    return not network.bridge.icc or network.ingress is Ingress.ISOLATED


def _peers(state: State, network: Network, attachment: Attachment) -> Iterator[Probe]:
    if kept_apart(network):
        return
    others = (state.attachments[key] for key in state.of_network.get(network.id, ()) if key != attachment.key)
    for peer in sorted(others, key=lambda each: each.order)[:MOST]:
        who = state.containers[peer.container_id]
        for interface in peer.addresses:
            if attachment.address(family(interface)) and who.id != attachment.container_id:
                what = f"{who.name} on {network.name}"
                at = host_of(interface)
                yield Probe(about=About.PEER, how=How.ECHO, what=what, address=at, interface=attachment.ifname)


def _port(state: State, owner: Container, mapping: PortMapping) -> Iterator[Probe]:
    """The first port of a TCP mapping, as whoever is in the container reaches it by way of the host."""
    if mapping.protocol != "tcp" or (mapping.host_ip and ipaddress.ip_address(mapping.host_ip).is_loopback):
        return
    for version in (4, 6):
        attachment = publishing_attachment(state, owner.id, version)
        if attachment is None or state.networks[attachment.network_id].mode is not Mode.BRIDGE:
            continue
        gateway = state.networks[attachment.network_id].subnet_of(attachment.address(version)).gateway
        wanted = mapping.host_ip or ""
        everywhere = wanted in ("", "0.0.0.0", "::")
        if wanted and family(wanted) != version:
            continue
        at = gateway if everywhere else wanted
        if at:
            what = f"published port {mapping.host_text()}"
            yield Probe(about=About.PORT, how=How.CONNECT, what=what, address=at, port=mapping.host_port)


def _names(state: State, owner: Container, resolving: Resolving) -> Iterator[Probe]:
    networks = (state.networks[a.network_id] for a in state.attachments_of(owner.id))
    named = next(filter(has_names, networks), None)
    if named is None:
        return
    own = f"{named.name.lower()}."  # asked of nobody else, whether the container runs or not
    yield Probe(about=About.NAMES, how=How.ASK, what="netrt-dns", address=ADDRESS, port=DNS, question=own)
    view = compile_names(state, resolving).views.get(owner.sandbox.path)
    for upstream in view.upstreams if view else ():
        how = How.ASK_HOST if upstream.from_host else How.ASK
        what = "forwarder" + (" (from the host)" if upstream.from_host else "")
        yield Probe(about=About.FORWARDER, how=how, what=what, address=upstream.address, port=DNS, question=ROOT)
