"""What the OCI hook asks (`POST /netrt/oci`): the annotations of a bundle become a container on our networks.

org.netrt.networks     networks in their order, with blanks between: `app`, or `name=app,ip=10.1.0.9,alias=www`
org.netrt.ports        published ports, with blanks between: `8080:80 127.0.0.1:5353:53/udp`
org.netrt.aliases      more names on the first network, with blanks between
org.netrt.name         the container's name, if not the one that the runtime has for it"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from netrt.api.schema.body import Body, decode, needed
from netrt.errors import Invalid
from netrt.model.command import CreateContainer, Endpoint
from netrt.model.container import BY_HOOK, Sandbox
from netrt.model.names import check_hostname, check_name, is_id
from netrt.model.port import PortMapping, parse_port
from netrt.model.rate import parse_bandwidth

NETWORKS, PORTS, ALIASES, NAME = (f"org.netrt.{word}" for word in ("networks", "ports", "aliases", "name"))
KNOWN = (NETWORKS, PORTS, ALIASES, NAME)
CREATE, STOPPED = "createRuntime", "poststop"

SINGLE = ("ip", "ip6", "mac-address", "ifname", "gw-priority")
WAYS = ("ingress", "egress")


class HookBody(Body, frozen=True, kw_only=True):
    """`netns_path` is that of a namespace that was there before the container; else its process has one of its own."""

    phase: str | None = None
    container_id: str | None = None
    pid: int | None = None
    netns_path: str | None = None
    hostname: str | None = None
    annotations: dict[str, str] | None = None


def decode_hook(body: bytes) -> HookBody:
    """Raises Invalid."""
    asked = decode(HookBody, body)
    needed("ContainerId", asked.container_id)
    if asked.phase not in (CREATE, STOPPED):
        raise Invalid(f"field Phase: {str(asked.phase)[:40]!r} is not known", hint=f"{CREATE} or {STOPPED}")
    return asked


def container_id(known_as: str) -> str:
    """Our id of a runtime's container: the same, where that is one."""
    return known_as if is_id(known_as) else hashlib.sha256(f"oci:{known_as}".encode()).hexdigest()


def sandbox_path(asked: HookBody) -> str:
    """The path that leads to the container's network namespace. Raises Invalid."""
    if asked.netns_path:
        return asked.netns_path
    if not asked.pid or not 1 <= asked.pid < 1 << 22:
        raise Invalid(
            f"field Pid: {asked.pid} is no process id", hint="the state of a container that is being created has it"
        )
    return f"/proc/{asked.pid}/ns/net"


def create(asked: HookBody, sandbox: Sandbox, publish_address: str) -> CreateContainer:
    """Raises Invalid, with the name of the annotation."""
    said = asked.annotations or {}
    for name in said:
        if name not in KNOWN:
            raise Invalid(f"unknown annotation {name[:60]!r}", hint=f"known: {', '.join(KNOWN)}")
    known_as = asked.container_id or ""
    try:
        endpoints = _endpoints(said)
        ports = tuple(_published(text, publish_address) for text in _words(said, PORTS))
    except Invalid as error:
        raise Invalid(f"annotations: {error.message}", hint=error.hint) from None
    return CreateContainer(
        id=container_id(known_as),
        name=check_name("container name", said.get(NAME, known_as)),
        hostname=_hostname(asked.hostname or ""),
        network_mode=endpoints[0].network,
        endpoints=endpoints,
        ports=ports,
        labels={BY_HOOK: known_as},
        adopt=sandbox,
    )


def _hostname(text: str) -> str:
    """That of the bundle, where others can be told it."""
    try:
        return check_hostname(text) if text else ""
    except Invalid:
        return ""


def _words(said: Mapping[str, str], name: str) -> list[str]:
    return said.get(name, "").split()


def _published(text: str, publish_address: str) -> PortMapping:
    port = parse_port(text)
    return port if port.host_ip else msgspec.structs.replace(port, host_ip=publish_address)


def _endpoints(said: Mapping[str, str]) -> tuple[Endpoint, ...]:
    texts = _words(said, NETWORKS)
    if not texts:
        raise Invalid(f"{NETWORKS} names no network", hint="as in 'app' or 'name=app,ip=10.1.0.9 back'")
    more = tuple(check_name("alias", alias) for alias in _words(said, ALIASES))
    found: dict[str, Endpoint] = {}
    for text in texts:
        endpoint = _endpoint(text, () if found else more)
        if endpoint.network in found:
            raise Invalid(f"network {endpoint.network} is named twice")
        found[endpoint.network] = endpoint
    return tuple(found.values())


def _endpoint(text: str, more: tuple[str, ...]) -> Endpoint:
    fields: dict[str, str] = {"name": text} if "=" not in text.partition(",")[0] else {}
    aliases, limits = [*more], []
    for part in () if fields else text.split(","):
        key, _, value = part.partition("=")
        if key == "alias":
            aliases.append(check_name("alias", value))
        elif key in WAYS:
            limits.append(part)
        elif key in SINGLE or key == "name":
            fields[key] = value
        else:
            known = ", ".join(("name", *SINGLE, "alias", *WAYS))
            raise Invalid(f"unknown field {key[:40]!r} of {text[:60]!r}", hint=f"known: {known}")
    name = fields.pop("name", "")
    if not name or name in ("none", "host") or ":" in name:
        raise Invalid(f"{text[:60]!r} names no network", hint="as in 'app' or 'name=app,ip=10.1.0.9'")
    priority = fields.pop("gw-priority", "0")
    if not priority.lstrip("-").isdecimal():
        raise Invalid(f"gw-priority {priority[:40]!r} is not a number")
    return Endpoint(
        network=name,
        aliases=tuple(dict.fromkeys(aliases)),
        gw_priority=int(priority),
        bandwidth=(parse_bandwidth(",".join(limits)) or None) if limits else None,
        address4=fields.get("ip", ""),
        address6=fields.get("ip6", ""),
        mac=fields.get("mac-address", ""),
        ifname=fields.get("ifname", ""),
    )
