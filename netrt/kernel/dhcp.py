"""DHCP on the wire: messages as frames and back, by pyroute2's codec, and the packet sockets that carry them, in a sandbox or on
a link that stands in for that of a container which is yet to come, or has gone.

Frames, because who asks has no address yet, and because nothing of the container (its port 68, its own packet filter) is in the
way. A stranger's frame may be anything; what cannot be read is nothing."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

from pyroute2.dhcp.dhcp4msg import dhcp4msg
from pyroute2.dhcp.enums.dhcp import Option
from pyroute2.ext import bpf
from pyroute2.protocols import ethmsg, ip4msg, udp4_pseudo_header, udpmsg

from netrt.dataplane.objects import HOST, Link, LinkKind
from netrt.dataplane.ops import SetLink
from netrt.errors import KernelRefused
from netrt.ipam.dhcp import Kind, Question, Reply
from netrt.kernel import links
from netrt.kernel.checksum import checksum
from netrt.kernel.netlink import Netlink
from netrt.kernel.netns import new_namespace, on_thread, opened, run_inside
from netrt.kernel.wire import Answer
from netrt.model.parent import MacvlanMode

_CLIENT, _SERVER = 68, 67
_ETH_IP, _TO_ALL, _ALL_MACS = 0x0800, "255.255.255.255", "ff:ff:ff:ff:ff:ff"
_REQUEST_OP, _BROADCAST = 1, 0x8000
_UDP = 8
_LEAST = 300
"""Bytes of a BOOTP message; relays drop shorter ones (RFC 1542, section 2.1)."""
_SO_ATTACH_FILTER = 26
_STAND_IN, _SMALL = "nrdhcp", 1280
"""The name of a link that stands in, and its MTU: no larger than any parent's, and DHCP needs 576."""
_PARAMETERS = (
    Option.SUBNET_MASK, Option.CLASSLESS_STATIC_ROUTE, Option.ROUTER, Option.NAME_SERVER, Option.INTERFACE_MTU, Option.LEASE_TIME,
    Option.RENEWAL_TIME, Option.REBINDING_TIME)  # fmt: skip
"""What is asked for; routes before the router (RFC 3442)."""


def packed(question: Question) -> bytes:
    """A question as an Ethernet frame."""
    options: dict[str, Any] = {"message_type": int(question.kind)}
    identifier = bytes.fromhex(question.client)
    options["client_id"] = {"type": identifier[0], "key": identifier[1:]}
    for name, value in (("requested_ip", question.wanted), ("server_id", question.server)):
        if value:
            options[name] = value
    if question.hostname:
        options["host_name"] = question.hostname
    if question.kind is not Kind.RELEASE:
        options["parameter_list"] = [int(number) for number in _PARAMETERS]
    message = dhcp4msg(
        {
            "op": _REQUEST_OP,
            "xid": question.number,
            "flags": 0 if question.own else _BROADCAST,
            "ciaddr": question.own or "0.0.0.0",
            "chaddr": question.mac,
            "options": options,
        }
    )
    body = message.encode().buf.ljust(_LEAST, b"\0")
    return _framed(question, body)


def _framed(question: Question, body: bytes) -> bytes:
    address, mac = question.to
    ends = {"src": question.own or "0.0.0.0", "dst": address or _TO_ALL}
    length = _UDP + len(body)
    pseudo = udp4_pseudo_header({**ends, "len": length}).encode().buf
    ports = {"sport": _CLIENT, "dport": _SERVER, "len": length}
    over = checksum(pseudo + udpmsg(ports).encode().buf + body)
    header = {**ends, "len": 20 + length, "proto": socket.IPPROTO_UDP}
    outer = ip4msg({**header, "csum": checksum(ip4msg(header).encode().buf)}).encode().buf
    frame = ethmsg({"dst": mac or _ALL_MACS, "src": question.mac, "type": _ETH_IP}).encode().buf
    return bytes(frame + outer + udpmsg({**ports, "csum": over or 0xFFFF}).encode().buf + body)


def unpacked(frame: bytes) -> Reply | None:
    """What a frame says, if that is a DHCP server's answer."""
    try:
        return _read(frame)
    except Exception:  # the codec raises whatever a stranger's bytes lead to
        return None


