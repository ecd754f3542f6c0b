"""A bridge network and the containers on it, as kernel objects.

A network is a bridge with a fixed MAC (else it follows its lowest port, and every neighbour's cache with it) and, unless it is
internal or isolated, the gateway's address. A container is on it by a veth pair whose inner end is born in the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

from netrt.compile.inside import compile_inside
from netrt.compile.shaping import compile_shaping
from netrt.dataplane.facts import HostFacts
from netrt.dataplane.objects import (
    HOST,
    MARK,
    Address,
    Foreign,
    Link,
    LinkKind,
    Neighbor,
    Object,
    Setting,
    Sysctl,
)
from netrt.firewall.elements import (
    attachment_elements,
    guest_elements,
    masquerade_elements,
    network_elements,
    translation_elements,
)
from netrt.model.address import family, link_local, mac_for, prefix_of
from netrt.model.container import Attachment, Container
from netrt.model.names import link_name
from netrt.model.network import Antispoof, BridgeOptions, Congctl, Ingress, Network
from netrt.model.plugged import Tuning
from netrt.model.state import State

RETRY = 200
"""Milliseconds until the host asks again for a neighbour's MAC. Usual is a second, but a coming port may miss the question."""


def bridge_link(network: Network) -> str:
    """The name of the host interface of a bridge network."""
    return network.bridge.bridge_name or link_name("network", network.id)


LEAST = 1280
"""The smallest MTU of a link that has IPv6 (RFC 8200, 5), and that may be asked for: with a smaller one the kernel takes IPv6 off
the link, settings and all."""


def _mtu(network: Network, options: BridgeOptions, facts: HostFacts) -> int:
    """On a bridge of somebody else that of the bridge, which would follow the smallest port's."""
    bridge = facts.parents.get(options.bridge_name or "") if network.is_guest else None
    return options.mtu or max(bridge.mtu if bridge else facts.mtu, LEAST)


def _congctl(network: Network, options: BridgeOptions, facts: HostFacts) -> str:
    """On a bridge of somebody else there may be a LAN, for which the host's was chosen."""
    return facts.congctl if options.congctl is Congctl.AUTO and not network.is_guest else ""


def compile_network(state: State, network: Network, facts: HostFacts) -> Iterator[Object]:
    """The kernel objects of a bridge network itself."""
    name, options = bridge_link(network), network.bridge
    if options.existing:
        yield Foreign(netns=HOST, name=name)
    else:
        yield Link(
            netns=HOST,
            name=name,
            kind=LinkKind.BRIDGE,
            mac=mac_for("network", network.id),
            mtu=_mtu(network, options, facts),
            alias=f"{MARK}network:{network.id}",
        )
        if options.promisc:
            yield Setting(netns=HOST, link=name, name="promisc", value="1")
    for version in (4, 6):
        if network.leads_outside(version):
            for subnet in network.subnets_of(version):
                if subnet.gateway is not None and not _stands(network, options, subnet.gateway):
                    yield Address(netns=HOST, link=name, address=f"{subnet.gateway}/{prefix_of(subnet.cidr)}")
    if network.leads_outside(6) and not options.existing:
        # from which the host asks for its neighbours' MACs; the kernel makes it, too, but not again when somebody took it away
        yield Address(netns=HOST, link=name, address=f"{link_local(mac_for('network', network.id))}/64")
    if options.ndp_proxy:
        yield Foreign(netns=HOST, name=options.ndp_proxy)
        yield Sysctl(netns=HOST, name=f"net/ipv6/conf/{options.ndp_proxy}/proxy_ndp", value="1")
    yield from _host_sysctls(network, name, options)
    yield from network_elements(network, name)


def _stands(network: Network, options: BridgeOptions, gateway: str) -> bool:
    """Whether the gateway is there without us: on the bridge already, or on another machine."""
    return gateway in network.theirs or (options.inhibit and ":" not in gateway)


