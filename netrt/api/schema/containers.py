"""Containers as Docker's JSON shows them.

Status, for users of `docker ps`: a container that has a command is `created` until it first starts, then `running` or `exited`.
One without a command is a sandbox that somebody else uses (`container create`, `--netns`, `--pid`): its network is up from the
moment it exists, so it is `running`, with Pid 0, and `ps` lists it without `-a`.

Published ports are shown where they are held: as in Docker only for one that runs. HostConfig keeps what was asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from netrt.api.schema.ages import age
from netrt.api.schema.health import SHORT, check_json
from netrt.api.schema.networks import BANDWIDTH, IFNAME, endpoint_id
from netrt.api.schema.query import SECOND, Filters, matches_labels, matches_text, nanoseconds
from netrt.compile.facing import port_ends
from netrt.compile.names import names_on
from netrt.decide.events import rfc3339
from netrt.errors import Invalid
from netrt.model.address import family, host_of, prefix_of
from netrt.model.container import Attachment, Container, ProcessSpec
from netrt.model.lease import DhcpLease
from netrt.model.network import has_names
from netrt.model.port import PortMapping
from netrt.model.rate import bandwidth_text
from netrt.model.state import State

LIST_FILTERS = ("name", "id", "label", "status", "network", "health")
ALL = {4: "0.0.0.0", 6: "::"}
STATUSES = ("created", "running", "exited")
NEVER = "0001-01-01T00:00:00Z"
NO_ENDPOINT: Mapping[str, Any] = {
    "IPAMConfig": None,
    "Aliases": None,
    "NetworkID": "",
    "EndpointID": "",
    "Gateway": "",
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "MacAddress": "",
    "DriverOpts": None,
}
"""How Docker shows being on the network `host` or `none`."""


def status(container: Container) -> str:
    """`created`, `running` or `exited`."""
    if container.process is None or container.state.running:
        return "running"
    return "exited" if container.state.started else "created"


# GET /containers/json


def list_containers(state: State, asked: Filters, *, every: bool, now: int) -> list[dict[str, Any]]:
    """What `ps` shows, newest first; `every` includes those that do not run. Raises Invalid."""
    for wanted in asked.get("status", ()):
        if wanted not in STATUSES:
            raise Invalid(f"invalid filter status={wanted[:40]!r}", hint="use one of " + ", ".join(STATUSES))
    shown = [
        _summary(state, c, now)
        for c in state.containers.values()
        if (every or "status" in asked or status(c) == "running") and _matches(state, c, asked)
    ]
    return shown[::-1]


def _matches(state: State, container: Container, asked: Filters) -> bool:
    tests: dict[str, Callable[[tuple[str, ...]], bool]] = {
        "name": lambda names: matches_text((name.removeprefix("/") for name in names), container.name),
        "id": lambda ids: any(container.id.startswith(wanted) for wanted in ids),
        "label": lambda labels: matches_labels(labels, container.labels),
        "status": lambda statuses: status(container) in statuses,
        "health": lambda wanted: (container.state.health or "none") in wanted,
        "network": lambda networks: any(_is_on(state, container, wanted) for wanted in networks),
    }
    return all(tests[name](values) for name, values in asked.items())


def _is_on(state: State, container: Container, wanted: str) -> bool:
    ids = [a.network_id for a in state.attachments_of(container.id)]
    return container.network_mode == wanted or any(
        wanted == state.networks[network_id].name or (wanted and network_id.startswith(wanted)) for network_id in ids
    )


def _summary(state: State, container: Container, now: int) -> dict[str, Any]:
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": "",
        "ImageID": "",
        "Command": " ".join(container.process.command) if container.process else "",
        "Created": nanoseconds(container.created) // SECOND,
        "Ports": [port for mapping in container.held_ports for port in _summary_ports(state, container, mapping)],
        "Labels": container.labels,
        "State": status(container),
        "Status": _status_text(container, now),
        "HostConfig": {"NetworkMode": container.network_mode},
        "NetworkSettings": {"Networks": networks_json(state, container)},
        "Mounts": [],
    }


def _status_text(container: Container, now: int) -> str:
    match status(container):
        case "created":
            return "Created"
        case "running":
            return f"Up {age(container.state.started or container.created, now)}{SHORT[container.state.health]}"
        case _:
            return f"Exited ({container.state.exit_code}) {age(container.state.finished, now)} ago"


def host_addresses(state: State, container: Container, mapping: PortMapping) -> tuple[str, ...]:
    """The host addresses of a mapping as Docker shows them: of the families by which it leads somewhere."""
    to4, to6, binding = port_ends(state, container, mapping.ifname)
    said = mapping.host_ip or binding or ALL[4]
    asked = (ALL[4], ALL[6]) if not mapping.host_ip and said == ALL[4] else (said,)
    return tuple(ip for ip in asked if (to6 if family(ip) == 6 else to4))


def _summary_ports(state: State, container: Container, mapping: PortMapping) -> Iterator[dict[str, Any]]:
    addresses = host_addresses(state, container, mapping)
    for number in range(mapping.count):
        for ip in addresses:
            yield {
                "IP": ip,
                "PrivatePort": mapping.container_port + number,
                "PublicPort": mapping.host_port + number,
                "Type": mapping.protocol,
            }


# GET /containers/{ref}/json


def container_json(state: State, container: Container, health: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A container as `docker inspect` shows it; `health` is its `State.Health`."""
    process = container.process or ProcessSpec(command=())
    return {
        "Id": container.id,
        "Created": container.created,
        "Path": "".join(process.command[:1]),
        "Args": process.command[1:],
        "State": {**_state_json(container), **({"Health": health} if health else {})},
        "Image": "",
        "Name": f"/{container.name}",
        "RestartCount": 0,
        "Driver": "",
        "Platform": "linux",
        "Mounts": [],
        "Config": {
            "Hostname": shown_hostname(container),
            "Domainname": "",
            "User": "",
            "Tty": False,
            "Env": process.env,
            "Cmd": process.command,
            "Image": "",
            "WorkingDir": process.cwd,
            "Entrypoint": None,
            "Labels": container.labels,
            **({"Healthcheck": check_json(process.health)} if process.health else {}),
        },
        "HostConfig": {
            "NetworkMode": container.network_mode,
            "PortBindings": _ports(container.ports, lambda mapping: (mapping.host_ip,)),
            "AutoRemove": process.auto_remove,
            "CapAdd": process.cap_add,
            "CapDrop": process.cap_drop,
            "ReadonlyRootfs": process.read_only,
            "Dns": container.names.dns,
            "DnsSearch": container.names.dns_search,
            "DnsOptions": container.names.dns_options,
            "ExtraHosts": container.names.extra_hosts,
            "LogConfig": {"Type": "json-file", "Config": {}},
        },
        "NetworkSettings": {
            "SandboxID": container.shares or container.id,
            "SandboxKey": container.sandbox.path,
            "Ports": _ports(container.held_ports, partial(host_addresses, state, container)),
            "Networks": networks_json(state, container),
        },
        **({"Netrt": {"Runtime": container.plugged}} if container.plugged else {}),
    }


