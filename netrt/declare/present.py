"""What is there, read from Docker's JSON as the daemon shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from netrt.dataplane.objects import PIN_DIRECTORY, PIN_PREFIX
from netrt.declare.wish import ContainerWish, EndpointWish, NetworkWish, Present
from netrt.model.container import BY_HOOK, Lookup
from netrt.model.names import short_id
from netrt.model.network import PREDEFINED, Subnet
from netrt.model.port import PortMapping

IFNAME, BANDWIDTH = "com.docker.network.endpoint.ifname", "netrt.bandwidth"
RUNTIME = "is a container runtime's"
PREDEFINED_WORDS = "came with netrt"

Json = Mapping[str, Any]


def present(networks: Iterable[Json], containers: Iterable[Json]) -> Present:
    """From `GET /networks` and the inspection of each container."""
    shown = list(containers)
    names = {each["Id"]: each["Name"].removeprefix("/") for each in shown}
    return Present(
        networks={each["Name"]: network(each) for each in networks},
        containers={names[each["Id"]]: _container(each, names) for each in shown},
        taken=tuple((names[each["Id"]], port) for each in shown for port in _held(each)),
    )


def network(shown: Json) -> NetworkWish:
    held = (
        PREDEFINED_WORDS if shown["Name"] in PREDEFINED else RUNTIME if (shown.get("Netrt") or {}).get("Plugin") else ""
    )
    return NetworkWish(
        name=shown["Name"],
        driver=shown["Driver"],
        ipam_driver=shown["IPAM"]["Driver"],
        subnets=tuple(_subnet(each) for each in shown["IPAM"]["Config"])
        if shown["IPAM"]["Driver"] == "default"
        else (),
        ipv4=shown["EnableIPv4"],
        ipv6=shown["EnableIPv6"],
        internal=shown["Internal"],
        options=dict(shown["Options"]),
        labels=dict(shown["Labels"]),
        dns=tuple((shown.get("Netrt") or {}).get("Dns", ())),
        held=held,
    )


def _subnet(shown: Json) -> Subnet:
    return Subnet(
        cidr=shown["Subnet"],
        gateway=shown.get("Gateway"),
        ip_range=shown.get("IPRange"),
        auxiliary=dict(shown.get("AuxiliaryAddresses") or {}),
        learned=True,  # it is there: nothing of it is ours to refuse
    )


def _container(shown: Json, names: Mapping[str, str]) -> ContainerWish:
    config, host, settings = shown["Config"], shown["HostConfig"], shown["NetworkSettings"]
    mode = str(host["NetworkMode"])
    owner = mode.removeprefix("container:") if mode.startswith("container:") else ""
    on = {name: _endpoint(each) for name, each in settings["Networks"].items() if each["EndpointID"]}
    if owner:
        mode = f"container:{names.get(owner, owner)}"
    elif mode != "host" and (mode != "none" or on):
        mode = ""
    path = "" if mode == "host" or owner else settings["SandboxKey"]
    labels = dict(config["Labels"])
    held = RUNTIME if shown.get("Netrt") or BY_HOOK in labels else ""
    return ContainerWish(
        name=shown["Name"].removeprefix("/"),
        mode=mode,
        networks={} if mode else on,
        ports=tuple(_bindings(host["PortBindings"])),
        hostname="" if owner or mode == "host" or config["Hostname"] == short_id(shown["Id"]) else config["Hostname"],
        labels=labels,
        lookup=Lookup(
            dns=tuple(host["Dns"]),
            dns_search=tuple(host["DnsSearch"]),
            dns_options=tuple(host["DnsOptions"]),
            extra_hosts=tuple(host["ExtraHosts"]),
        ),
        netns="" if path.startswith(f"{PIN_DIRECTORY}/{PIN_PREFIX}") else path,
        runs=bool(config["Cmd"]),
        held=held,
    )


def _endpoint(shown: Json) -> EndpointWish:
    options = shown["DriverOpts"] or {}
    leased = "DHCP" in shown  # then it has the address for some time, and nobody chose it but by asking for it
    return EndpointWish(
        ip=(shown["IPAMConfig"] or {}).get("IPv4Address", "") if leased else shown["IPAddress"],
        ip6=shown["GlobalIPv6Address"],
        mac=shown["MacAddress"],
        aliases=tuple(shown["Aliases"] or ()),
        ifname=options.get(IFNAME, ""),
        gw_priority=shown["GwPriority"],
        bandwidth=options.get(BANDWIDTH, ""),
    )


def _bindings(shown: Mapping[str, Iterable[Json]]) -> Iterator[PortMapping]:
    for inside, bindings in shown.items():
        port, _, protocol = inside.partition("/")
        for each in bindings:
            yield PortMapping(
                protocol=protocol,
                container_port=int(port),
                host_port=int(each["HostPort"]),
                host_ip=each["HostIp"],
            )


def _held(shown: Json) -> Iterator[PortMapping]:
    """The ports that it has now: none where its process does not run."""
    if shown["NetworkSettings"]["Ports"]:
        yield from _bindings(shown["HostConfig"]["PortBindings"])
