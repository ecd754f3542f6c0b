"""Results: what an attachment has, in the shape of each version of the specification.

Inside of us there is one shape, the latest. Older ones are made of it and read into it: before 1.1.0 interfaces have no MTU and
routes nothing but destination and gateway, before 1.0.0 each address says its family, and before 0.3.0 there is one address of
each family, without interfaces."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

import msgspec

from netrt.cni.refusal import CONFIGURATION, DECODING, VERSION_UNKNOWN, Refusal
from netrt.cni.version import SUPPORTED, at_least

NO_INTERFACE = -1
"""The place of no interface, for those whose library had no null there."""

_CHAINED, _ONE_SHAPE, _DETAILED = "0.3.0", "1.0.0", "1.1.0"


class Interface(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A link of the host (`sandbox` empty) or of a container."""

    name: str
    mac: str = ""
    mtu: int = 0
    sandbox: str = ""
    socket_path: str = ""
    pci_id: str = msgspec.field(default="", name="pciID")


class Ip(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An address with prefix length; `interface` is the place of its link among the interfaces."""

    address: str
    gateway: str = ""
    interface: int | None = None


class RouteTo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A route; without `gw` by the gateway of the first address of its family."""

    dst: str
    gw: str | None = None
    mtu: int = 0
    advmss: int = 0
    priority: int = 0
    table: int | None = None
    scope: int | None = None


class Dns(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a resolver should know."""

    nameservers: tuple[str, ...] | None = None
    domain: str | None = None
    search: tuple[str, ...] | None = None
    options: tuple[str, ...] | None = None

    def __bool__(self) -> bool:
        return bool(self.nameservers or self.domain or self.search or self.options)


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What ADD yields, and what the next plugin gets as `prevResult`."""

    interfaces: tuple[Interface, ...] = ()
    ips: tuple[Ip, ...] = ()
    routes: tuple[RouteTo, ...] = ()
    dns: Dns | None = None

    def of(self, ifname: str) -> tuple[Ip, ...]:
        """The addresses of an interface of the container. One that names no interface counts as its own."""

        def theirs(ip: Ip) -> bool:
            if ip.interface is None or ip.interface == NO_INTERFACE:
                return True
            link = self.interfaces[ip.interface]
            return link.name == ifname and bool(link.sandbox)

        return tuple(filter(theirs, self.ips))

    def followed_by(self, other: Result) -> Result:
        """Both, as a chain yields them: what the other says of names counts, if it says anything."""
        shift = len(self.interfaces)
        moved = (
            ip if ip.interface is None else msgspec.structs.replace(ip, interface=ip.interface + shift)
            for ip in other.ips
        )
        return Result(
            interfaces=self.interfaces + other.interfaces,
            ips=(*self.ips, *moved),
            routes=self.routes + other.routes,
            dns=other.dns or self.dns,
        )


class _Ip03(msgspec.Struct, kw_only=True, omit_defaults=True):
    version: str
    address: str
    gateway: str = ""
    interface: int | None = None


class _Family02(msgspec.Struct, kw_only=True, omit_defaults=True):
    ip: str
    gateway: str | None = None
    routes: tuple[RouteTo, ...] | None = None


class _Result02(msgspec.Struct, kw_only=True, omit_defaults=True):
    ip4: _Family02 | None = None
    ip6: _Family02 | None = None
    dns: Dns | None = None


class _Given(msgspec.Struct, kw_only=True):
    """A result as somebody else wrote it: null is the same as missing."""

    version: str | None = msgspec.field(default=None, name="cniVersion")
    interfaces: tuple[Interface | None, ...] | None = None
    ips: tuple[_GivenIp | None, ...] | None = None
    routes: tuple[RouteTo | None, ...] | None = None
    dns: Dns | None = None


class _GivenIp(msgspec.Struct, kw_only=True):
    address: str
    gateway: str | None = None
    interface: int | None = None


# write


def result_json(result: Result, version: str) -> dict[str, Any]:
    """In the shape of a supported version. Raises Refusal where that cannot hold it."""
    if not at_least(version, _CHAINED):
        shaped: object = _legacy(result, version)
    elif at_least(version, _DETAILED):
        shaped = result
    else:
        shaped = Result(
            interfaces=tuple(Interface(name=i.name, mac=i.mac, sandbox=i.sandbox) for i in result.interfaces),
            ips=result.ips,
            routes=tuple(RouteTo(dst=r.dst, gw=r.gw) for r in result.routes),
            dns=result.dns,
        )
    written: dict[str, Any] = {"cniVersion": version} | msgspec.to_builtins(shaped)
    if not result.dns:
        written.pop("dns", None)
    if at_least(version, _CHAINED) and not at_least(version, _ONE_SHAPE):
        written["ips"] = [{"version": "6" if ":" in ip["address"] else "4"} | ip for ip in written.get("ips", ())]
    return written


def _legacy(result: Result, version: str) -> _Result02:
    def family(wanted: int) -> _Family02 | None:
        first = next((ip for ip in result.ips if (":" in ip.address) == (wanted == 6)), None)
        if first is None:
            return None
        routes = tuple(RouteTo(dst=r.dst, gw=r.gw) for r in result.routes if (":" in r.dst) == (wanted == 6))
        return _Family02(ip=first.address, gateway=first.gateway or None, routes=routes or None)

    if not result.ips:
        raise Refusal(VERSION_UNKNOWN, f"a result of version {version} needs an address", hint="use 0.3.1 or later")
    return _Result02(ip4=family(4), ip6=family(6), dns=result.dns or None)


# read


def read_result(text: bytes, version: str, field: str = "prevResult") -> Result:
    """A result as another plugin wrote it; `version` is that of the configuration, for one that does not say its own. `field` is
    its name for messages. Raises Refusal."""
    try:
        said = msgspec.json.decode(text, type=_Given)
        version = said.version or version
        if version not in SUPPORTED:
            raise Refusal(VERSION_UNKNOWN, f"{field}.cniVersion {version[:40]!r} is not supported")
        result = _modern(said) if at_least(version, _CHAINED) else _of_legacy(msgspec.json.decode(text, type=_Result02))
    except msgspec.ValidationError as error:
        raise Refusal(DECODING, f"{field}: {said_plainly(error)}") from None
    except msgspec.DecodeError as error:
        raise Refusal(DECODING, f"{field} is not JSON: {error}") from None
    _check(result, field)
    return result


def said_plainly(error: msgspec.ValidationError) -> str:
    """`ips[0].address: expected str, got int`."""
    what, _, where = str(error).partition(" - at ")
    words = what.replace("`", "").replace(" | null", "").replace("Expected", "expected").replace("Object", "object")
    place = where.replace("`", "").removeprefix("key in ").removeprefix("$").removeprefix(".")
    return f"{place}: {words}" if place else words


def _modern(said: _Given) -> Result:
    return Result(
        interfaces=tuple(i for i in said.interfaces or () if i is not None),
        ips=tuple(Ip(address=i.address, gateway=i.gateway or "", interface=i.interface) for i in said.ips or () if i),
        routes=tuple(r for r in said.routes or () if r is not None),
        dns=said.dns,
    )


def _of_legacy(said: _Result02) -> Result:
    families = [family for family in (said.ip4, said.ip6) if family is not None]
    return Result(
        ips=tuple(Ip(address=f.ip, gateway=f.gateway or "") for f in families),
        routes=tuple(route for f in families for route in f.routes or ()),
        dns=said.dns,
    )


def _check(result: Result, field: str) -> None:
    for number, ip in enumerate(result.ips):
        check_interface(f"{field}.ips[{number}].address", ip.address)
        if ip.gateway:
            _check_address(f"{field}.ips[{number}].gateway", ip.gateway)
    check_routes(f"{field}.routes", result.routes)


def check_places(field: str, result: Result) -> None:
    """Whether each address is of an interface that is there. An IPAM plugin yields none, and what it says of them counts for
    nothing. Raises Refusal."""
    for number, ip in enumerate(result.ips):
        if ip.interface is not None and not NO_INTERFACE <= ip.interface < len(result.interfaces):
            raise Refusal(
                CONFIGURATION,
                f"{field}.ips[{number}].interface: {ip.interface} is out of range",
                hint=f"{field} has {len(result.interfaces)} interfaces",
            )


def check_interface(field: str, text: str) -> None:
    """An address with prefix length. Raises Refusal."""
    try:
        if "/" not in text:
            raise ValueError
        ipaddress.ip_interface(text)
    except ValueError:
        raise Refusal(
            CONFIGURATION, f"{field}: {text[:60]!r} is no address with prefix length", hint="as in 10.1.0.2/24"
        ) from None


def _check_address(field: str, text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise Refusal(CONFIGURATION, f"{field}: {text[:60]!r} is no address", hint="as in 10.1.0.1") from None


def check_routes(field: str, routes: Iterable[RouteTo]) -> None:
    """Raises Refusal."""
    for number, route in enumerate(routes):
        where = f"{field}[{number}]"
        check_interface(f"{where}.dst", route.dst)
        if route.gw:
            _check_address(f"{where}.gw", route.gw)
            if (":" in route.gw) != (":" in route.dst):
                raise Refusal(CONFIGURATION, f"{where}.gw: {route.gw} is of another family than {route.dst}")
        for name, value in (("mtu", route.mtu), ("advmss", route.advmss), ("priority", route.priority),
                            ("table", route.table or 0)):  # fmt: skip
            if not 0 <= value < 1 << 32:
                raise Refusal(CONFIGURATION, f"{where}.{name}: {value} is out of range")
        if not 0 <= (route.scope or 0) <= 255:
            raise Refusal(CONFIGURATION, f"{where}.scope: {route.scope} is out of range", hint="0 to 255")