def _host_sysctls(network: Network, name: str, options: BridgeOptions) -> Iterator[Object]:
    def conf(family: str, key: str, value: int, of: str = "conf") -> Sysctl:
        return Sysctl(netns=HOST, name=f"net/{family}/{of}/{name}/{key}", value=str(value))

    if network.is_guest:  # the bridge's own settings are its owner's
        if network.leads_outside(6):
            yield Sysctl(netns=HOST, name="net/ipv6/conf/all/forwarding", value="1")
        if network.leads_outside(4):
            yield Sysctl(netns=HOST, name="net/ipv4/ip_forward", value="1")
        return
    if not options.existing:
        yield conf("ipv6", "accept_ra", 0)
    if network.leads_outside(6):
        yield conf("ipv6", "accept_dad", 0)
    if not options.existing:  # last, for the kernel gives a live link its address with what is set by then
        yield conf("ipv6", "disable_ipv6", 0 if network.leads_outside(6) else 1)
    if network.leads_outside(6):
        yield Sysctl(netns=HOST, name="net/ipv6/conf/all/forwarding", value="1")
        yield conf("ipv6", "forwarding", 1)
        yield conf("ipv6", "ndisc_notify", 1)
        yield conf("ipv6", "retrans_time_ms", RETRY, "neigh")
    if network.leads_outside(4):
        # a connection to 127.0.0.1:PORT is led to the container; its answers come back from this bridge for a loopback address
        yield conf("ipv4", "route_localnet", 1)
        yield Sysctl(netns=HOST, name="net/ipv4/ip_forward", value="1")
        yield conf("ipv4", "forwarding", 1)
        # whoever learned a MAC that somebody gave the bridge learns ours again as soon as it is back
        yield conf("ipv4", "arp_notify", 1)
        yield conf("ipv4", "retrans_time_ms", RETRY, "neigh")


def compile_attachment(
    state: State, container: Container, network: Network, attachment: Attachment, facts: HostFacts
) -> Iterator[Object]:
    """The kernel objects of a container's attachment to a bridge network."""
    options, netns = network.bridge, container.sandbox.path
    mtu, tuning = _mtu(network, options, facts), attachment.tuning or Tuning()
    if options.existing:
        yield Foreign(netns=HOST, name=bridge_link(network))
    yield Link(
        netns=HOST,
        name=attachment.link,
        kind=LinkKind.VETH,
        mtu=mtu,
        alias=f"{MARK}attachment:{attachment.container_id}:{attachment.ifname}",
        master=bridge_link(network),
        isolated=not options.icc or network.ingress is Ingress.ISOLATED,
        hairpin=options.hairpin or bool(container.ports),
        peer=(netns, attachment.ifname),
    )
    yield Link(
        netns=netns,
        name=attachment.ifname,
        kind=LinkKind.VETH,
        mac=attachment.mac,
        mtu=tuning.mtu or mtu,
        up=not attachment.down,
        peer=(HOST, attachment.link),
    )
    free, congctl = options.antispoof is Antispoof.OFF, _congctl(network, options, facts)
    yield from compile_inside(state, network, attachment, netns, free=free, congctl=congctl)
    if options.ndp_proxy:
        yield Foreign(netns=HOST, name=options.ndp_proxy)
        for address in attachment.hosts:
            if family(address) == 6:
                yield Neighbor(netns=HOST, link=options.ndp_proxy, address=address, proxy=True)
    yield from compile_shaping(attachment, attachment.link, mtu)
    yield from attachment_elements(network, attachment)
    if network.is_guest:
        yield from guest_elements(network, attachment, bridge_link(network))
        if container.held_ports:
            on = (state.networks[other.network_id] for other in state.attachments_of(container.id))
            yield from translation_elements(attachment, [subnet.cidr for each in on for subnet in each.subnets])
    if attachment.plugged and attachment.plugged.masquerade:
        yield from masquerade_elements(attachment)
