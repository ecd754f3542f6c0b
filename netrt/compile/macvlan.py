"""A network whose containers stand on a link of the host (macvlan, ipvlan), as kernel objects.

A container has one link, born in its sandbox. Its neighbours and its gateway are beyond the parent; the host itself is not among
them, because what is sent by a link above never comes in by the one below. With `host_access` the host has a link above, too (the
shim), through which it reaches the containers, and they the host's own addresses. The shim has no address and answers to nobody:
both sides know each other by permanent neighbours, for an answer to whom it is not for would lead the whole LAN to the shim."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from netrt.compile.inside import compile_inside
from netrt.dataplane.facts import HostFacts, Parent
from netrt.dataplane.objects import HOST, MARK, Foreign, Link, LinkKind, Neighbor, Object, Route, Sysctl
from netrt.model.address import alone, family, host_of, mac_for
from netrt.model.container import Attachment, Container
from netrt.model.names import link_name
from netrt.model.network import Mode, Network, parent_options
from netrt.model.parent import ParentOptions
from netrt.model.plugged import Tuning
from netrt.model.state import State


def shim_link(network: Network) -> str:
    """The name of the host's own link on a network with `host_access`."""
    return link_name("shim", network.id)


def has_shim(network: Network) -> bool:
    """Whether something on the host belongs to all containers of the network together."""
    return network.mode is Mode.MACVLAN and parent_options(network).host_access


def _parent(options: ParentOptions, facts: HostFacts) -> Parent:
    return facts.parents.get(options.parent, Parent())


def _mtu(options: ParentOptions, parent: Parent) -> int:
    """No larger than the parent's: the kernel refuses that."""
    return min(options.mtu or parent.mtu, parent.mtu)


def _offered(attachment: Attachment, mtu: int) -> int:
    """No larger than what the LAN's DHCP server says that all of it takes."""
    return min(attachment.dhcp.mtu or mtu, mtu) if attachment.dhcp else mtu


def compile_network(state: State, network: Network, facts: HostFacts) -> Iterator[Object]:
    """The shim, while there are containers."""
    if not has_shim(network) or not state.of_network.get(network.id):
        return
    options, name = parent_options(network), shim_link(network)
    yield Foreign(netns=HOST, name=options.parent)
    yield Link(
        netns=HOST,
        name=name,
        kind=LinkKind.MACVLAN,
        mac=mac_for("network", network.id),
        mtu=_mtu(options, _parent(options, facts)),
        alias=f"{MARK}shim:{network.id}",
        lower=options.parent,
        flavour=options.flavour,
    )
    off = "0" if network.subnets_of(6) else "1"
    settings = {"ipv4": {"arp_ignore": "8"}, "ipv6": {"disable_ipv6": off, "accept_ra": "0", "addr_gen_mode": "1"}}
    for family_name, values in settings.items():
        for key, value in values.items():
            yield Sysctl(netns=HOST, name=f"net/{family_name}/conf/{name}/{key}", value=value)


def compile_attachment(
    state: State, container: Container, network: Network, attachment: Attachment, facts: HostFacts
) -> Iterator[Object]:
    """The kernel objects of a container's attachment."""
    options, netns = parent_options(network), container.sandbox.path
    parent, tuning = _parent(options, facts), attachment.tuning or Tuning()
    yield Foreign(netns=HOST, name=options.parent)
    yield Link(
        netns=netns,
        name=attachment.ifname,
        kind=LinkKind(network.mode),
        mac=attachment.mac,
        mtu=tuning.mtu or _offered(attachment, _mtu(options, parent)),
        up=not attachment.down,
        alias=f"{MARK}attachment:{attachment.container_id}:{attachment.ifname}",
        lower=options.parent,
        flavour=options.flavour,
    )
    yield from compile_inside(state, network, attachment, netns)
    if options.host_access:
        yield from _host_side(network, attachment, parent)
        yield from _inner_side(network, attachment, parent, netns)


def _host_side(network: Network, attachment: Attachment, parent: Parent) -> Iterator[Object]:
    """How the host reaches a container."""
    shim = shim_link(network)
    for interface in attachment.addresses:
        address = host_of(interface)
        yield Neighbor(netns=HOST, link=shim, address=address, mac=attachment.mac)
        yield Route(netns=HOST, dst=alone(address), via="", link=shim, src=_source(parent, interface))


def _inner_side(network: Network, attachment: Attachment, parent: Parent, netns: str) -> Iterator[Object]:
    """How a container reaches the addresses of the host that are in its subnets: others it asks the gateway for."""
    mac = mac_for("network", network.id)
    for interface in parent.addresses:
        address = host_of(interface)
        if network.holds(address) and any(family(own) == family(address) for own in attachment.addresses):
            yield Neighbor(netns=netns, link=attachment.ifname, address=address, mac=mac)


def _source(parent: Parent, interface: str) -> str:
    """By which address a container shall see the host: the parent's in its subnet, or else any of the parent's."""
    subnet = ipaddress.ip_interface(interface).network
    own = [host_of(held) for held in parent.addresses if family(held) == subnet.version]
    return next((address for address in own if ipaddress.ip_address(address) in subnet), own[0] if own else "")
