"""The kernel floor: the kernel objects of one attach, made in the rawest way that Python has.

A namespace made on a thread and kept by a bind mount, a veth pair whose inner end is born in it, address, links up, default
route, and one element of an nftables map; raw netlink, encoded by hand, nothing read back. What netrt costs is told as a ratio
to this."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET, MS_BIND, MNT_DETACH = 0x40000000, 4096, 2
REQUEST, ACK, CREATE_EXCL = 1, 4, 0x600
NEWLINK, DELLINK, NEWADDR, NEWROUTE = 16, 17, 20, 24
NFT_BATCH_BEGIN, NFT_BATCH_END, NFT_NEWSETELEM, NFT_DELSETELEM = 16, 17, 0xA0C, 0xA0E
NLA_F_NESTED = 0x8000


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def message(kind: int, flags: int, body: bytes, number: int = 1) -> bytes:
    return struct.pack("=IHHII", len(body) + 16, kind, flags, number, 0) + body


def talk(sock: socket.socket, *messages: bytes, acks: int) -> None:
    sock.send(b"".join(messages))
    while acks:
        data = sock.recv(65536)
        while data:
            length, kind = struct.unpack_from("=IH", data)
            if kind == 2:
                code = struct.unpack_from("=i", data, 16)[0]
                if code:
                    raise OSError(-code, os.strerror(-code))
                acks -= 1
            data = data[(length + 3) & ~3 :]


def link_header(index: int = 0, up: bool = False) -> bytes:
    return struct.pack("=BxHiII", 0, 0, index, 1 if up else 0, 1 if up else 0)


class Floor:
    """Attaches and detaches on the bridge `bridge`; the elements go into a map of a table of its own."""

    def __init__(self, bridge: str) -> None:
        self.route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self.filter = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
        self.bridge = socket.if_nametoindex(bridge)

    def _namespace(self, path: str) -> tuple[int, socket.socket]:
        made: list[tuple[int, socket.socket]] = []

        def work() -> None:
            LIBC.unshare(CLONE_NEWNET)
            inner = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
                fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
            own = f"/proc/self/task/{threading.get_native_id()}/ns/net"
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0o444))
            LIBC.mount(own.encode(), path.encode(), None, MS_BIND, None)
            made.append((os.open(path, os.O_RDONLY), inner))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return made[0]

    def attach(self, number: int) -> None:
        path, name, address = f"/run/netns/floor-{number}", f"floor{number}", self.address(number)
        namespace, inner = self._namespace(path)
        peer = link_header() + text(3, "eth0") + attribute(28, struct.pack("=I", namespace))
        peer += attribute(1, b"\2\x42" + address)
        data = text(1, "veth") + attribute(2 | NLA_F_NESTED, attribute(1 | NLA_F_NESTED, peer))
        body = link_header() + text(3, name) + attribute(10, struct.pack("=i", self.bridge))
        body += attribute(18 | NLA_F_NESTED, data)
        talk(self.route, message(NEWLINK, REQUEST | ACK | CREATE_EXCL, body), acks=1)
        self._element(NFT_NEWSETELEM, number)
        talk(self.route, message(NEWLINK, REQUEST | ACK, link_header(up=True) + text(3, name)), acks=1)
        index = 2  # the first link after the loopback
        talk(
            inner,
            message(NEWADDR, REQUEST | ACK | CREATE_EXCL,
                    struct.pack("=BBBBI", 2, 16, 0, 0, index) + attribute(2, address) + attribute(1, address)),
            message(NEWLINK, REQUEST | ACK, link_header(index, up=True)),
            message(NEWROUTE, REQUEST | ACK | CREATE_EXCL,
                    struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 78, 0, 1, 0)
                    + attribute(5, bytes([10, 250, 0, 1])) + attribute(4, struct.pack("=I", index))),
            acks=3,
        )  # fmt: skip
        inner.close()
        os.close(namespace)

    def detach(self, number: int) -> None:
        self._element(NFT_DELSETELEM, number)
        talk(self.route, message(DELLINK, REQUEST | ACK, link_header() + text(3, f"floor{number}")), acks=1)
        path = f"/run/netns/floor-{number}".encode()
        LIBC.umount2(path, MNT_DETACH)
        os.unlink(path)

    @staticmethod
    def address(number: int) -> bytes:
        return bytes([10, 250, number >> 8 & 255, number & 255])

    def _element(self, kind: int, number: int) -> None:
        def data(value: bytes) -> bytes:
            return attribute(1, value)

        key = struct.pack("!B3xH2x", 6, 20000 + number)
        value = self.address(number) + struct.pack("!H2x", 80)
        parts = attribute(1 | NLA_F_NESTED, data(key))
        if kind == NFT_NEWSETELEM:
            parts += attribute(2 | NLA_F_NESTED, data(value))
        elements = attribute(3 | NLA_F_NESTED, attribute(1 | NLA_F_NESTED, parts))
        family, batch = struct.pack("=BBH", 1, 0, 0), struct.pack("=BBH", 0, 0, socket.htons(10))
        body = family + text(1, "floor") + text(2, "ports") + elements
        flags = REQUEST | ACK | (0x400 if kind == NFT_NEWSETELEM else 0)
        talk(
            self.filter,
            message(NFT_BATCH_BEGIN, REQUEST, batch),
            message(kind, flags, body),
            message(NFT_BATCH_END, REQUEST, batch),
            acks=1,
        )


TABLE = """
table inet floor {
  map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }
  chain inward { type nat hook prerouting priority -100;
    fib daddr type local dnat ip to meta l4proto . th dport map @ports;
  }
  chain outward { type nat hook postrouting priority 100;
    ip saddr 10.250.0.0/16 oifname != "floor0" masquerade;
  }
}
"""
