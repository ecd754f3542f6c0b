"""Networks: Docker's bodies become commands, a Network becomes Docker's JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from netrt.api.schema.body import Body, decode, needed, unsupported
from netrt.api.schema.query import Filters, matches_labels, matches_text, moment, nanoseconds
from netrt.decide.events import rfc3339
from netrt.errors import Invalid
from netrt.model.command import Connect, CreateNetwork, Disconnect, Endpoint, PruneNetworks, UpdateNetwork
from netrt.model.container import Attachment
from netrt.model.network import Mode, Network, Subnet
from netrt.model.rate import parse_bandwidth
from netrt.model.state import State

LIST_FILTERS = ("name", "id", "driver", "label", "scope", "type", "dangling", "until")
PRUNE_FILTERS = ("label", "until")
DRIVERS = tuple(mode for mode in Mode if mode is not Mode.FOREIGN)
"""What people may ask for."""
DHCP = "dhcp"
"""The IPAM driver by which a server of the LAN gives the addresses."""
IFNAME, BANDWIDTH = "com.docker.network.endpoint.ifname", "netrt.bandwidth"


class SubnetBody(Body, frozen=True, kw_only=True):
    """One of IPAM.Config."""

    subnet: str | None = None
    ip_range: str | None = None
    gateway: str | None = None
    auxiliary_addresses: dict[str, str] | None = None


class IpamBody(Body, frozen=True, kw_only=True):
    """IPAM."""

    driver: str | None = None
    options: dict[str, str] | None = None
    config: list[SubnetBody] | None = None


class NetrtBody(Body, frozen=True, kw_only=True):
    """What Docker has not: resolvers that the containers of the network ask."""

    dns: list[str] | None = None


class NetworkBody(Body, frozen=True, kw_only=True):
    """POST /networks/create."""

    name: str | None = None
    driver: str | None = None
    scope: str | None = None
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None
    internal: bool | None = None
    ingress: bool | None = None
    config_only: bool | None = None
    config_from: dict[str, str] | None = None
    ipam: IpamBody | None = None
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    netrt: NetrtBody | None = None


class UpdateBody(Body, frozen=True, kw_only=True):
    """POST /netrt/networks/{ref}/update: larger blocks, each for the subnet that it contains, and subnets as in IPAM.Config;
    labels to set and to take away; resolvers in the place of what there were."""

    grow: list[str] | None = None
    add_subnets: list[SubnetBody] | None = None
    enable_ipv6: bool | None = None
    labels: dict[str, str] | None = None
    remove_labels: list[str] | None = None
    dns: list[str] | None = None


class AddressesBody(Body, frozen=True, kw_only=True):
    """IPAMConfig of an endpoint."""

    ipv4_address: str | None = None
    ipv6_address: str | None = None
    link_local_ips: list[str] | None = None


class EndpointBody(Body, frozen=True, kw_only=True):
    """EndpointConfig, and one of NetworkingConfig.EndpointsConfig."""

    ipam_config: AddressesBody | None = None
    mac_address: str | None = None
    aliases: list[str] | None = None
    links: list[str] | None = None
    driver_opts: dict[str, str] | None = None
    gw_priority: int | None = None


class ConnectBody(Body, frozen=True, kw_only=True):
    """POST /networks/{ref}/connect."""

    container: str | None = None
    endpoint_config: EndpointBody | None = None


class DisconnectBody(Body, frozen=True, kw_only=True):
    """POST /networks/{ref}/disconnect."""

    container: str | None = None
    force: bool | None = None


# requests


def create_network(body: bytes, network_id: str) -> CreateNetwork:
    """Raises Invalid."""
    asked = decode(NetworkBody, body)
    ipam = asked.ipam or IpamBody()
    unsupported("Ingress", asked.ingress)
    unsupported("ConfigOnly", asked.config_only)
    unsupported("ConfigFrom", (asked.config_from or {}).get("Network"))
    unsupported("IPAM.Options", ipam.options)
    if asked.scope not in (None, "", "local"):
        raise Invalid(f"invalid scope {asked.scope[:40]!r}", hint="only local networks are known")
    if ipam.driver not in (None, "", "default", DHCP):
        raise Invalid(f"unknown IPAM driver {ipam.driver[:40]!r}", hint=f"known: default, {DHCP}")
    return CreateNetwork(
        id=network_id,
        name=needed("Name", asked.name),
        mode=_mode(asked.driver or Mode.BRIDGE),
        subnets=tuple(_subnet(f"IPAM.Config[{n}]", given) for n, given in enumerate(ipam.config or ())),
        ipv4=asked.enable_ipv4 is not False,
        ipv6=bool(asked.enable_ipv6),
        internal=bool(asked.internal),
        options=asked.options or {},
        labels=asked.labels or {},
        dhcp=ipam.driver == DHCP,
        dns=tuple((asked.netrt or NetrtBody()).dns or ()),
    )


def update_network(network: str, body: bytes) -> UpdateNetwork:
    """Raises Invalid."""
    asked = decode(UpdateBody, body)
    if asked == UpdateBody():
        fields = "Grow, AddSubnets, EnableIPv6, Labels, RemoveLabels and Dns"
        raise Invalid(f"fields {fields} are all missing", hint="at least one of them is expected")
    if asked.enable_ipv6 is False:
        raise Invalid("field EnableIPv6: a network keeps the families that it has", hint="true is expected")
    return UpdateNetwork(
        network=network,
        grow=tuple(asked.grow or ()),
        add=tuple(_subnet(f"AddSubnets[{n}]", given) for n, given in enumerate(asked.add_subnets or ())),
        ipv6=bool(asked.enable_ipv6),
        labels=asked.labels or {},
        unlabel=tuple(asked.remove_labels or ()),
        dns=None if asked.dns is None else tuple(asked.dns),
    )


def _mode(driver: str) -> Mode:
    if driver not in DRIVERS and driver != "none":
        raise Invalid(f"unknown network driver {driver[:40]!r}", hint="known: " + ", ".join(DRIVERS))
    return Mode.NONE if driver == "none" else Mode(driver)


def _subnet(field: str, given: SubnetBody) -> Subnet:
    return Subnet(
        cidr=needed(f"{field}.Subnet", given.subnet),
        gateway=given.gateway or None,
        ip_range=given.ip_range or None,
        auxiliary=given.auxiliary_addresses or {},
    )


def endpoint(network: str, given: EndpointBody | None) -> Endpoint:
    """How a container wishes to be on `network`. Raises Invalid."""
    given = given or EndpointBody()
    addresses = given.ipam_config or AddressesBody()
    unsupported("Links", given.links)
    unsupported("IPAMConfig.LinkLocalIPs", addresses.link_local_ips)
    options = given.driver_opts or {}
    for key in options:
        if key not in (IFNAME, BANDWIDTH):
            raise Invalid(f"unknown option {key[:80]!r} of an endpoint", hint=f"known: {IFNAME}, {BANDWIDTH}")
    return Endpoint(
        network=network,
        address4=addresses.ipv4_address or "",
        address6=addresses.ipv6_address or "",
        mac=given.mac_address or "",
        aliases=tuple(given.aliases or ()),
        ifname=options.get(IFNAME, ""),
        gw_priority=given.gw_priority or 0,
        bandwidth=(parse_bandwidth(options[BANDWIDTH]) or None) if BANDWIDTH in options else None,
    )


def connect(network: str, body: bytes) -> Connect:
    """Raises Invalid."""
    asked = decode(ConnectBody, body)
    return Connect(container=needed("Container", asked.container), endpoint=endpoint(network, asked.endpoint_config))


def disconnect(network: str, body: bytes) -> Disconnect:
    """Raises Invalid."""
    asked = decode(DisconnectBody, body)
    return Disconnect(network=network, container=needed("Container", asked.container), force=bool(asked.force))


def prune_networks(asked: Filters, now: int) -> PruneNetworks:
    """Raises Invalid."""
    labels = {key: value for key, _, value in (label.partition("=") for label in asked.get("label", ()))}
    until = [moment("until", text, now) for text in asked.get("until", ())]
    return PruneNetworks(labels=labels, until=rfc3339(min(until)) if until else "")


# answers


def list_networks(state: State, asked: Filters, now: int) -> list[dict[str, Any]]:
    """GET /networks. As in Docker, without the containers of each. Raises Invalid."""
    return [network_json(state, n, containers=False) for n in state.networks.values() if _matches(state, n, asked, now)]


def _matches(state: State, network: Network, asked: Filters, now: int) -> bool:
    tests: dict[str, Callable[[tuple[str, ...]], bool]] = {
        "name": lambda names: matches_text(names, network.name),
        "id": lambda ids: any(network.id.startswith(wanted) for wanted in ids),
        "driver": lambda drivers: network.mode in drivers,
        "label": lambda labels: matches_labels(labels, network.labels),
        "scope": lambda scopes: "local" in scopes,
        "type": lambda types: _type(network) in _known("type", types, "custom", "builtin"),
        "dangling": lambda values: _dangling(state, network) in _known("dangling", values, "true", "false"),
        "until": lambda times: all(nanoseconds(network.created) < moment("until", t, now) for t in times),
    }
    return all(tests[name](values) for name, values in asked.items())


def _type(network: Network) -> str:
    return "builtin" if network.predefined else "custom"


def _dangling(state: State, network: Network) -> str:
    return "false" if network.predefined or state.of_network.get(network.id) else "true"


def _known(name: str, values: tuple[str, ...], *allowed: str) -> tuple[str, ...]:
    for value in values:
        if value not in allowed:
            raise Invalid(f"invalid filter {name}={value[:40]!r}", hint="use " + " or ".join(allowed))
    return values


def network_json(state: State, network: Network, *, containers: bool = True) -> dict[str, Any]:
    """A network as `docker network inspect` shows it."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": "local",
        "Driver": str(network.mode),
        "EnableIPv4": network.ipv4,
        "EnableIPv6": network.ipv6,
        "IPAM": _ipam_json(network),
        "Internal": network.internal,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": _containers(state, network) if containers else {},
        "Options": network.options,
        "Labels": network.labels,
        **_ours(network),
    }


