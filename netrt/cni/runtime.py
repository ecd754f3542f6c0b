"""What a runtime adds to a configuration for one attachment: `runtimeConfig`, `args.cni` and CNI_ARGS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from netrt.cni.call import Call
from netrt.cni.refusal import CONFIGURATION, VARIABLES, Refusal
from netrt.cni.result import Dns
from netrt.errors import Invalid
from netrt.model.address import check_mac, parse_ip
from netrt.model.names import check_label
from netrt.model.plugged import LARGEST_BURST, Bandwidth
from netrt.model.port import PortMapping

T = TypeVar("T")

POD = {
    "K8S_POD_NAMESPACE": "io.kubernetes.pod.namespace",
    "K8S_POD_NAME": "io.kubernetes.pod.name",
    "K8S_POD_UID": "io.kubernetes.pod.uid",
    "K8S_POD_INFRA_CONTAINER_ID": "io.kubernetes.pod.sandbox",
}
"""Arguments that are kept as labels, and the labels' names (those of Kubernetes' own runtimes)."""

KNOWN = ("IP", "MAC", "GATEWAY", *POD)


class PortEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One of `portMappings`. `range`: so many ports in a row."""

    host_port: int = 0
    container_port: int = 0
    protocol: str | None = None
    host_ip: str | None = msgspec.field(default=None, name="hostIP")
    range: int = 1


