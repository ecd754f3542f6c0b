"""The configuration file, `/etc/netrt/netrt.toml`. All of it is optional:

group = "netrt"                 # members may use the socket
log_level = "info"              # debug, info, warning, error
publish_address = "127.0.0.1"   # host address of published ports that name none; without it all addresses
lock_rules = true               # nobody but netrtd can change its nftables tables (Linux 6.9 and later)
mending = true                  # put right by itself what others change; a start does so in any case
compare_every = 300             # seconds between two slow comparisons of everything, 1 to 86400
ula = "fd12:3456:789a::/48"     # where IPv6 networks are cut from; without it a random one, made once
pools = [                       # where networks are cut from; without it the private ranges, in /24
  { cidr = "10.64.0.0/12", size = 24 },
]

[dns]
ttl = 5                         # how many seconds a client may keep an answer to a name of ours, 0 to 86400

[dhcp]
wait = 15                       # how many seconds a DHCP server may take to give an address, 1 to 300
"""

from __future__ import annotations

import re
import tomllib
from typing import Literal

import msgspec

from netrt.errors import Invalid
from netrt.ipam.pools import DEFAULT, Pool, Pools
from netrt.model.address import parse_ip


class PoolEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of `pools`."""

    cidr: str
    size: int


class Dns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[dns]`. Raises Invalid when made."""

    ttl: int = 5

    def __post_init__(self) -> None:
        if not 0 <= self.ttl <= 86400:
            raise Invalid(f"dns.ttl {self.ttl} is out of range", hint="0 to 86400 seconds")


class Dhcp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[dhcp]`. Raises Invalid when made."""

    wait: int = 15

    def __post_init__(self) -> None:
        if not 1 <= self.wait <= 300:
            raise Invalid(f"dhcp.wait {self.wait} is out of range", hint="1 to 300 seconds")


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file says, with the defaults for what it does not. Raises Invalid when made."""

    group: str = "netrt"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    publish_address: str = ""
    lock_rules: bool = True
    mending: bool = True
    compare_every: int = 300
    ula: str = ""
    pools: tuple[PoolEntry, ...] = ()
    dns: Dns = Dns()
    dhcp: Dhcp = Dhcp()

    def __post_init__(self) -> None:
        if self.publish_address:
            parse_ip("publish_address", self.publish_address)
        if not 1 <= self.compare_every <= 86400:
            raise Invalid(f"compare_every {self.compare_every} is out of range", hint="1 to 86400 seconds")
        self.address_pools(DEFAULT.ula)

    def address_pools(self, ula: str) -> Pools:
        """The pools; `ula` is the host's own prefix, for where none is configured."""
        pools = tuple(Pool(cidr=entry.cidr, size=entry.size) for entry in self.pools)
        return Pools(pools=pools or DEFAULT.pools, ula=self.ula or ula)


def read_config(path: str) -> Config:
    """The configuration at `path`; the defaults where there is no such file. Raises Invalid, which names the file."""
    try:
        with open(path, "rb") as file:
            return msgspec.convert(tomllib.load(file), Config)
    except FileNotFoundError:
        return Config()
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"{path} is not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise _explained(path, str(error)) from None
    except Invalid as error:
        raise Invalid(f"{path}: {error.message}", hint=error.hint) from None


def _explained(path: str, problem: str) -> Invalid:
    unknown = re.search(r"unknown field `(.*?)`(?: - at `\$\.?(.*)`)?", problem)
    if unknown:
        where = f" in {unknown[2]}" if unknown[2] else ""
        kind: type[msgspec.Struct] = Config
        if where:
            kind = Dns if unknown[2] == "dns" else Dhcp if unknown[2] == "dhcp" else PoolEntry
        known = ", ".join(field.name for field in msgspec.structs.fields(kind))
        return Invalid(f"{path}: unknown key {unknown[1]!r}{where}", hint=f"known: {known}")
    return Invalid(f"{path}: " + problem.replace("`", "").replace("$.", "").replace("Expected", "expected"))
