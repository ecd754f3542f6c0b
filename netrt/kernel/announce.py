"""Telling neighbours at which MAC an address is: the frames that a host sends which takes an address (RFC 5227 section 3, RFC
4861 section 7.2.6). The kernel sends them by itself only for addresses that it checks for duplicates, which takes a second."""

from __future__ import annotations

import socket
import struct

from netrt.kernel.checksum import checksum
from netrt.kernel.netlink import SIOCGIFHWADDR, device

_ETH_ARP, _ETH_IP6 = 0x0806, 0x86DD
_BROADCAST = b"\xff" * 6
_ALL_NODES = socket.inet_pton(socket.AF_INET6, "ff02::1")
_ALL_NODES_MAC = b"\x33\x33\x00\x00\x00\x01"
_ADVERTISEMENT, _OVERRIDE, _TARGET_MAC = 136, 0x20000000, 2


def announce(link: str, address: str) -> None:
    """Send it by a link of the calling thread's namespace. Raises OSError."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC) as wire:
        mac = device(wire, SIOCGIFHWADDR, link)[2:8]
        wire.bind((link, 0))
        wire.send(advertisement(mac, address) if ":" in address else gratuitous(mac, address))


def gratuitous(mac: bytes, address: str) -> bytes:
    """An ARP request of the sender for its own address."""
    own = socket.inet_aton(address)
    header = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    frame = _BROADCAST + mac + struct.pack("!H", _ETH_ARP) + header + mac + own + bytes(6) + own
    return frame.ljust(60, b"\0")


def advertisement(mac: bytes, address: str) -> bytes:
    """A neighbour advertisement to all nodes that overrides what they knew."""
    own = socket.inet_pton(socket.AF_INET6, address)
    option = struct.pack("!BB6s", _TARGET_MAC, 1, mac)
    body = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, _OVERRIDE) + own + option
    body = body[:2] + struct.pack("!H", _checksum(own, body)) + body[4:]
    header = struct.pack("!IHBB", 0x60000000, len(body), socket.IPPROTO_ICMPV6, 255) + own + _ALL_NODES
    return _ALL_NODES_MAC + mac + struct.pack("!H", _ETH_IP6) + header + body


def _checksum(source: bytes, body: bytes) -> int:
    """RFC 8200 section 8.1."""
    covered = source + _ALL_NODES + struct.pack("!II", len(body), socket.IPPROTO_ICMPV6) + body
    return checksum(covered)