class Limits(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`bandwidth`: bits per second, and bits."""

    ingress_rate: int = 0
    ingress_burst: int = 0
    egress_rate: int = 0
    egress_burst: int = 0


class RuntimeDns(msgspec.Struct, frozen=True, kw_only=True):
    """`dns`."""

    servers: tuple[str, ...] | None = None
    searches: tuple[str, ...] | None = None
    options: tuple[str, ...] | None = None


class Range(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of a subnet that addresses come from, as host-local has it."""

    subnet: str | None = None
    range_start: str | None = None
    range_end: str | None = None
    gateway: str | None = None


class RuntimeConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The capabilities that we know; others are let be."""

    port_mappings: tuple[PortEntry, ...] | None = None
    ips: tuple[str, ...] | None = None
    mac: str | None = None
    bandwidth: Limits | None = None
    dns: RuntimeDns | None = None
    aliases: tuple[str, ...] | dict[str, tuple[str, ...]] | None = None
    ip_ranges: tuple[tuple[Range, ...], ...] | None = None


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """One of `args.cni.labels`."""

    key: str
    value: str = ""


class CniArgs(msgspec.Struct, frozen=True, kw_only=True):
    """`args.cni`."""

    ips: tuple[str, ...] | None = None
    labels: tuple[Label, ...] | None = None
    mac: str | None = None


class Args(msgspec.Struct, frozen=True, kw_only=True):
    """`args`."""

    cni: CniArgs | None = None


def named(field: str, read: Callable[[], T], code: int = CONFIGURATION) -> T:
    """What `read` yields; what it refuses is refused with the name of the field."""
    try:
        return read()
    except Refusal:
        raise
    except Invalid as error:
        raise Refusal(code, f"field {field}: {error.message}", hint=error.hint) from None


def labels(call: Call, args: Args | None) -> dict[str, str]:
    """Raises Refusal."""
    found = {label: call.arguments[name] for name, label in POD.items() if call.arguments.get(name)}
    found |= {label.key: label.value for label in (args and args.cni and args.cni.labels) or ()}
    for key, value in found.items():
        named("args.cni.labels", lambda key=key, value=value: check_label(key, value))  # type: ignore[misc]
    return found


def requested_addresses(call: Call, runtime: RuntimeConfig, args: Args | None) -> tuple[str, ...]:
    """The addresses (without prefix length) that the runtime wishes. CNI_ARGS count only where nothing newer says it.

    Raises Refusal."""
    newer = [("runtimeConfig.ips", text) for text in runtime.ips or ()]
    newer += [("args.cni.ips", text) for text in (args and args.cni and args.cni.ips) or ()]
    if newer:
        return tuple(dict.fromkeys(_address(f"field {field}", text, CONFIGURATION) for field, text in newer))
    older = [text.strip() for text in call.arguments.get("IP", "").split(",") if text.strip()]
    return tuple(_address("variable CNI_ARGS: IP", text, VARIABLES) for text in older)


def _address(where: str, text: str, code: int) -> str:
    try:
        return str(parse_ip("address", text.partition("/")[0]))
    except Invalid as error:
        raise Refusal(code, f"{where}: {error.message}", hint=error.hint) from None


def requested_mac(call: Call, runtime: RuntimeConfig, args: Args | None) -> str:
    """Empty where the runtime has no wish. Raises Refusal."""
    if runtime.mac:
        return named("runtimeConfig.mac", lambda: check_mac(runtime.mac or ""))
    inside = args and args.cni and args.cni.mac
    if inside:
        return named("args.cni.mac", lambda: check_mac(inside))
    said = call.arguments.get("MAC", "")
    try:
        return check_mac(said) if said else ""
    except Invalid as error:
        raise Refusal(VARIABLES, f"variable CNI_ARGS: MAC: {error.message}", hint=error.hint) from None


def aliases(runtime: RuntimeConfig, network: str) -> tuple[str, ...]:
    """A list, as the conventions have it, or lists by network, as podman has it."""
    if isinstance(runtime.aliases, dict):
        return tuple(runtime.aliases.get(network, ()))
    return runtime.aliases or ()


def bandwidth(field: str, limits: Limits | None) -> Bandwidth | None:
    """None where there is no limit. Raises Refusal."""
    if limits is None:
        return None

    def said(burst: int) -> int:
        return 0 if burst >= LARGEST_BURST else burst

    return named(
        field,
        lambda: Bandwidth(
            ingress_rate=limits.ingress_rate,
            ingress_burst=said(limits.ingress_burst),
            egress_rate=limits.egress_rate,
            egress_burst=said(limits.egress_burst),
        ),
    )  # fmt: skip


def resolver(runtime: RuntimeConfig, *configured: Dns | None) -> Dns | None:
    """What a resolver should know: what the runtime says, else the first of what configurations say, if any says something."""
    said = runtime.dns
    if said and (said.servers or said.searches or said.options):
        return Dns(nameservers=said.servers, search=said.searches, options=said.options)
    return next((dns for dns in configured if dns), None)


# ports


def ports(entries: Iterable[PortEntry] | None, publish_address: str = "") -> tuple[PortMapping, ...]:
    """Published ports; those in a row become one range. `publish_address` is the host address of those that name none.

    Raises Refusal."""
    single: dict[tuple[str, str, int], list[tuple[int, int]]] = {}
    for number, entry in enumerate(entries or ()):
        where = f"runtimeConfig.portMappings[{number}]"
        for name, port in (("hostPort", entry.host_port), ("containerPort", entry.container_port)):
            if not 1 <= port <= 65535 or not 1 <= port + entry.range - 1 <= 65535 or entry.range < 1:
                raise Refusal(CONFIGURATION, f"field {where}.{name}: {port} is no port", hint="ports are 1 to 65535")
        ip = entry.host_ip or publish_address
        protocol = (entry.protocol or "tcp").lower()
        named(f"{where}.protocol", lambda p=protocol: PortMapping(protocol=p, container_port=1))  # type: ignore[misc]
        if ip:
            named(f"{where}.hostIP", lambda ip=ip: parse_ip("host address", ip))  # type: ignore[misc]
        row = single.setdefault((protocol, ip, entry.host_port - entry.container_port), [])
        row.append((entry.host_port, entry.host_port + entry.range))
    return tuple(
        PortMapping(protocol=protocol, host_ip=ip, host_port=first, container_port=first - shift, count=end - first)
        for (protocol, ip, shift), parts in single.items()
        for first, end in _joined(parts)
    )


def _joined(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges (first, one after the last) that meet become one. The same port twice is the same as once."""
    rows: list[tuple[int, int]] = []
    for first, end in sorted(parts):
        if rows and first <= rows[-1][1]:
            rows[-1] = (rows[-1][0], max(end, rows[-1][1]))
        else:
            rows.append((first, end))
    return rows


def generated_name(arguments: Mapping[str, str]) -> str:
    """What people call the container: the name of its pod, where the runtime says it."""
    return arguments.get("K8S_POD_NAME", "")
