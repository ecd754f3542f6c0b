"""POST /containers/create: Docker's body and our key `Netrt` become a CreateContainer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from netrt.api.schema.body import Body, decode, unsupported
from netrt.api.schema.networks import EndpointBody, endpoint
from netrt.errors import Invalid
from netrt.launch.capabilities import capability_names
from netrt.launch.extrahosts import parse_extra_host
from netrt.launch.resolver import check_option, check_search
from netrt.model.address import parse_ip
from netrt.model.command import CreateContainer, Endpoint
from netrt.model.container import NO_LOOKUP, Lookup, ProcessSpec, Sandbox
from netrt.model.health import HealthCheck
from netrt.model.port import PortMapping, parse_port

_CAPABILITY = re.compile(r"[A-Z_]{1,40}\Z")
DEFAULT_MODES = ("", "default", "bridge")


class BindingBody(Body, frozen=True, kw_only=True):
    """One of HostConfig.PortBindings["80/tcp"]."""

    host_ip: str | None = msgspec.field(default=None, name="HostIp")
    host_port: str | None = None


class RestartBody(Body, frozen=True, kw_only=True):
    """HostConfig.RestartPolicy."""

    name: str | None = None


class HostBody(Body, frozen=True, kw_only=True):
    """HostConfig."""

    network_mode: str | None = None
    port_bindings: dict[str, list[BindingBody] | None] | None = None
    auto_remove: bool | None = None
    cap_add: list[str] | None = None
    cap_drop: list[str] | None = None
    readonly_rootfs: bool | None = None
    dns: list[str] | None = None
    dns_search: list[str] | None = None
    dns_options: list[str] | None = None
    extra_hosts: list[str] | None = None
    publish_all_ports: bool | None = None
    sysctls: dict[str, Any] | None = None
    links: list[Any] | None = None
    restart_policy: RestartBody | None = None
    privileged: bool | None = None
    binds: list[Any] | None = None
    mounts: list[Any] | None = None
    memory: int | None = None


class HealthBody(Body, frozen=True, kw_only=True):
    """Healthcheck. Its `Test` may also be `["PORT", "80"]`. Times are in nanoseconds; 0 or none is the default."""

    test: list[str] | None = None
    interval: int | None = None
    timeout: int | None = None
    retries: int | None = None
    start_period: int | None = None
    start_interval: int | None = None


class NetworkingBody(Body, frozen=True, kw_only=True):
    """NetworkingConfig."""

    endpoints_config: dict[str, EndpointBody | None] | None = None


class NetrtBody(Body, frozen=True, kw_only=True):
    """What Docker has no field for: ports as `-p` has them, and a namespace to adopt, by its path or by a process in it."""

    ports: list[str] | None = None
    netns_path: str | None = None
    pid: int | None = None


class ContainerBody(Body, frozen=True, kw_only=True):
    """POST /containers/create."""

    hostname: str | None = None
    user: str | None = None
    mac_address: str | None = None
    network_disabled: bool | None = None
    entrypoint: str | list[str] | None = None
    cmd: str | list[str] | None = None
    env: list[str] | None = None
    labels: dict[str, str] | None = None
    working_dir: str | None = None
    healthcheck: HealthBody | None = None
    host_config: HostBody | None = None
    networking_config: NetworkingBody | None = None
    netrt: NetrtBody | None = None


def adopted_path(body: ContainerBody) -> str:
    """The path of the namespace that shall be adopted, or empty. Raises Invalid."""
    asked = body.netrt or NetrtBody()
    if not asked.pid:
        return asked.netns_path or ""
    if asked.netns_path:
        raise Invalid("fields Netrt.NetnsPath and Netrt.Pid exclude each other", hint="give one of them")
    if not 1 <= asked.pid < 1 << 22:
        raise Invalid(f"field Netrt.Pid: {asked.pid} is no process id")
    return f"/proc/{asked.pid}/ns/net"


def create_container(
    body: ContainerBody, *, identifier: str, name: str, generated_name: str, adopt: Sandbox | None, publish_address: str
) -> CreateContainer:
    """`publish_address` is the host address of ports that name none (empty: all addresses). Raises Invalid."""
    host = body.host_config or HostBody()
    networking = body.networking_config or NetworkingBody()
    _refuse_what_is_not_done(body, host)
    asked = networking.endpoints_config or {}
    mode = _without_network(host.network_mode or "", asked) if body.network_disabled else host.network_mode or ""
    mode, endpoints = _networks(mode, asked)
    if body.mac_address:
        endpoints = _with_mac(mode, endpoints, body.mac_address)
    lookup = _lookup(host)
    process = _process(body, host, lookup)
    ports = (*_bindings(host.port_bindings or {}), *map(parse_port, (body.netrt and body.netrt.ports) or ()))
    return CreateContainer(
        id=identifier,
        name=name.removeprefix("/"),
        generated_name=generated_name,
        hostname=body.hostname or "",
        network_mode=mode,
        endpoints=endpoints,
        ports=tuple(p if p.host_ip else msgspec.structs.replace(p, host_ip=publish_address) for p in ports),
        labels=body.labels or {},
        process=process,
        adopt=adopt,
        lookup=NO_LOOKUP if process else lookup,
    )


def _networks(mode: str, asked: Mapping[str, EndpointBody | None]) -> tuple[str, tuple[Endpoint, ...]]:
    """The network mode and the endpoints in the order of attaching: the one that the mode names is the first."""
    names = list(asked)
    if mode in DEFAULT_MODES and names:
        mode = names[0]
    elif mode in DEFAULT_MODES:
        return "default", ()
    if mode not in ("none", "host") and not mode.startswith("container:"):
        names = [mode, *(name for name in names if name != mode)]
    return mode, tuple(endpoint(name, asked.get(name)) for name in names)


def _without_network(mode: str, asked: Iterable[str]) -> str:
    named = [name for name in (mode, *asked) if name not in (*DEFAULT_MODES, "none")]
    if named:
        raise Invalid(
            f"field NetworkDisabled: true, and network {named[0][:60]}, exclude each other", hint="leave one out"
        )
    return "none"


def _with_mac(mode: str, endpoints: tuple[Endpoint, ...], mac: str) -> tuple[Endpoint, ...]:
    """The MAC that older clients give to the container is that of its first interface."""
    first, *others = endpoints or (Endpoint(network=mode),)
    if mode in ("none", "host") or mode.startswith("container:"):
        raise Invalid(f"field MacAddress: a container in mode {mode} has no interface of its own")
    if first.mac.lower() not in ("", mac.lower()):
        raise Invalid(f"field MacAddress: {mac[:40]} is not the {first.mac[:40]} of network {first.network}")
    return replace(first, mac=mac), *others


def _refuse_what_is_not_done(body: ContainerBody, host: HostBody) -> None:
    """Raises Invalid for what must not be left undone without a word: who a process is, what it may, sees and needs, and who
    reaches it."""
    unsupported("User", (body.user or "").removesuffix(":0") not in ("", "0", "root"))
    unsupported("HostConfig.RestartPolicy", host.restart_policy and host.restart_policy.name not in (None, "", "no"))
    unsupported("HostConfig.PublishAllPorts", host.publish_all_ports)
    unsupported("HostConfig.Sysctls", host.sysctls)
    unsupported("HostConfig.Links", host.links)
    unsupported("HostConfig.Privileged", host.privileged)
    unsupported("HostConfig.Binds", host.binds)
    unsupported("HostConfig.Mounts", host.mounts)
    unsupported("HostConfig.Memory", host.memory)


def _bindings(asked: Mapping[str, list[BindingBody] | None]) -> Iterator[PortMapping]:
    for port, bindings in asked.items():
        for binding in bindings or ():
            ip = binding.host_ip or ""
            text = f"[{ip}]" if ":" in ip else ip
            host_port = "" if binding.host_port in (None, "", "0") else binding.host_port
            yield parse_port(f"{text}:{host_port}:{port}" if ip else f"{host_port}:{port}" if host_port else port)


def _lookup(host: HostBody) -> Lookup:
    for text in host.extra_hosts or ():
        parse_extra_host(text)
    return Lookup(
        dns=tuple(str(parse_ip("resolver", text)) for text in host.dns or ()),
        dns_search=tuple(check_search(text) for text in host.dns_search or ()),
        dns_options=tuple(check_option(text) for text in host.dns_options or ()),
        extra_hosts=tuple(host.extra_hosts or ()),
    )


def _process(body: ContainerBody, host: HostBody, lookup: Lookup) -> ProcessSpec | None:
    command = (*_words(body.entrypoint), *_words(body.cmd))
    if not command:
        unsupported("HostConfig.AutoRemove", host.auto_remove)  # it is about what runs
        return None
    env = tuple(body.env or ())
    for text in env:
        if "=" not in text[1:]:
            raise Invalid(f"field Env: {text[:60]!r} is not KEY=VALUE")
    cwd = body.working_dir or "/"
    if not cwd.startswith("/"):
        raise Invalid(f"field WorkingDir: {cwd[:60]!r} is not an absolute path")
    for field, texts in (("Cmd", command), ("Env", env), ("WorkingDir", (cwd,))):
        if any("\0" in text for text in texts):
            raise Invalid(f"field {field} has a NUL character in it")
    spec = ProcessSpec(
        command=command,
        env=env,
        cwd=cwd,
        cap_add=_capabilities("CapAdd", host.cap_add),
        cap_drop=_capabilities("CapDrop", host.cap_drop),
        read_only=bool(host.readonly_rootfs),
        auto_remove=bool(host.auto_remove),
        dns=lookup.dns,
        dns_search=lookup.dns_search,
        dns_options=lookup.dns_options,
        extra_hosts=lookup.extra_hosts,
        health=_health(body.healthcheck),
    )
    capability_names(spec.cap_add, spec.cap_drop)
    return spec


def _health(asked: HealthBody | None) -> HealthCheck | None:
    if asked is None or not asked.test or asked.test == ["NONE"]:
        return None
    said = {name: getattr(asked, name) for name in ("interval", "timeout", "retries", "start_period", "start_interval")}
    return HealthCheck(test=tuple(asked.test), **{name: value for name, value in said.items() if value})


def _words(value: str | list[str] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) and value else tuple(value or ())


def _capabilities(field: str, names: list[str] | None) -> tuple[str, ...]:
    plain = tuple(name.upper().removeprefix("CAP_") for name in names or ())
    for name in plain:
        if not _CAPABILITY.match(name):
            raise Invalid(f"field {field}: {name[:40]!r} is no capability", hint="as in NET_ADMIN, or ALL")
    return plain


def decode_container(body: bytes) -> ContainerBody:
    """Raises Invalid."""
    return decode(ContainerBody, body)
