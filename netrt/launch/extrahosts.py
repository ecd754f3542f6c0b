"""What `--add-host` says."""

from __future__ import annotations

from netrt.errors import Invalid
from netrt.model.address import parse_ip
from netrt.model.names import check_name

HOST_GATEWAY = "host-gateway"
"""In place of an address: the host, as the container finds it."""


def parse_extra_host(text: str) -> tuple[str, str]:
    """Name and address of one `--add-host NAME:ADDRESS`; the address may be `host-gateway`. Raises Invalid."""
    name, separator, address = text.partition(":")
    if not separator:
        raise Invalid(f"invalid extra host {text[:60]!r}", hint="use NAME:ADDRESS, e.g. db:10.1.0.9 or up:host-gateway")
    check_name("extra host", name)
    if address != HOST_GATEWAY:
        address = str(parse_ip("address of an extra host", address.removeprefix("[").removesuffix("]")))
    return name, address
