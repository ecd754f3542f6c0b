"""What the networks of one sandbox say of a name: whether there is such a name, and what it leads to. No bytes here."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import msgspec

from netrt.dns.zone import Names, Service, View, Zone

Entry = tuple[str, str]
"""A network's id, and a name in it (or an address, for its pointer): what an answer was made of."""


class Target(msgspec.Struct, frozen=True):
    """What one SRV record leads to: a port of a host, by its full name."""

    port: int
    name: str
    addresses: tuple[str, ...]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """`ours`: whether the name exists or not is said here, nobody else is asked. `domain` is the network's domain that the name
    is in, or empty. `entries` are the places that were looked at: while none of them changes, all of this holds."""

    entries: tuple[Entry, ...]
    ours: bool = False
    exists: bool = False
    domain: str = ""
    ttl: int = 0
    addresses: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()


def look_up(names: Names, view: View, name: str) -> Found:
    """All that the networks of a view know of a name, which is lower case and without the last dot."""
    zones = [names.zones[network] for network in view.networks if network in names.zones]
    address = address_of(name)
    if address:
        return _reverse(zones, address)
    places = [place for zone in zones for place in _places(zone, name)]
    hosts = [(zone, local) for zone, local in places if local in zone.hosts]
    served = [(zone, service) for zone, local in places for service in zone.services.get(local, ())]
    parents = [(zone, *_split_service(local)) for zone, local in places if local.startswith("_")]
    below = [service for zone, service, host in parents if host in zone.hosts]
    domains = [zone.domain for zone in zones if name == zone.domain or name.endswith("." + zone.domain)]
    within = max(domains, key=len, default="")
    return Found(
        entries=(
            *((zone.network, local) for zone, local in places),
            *((zone.network, host) for zone, _, host in parents if host),
            *((zone.network, service.target) for zone, service in served),
        ),
        ours=bool(hosts or served or below or within),
        exists=bool(hosts or served or name == within or "" in below),
        domain=within,
        ttl=min((zone.ttl for zone in zones), default=0),
        addresses=_once(address for zone, local in hosts for address in zone.hosts[local]),
        targets=tuple(dict.fromkeys(_target(zone, service) for zone, service in served)),
    )


def _places(zone: Zone, name: str) -> Iterator[tuple[Zone, str]]:
    """Under which names a zone may have what is asked for."""
    yield zone, name
    if name.endswith("." + zone.domain):
        yield zone, name[: -len(zone.domain) - 1]


def _split_service(local: str) -> tuple[str, str]:
    """`_http` and `web`, of `_http._tcp.web`. Nothing and `web` of `_tcp.web`, which has no data but services below it, and so
    exists (RFC 8020)."""
    for protocol in ("_tcp.", "_udp.", "_sctp."):
        if local.startswith(protocol):
            return "", local[len(protocol) :]
        service, dot, host = local.partition("." + protocol)
        if dot and "." not in service:
            return service, host
    return local, ""


def _target(zone: Zone, service: Service) -> Target:
    return Target(service.port, f"{service.target}.{zone.domain}", zone.hosts.get(service.target, ()))


def _reverse(zones: list[Zone], address: str) -> Found:
    known = [zone for zone in zones if address in zone.pointers]
    number = ipaddress.ip_address(address)
    ours = bool(known) or any(number in ipaddress.ip_network(subnet) for zone in zones for subnet in zone.subnets)
    return Found(
        entries=tuple((zone.network, address) for zone in zones),
        ours=ours,
        exists=bool(known),
        ttl=min((zone.ttl for zone in zones), default=0),
        pointers=_once(f"{zone.pointers[address]}.{zone.domain}" for zone in known),
    )


def address_of(name: str) -> str:
    """The address that a name below in-addr.arpa or ip6.arpa stands for, or empty."""
    try:
        if name.endswith(".in-addr.arpa"):
            return str(ipaddress.IPv4Address(".".join(reversed(name[:-13].split(".")))))
        if name.endswith(".ip6.arpa"):
            digits = name[:-9].split(".")
            if len(digits) == 32 and all(len(digit) == 1 and digit in "0123456789abcdef" for digit in digits):
                return str(ipaddress.IPv6Address(int("".join(reversed(digits)), 16)))
    except ValueError:
        pass
    return ""


def _once(items: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))
