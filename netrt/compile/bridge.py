"""A bridge network and the containers on it, as kernel objects.

A network is a bridge with a fixed MAC (else it follows its lowest port, and every neighbour's cache with it) and, unless it is
internal or isolated, the gateway's address. A container is on it by a veth pair whose inner end is born in the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

from netrt.compile.facing import gateway_attachment
from netrt.dataplane.facts import HostFacts
from netrt.dataplane.objects import HOST, MARK, Address, Link, LinkKind, Object, Route, Sysctl
from netrt.firewall.elements import attachment_elements, network_elements
from netrt.model.address import mac_for, prefix_of
from netrt.model.container import Attachment, Container
from netrt.model.names import link_name
from netrt.model.network import BridgeOptions, Network, bridge_options
from netrt.model.state import State


def bridge_link(network: Network) -> str:
    """The name of the host interface of a bridge network."""
    return bridge_options(network.options).bridge_name or link_name("network", network.id)


def _mtu(options: BridgeOptions, facts: HostFacts) -> int:
    return options.mtu or facts.mtu


def compile_network(network: Network, facts: HostFacts) -> Iterator[Object]:
    """The kernel objects of a bridge network itself."""
    name = bridge_link(network)
    yield Link(
        netns=HOST,
        name=name,
        kind=LinkKind.BRIDGE,
        mac=mac_for("network", network.id),
        mtu=_mtu(bridge_options(network.options), facts),
        alias=f"{MARK}network:{network.id}",
    )
    for version in (4, 6):
        if network.leads_outside(version):
            for subnet in network.subnets_of(version):
                yield Address(netns=HOST, link=name, address=f"{subnet.gateway}/{prefix_of(subnet.cidr)}")
    yield from _host_sysctls(network, name)
    yield from network_elements(network, name)


def _host_sysctls(network: Network, name: str) -> Iterator[Object]:
    def conf(family: str, key: str, value: int) -> Sysctl:
        return Sysctl(netns=HOST, name=f"net/{family}/conf/{name}/{key}", value=str(value))

    yield conf("ipv6", "disable_ipv6", 0 if network.leads_outside(6) else 1)
    yield conf("ipv6", "accept_ra", 0)
    if network.leads_outside(6):
        yield conf("ipv6", "accept_dad", 0)
        yield Sysctl(netns=HOST, name="net/ipv6/conf/all/forwarding", value="1")
    if network.leads_outside(4):
        # a connection to 127.0.0.1:PORT is led to the container; its answers come back from this bridge for a loopback address
        yield conf("ipv4", "route_localnet", 1)
        yield Sysctl(netns=HOST, name="net/ipv4/ip_forward", value="1")


def compile_attachment(
    state: State, container: Container, network: Network, attachment: Attachment, facts: HostFacts
) -> Iterator[Object]:
    """The kernel objects of a container's attachment to a bridge network."""
    options, netns = bridge_options(network.options), container.sandbox.path
    mtu = _mtu(options, facts)
    yield Link(
        netns=HOST,
        name=attachment.link,
        kind=LinkKind.VETH,
        mtu=mtu,
        alias=f"{MARK}attachment:{attachment.container_id}:{attachment.ifname}",
        master=bridge_link(network),
        isolated=not options.icc,
        hairpin=bool(container.ports),
        peer=(netns, attachment.ifname),
    )
    yield Link(
        netns=netns,
        name=attachment.ifname,
        kind=LinkKind.VETH,
        mac=attachment.mac,
        mtu=mtu,
        peer=(HOST, attachment.link),
    )
    yield from _sandbox_sysctls(netns, attachment)
    for interface in attachment.addresses:
        yield Address(netns=netns, link=attachment.ifname, address=interface)
    yield from _default_routes(state, network, attachment, netns)
    yield from attachment_elements(network, attachment)


def _sandbox_sysctls(netns: str, attachment: Attachment) -> Iterator[Sysctl]:
    values = (
        {"disable_ipv6": "0", "accept_ra": "0", "accept_dad": "0"} if attachment.address6 else {"disable_ipv6": "1"}
    )
    for key, value in values.items():
        yield Sysctl(netns=netns, name=f"net/ipv6/conf/{attachment.ifname}/{key}", value=value)


def _default_routes(state: State, network: Network, attachment: Attachment, netns: str) -> Iterator[Route]:
    for version, everywhere in ((4, "0.0.0.0/0"), (6, "::/0")):
        if gateway_attachment(state, attachment.container_id, version) == attachment:
            gateway = network.subnet_of(attachment.address(version)).gateway
            assert gateway is not None, "a network that leads outside has a gateway"
            yield Route(netns=netns, dst=everywhere, via=gateway, link=attachment.ifname)
