"""The checksum of the Internet's protocols (RFC 1071), for packets that are made whole here."""

from __future__ import annotations

import struct


def checksum(covered: bytes) -> int:
    """Of these bytes, with one of zero behind them where their number is odd."""
    covered += bytes(len(covered) % 2)
    total: int = sum(struct.unpack(f"!{len(covered) // 2}H", covered))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
