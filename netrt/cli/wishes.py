"""From the words of a command line to the arguments of the client's verbs. What can be known to be wrong is refused here, before
anything is sent; all of these raise Invalid.

Each run pays for what is imported: what only some options need is imported where one of them is looked at."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from netrt.api.client import Endpoint
from netrt.errors import Invalid

IFNAME_OPTION = "com.docker.network.endpoint.ifname"
DEFAULT_NETWORK = "bridge"


def pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """`KEY=VALUE` texts as a dictionary; a KEY alone has an empty value. `option` is for the message."""
    found = {}
    for text in texts:
        key, _, value = text.partition("=")
        if not key:
            raise Invalid(f"{option} {text[:80]!r} is not KEY=VALUE")
        found[key] = value
    return found


def labels_of(texts: Iterable[str]) -> dict[str, str]:
    labels = pairs("--label", texts)
    if labels:
        from netrt.model.names import check_label

        for key, value in labels.items():
            check_label(key, value)
    return labels


# attachments


def endpoint_wishes(
    *,
    address4: str = "",
    address6: str = "",
    mac: str = "",
    aliases: Sequence[str] = (),
    driver_options: Sequence[str] = (),
    ifname: str = "",
    gw_priority: int | str = 0,
    bandwidth: str = "",
) -> Endpoint:
    """How to be on a network; only what was asked for is in it."""
    wishes: Endpoint = {}
    if address4:
        wishes["ip"] = _address("--ip", address4, 4)
    if address6:
        wishes["ip6"] = _address("--ip6", address6, 6)
    if mac:
        from netrt.model.address import check_mac

        wishes["mac"] = check_mac(mac)
    if aliases:
        from netrt.model.names import check_name

        wishes["aliases"] = [check_name("alias", alias) for alias in aliases]
    for key, value in pairs("--driver-opt", driver_options).items():
        if key != IFNAME_OPTION:
            raise Invalid(f"unknown option {key[:80]!r} of an attachment", hint=f"known: {IFNAME_OPTION}")
        wishes["ifname"] = value
    if ifname:
        from netrt.model.names import check_ifname

        wishes["ifname"] = check_ifname(ifname)
    if gw_priority:
        wishes["gw_priority"] = _number("gw-priority", gw_priority)
    if bandwidth:
        wishes["bandwidth"] = bandwidth
    return wishes


def _number(option: str, text: int | str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Invalid(f"{option} {str(text)[:40]!r} is not a number") from None


def _address(option: str, text: str, version: int) -> str:
    from netrt.model.address import parse_ip

    address = parse_ip("address", text)
    if address.version != version:
        raise Invalid(f"{option} {text} is not an IPv{version} address")
    return str(address)


def split_network(text: str) -> tuple[str, dict[str, Any]]:
    """One `--network` argument: a name, or Docker's long form `name=web,ip=10.1.0.5,alias=db,mac-address=…,driver-opt=K=V`.
    Returns the name and the wishes as arguments of `endpoint_wishes`."""
    if "=" not in text.partition(",")[0]:
        return text, {}
    name = ""
    wishes: dict[str, Any] = {}
    single = {
        "ip": "address4",
        "ip6": "address6",
        "mac-address": "mac",
        "ifname": "ifname",
        "gw-priority": "gw_priority",
    }
    repeated = {"alias": "aliases", "driver-opt": "driver_options"}
    for part in text.split(","):
        key, _, value = part.partition("=")
        if key == "name":
            name = value
        elif key in single:
            wishes[single[key]] = value
        elif key in repeated:
            wishes[repeated[key]] = (*wishes.get(repeated[key], ()), value)
        else:
            known = ", ".join(["name", *single, *repeated])
            raise Invalid(f"unknown field {key[:40]!r} of --network", hint=f"known: {known}")
    if not name:
        raise Invalid(f"--network {text[:80]!r} has no name=")
    return name, wishes


def alone(mode: str) -> bool:
    """Whether a container of this network mode has no interfaces of its own, and so no other networks."""
    return mode in ("none", "host") or mode.startswith("container:")


def attachments(networks: Sequence[str], wishes: dict[str, Any]) -> dict[str, Endpoint]:
    """The networks in their order and how to be on them; `wishes` (of `--ip`, `--alias` and so on) are for the first one."""
    asked = {key: value for key, value in wishes.items() if value}
    named = [split_network(text) for text in networks]
    if asked:
        first, own = named[0] if named else (DEFAULT_NETWORK, {})
        if set(asked) & set(own):
            raise Invalid(f"--network {networks[0]} and an option of its own both say what it shall be")
        named[:1] = [(first, {**own, **asked})]
    found: dict[str, Endpoint] = {}
    for name, settings in named:
        if name in found:
            raise Invalid(f"network {name} is given twice")
        if alone(name) and len(named) > 1:
            raise Invalid(f"--network {name} cannot be combined with other networks")
        if alone(name) and settings:
            raise Invalid(f"--network {name} has no addresses, aliases or MAC of its own")
        found[name] = endpoint_wishes(**settings)
    return found


# containers


def container_wishes(
    *,
    name: str,
    command: Sequence[str],
    hostname: str,
    networks: Sequence[str],
    address4: str,
    address6: str,
    mac: str,
    aliases: Sequence[str],
    ifname: str,
    gw_priority: int,
    bandwidth: str,
    ports: Sequence[str],
    labels: Sequence[str],
    env: Sequence[str],
    workdir: str,
    cap_add: Sequence[str],
    cap_drop: Sequence[str],
    auto_remove: bool,
    dns: Sequence[str],
    dns_search: Sequence[str],
    dns_options: Sequence[str],
    extra_hosts: Sequence[str],
    netns: str = "",
    **more: Any,
) -> dict[str, Any]:
    """The arguments of `Client.create_container`, from those of `options.container_options`; `more` are those that it has too."""
    health = _health({name: more.pop(name) for name in [*more] if "health" in name}, runs=bool(command))
    wishes: dict[str, Any] = {"address4": address4, "address6": address6, "mac": mac, "aliases": tuple(aliases)}
    wishes |= {"ifname": ifname, "gw_priority": gw_priority, "bandwidth": bandwidth}
    attached = attachments(networks, wishes)
    _check_ports(ports, next(iter(attached), DEFAULT_NETWORK))
    _check_names(name, hostname)
    if cap_add or cap_drop:
        from netrt.launch.capabilities import capability_names

        capability_names(cap_add, cap_drop)
    if auto_remove and not command:
        raise Invalid("--rm needs a command, whose end it waits for")
    if netns and more.get("pid"):
        raise Invalid("--netns and --pid are two ways to name one namespace", hint="give one of them")
    return {
        "name": name,
        "command": list(command),
        "hostname": hostname,
        "networks": attached,
        "ports": list(ports),
        "labels": labels_of(labels),
        "env": _environment(env),
        "cwd": workdir,
        "cap_add": cap_add,
        "cap_drop": cap_drop,
        "auto_remove": auto_remove,
        **_resolving(dns, dns_search, dns_options, extra_hosts),
        "health": health,
        "netns": os.path.abspath(netns) if netns else "",
        **more,
    }


def _check_ports(ports: Sequence[str], mode: str) -> None:
    if ports and alone(mode):
        raise Invalid(f"ports cannot be published with --network {mode}", hint="use a bridge network")
    if ports:
        from netrt.model.port import parse_port

        for spec in ports:
            parse_port(spec)


def _check_names(name: str, hostname: str) -> None:
    if name or hostname:
        from netrt.model.names import check_hostname, check_name

        if name:
            check_name("container name", name)
        if hostname:
            check_hostname(hostname)


def _health(said: dict[str, Any], *, runs: bool) -> dict[str, Any]:
    if not any(value not in (None, "", False) for value in said.values()):
        return {}
    from netrt.cli.health import health_wish

    return health_wish(said, runs=runs)


def _resolving(
    dns: Sequence[str], search: Sequence[str], options: Sequence[str], extra_hosts: Sequence[str]
) -> dict[str, Any]:
    """What a container's resolv.conf and hosts are to say."""
    if dns or search or options or extra_hosts:
        from netrt.launch.extrahosts import parse_extra_host
        from netrt.launch.resolver import check_option, check_search
        from netrt.model.address import parse_ip

        for text in extra_hosts:
            parse_extra_host(text)
        dns = [str(parse_ip("DNS server", address)) for address in dns]
        search = [check_search(domain) for domain in search]
        options = [check_option(option) for option in options]
    return {
        "dns": list(dns),
        "dns_search": list(search),
        "dns_options": list(options),
        "extra_hosts": list(extra_hosts),
    }


def _environment(texts: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` texts; for a KEY alone our own value of it, nothing if we have none."""
    given = [
        text if "=" in text else f"{text}={os.environ[text]}" for text in texts if "=" in text or text in os.environ
    ]
    return pairs("--env", given)
