"""From the words of a command line to the bodies of Docker's API. What can be known to be wrong is refused here, before
anything is sent; all of these raise Invalid."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from netrt.cli.options import pairs_of
from netrt.errors import Invalid
from netrt.launch.capabilities import capability_names
from netrt.model.address import check_mac, parse_ip, parse_network
from netrt.model.names import check_hostname, check_label, check_name
from netrt.model.network import DEFAULT_NETWORK, Mode, Subnet, bridge_options
from netrt.model.port import parse_port


def labels_of(texts: Sequence[str]) -> dict[str, str]:
    """`--label` texts, checked."""
    labels = pairs_of("--label", texts)
    for key, value in labels.items():
        check_label(key, value)
    return labels


# networks


def network_body(
    *,
    name: str,
    driver: str,
    subnets: Sequence[str],
    gateways: Sequence[str],
    ranges: Sequence[str],
    auxiliary: Sequence[str],
    ipv4: bool,
    ipv6: bool,
    internal: bool,
    labels: Sequence[str],
    driver_options: Sequence[str],
) -> dict[str, Any]:
    """The body of POST /networks/create."""
    opts = pairs_of("--opt", driver_options)
    if driver == Mode.BRIDGE:
        bridge_options(opts)
    return {
        "Name": check_name("network name", name),
        "Driver": driver,
        "EnableIPv4": ipv4,
        "EnableIPv6": ipv6,
        "Internal": internal,
        "Options": opts,
        "Labels": labels_of(labels),
        "IPAM": {"Driver": "default", "Config": address_blocks(subnets, gateways, ranges, auxiliary)},
    }


def address_blocks(
    subnets: Sequence[str], gateways: Sequence[str], ranges: Sequence[str], auxiliary: Sequence[str]
) -> list[dict[str, Any]]:
    """The entries of IPAM.Config: each gateway, range and auxiliary address goes to the subnet that contains it."""
    blocks: dict[str, dict[str, Any]] = {}
    for text in subnets:
        cidr = str(parse_network("subnet", text))
        if cidr in blocks:
            raise Invalid(f"subnet {cidr} is given twice")
        blocks[cidr] = {"Subnet": cidr}
    for option, key, texts in (("gateway", "Gateway", gateways), ("ip-range", "IPRange", ranges)):
        for text in texts:
            block = _block_of(option, text, blocks)
            if key in block:
                raise Invalid(f"subnet {block['Subnet']} has two of --{option}: {block[key]} and {text}")
            block[key] = text
    for name, address in pairs_of("--aux-address", auxiliary).items():
        if not address:
            raise Invalid(f"--aux-address {name[:80]!r} is not NAME=ADDRESS")
        _block_of("aux-address", address, blocks).setdefault("AuxiliaryAddresses", {})[name] = address
    for block in blocks.values():
        Subnet(
            cidr=block["Subnet"],
            gateway=block.get("Gateway"),
            ip_range=block.get("IPRange"),
            auxiliary=block.get("AuxiliaryAddresses", {}),
        )
    return list(blocks.values())


def _block_of(option: str, text: str, blocks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The block of the subnet that contains an address or a range."""
    first = parse_network(option, text)[0] if option == "ip-range" else parse_ip(option, text)
    if not blocks:
        raise Invalid(f"--{option} {text} needs a --subnet that contains it")
    for cidr, block in blocks.items():
        if first in parse_network("subnet", cidr):
            return block
    raise Invalid(f"{option} {text} is outside of subnet {', '.join(blocks)}")


# attachments


def endpoint_settings(
    *,
    address4: str = "",
    address6: str = "",
    mac: str = "",
    aliases: Sequence[str] = (),
    driver_options: Sequence[str] = (),
) -> dict[str, Any]:
    """Docker's EndpointSettings of one attachment; only what was asked for is in it."""
    addresses = {}
    for option, key, version, text in (("--ip", "IPv4Address", 4, address4), ("--ip6", "IPv6Address", 6, address6)):
        if text:
            address = parse_ip("address", text)
            if address.version != version:
                raise Invalid(f"{option} {text} is not an IPv{version} address")
            addresses[key] = str(address)
    settings: dict[str, Any] = {"IPAMConfig": addresses} if addresses else {}
    if mac:
        settings["MacAddress"] = check_mac(mac)
    if aliases:
        settings["Aliases"] = [check_name("alias", alias) for alias in aliases]
    if driver_options:
        settings["DriverOpts"] = pairs_of("--driver-opt", driver_options)
    return settings


