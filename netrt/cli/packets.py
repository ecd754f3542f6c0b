"""Packets in words, in files, and filtered: what scapy knows of them. Imported by `netrt capture` only, for scapy takes long."""

from __future__ import annotations

import errno
import os
import stat
import time

import scapy.layers.dhcp
import scapy.layers.dhcp6
import scapy.layers.dns
import scapy.layers.inet6
import scapy.layers.vxlan  # noqa: F401 (each layer tells scapy of itself)
from scapy.arch.common import compile_filter
from scapy.error import Scapy_Exception
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgWriter

from netrt.cli.ears import Heard
from netrt.errors import Invalid, Unavailable
from netrt.kernel.path import open_path

_ETHERNET = 1  # DLT_EN10MB, LINKTYPE_ETHERNET
_INBOUND, _OUTBOUND = 1, 2


def compiled(text: str) -> list[tuple[int, int, int, int]]:
    """A filter in the language of pcap-filter(7), as the kernel's BPF instructions. Raises Invalid where it is none, Unavailable
    where libpcap is missing, which alone knows the language."""
    if not text:
        return []
    try:
        program = compile_filter(text, linktype=_ETHERNET)
    except ImportError:
        raise Unavailable(
            "a filter needs libpcap", hint="apt install libpcap0.8, or capture without a filter"
        ) from None
    except Scapy_Exception as error:
        reason = str(error).rpartition(" (")[2].rstrip(")") or "it cannot be understood"
        raise Invalid(f"filter {text[:80]!r}: {reason}", hint="see pcap-filter(7)") from None
    lines = (program.bf_insns[number] for number in range(program.bf_len))
    return [(line.code, line.jt, line.jf, line.k & 0xFFFFFFFF) for line in lines]  # scapy has k with a sign


def summary(packet: Heard) -> str:
    """One line: when, where, in which direction, and what."""
    clock = time.strftime("%H:%M:%S", time.localtime(packet.time))
    try:
        what = Ether(packet.data).summary()
    except Exception as error:  # whoever sends broken packets must not end the capture
        what = f"{len(packet.data)} bytes that scapy cannot read ({type(error).__name__})"
    shown = "".join(character if character.isprintable() else "?" for character in what)
    return f"{clock}.{int(packet.time % 1 * 1e6):06} {packet.name} {'<' if packet.sent else '>'} {shown}"


class _Named(PcapNgWriter):  # type: ignore[misc]
    """scapy begins a file with an interface without a name; here each has one, and is written with its first packet."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.interfaces2id: dict[bytes, int] = {}
        self.linktype = _ETHERNET

    def _write_header(self, pkt: object) -> None:
        self._write_block_shb()

    def packet(self, heard: Heard) -> None:
        name = heard.name.encode()
        if name not in self.interfaces2id:
            self.interfaces2id[name] = len(self.interfaces2id)
            self._write_block_idb(linktype=_ETHERNET, ifname=name)
        self._write_block_epb(
            heard.data,
            self.interfaces2id[name],
            timestamp=heard.time,
            flags=_OUTBOUND if heard.sent else _INBOUND,
        )


class File:
    """A pcapng file. After each `flush` it is whole."""

    def __init__(self, path: str) -> None:
        try:
            made = os.dup(1) if path == "-" else created(os.path.abspath(path))
            try:
                self._writer = _Named(f"/proc/self/fd/{made}")
            finally:
                os.close(made)
        except OSError as error:
            raise Unavailable(f"{path} cannot be written: {error.strerror}") from error
        self._writer.write_header(None)
        self._writer.flush()

    def write(self, packet: Heard) -> None:
        self._writer.packet(packet)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def created(path: str) -> int:
    """An open file to write packets to at an absolute path. A new one is for its owner only. Raises OSError; ELOOP where somebody
    else made a link that is in the way, or a file has another name: root must not be led to write into what is not meant."""
    try:
        there = open_path(path)
    except FileNotFoundError:
        return _new(path)
    try:
        found = os.fstat(there)
        if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
            raise OSError(errno.ELOOP, "it has another name, and so may be another file than is meant")
        return os.open(f"/proc/self/fd/{there}", os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)
    finally:
        os.close(there)


def _new(path: str) -> int:
    directory, name = os.path.split(path)
    within = open_path(directory)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, 0o600, dir_fd=within)
    finally:
        os.close(within)