def _ipam_json(network: Network) -> dict[str, Any]:
    config = [dict(_subnet_json(subnet)) for subnet in network.subnets]
    return {"Driver": DHCP if network.dhcp else "default", "Options": {}, "Config": config}


def _ours(network: Network) -> dict[str, Any]:
    """What Docker has no field for: resolvers, and the CNI plugin whose configuration it follows."""
    said = {"Dns": network.dns, "Plugin": network.plugin}
    return {"Netrt": {key: value for key, value in said.items() if value}} if any(said.values()) else {}


def _subnet_json(subnet: Subnet) -> Iterator[tuple[str, str | Mapping[str, str]]]:
    yield "Subnet", subnet.cidr
    if subnet.ip_range:
        yield "IPRange", subnet.ip_range
    if subnet.gateway:
        yield "Gateway", subnet.gateway
    if subnet.auxiliary:
        yield "AuxiliaryAddresses", subnet.auxiliary


def _containers(state: State, network: Network) -> dict[str, Any]:
    attached = (state.attachments[key] for key in state.of_network.get(network.id, ()))
    return {
        a.container_id: {
            "Name": state.containers[a.container_id].name,
            "EndpointID": endpoint_id(a),
            "MacAddress": a.mac,
            "IPv4Address": a.address4,
            "IPv6Address": a.address6,
        }
        for a in sorted(attached, key=lambda a: a.order)
    }


def endpoint_id(attachment: Attachment) -> str:
    """Docker's name for an attachment: 64 digits, the same on every call."""
    return hashlib.sha256("\0".join((attachment.network_id, *attachment.key)).encode()).hexdigest()