def _read(frame: bytes) -> Reply | None:
    ethernet = ethmsg(buf=frame).decode()
    header = frame[14] & 0x0F
    said = dhcp4msg(buf=frame, offset=14 + 4 * header + _UDP).decode()
    options = said["options"]
    if said["op"] != 2 or int(options["message_type"]) not in tuple(Kind):
        return None
    return Reply(
        kind=Kind(int(options["message_type"])),
        number=said["xid"],
        mac=said["chaddr"],
        address=said["yiaddr"],
        server=options.get("server_id", ""),
        server_mac=ethernet["src"],
        netmask=options.get("subnet_mask", ""),
        routers=tuple(options.get("router", ())),
        ways=tuple(options.get("classless_static_route", ())),
        dns=tuple(options.get("name_server", ())),
        mtu=options.get("interface_mtu", 0),
        lasts=_seconds(options, "lease_time"),
        renew=_seconds(options, "renewal_time"),
        rebind=_seconds(options, "rebinding_time"),
    )


def _seconds(options: dict[str, Any], name: str) -> int | None:
    """The codec reads numbers with a sign; the RFC has them without."""
    value = options.get(name)
    return None if value is None else int(value) & 0xFFFFFFFF


# sockets


def listening(path: str, link: str) -> socket.socket:
    """A socket that hears what DHCP servers say to a link in a sandbox, and may speak there; it does not wait. Raises Invalid
    where there is no sandbox, KernelRefused."""
    with opened(path) as netns:
        try:
            return run_inside(netns, lambda: _socket(link))
        except OSError as error:
            raise _refused(link, error) from error


def _socket(link: str) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        code, kept = bpf.compile(_FILTER)
        made.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, code)
        del kept
        made.bind((link, _ETH_IP))
    except OSError:
        made.close()
        raise
    return made


_FILTER = [
    [0x30, 0, 0, 23],  # the protocol of the IPv4 packet
    [0x15, 0, 6, socket.IPPROTO_UDP],
    [0x28, 0, 0, 20],  # a fragment has no ports
    [0x45, 4, 0, 0x1FFF],
    [0xB1, 0, 0, 14],
    [0x48, 0, 0, 16],
    [0x15, 0, 1, _CLIENT],
    [0x06, 0, 0, 0xFFFF],
    [0x06, 0, 0, 0],
]
"""Datagrams to the client's port, in classic BPF."""


@contextlib.contextmanager
def standing_in(parent: str, flavour: str, mac: str) -> Iterator[socket.socket]:
    """As `listening`, on a link like that of a container which is yet to come, or has gone, in a namespace that nobody else sees.
    It is gone at the end, and whatever ends this process ends it too. Raises KernelRefused, OSError."""
    made: list[int] = []

    def begin() -> socket.socket:
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            made.append(new_namespace())
            with Netlink() as netlink:
                _raise(_make(netlink, home, index, parent, flavour, mac))
            return _socket(_STAND_IN)
        finally:
            os.close(home)

    def end() -> None:
        with Netlink() as netlink:
            netlink.ask([links.delete_link(_STAND_IN)])

    try:
        index = socket.if_nametoindex(parent)
        wire = on_thread(begin)
        try:
            yield wire
        finally:
            wire.close()
    except OSError as error:
        raise _refused(parent, error) from error
    finally:
        for netns in made:
            run_inside(netns, end)  # the end of a namespace comes some time later, and until then the MAC is taken
            os.close(netns)


def _make(netlink: Netlink, home: int, index: int, parent: str, flavour: str, mac: str) -> list[Answer]:
    known = links.known_as(netlink, home)
    nsid = links.read_nsid(known.message) if known.message is not None else -1
    link = Link(
        netns=HOST,
        name=_STAND_IN,
        kind=LinkKind.MACVLAN,
        mac="" if flavour == MacvlanMode.PASSTHRU else mac,
        mtu=_SMALL,
        lower=parent,
        flavour=flavour,
    )
    made, _ = links.add_stacked(link, index, nsid)
    return netlink.ask([made, *links.set_link(SetLink(netns=HOST, name=_STAND_IN, up=True), None)])


def _raise(answers: list[Answer]) -> None:
    for answer in answers:
        if answer.errno:
            raise OSError(answer.errno, answer.text or os.strerror(answer.errno))


def _refused(where: str, error: OSError) -> KernelRefused:
    said = error.strerror or str(error)
    return KernelRefused(f"cannot speak DHCP on {where}: {said}", errno=error.errno or 0, retry=True)