def parse_network_option(text: str) -> tuple[str, dict[str, Any]]:
    """One `--network` argument: a name, or Docker's long form `name=web,ip=10.1.0.5,alias=db,mac-address=…,driver-opt=K=V`.
    Returns the name and the wishes as arguments of `endpoint_settings`."""
    if "=" not in text.partition(",")[0]:
        return text, {}
    name = ""
    wishes: dict[str, Any] = {}
    plain = {"ip": "address4", "ip6": "address6", "mac-address": "mac"}
    repeated = {"alias": "aliases", "driver-opt": "driver_options"}
    for part in text.split(","):
        key, _, value = part.partition("=")
        if key == "name":
            name = value
        elif key in plain:
            wishes[plain[key]] = value
        elif key in repeated:
            wishes[repeated[key]] = (*wishes.get(repeated[key], ()), value)
        else:
            known = ", ".join(["name", *plain, *repeated])
            raise Invalid(f"unknown field {key[:40]!r} of --network", hint=f"known: {known}")
    if not name:
        raise Invalid(f"--network {text[:80]!r} has no name=")
    return name, wishes


def networking(networks: Sequence[str], wishes: dict[str, Any]) -> tuple[str, dict[str, dict[str, Any]]]:
    """Docker's HostConfig.NetworkMode and NetworkingConfig.EndpointsConfig, in the order of `networks`.

    `wishes` (of `--ip`, `--alias` and so on) are for the first network.
    """
    asked = {key: value for key, value in wishes.items() if value}
    if not networks and not asked:
        return "default", {}
    named = [parse_network_option(text) for text in networks] or [(DEFAULT_NETWORK, {})]
    mode, first = named[0]
    if mode in ("none", "host") or mode.startswith("container:"):
        if len(named) > 1:
            raise Invalid(f"--network {mode} cannot be combined with other networks")
        if asked or first:
            raise Invalid(f"--network {mode} has no addresses, aliases or MAC of its own")
        return mode, {}
    if set(asked) & set(first):
        raise Invalid(f"--network {networks[0]} and an option of its own both say what it shall be")
    named[0] = mode, {**first, **asked}
    endpoints: dict[str, dict[str, Any]] = {}
    for name, settings in named:
        if name in endpoints:
            raise Invalid(f"network {name} is given twice")
        if name in ("none", "host") or name.startswith("container:"):
            raise Invalid(f"--network {name} cannot be combined with other networks")
        endpoints[name] = endpoint_settings(**settings)
    return mode, endpoints


# containers


def name_query(name: str) -> dict[str, str]:
    """The query of POST /containers/create."""
    return {"name": check_name("container name", name)} if name else {}


def container_body(
    *,
    command: Sequence[str],
    hostname: str,
    networks: Sequence[str],
    address4: str,
    address6: str,
    mac: str,
    aliases: Sequence[str],
    ports: Sequence[str],
    labels: Sequence[str],
    env: Sequence[str],
    workdir: str,
    cap_add: Sequence[str],
    cap_drop: Sequence[str],
    read_only: bool,
    auto_remove: bool,
    dns: Sequence[str],
    extra_hosts: Sequence[str],
    netns: str = "",
    pid: int = 0,
) -> dict[str, Any]:
    """The body of POST /containers/create."""
    wishes = {"address4": address4, "address6": address6, "mac": mac, "aliases": tuple(aliases)}
    mode, endpoints = networking(networks, wishes)
    if ports and (mode in ("none", "host") or mode.startswith("container:")):
        raise Invalid(f"ports cannot be published with --network {mode}", hint="use a bridge network")
    for spec in ports:
        parse_port(spec)
    capability_names(cap_add, cap_drop)
    if hostname:
        check_hostname(hostname)
    if auto_remove and not command:
        raise Invalid("--rm needs a command, whose end it waits for")
    if netns and pid:
        raise Invalid("--netns and --pid are two ways to name one namespace", hint="give one of them")
    return {
        "Hostname": hostname,
        "Cmd": list(command),
        "Env": [_environment(text) for text in env],
        "Labels": labels_of(labels),
        "WorkingDir": workdir,
        "HostConfig": {
            "NetworkMode": mode,
            "AutoRemove": auto_remove,
            "CapAdd": _bare(cap_add),
            "CapDrop": _bare(cap_drop),
            "ReadonlyRootfs": read_only,
            "Dns": [str(parse_ip("DNS server", address)) for address in dns],
            "ExtraHosts": [_extra_host(text) for text in extra_hosts],
        },
        "NetworkingConfig": {"EndpointsConfig": endpoints},
        "Netrt": {"Ports": list(ports), "NetnsPath": os.path.abspath(netns) if netns else "", "Pid": pid},
    }


def _environment(text: str) -> str:
    """`KEY=VALUE`; for a KEY alone, our own value of it."""
    key, equals, _ = text.partition("=")
    if not key:
        raise Invalid(f"--env {text[:40]!r} is not KEY=VALUE")
    return text if equals else f"{key}={os.environ.get(key, '')}"


def _bare(capabilities: Sequence[str]) -> list[str]:
    return [name.upper().removeprefix("CAP_") for name in capabilities]


def _extra_host(text: str) -> str:
    """`NAME:ADDRESS`, as Docker's --add-host."""
    name, separator, address = text.partition(":")
    if not separator:
        raise Invalid(f"--add-host {text[:60]!r} is not NAME:ADDRESS")
    if address != "host-gateway":
        parse_ip("address", address.strip("[]"))
    return f"{check_hostname(name)}:{address}"
