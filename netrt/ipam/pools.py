"""Where the subnets of networks are cut from when nobody chose them.

Rule 1: the first free block of the first pool that has one; "free" is what overlaps no other network and no route of the host.
Rule 2: a route to half of all addresses or more is a default route cut in two (as VPNs do) and forbids nothing."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from netrt.errors import Exhausted, Invalid
from netrt.model.address import IpNetwork, family, network, parse_network

ULA = ipaddress.IPv6Network("fc00::/7")
ULA_SIZE = 64
"""What an IPv6 network gets: a /64, for interface identifiers are 64 bits long (RFC 4291 section 2.5.1)."""


def ula_for(seed: str) -> str:
    """The ULA /48 of a host (RFC 4193): the same for the same seed (its machine id, say), another for another."""
    prefix = b"\xfd" + hashlib.sha256(f"netrt ula {seed}".encode()).digest()[:5] + bytes(10)
    return f"{ipaddress.IPv6Address(prefix)}/48"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """An address block that is cut into subnets of prefix length `size`. Raises Invalid when made."""

    cidr: str
    size: int

    def __post_init__(self) -> None:
        block = parse_network("pool", self.cidr)
        smallest = 30 if block.version == 4 else 126
        if not block.prefixlen <= self.size <= smallest:
            raise Invalid(
                f"pool {self.cidr} cannot be cut into subnets of /{self.size}",
                hint=f"a size from {block.prefixlen} to {smallest} is expected",
            )


# The private ranges, those that offices, homes and clouds use least first: 172.16 is the favourite of offices, 172.31 the default
# of one cloud, low 192.168 of homes, low 10 of everybody.
_PRIVATE = (
    Pool(cidr="172.20.0.0/14", size=24),
    Pool(cidr="172.24.0.0/14", size=24),
    Pool(cidr="172.28.0.0/15", size=24),
    Pool(cidr="172.18.0.0/15", size=24),
    Pool(cidr="172.17.0.0/16", size=24),
    Pool(cidr="172.30.0.0/16", size=24),
    Pool(cidr="192.168.128.0/17", size=24),
    Pool(cidr="10.192.0.0/10", size=24),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """Pools of both families in the order of preference. `ula` is the host's own /48: what IPv6 networks get once the IPv6 pools,
    of which there are none by default, are used up. Raises Invalid when made."""

    pools: tuple[Pool, ...] = _PRIVATE
    ula: str = ula_for("")

    def __post_init__(self) -> None:
        block = parse_network("ULA prefix", self.ula)
        if block.version != 6 or block.prefixlen > ULA_SIZE or not block.subnet_of(ULA):
            raise Invalid(f"invalid ULA prefix {self.ula}", hint="a /48 out of fd00::/8 is expected")

    def of(self, version: int) -> tuple[Pool, ...]:
        """The pools of one family (4 or 6)."""
        mine = tuple(pool for pool in self.pools if family(pool.cidr) == version)
        return (*mine, Pool(cidr=self.ula, size=ULA_SIZE)) if version == 6 else mine


DEFAULT = Pools()


def is_default(route: str) -> bool:
    """Whether a route is (half of) a default route, and so overlaps nothing in particular."""
    return network(route).prefixlen <= 1


def overlaps(one: str, other: str) -> bool:
    """Whether two subnets have addresses in common."""
    return family(one) == family(other) and network(one).overlaps(network(other))


def choose_subnet(version: int, taken: Iterable[str], pools: Pools, size: int = 0) -> str:
    """A subnet of a family (4 or 6) that overlaps none of `taken`, cut from the pools; of prefix length `size` where given, else
    of its pool's size. Raises Exhausted."""
    held = sorted(
        (int(block.network_address), int(block.broadcast_address))
        for block in (network(cidr) for cidr in taken if family(cidr) == version and not is_default(cidr))
    )
    for pool in pools.of(version):
        block = network(pool.cidr)
        length = size or pool.size
        first = _first_gap(block, 1 << (block.max_prefixlen - length), held) if length >= block.prefixlen else None
        if first is not None:
            return f"{type(block.network_address)(first)}/{length}"
    shown = ", ".join(pool.cidr for pool in pools.of(version)) or "there are none"
    raise Exhausted(f"no free IPv{version} subnet is left in the pools ({shown})", hint="choose one with --subnet")


def _first_gap(block: IpNetwork, step: int, held: list[tuple[int, int]]) -> int | None:
    """The first number in `block` from which `step` addresses, aligned to it, are in no interval of `held` (sorted)."""
    candidate = int(block.network_address)
    for first, last in held:
        if first >= candidate + step:
            break
        if last >= candidate:
            candidate = (last // step + 1) * step
    return candidate if candidate + step - 1 <= int(block.broadcast_address) else None
