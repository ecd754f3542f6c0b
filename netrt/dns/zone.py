"""Which names there are, as immutable values: a zone for each network, a view for each sandbox.

Rule 1: names are lower case, without a dot at the end, and without the network's domain. Rule 2: addresses are canonical text
without prefix length, in the order of their text. Rule 3: a name is here from the moment its attachment is usable until it is
withdrawn; none is here without an address. Rule 4: the large tables are persistent maps, whatever they are made of, so that a
change of a few names costs the same whatever else is there."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from immutables import Map
from msgspec.structs import force_setattr

ADDRESS = "127.0.0.11"
"""Where every sandbox on a user network finds the server."""

PORT = 20053
"""Where the server really listens in a sandbox: datagrams and connections to port 53 of ADDRESS are led there, so that port 53 is
left to the container."""


class Service(msgspec.Struct, frozen=True, order=True):
    """What an SRV record says: a port, and the name (in the same zone) of the host that has it."""

    port: int
    target: str


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """The names of one network: `hosts` name → addresses, `pointers` address → name, `services` `_http._tcp.web` → SRV.

    `domain` is the network's name in lower case: `web` and `web.DOMAIN` are the same host, and what is not known below DOMAIN
    does not exist. Nor do names for addresses of `subnets` that nobody has.
    """

    network: str
    domain: str
    ttl: int
    subnets: tuple[str, ...] = ()
    hosts: Mapping[str, tuple[str, ...]] = {}
    pointers: Mapping[str, str] = {}
    services: Mapping[str, tuple[Service, ...]] = {}

    def __post_init__(self) -> None:
        persistent(self, "hosts", "pointers", "services")


class Upstream(msgspec.Struct, frozen=True):
    """A resolver that unknown names are forwarded to. `from_host`: it is asked from the host's namespace, for it listens on the
    host's loopback; all others are asked from inside the sandbox."""

    address: str
    from_host: bool = False


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What one sandbox may see: the networks (ids) that it is on, in the order in which they are searched, and where unknown
    names go. `inode` is that of the namespace, where it is one that we did not make (0: whichever is there). Without `upstreams`
    they go nowhere (REFUSED), as on internal networks. `containers` (ids) live there, the owner first."""

    sandbox: str
    inode: int = 0
    networks: tuple[str, ...]
    upstreams: tuple[Upstream, ...] = ()
    containers: tuple[str, ...] = ()


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """All of it at one moment: zones by network id, views by sandbox path. Values with the same `mark` are equal."""

    zones: Mapping[str, Zone] = {}
    views: Mapping[str, View] = {}
    mark: str = ""

    def __post_init__(self) -> None:
        persistent(self, "views")


def persistent(value: msgspec.Struct, *fields: str) -> None:
    """Have these fields of a value that is being made as persistent maps."""
    for field in fields:
        table = getattr(value, field)
        if not isinstance(table, Map):
            force_setattr(value, field, Map(table))


def plain(table: object) -> object:
    """A persistent map as the encoders know it. Raises TypeError for anything else."""
    if isinstance(table, Map):
        return dict(table)
    raise TypeError(f"{type(table).__name__} cannot be encoded")
