"""Addresses are kept as canonical text (`10.1.0.2`, `10.1.0.0/24`), because that is what JSON, SQLite and nft carry; this file
is where text becomes canonical, and the only place that says what is allowed. What was read once is remembered: the same few are
read with each attach."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from functools import lru_cache

from netrt.errors import Invalid

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")


@lru_cache(maxsize=4096)
def parse_ip(what: str, text: str) -> IpAddress:
    """An IPv4 or IPv6 address without zone. `what` is the noun for the message. Raises Invalid."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Invalid(
            f"invalid {what} {text[:60]!r}", hint="an address such as 10.1.0.2 or fd00::2 is expected"
        ) from None
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id or address.ipv4_mapped):
        raise Invalid(f"invalid {what} {text[:60]!r}", hint="no zone and no IPv4-mapped address is allowed")
    return address


@lru_cache(maxsize=4096)
def parse_network(what: str, text: str) -> IpNetwork:
    """A subnet in CIDR form without host bits. Raises Invalid."""
    try:
        if "%" in text:
            raise ValueError("a zone")
        return ipaddress.ip_network(text)
    except ValueError as error:
        if "host bits" in str(error):
            right = ipaddress.ip_network(text, strict=False)
            raise Invalid(
                f"invalid {what} {text[:60]!r}: it has host bits set", hint=f"did you mean {right}?"
            ) from None
        raise Invalid(
            f"invalid {what} {text[:60]!r}", hint="CIDR such as 10.1.0.0/24 or fd00:1::/64 is expected"
        ) from None


@lru_cache(maxsize=4096)
def network(cidr: str) -> IpNetwork:
    """A subnet that was checked before, as an object."""
    return ipaddress.ip_network(cidr)


@lru_cache(maxsize=4096)
def ip(address: str) -> IpAddress:
    """An address that was checked before, as an object."""
    return ipaddress.ip_address(address)


def family(text: str) -> int:
    """4 or 6, for a checked address or subnet."""
    return 6 if ":" in text else 4


def host_of(interface: str) -> str:
    """`10.1.0.2` of `10.1.0.2/24`."""
    return interface.partition("/")[0]


def prefix_of(interface: str) -> int:
    """24 of `10.1.0.2/24`."""
    return int(interface.partition("/")[2])


def alone(interface: str) -> str:
    """`10.1.0.2/32` of `10.1.0.2` or `10.1.0.2/24`: the subnet of this one address."""
    return f"{host_of(interface)}/{32 if family(interface) == 4 else 128}"


def check_mac(text: str) -> str:
    """A unicast MAC address in canonical form (lower case, colons). Raises Invalid."""
    mac = text.lower().replace("-", ":")
    if not _MAC.match(mac) or int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise Invalid(
            f"invalid MAC address {text[:40]!r}", hint="a unicast address such as 02:42:0a:01:00:02 is expected"
        )
    return mac


@lru_cache(maxsize=256)  # a network's is asked for again and again, a container's once
def mac_for(*key: str) -> str:
    """A locally administered MAC for a checked IPv4 address (`02:42` and its bytes, as Docker does) or anything else (a hash).

    Derived from the address, so that who takes an address over needs no neighbour's cache to change.
    """
    if len(key) == 1 and re.fullmatch(r"[0-9.]+", key[0]):
        tail = bytes(map(int, key[0].split(".")))
    else:
        tail = hashlib.sha256("\0".join(key).encode()).digest()[:4]
    return "02:42:" + ":".join(f"{byte:02x}" for byte in tail)


def link_local(mac: str) -> str:
    """The IPv6 link-local address that the kernel gives an interface of this MAC (modified EUI-64, RFC 4291 appendix A)."""
    raw = bytes(int(part, 16) for part in mac.split(":"))
    eui = bytes([raw[0] ^ 2]) + raw[1:3] + b"\xff\xfe" + raw[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + eui))
