"""`netrt network create` and `update`: from their words to the arguments of the client's verb. All of these raise Invalid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netrt.cli.wishes import labels_of, pairs
from netrt.errors import Invalid
from netrt.model.address import parse_ip, parse_network
from netrt.model.names import check_name
from netrt.model.network import MADE, Mode, Subnet, check_options


def network_wishes(
    *,
    name: str,
    driver: str,
    subnets: Sequence[str],
    gateways: Sequence[str],
    ranges: Sequence[str],
    auxiliary: Sequence[str],
    labels: Sequence[str],
    driver_options: Sequence[str],
    dns: Sequence[str],
    **more: str | bool,
) -> dict[str, Any]:
    """The arguments of `Client.create_network`; `more` are those that it has too."""
    options = pairs("--opt", driver_options)
    if driver in MADE:
        check_options(Mode(driver), options)
    return {
        "name": check_name("network name", name),
        "driver": driver,
        "subnets": address_blocks(subnets, gateways, ranges, auxiliary),
        "options": options,
        "labels": labels_of(labels),
        "dns": [str(parse_ip("DNS server", address)) for address in dns],
        **more,
    }


def update_wishes(
    *,
    grow: Sequence[str],
    subnets: Sequence[str],
    gateways: Sequence[str],
    ranges: Sequence[str],
    auxiliary: Sequence[str],
    labels: Sequence[str],
    remove_labels: Sequence[str],
    dns: Sequence[str],
    ipv6: bool,
) -> dict[str, Any]:
    """The arguments of `Client.update_network`."""
    if not any((grow, subnets, labels, remove_labels, dns, ipv6)):
        raise Invalid("nothing is to be changed", hint="--grow, --add-subnet, --ipv6, --label, --label-rm or --dns")
    return {
        "grow": [str(parse_network("subnet", text)) for text in grow],
        "add_subnets": address_blocks(subnets, gateways, ranges, auxiliary),
        "labels": labels_of(labels),
        "remove_labels": list(remove_labels),
        "dns": _resolvers(dns),
        "ipv6": ipv6,
    }


def _resolvers(dns: Sequence[str]) -> list[str] | None:
    """None where nothing is said; `host` alone is nobody but the host's."""
    if not dns:
        return None
    return [] if list(dns) == ["host"] else [str(parse_ip("DNS server", address)) for address in dns]


def address_blocks(
    subnets: Sequence[str], gateways: Sequence[str], ranges: Sequence[str], auxiliary: Sequence[str]
) -> list[dict[str, Any]]:
    """The entries of Docker's IPAM.Config: each gateway, range and auxiliary address goes to the subnet that contains it."""
    blocks: dict[str, dict[str, Any]] = {}
    for text in subnets:
        cidr = str(parse_network("subnet", text))
        if cidr in blocks:
            raise Invalid(f"subnet {cidr} is given twice")
        blocks[cidr] = {"Subnet": cidr}
    for option, key, texts in (("gateway", "Gateway", gateways), ("ip-range", "IPRange", ranges)):
        for text in texts:
            block = _block_of(option, text, blocks)
            if key in block:
                raise Invalid(f"subnet {block['Subnet']} has two of --{option}: {block[key]} and {text}")
            block[key] = text
    for name, address in pairs("--aux-address", auxiliary).items():
        if not address:
            raise Invalid(f"--aux-address {name[:80]!r} is not NAME=ADDRESS")
        _block_of("aux-address", address, blocks).setdefault("AuxiliaryAddresses", {})[name] = address
    for block in blocks.values():
        Subnet(
            cidr=block["Subnet"],
            gateway=block.get("Gateway"),
            ip_range=block.get("IPRange"),
            auxiliary=block.get("AuxiliaryAddresses", {}),
        )
    return list(blocks.values())


def _block_of(option: str, text: str, blocks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The block of the subnet that contains an address or a range."""
    first = parse_network(option, text)[0] if option == "ip-range" else parse_ip(option, text)
    if not blocks:
        raise Invalid(f"--{option} {text} needs a --subnet that contains it")
    for cidr, block in blocks.items():
        if first in parse_network("subnet", cidr):
            return block
    raise Invalid(f"{option} {text} is outside of subnet {', '.join(blocks)}")
