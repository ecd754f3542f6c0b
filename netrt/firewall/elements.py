"""What exists on a host, as elements of our sets and maps."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from netrt.dataplane.objects import Element
from netrt.model.address import family, host_of, link_local
from netrt.model.container import Attachment
from netrt.model.network import Antispoof, GatewayMode, Ingress, Network
from netrt.model.port import PortMapping

_ANY = {4: "0.0.0.0", 6: "::"}


def network_elements(network: Network, bridge: str) -> tuple[Element, ...]:
    """What a bridge network allows; `bridge` is its host interface."""
    options = network.bridge
    found = [_inet("pairs", bridge, bridge)]
    if not network.is_guest:
        found.append(_inet("bridges", bridge))
    if options.icc and network.ingress is not Ingress.ISOLATED:
        found.append(_inet("icc", bridge, bridge))
    if network.ingress is not Ingress.OPEN:
        found.append(_inet("fenced", bridge))
    if options.host_access:
        found.append(_inet("host_access", bridge))
    if options.open:
        found.append(_inet("open", bridge))
    for version in (4, 6):
        if not network.leads_outside(version):
            found.append(_inet(f"isolated{version}", bridge))
            continue
        gateways = [subnet.gateway for subnet in network.subnets_of(version) if subnet.gateway]
        found += [_map(f"gateway_of{version}", (bridge,), (gateway,)) for gateway in gateways[:1]]
        if options.gateway_mode(version) is GatewayMode.ROUTED:
            found.append(_inet(f"routed{version}", bridge))
            continue
        if options.masquerade and not network.is_guest:
            found.append(_inet(f"masquerade{version}", bridge))
        if options.open or network.is_guest:
            continue
        found += [_inet(f"gateways{version}", gateway) for gateway in gateways]
    return tuple(found)


def foreign_elements(network: Network, bridge: str) -> tuple[Element, ...]:
    """What keeps a bridge that somebody else made apart from others that are kept apart."""
    if network.ingress is Ingress.OPEN:
        return ()
    inside = (_inet("icc", bridge, bridge),) if network.ingress is Ingress.SAME_BRIDGE else ()
    return (_inet("fenced", bridge), *inside)


def attachment_elements(network: Network, attachment: Attachment) -> tuple[Element, ...]:
    """What binds a bridge port to its container's MAC and addresses."""
    link, mac = attachment.link, attachment.mac
    match network.bridge.antispoof:
        case Antispoof.OFF:
            return (_inet("links", link),)
        case Antispoof.MAC:
            return (_inet("links", link), _bridge("mac_links", link), _bridge("macs", link, mac))
    found = [_inet("links", link), _bridge("links", link)]
    hosts = [host_of(interface) for interface in attachment.addresses]
    found += [_bridge("sources4", link, mac, address) for address in hosts if family(address) == 4]
    if any(family(address) == 6 for address in hosts):
        own = (*(address for address in hosts if family(address) == 6), link_local(mac))
        found += [_bridge("sources6", link, mac, address) for address in (*own, "::")]
        found += [_bridge("targets6", link, address) for address in own]
    return tuple(found)


def guest_elements(network: Network, attachment: Attachment, bridge: str) -> tuple[Element, ...]:
    """What makes a container on a bridge of somebody else's one of ours, among members that are not."""
    options = network.bridge
    hosts = [host_of(interface) for interface in attachment.addresses]
    if any(family(address) == 6 for address in hosts):
        hosts.append(link_local(attachment.mac))
    found = [_inet(f"guests{family(address)}", bridge, address) for address in hosts]
    for interface in attachment.addresses:
        version = family(interface)
        if options.masquerade and network.leads_outside(version) and options.gateway_mode(version) is GatewayMode.NAT:
            found.append(_inet(f"hidden{version}", bridge, host_of(interface)))
    return tuple(found)


def crossing_elements(address: str, bridges: Iterable[str]) -> tuple[Element, ...]:
    """What a container needs that publishes ports at `address` (without prefix) and is on further networks, whose host interfaces
    are `bridges`. Asked from there by way of the host, it would answer around the host, which then translates nothing back."""
    return tuple(_inet(f"also_on{family(address)}", address, bridge) for bridge in bridges)


def translation_elements(attachment: Attachment, subnets: Iterable[str]) -> tuple[Element, ...]:
    """What ports of an attachment need whose network is somebody else's: `subnets` are what it is in. Who is in it too, and who
    asks from a loopback address, would not see the answer come back by the host, and so is hidden."""
    found = []
    for interface in attachment.addresses:
        version, address = family(interface), host_of(interface)
        near = [subnet for subnet in subnets if family(subnet) == version]
        near += ["127.0.0.0/8"] if version == 4 else []
        found += [_inet(f"hairpin{version}", address, subnet) for subnet in near]
    return tuple(found)


def masquerade_elements(attachment: Attachment) -> tuple[Element, ...]:
    """What hides all who ask the published ports of an attachment."""
    return tuple(_inet(f"masquerade_to{family(i)}", host_of(i)) for i in attachment.addresses)


def port_elements(
    mapping: PortMapping, address4: str, address6: str, host_binding_ipv4: str | None
) -> tuple[Element, ...]:
    """What leads a published port to a container's addresses (without prefix; empty: it has none of that family).

    `host_binding_ipv4` is the network's host address for mappings that name none; a mapping then has no IPv6 port unless that is
    0.0.0.0, as in Docker.
    """
    host_ip = mapping.host_ip or host_binding_ipv4 or ""
    if not mapping.host_ip and host_ip == _ANY[4]:
        host_ip = ""
    return tuple(
        element
        for version, address in ((4, address4), (6, address6))
        if address and (not host_ip or family(host_ip) == version)
        for element in _published(mapping, version, host_ip, address)
    )


def _published(mapping: PortMapping, version: int, host_ip: str, address: str) -> Iterator[Element]:
    ip = "" if host_ip in ("", _ANY[version]) else str(ipaddress.ip_address(host_ip))
    if mapping.count > 1 and mapping.host_port == mapping.container_port:
        ports = f"{mapping.host_port}-{mapping.host_last}"
        yield _map(f"ranges{version}", (ip or f"{_ANY[version]}/0", mapping.protocol, ports), (address,))
        return
    for offset in range(mapping.count):
        at = (mapping.protocol, str(mapping.host_port + offset))
        value = (address, str(mapping.container_port + offset))
        yield _map(f"ports{version}_at", (ip, *at), value) if ip else _map(f"ports{version}", at, value)


def _inet(name: str, *at: str) -> Element:
    return Element(table="inet", set=name, at=at)


def _bridge(name: str, *at: str) -> Element:
    return Element(table="bridge", set=name, at=at)


def _map(name: str, at: tuple[str, ...], value: tuple[str, ...]) -> Element:
    return Element(table="inet", set=name, at=at, value=value)
