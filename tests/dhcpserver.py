"""A DHCP server for tests, on one link of a place: it says what it is told to, or nothing, and keeps what it heard."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Any

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from tests.traffic import Place, Wire
from tests.waiting import wait_until


@dataclass(frozen=True)
class Heard:
    """A message of a client: to everybody or to one; `own` is the address that it says it has, `wanted` the one it asks for."""

    kind: str
    to_all: bool
    own: str
    wanted: str
    client: bytes
    hostname: bytes
    mac: str


@dataclass
class Manner:
    """How a server answers. `gives` are addresses, one after the other to clients that are new; `says` options beside address,
    mask and server; `refuses`: every request with a NAK; `deaf`: to "all", or to what is sent to it "alone"."""

    gives: list[str]
    server: str = "10.77.0.1"
    mask: str = "255.255.255.0"
    says: list[tuple[Any, ...]] = field(default_factory=lambda: [("lease_time", 600)])
    refuses: bool = False
    deaf: str = ""


_NAMES = {1: "discover", 3: "request", 7: "release", 4: "decline"}


class Server:
    """Serves until it is closed."""

    def __init__(self, place: Place, link: str, manner: Manner) -> None:
        self.manner = manner
        self.heard: list[Heard] = []
        self._given: dict[bytes, str] = {}
        self._wire = Wire(place, link)
        self._mac = place.call(_mac, link)
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        os.close(self._stopped)
        self._thread.join()
        os.close(self._stop)
        self._wire.close()

    def count(self, kind: str, **like: Any) -> int:
        """How many messages of this kind, and like this, were heard."""
        return sum(h.kind == kind and all(getattr(h, k) == v for k, v in like.items()) for h in [*self.heard])

    def until(self, kind: str, beyond: int = 0, **like: Any) -> None:
        """Wait for more than so many of this kind, and like this."""
        wait_until(lambda: self.count(kind, **like) > beyond, timeout=15, what=f"{kind} {like}")

    def forget(self) -> None:
        """What was given to whom."""
        self._given.clear()

    def _serve(self) -> None:
        while self._stop not in select.select([self._wire.socket, self._stop], [], [])[0]:
            frame, (_, _, direction, _, _) = self._wire.socket.recvfrom(65536)
            if direction != socket.PACKET_OUTGOING and frame[12:14] == b"\x08\x00":
                packet = Ether(frame)
                if DHCP in packet and packet[UDP].dport == 67:
                    self._hear(packet)

    def _hear(self, packet: Ether) -> None:
        options = {o[0]: o[1] for o in packet[DHCP].options if isinstance(o, tuple)}
        kind, bootp = _NAMES.get(options["message-type"], "?"), packet[BOOTP]
        client = options.get("client_id", b"")
        to_all = packet[IP].dst == "255.255.255.255"
        self._answer(packet, kind, client, to_all)
        self.heard.append(
            Heard(
                kind=kind,
                to_all=to_all,
                own=bootp.ciaddr,
                wanted=options.get("requested_addr", ""),
                client=client,
                hostname=options.get("hostname", b""),
                mac=packet[Ether].src,
            )
        )

    def _answer(self, packet: Ether, kind: str, client: bytes, to_all: bool) -> None:
        manner = self.manner
        if kind not in ("discover", "request") or manner.deaf == "all" or (manner.deaf == "alone" and not to_all):
            return
        if client not in self._given:
            if not manner.gives:
                return
            self._given[client] = manner.gives.pop(0)
        refused = kind == "request" and manner.refuses
        self._say(packet, "nak" if refused else "offer" if kind == "discover" else "ack", self._given[client])
        if refused:
            del self._given[client]

    def _say(self, packet: Ether, kind: str, address: str) -> None:
        manner, bootp = self.manner, packet[BOOTP]
        options: list[Any] = [("message-type", kind), ("server_id", manner.server)]
        if kind != "nak":
            options += [("subnet_mask", manner.mask)] if manner.mask else []
            options += manner.says
        alone = bootp.ciaddr != "0.0.0.0" and kind != "nak"
        self._wire.send(
            Ether(src=self._mac, dst=packet[Ether].src if alone else "ff:ff:ff:ff:ff:ff")
            / IP(src=manner.server, dst=bootp.ciaddr if alone else "255.255.255.255")
            / UDP(sport=67, dport=68)
            / BOOTP(op=2, xid=bootp.xid, yiaddr="0.0.0.0" if kind == "nak" else address, chaddr=bootp.chaddr)
            / DHCP(options=[*options, "end"])
        )


def _mac(link: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        raw = fcntl.ioctl(asking, 0x8927, struct.pack("16s24x", link.encode()))[18:24]
    return raw.hex(":")
