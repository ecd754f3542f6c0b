"""Changes of a container that runs, as requests (`/netrt/containers/REF/ports` and `/netrt/containers/REF/limits`)."""

from __future__ import annotations

import msgspec

from netrt.api.schema.body import Body, decode, needed
from netrt.errors import Invalid
from netrt.model.command import Limit, Publish
from netrt.model.port import parse_port


class PortsBody(Body, frozen=True, kw_only=True):
    """Ports as `-p` has them."""

    add: list[str] | None = None
    remove: list[str] | None = None


class LimitsBody(Body, frozen=True, kw_only=True):
    """`ingress=10mbit,egress=1mbit`, and the network where it is only one."""

    bandwidth: str | None = None
    network: str | None = None


def publish(container: str, body: bytes, publish_address: str) -> Publish:
    """`publish_address` is the host address of ports that name none. Raises Invalid."""
    asked = decode(PortsBody, body)
    if not (asked.add or asked.remove):
        raise Invalid("fields Add and Remove are both missing", hint="ports as in 8080:80")
    added = [parse_port(text) for text in asked.add or ()]
    return Publish(
        container=container,
        add=tuple(p if p.host_ip else msgspec.structs.replace(p, host_ip=publish_address) for p in added),
        remove=tuple(parse_port(text) for text in asked.remove or ()),
    )


def limit(container: str, body: bytes) -> Limit:
    """Raises Invalid."""
    asked = decode(LimitsBody, body)
    bandwidth = needed("Bandwidth", asked.bandwidth)
    return Limit(container=container, bandwidth=bandwidth, network=asked.network or "")
