"""host-local's part of a configuration: ranges of subnets, of which each set yields one address, and routes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from netrt.cni.refusal import CONFIGURATION, Refusal
from netrt.cni.result import RouteTo, check_routes
from netrt.cni.runtime import Range, RuntimeConfig, named
from netrt.cni.version import at_least
from netrt.ipam.allocate import default_gateway
from netrt.ipam.pools import overlaps
from netrt.model.address import family, parse_ip, parse_network
from netrt.model.network import Subnet
from netrt.model.plugged import GATEWAY, Way

Pools = tuple[tuple[Subnet, ...], ...]


class HostLocal(Range, frozen=True, kw_only=True, rename="camel"):
    """The `ipam` of host-local: one range, or sets of them. `dataDir` is where others keep files; we have none."""

    type: str | None = None
    ranges: tuple[tuple[Range, ...] | None, ...] | None = None
    routes: tuple[RouteTo, ...] | None = None
    data_dir: str | None = None
    resolv_conf: str | None = None


def pools(ipam: HostLocal, runtime: RuntimeConfig, version: str) -> Pools:
    """The sets of ranges, those that the runtime chose first. Raises Refusal."""
    sets: list[tuple[str, Iterable[Range]]] = [
        (f"runtimeConfig.ipRanges[{n}]", chosen) for n, chosen in enumerate(runtime.ip_ranges or ())
    ]
    if ipam.subnet:
        sets.append(("ipam", (ipam,)))
    sets += [(f"ipam.ranges[{n}]", chosen) for n, chosen in enumerate(ipam.ranges or ()) if chosen is not None]
    if not sets:
        raise Refusal(
            CONFIGURATION, "field ipam.ranges is missing", hint='as in "ranges": [[{"subnet": "10.1.0.0/24"}]]'
        )
    found = tuple(_pool(where, chosen) for where, chosen in sets)
    _check_overlap(found)
    families = [family(pool[0].cidr) for pool in found]
    if len(families) > len(set(families)) and not at_least(version, "0.3.0"):
        raise Refusal(CONFIGURATION, f"field ipam.ranges: version {version} has one address of each family")
    return found


def _pool(where: str, chosen: Iterable[Range]) -> tuple[Subnet, ...]:
    many = where != "ipam"
    pool = tuple(pool_of(f"{where}[{n}]" if many else where, part) for n, part in enumerate(chosen))
    if not pool:
        raise Refusal(CONFIGURATION, f"field {where} is empty")
    if len({family(subnet.cidr) for subnet in pool}) > 1:
        raise Refusal(CONFIGURATION, f"field {where} mixes IPv4 and IPv6", hint="each set of ranges is of one family")
    return pool


@lru_cache(maxsize=64)
def pool_of(where: str, part: Range) -> Subnet:
    """A range as a subnet of a network. Remembered, for each ADD of a network comes with the same ones. Raises Refusal."""
    if not part.subnet:
        raise Refusal(CONFIGURATION, f"field {where}.subnet is missing")
    cidr = named(f"{where}.subnet", lambda: str(parse_network("subnet", part.subnet or "")))
    texts = {
        name: named(f"{where}.{name}", lambda text=text: str(parse_ip("address", text))) if text else None  # type: ignore[misc]
        for name, text in (
            ("gateway", part.gateway), ("rangeStart", part.range_start), ("rangeEnd", part.range_end))
    }  # fmt: skip
    return named(
        where,
        lambda: Subnet(
            cidr=cidr,
            gateway=texts["gateway"] or default_gateway(cidr, ()),
            first=texts["rangeStart"],
            last=texts["rangeEnd"],
        ),
    )


def _check_overlap(found: Pools) -> None:
    for number, pool in enumerate(found):
        for other in found[number + 1 :]:
            for one, two in ((a, b) for a in pool for b in other if family(a.cidr) == family(b.cidr)):
                apart = one.dynamic.stop <= two.dynamic.start or two.dynamic.stop <= one.dynamic.start
                if not apart or (one.cidr != two.cidr and overlaps(one.cidr, two.cidr)):
                    raise Refusal(CONFIGURATION, f"field ipam.ranges: {one.cidr} and {two.cidr} overlap")


def ways(field: str, routes: Iterable[RouteTo] | None) -> tuple[Way, ...]:
    """Routes as the sandbox gets them; those that name no gateway go by that of the address. Raises Refusal."""
    row = tuple(routes or ())
    check_routes(field, row)
    found: dict[tuple[str, int, int], Way] = {}
    for number, route in enumerate(row):
        dst = str(network_of(route.dst))
        way = Way(
            dst=dst,
            via=route.gw or GATEWAY,
            mtu=route.mtu,
            advmss=route.advmss,
            priority=route.priority,
            table=0 if route.table in (None, 254) else route.table or 0,
            scope=-1 if route.scope is None else route.scope,
        )
        if found.setdefault((dst, way.priority, way.table), way) != way:
            raise Refusal(CONFIGURATION, f"field {field}[{number}]: there are two routes to {dst}")
    return tuple(found.values())


def network_of(interface: str) -> str:
    """`10.1.0.0/24` of `10.1.0.2/24`, as canonical text."""
    host, _, prefix = interface.partition("/")
    block = parse_network("address", f"{host}/{32 if family(host) == 4 else 128}")
    return str(block.supernet(new_prefix=int(prefix)))


def canonical(interface: str) -> str:
    """An address with prefix length as canonical text."""
    host, _, prefix = interface.partition("/")
    return f"{parse_ip('address', host)}/{int(prefix)}"


def default_way(version: int) -> Way:
    """By the gateway to everywhere."""
    return Way(dst="0.0.0.0/0" if version == 4 else "::/0", via=GATEWAY)