def shown_hostname(container: Container) -> str:
    """What a process in it sees as its host's name: the host's own where it has none of its own (`--network host`)."""
    return container.hostname or os.uname().nodename


def _state_json(container: Container) -> dict[str, Any]:
    now = status(container)
    return {
        "Status": now,
        "Running": now == "running",
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "Pid": container.state.pid,
        "ExitCode": container.state.exit_code,
        "Error": container.state.error,
        "StartedAt": container.state.started or (container.created if container.process is None else NEVER),
        "FinishedAt": container.state.finished or NEVER,
    }


def _ports(
    mappings: Iterable[PortMapping], addresses: Callable[[PortMapping], tuple[str, ...]]
) -> dict[str, list[dict[str, str]]]:
    """Docker's port map: `{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, ...]}`."""
    ports: dict[str, list[dict[str, str]]] = {}
    for mapping in mappings:
        ips = addresses(mapping)
        for number in range(mapping.count):
            bindings = ports.setdefault(f"{mapping.container_port + number}/{mapping.protocol}", [])
            host_port = str(mapping.host_port + number)
            bindings.extend({"HostIp": ip, "HostPort": host_port} for ip in ips)
    return ports


def networks_json(state: State, container: Container) -> dict[str, Any]:
    """`NetworkSettings.Networks`: the attachments of a container by the names of their networks, in the order of attaching."""
    attached = {state.networks[a.network_id].name: _attachment(state, a) for a in state.attachments_of(container.id)}
    if container.network_mode in ("host", "none") and not attached:
        network_id = state.network_names.get(container.network_mode, "")
        return {container.network_mode: {**NO_ENDPOINT, "NetworkID": network_id}}
    return attached


def _attachment(state: State, attachment: Attachment) -> dict[str, Any]:
    address4, address6 = attachment.address4, attachment.address6
    network = state.networks[attachment.network_id]
    names = names_on(state.containers[attachment.container_id], attachment) if has_names(network) else ()
    return {
        "IPAMConfig": _asked_addresses(attachment),
        "Aliases": attachment.aliases or None,
        "DNSNames": list(names) or None,
        "NetworkID": network.id,
        "EndpointID": endpoint_id(attachment),
        "Gateway": (network.subnet_of(address4).gateway or "") if address4 else "",
        "IPAddress": host_of(address4),
        "IPPrefixLen": prefix_of(address4) if address4 else 0,
        "IPv6Gateway": (network.subnet_of(address6).gateway or "") if address6 else "",
        "GlobalIPv6Address": host_of(address6),
        "GlobalIPv6PrefixLen": prefix_of(address6) if address6 else 0,
        "MacAddress": attachment.mac,
        "DriverOpts": {IFNAME: attachment.ifname, **_limits(attachment)},
        "GwPriority": attachment.gw_priority,
        **({"DHCP": _lease_json(attachment.dhcp)} if attachment.dhcp else {}),
    }


def _lease_json(lease: DhcpLease) -> dict[str, Any]:
    """What a DHCP server gave: ours, for Docker has no such thing. Times are empty where it never ends."""
    return {
        "ServerID": lease.server,
        "DNS": lease.dns,
        "Routes": [{"Dst": way.dst, "Gateway": way.via} for way in lease.routes],
        "MTU": lease.mtu,
        "RenewAt": rfc3339(lease.renew) if lease.expires else "",
        "RebindAt": rfc3339(lease.rebind) if lease.expires else "",
        "ExpiresAt": rfc3339(lease.expires) if lease.expires else "",
    }


def _limits(attachment: Attachment) -> dict[str, str]:
    return {BANDWIDTH: bandwidth_text(attachment.bandwidth)} if attachment.bandwidth else {}


def _asked_addresses(attachment: Attachment) -> dict[str, str] | None:
    names = {4: "IPv4Address", 6: "IPv6Address"}
    return {names[v]: host_of(attachment.address(v)) for v in attachment.fixed} or None
