"""Which address a container gets on a network.

Rule 1: the one it wished for, or an error that says who has it. Rule 2: else the last one of its name, if that rests. Rule 3:
else the lowest that nobody ever had. Rule 4: else, and also once RESTING addresses rest, the one that has rested longest: so
an address comes back late, and what we remember of a /64 stays small. Rule 5: none of them is one of `host`, what the host has
itself by now on the link that the network stands on."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from netrt.errors import Exhausted, InUse, Invalid
from netrt.model.address import family, host_of, ip, parse_ip, prefix_of
from netrt.model.address import network as block_of
from netrt.model.ledger import EverUsed, lowest, next_fresh
from netrt.model.network import Network, Subnet
from netrt.model.state import State

RESTING = 256
"""As many as a /24 has: up to that size, every address is used once before one is used again."""


def allocate(
    state: State, network: Network, version: int, owner: str, wanted: str = "", host: Collection[str] = ()
) -> str:
    """An address of one family (4 or 6) for the container named `owner`, with its prefix length.

    Raises Invalid where `wanted` can never be had, InUse where somebody has it, Exhausted where no address is left.
    """
    if wanted:
        return _chosen(state, network, version, wanted, host)
    if not network.subnets_of(version):
        raise Invalid(f"network {network.name} has no IPv{version}", hint=_subnets(network))
    ledger = state.ledgers[network.id, version]

    def fit(interface: str) -> bool:
        return host_of(interface) not in host

    mine = next(filter(fit, reversed(ledger.last.get(owner, ()))), "")
    if mine:
        return mine
    fresh = ledger.fresh
    if fresh and not fit(fresh):
        fresh = next_fresh(network, fresh, _unfit(state, network, host))
    resting = next(filter(fit, ledger.resting), "")
    if resting and (not fresh or len(ledger.resting) >= RESTING):
        return resting
    if fresh:
        return fresh
    raise Exhausted(f"the pool of network {network.name} ({_subnets(network, version)}) is full")


def allocate_each(
    state: State,
    network: Network,
    owner: str,
    pools: Sequence[Sequence[Subnet]],
    wanted: Sequence[str],
    host: Collection[str] = (),
) -> tuple[str, ...]:
    """An address out of each pool of subnets of the network, which do not overlap, with prefix length; a wanted one (without)
    where the pool has it. Raises Invalid for a wanted one that no pool has, InUse, Exhausted."""
    left, got = [str(parse_ip("address", text)) for text in wanted], []
    for pool in pools:
        version = family(pool[0].cidr)
        asked = next((address for address in left if _holds(pool, address)), "")
        if asked:
            left.remove(asked)
        if asked or tuple(pool) == network.subnets_of(version):
            got.append(allocate(state, network, version, owner, asked, host))
        else:
            got.append(_from_pool(state, network, owner, pool, host))
    if left:
        raise Invalid(f"{', '.join(left)} cannot be had: outside of the ranges of network {network.name}")
    return tuple(got)


def _holds(pool: Sequence[Subnet], address: str) -> bool:
    number = int(ip(address))
    return any(family(address) == family(subnet.cidr) and number in subnet.dynamic for subnet in pool)


def _unfit(state: State, network: Network, host: Collection[str]) -> EverUsed:
    """Whether an address (without prefix length) is not fresh, or the host's."""
    tables = (state.addresses, state.released)
    return lambda address: address in host or any((network.id, address) in table for table in tables)


def _from_pool(state: State, network: Network, owner: str, pool: Sequence[Subnet], host: Collection[str]) -> str:
    """By the same rules, from a part of the network's subnets."""

    def fit(interface: str) -> bool:
        return _holds(pool, host_of(interface)) and host_of(interface) not in host

    ledger = state.ledgers[network.id, family(pool[0].cidr)]
    mine = [interface for interface in ledger.last.get(owner, ()) if fit(interface)]
    if mine:
        return mine[-1]
    resting = [interface for interface in ledger.resting if fit(interface)]
    fresh = lowest(pool, _unfit(state, network, host))
    if resting and (not fresh or len(resting) >= RESTING):
        return resting[0]
    if fresh:
        return fresh
    raise Exhausted(f"a pool of network {network.name} ({', '.join(_text(s) for s in pool)}) is full")


def _chosen(state: State, network: Network, version: int, wanted: str, host: Collection[str]) -> str:
    address = parse_ip(f"IPv{version} address", wanted)
    if address.version != version:
        raise Invalid(f"{address} is not an IPv{version} address")
    if not network.subnets_of(version):
        raise Invalid(f"{address} cannot be had: network {network.name} has no IPv{version}", hint=_subnets(network))
    subnet = next((s for s in network.subnets_of(version) if address in block_of(s.cidr)), None)
    if subnet is None:
        raise Invalid(f"{address} is outside of network {network.name} ({_subnets(network, version)})")
    if int(address) in subnet.reserved:
        raise Invalid(f"{address} is the {subnet.reserved[int(address)]} of network {network.name}")
    holder = state.addresses.get((network.id, str(address)))
    if holder is not None:
        raise InUse(f"{address} is held by {state.containers[holder[0]].name} on {network.name}")
    if str(address) in host:
        raise InUse(
            f"{address} is an address of this host, on the link that network {network.name} stands on",
            hint="choose another one",
        )
    return f"{address}/{prefix_of(subnet.cidr)}"


def _subnets(network: Network, version: int | None = None) -> str:
    chosen = network.subnets if version is None else network.subnets_of(version)
    return ", ".join(map(_text, chosen))


def _text(subnet: Subnet) -> str:
    if subnet.first or subnet.last:
        return f"{subnet.cidr}, from {subnet.first or 'its first'} to {subnet.last or 'its last'}"
    return subnet.cidr if subnet.ip_range is None else f"{subnet.cidr}, range {subnet.ip_range}"


def default_gateway(cidr: str, auxiliary: Collection[str]) -> str:
    """The lowest address of a subnet that is none of its `auxiliary` ones. Raises Invalid where there is none."""
    block = block_of(cidr)
    for number in range(1, block.num_addresses - 1):
        address = str(block[number])
        if address not in auxiliary:
            return address
    raise Invalid(f"subnet {cidr} has no address left for a gateway")
