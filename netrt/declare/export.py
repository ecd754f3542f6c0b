"""What is there, as a file of ours that makes the same: with the addresses, and all else, that netrt chose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from netrt.declare.wish import APPLIED, ContainerWish, EndpointWish, NetworkWish, Present, port_text
from netrt.model.address import mac_for
from netrt.model.container import Lookup
from netrt.model.network import DEFAULT_NETWORK, Subnet
from netrt.model.port import PortMapping

Json = dict[str, Any]


def exported(present: Present) -> Json:
    """Networks that people made, and containers without a command. What an apply made forgets which; the next one says."""
    networks = {name: _network(n) for name, n in sorted(present.networks.items()) if not n.held}
    left = {name for name, _ in left_out(present)}
    containers = {name: _container(c) for name, c in sorted(present.containers.items()) if name not in left}
    return {"networks": networks, "containers": containers}


def left_out(present: Present) -> Iterator[tuple[str, str]]:
    """Names of containers that no file can make, and why."""
    why: dict[str, str] = {}
    for container in present.containers.values():
        if container.held or container.runs:
            why[container.name] = container.held or "runs a command"
    for container in present.containers.values():
        if container.owner in why:
            why.setdefault(container.name, f"lives in the namespace of {container.owner}")
    yield from why.items()


def _network(network: NetworkWish) -> Json:
    families = {":" in subnet.cidr for subnet in network.subnets}
    return {
        **({"driver": network.driver} if network.driver != "bridge" else {}),
        **({"ipam_driver": network.ipam_driver} if network.ipam_driver != "default" else {}),
        **({"subnets": [_subnet(subnet) for subnet in network.subnets]} if network.subnets else {}),
        **({"ipv4": False} if not network.ipv4 else {}),
        **({"ipv6": True} if network.ipv6 and True not in families else {}),
        **({"internal": True} if network.internal else {}),
        **({"options": dict(network.options)} if network.options else {}),
        **({"dns": list(network.dns)} if network.dns else {}),
        **_labels(network.labels),
    }


def _subnet(subnet: Subnet) -> Json:
    return {
        "subnet": subnet.cidr,
        **({"gateway": subnet.gateway} if subnet.gateway else {}),
        **({"ip_range": subnet.ip_range} if subnet.ip_range else {}),
        **({"aux_addresses": dict(subnet.auxiliary)} if subnet.auxiliary else {}),
    }


def _labels(labels: Mapping[str, str]) -> Json:
    kept = {key: value for key, value in labels.items() if key != APPLIED}
    return {"labels": kept} if kept else {}


def _container(container: ContainerWish) -> Json:
    plain = [f"eth{number}" for number in range(len(container.networks))]
    usual = [endpoint.ifname for endpoint in container.networks.values()] == plain
    on = {
        name: _endpoint(endpoint if name != DEFAULT_NETWORK else _chosen(endpoint), usual=usual)
        for name, endpoint in container.networks.items()
    }
    ports = [port_text(port) for port in merged(container.ports)]
    return {
        **({"network_mode": container.mode or "none"} if not on else {"networks": on}),
        **({"ports": ports} if ports else {}),
        **({"hostname": container.hostname} if container.hostname else {}),
        **({"netns": container.netns} if container.netns else {}),
        **_lookup(container.lookup),
        **_labels(container.labels),
    }


def _chosen(endpoint: EndpointWish) -> EndpointWish:
    """Without addresses: nobody says which subnet the default network has."""
    return replace(endpoint, ip="", ip6="", mac="")


def _endpoint(endpoint: EndpointWish, *, usual: bool) -> Json | None:
    derived = mac_for(endpoint.ip or endpoint.ip6) if endpoint.ip or endpoint.ip6 else ""
    said: Json = {
        "ip": endpoint.ip,
        "ip6": endpoint.ip6,
        "mac": "" if endpoint.mac == derived else endpoint.mac,
        "aliases": list(endpoint.aliases),
        "ifname": "" if usual else endpoint.ifname,
        "gw_priority": endpoint.gw_priority,
        "bandwidth": endpoint.bandwidth,
    }
    return {key: value for key, value in said.items() if value} or None


def _lookup(lookup: Lookup) -> Json:
    names = ("dns", "dns_search", "dns_options", "extra_hosts")
    return {name: list(getattr(lookup, name)) for name in names if getattr(lookup, name)}


def merged(ports: tuple[PortMapping, ...]) -> list[PortMapping]:
    """The same ports, those that follow one another as one."""
    found: list[PortMapping] = []
    for port in sorted(ports, key=lambda p: (p.protocol, p.host_ip, p.host_port, p.container_port)):
        last = found[-1] if found else None
        if last and _follows(last, port):
            found[-1] = PortMapping(
                protocol=last.protocol,
                host_ip=last.host_ip,
                host_port=last.host_port,
                container_port=last.container_port,
                count=last.count + port.count,
            )
        else:
            found.append(port)
    return found


def _follows(one: PortMapping, other: PortMapping) -> bool:
    return (one.protocol, one.host_ip, one.host_port + one.count, one.container_port + one.count) == (
        other.protocol,
        other.host_ip,
        other.host_port,
        other.container_port,
    )
