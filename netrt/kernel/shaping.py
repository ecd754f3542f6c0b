"""Token buckets and redirects as rtnetlink messages: what to send for an operation, and what a message tells.

Both are asked for by a handle of our own, so that nothing is dumped: NLM_F_ECHO makes the kernel's answer come to who asked.
A redirect is two things: an ingress qdisc, and in it one u32 filter that matches everything (a zero mask) with the action mirred.
https://docs.kernel.org/networking/tc-actions-env-rules.html, linux/include/uapi/linux/pkt_sched.h and pkt_cls.h
"""

from __future__ import annotations

import struct

from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL, NLM_F_REPLACE
from pyroute2.netlink.rtnl import (
    RTM_DELQDISC,
    RTM_GETQDISC,
    RTM_GETTFILTER,
    RTM_NEWQDISC,
    RTM_NEWTFILTER,
    TC_H_INGRESS,
    TC_H_ROOT,
)

from netrt.dataplane.objects import Redirect, Shaper
from netrt.kernel.wire import Message, Request, attribute, attributes, nested, string, text

_TCM = struct.Struct("=BxxxiIII")  # struct tcmsg: family, ifindex, handle, parent, info
_RATE = struct.Struct("=BBHhHI")  # struct tc_ratespec: cell log, link layer, overhead, cell align, mpu, rate
_BUCKET = struct.Struct("=12s12sIII")  # struct tc_tbf_qopt: rate, peak rate, limit, buffer, mtu
_SELECTOR = struct.Struct("=BBBxHHhhI")  # struct tc_u32_sel, without keys
_KEY = struct.Struct("=IIii")  # struct tc_u32_key
_MIRRED = struct.Struct("=IIiiiiI")  # struct tc_mirred: index, capab, action, refcnt, bindcnt, eaction, ifindex

_KIND, _OPTIONS = 1, 2  # TCA_KIND, TCA_OPTIONS
_TBF_PARMS, _TBF_RATE64 = 1, 4
_U32_SEL, _U32_ACT = 5, 7
_ACT_KIND, _ACT_OPTIONS, _MIRRED_PARMS = 1, 2, 2
_ETHERNET = 1  # TC_LINKLAYER_ETHERNET
_TERMINAL, _STOLEN, _EGRESS_REDIRECT = 1, 4, 1  # TC_U32_TERMINAL, TC_ACT_STOLEN, TCA_EGRESS_REDIR
_LARGEST32 = 0xFFFFFFFF

_BUCKET_HANDLE = 0x6E720000  # `nr`
_INGRESS_HANDLE = 0xFFFF0000
_FILTER_HANDLE = 0x80000800  # what the first u32 filter of a qdisc gets
_EVERYTHING = 1 << 16 | 0x0300  # priority 1, ETH_P_ALL in network order


def _request(
    kind: int, flags: int, index: int, *attributes: bytes, handle: int = 0, parent: int = 0, info: int = 0
) -> Request:
    return Request(kind, flags, _TCM.pack(0, index, handle, parent, info) + b"".join(attributes))


# buckets


def get_bucket(index: int) -> Request:
    """Ask for our token bucket of a link."""
    return _request(RTM_GETQDISC, NLM_F_ECHO, index, handle=_BUCKET_HANDLE)


def read_bucket(message: Message, link: str) -> Shaper | None:
    """None where our handle is that of something else."""
    held = attributes(message.body, _TCM.size)
    options = attributes(held.get(_OPTIONS, b""))
    if string(held.get(_KIND, b"")) != "tbf" or _TBF_PARMS not in options:
        return None
    rate, _, limit, credit, _ = _BUCKET.unpack_from(options[_TBF_PARMS])
    exact = options.get(_TBF_RATE64)
    return Shaper(
        link=link,
        rate=struct.unpack("=Q", exact)[0] if exact else _RATE.unpack(rate)[-1],
        credit=credit,
        limit=limit,
    )


def set_bucket(shaper: Shaper, index: int) -> Request:
    rate = _RATE.pack(0, _ETHERNET, 0, 0, 0, min(shaper.rate, _LARGEST32))
    options = [attribute(_TBF_PARMS, _BUCKET.pack(rate, bytes(12), shaper.limit, shaper.credit, 0))]
    if shaper.rate > _LARGEST32:
        options.append(attribute(_TBF_RATE64, struct.pack("=Q", shaper.rate)))
    return _request(
        RTM_NEWQDISC,
        NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
        index,
        text(_KIND, "tbf"),
        nested(_OPTIONS, *options),
        handle=_BUCKET_HANDLE,
        parent=TC_H_ROOT,
    )


def delete_bucket(index: int) -> Request:
    return _request(RTM_DELQDISC, NLM_F_ACK, index, handle=_BUCKET_HANDLE, parent=TC_H_ROOT)


# redirects


def get_redirect(index: int) -> tuple[Request, Request]:
    """Ask for a link's ingress qdisc, and for our filter in it."""
    return (
        _request(RTM_GETQDISC, NLM_F_ECHO, index, handle=_INGRESS_HANDLE),
        _request(
            RTM_GETTFILTER,
            NLM_F_ECHO,
            index,
            handle=_FILTER_HANDLE,
            parent=_INGRESS_HANDLE,
            info=_EVERYTHING,
        ),
    )


def read_redirect(message: Message) -> int:
    """The index of the link that a filter leads through, 0 where it leads nowhere."""
    options = attributes(attributes(message.body, _TCM.size).get(_OPTIONS, b""))
    for action in attributes(options.get(_U32_ACT, b"")).values():
        held = attributes(action)
        if string(held.get(_ACT_KIND, b"")) == "mirred":
            parameters = attributes(held.get(_ACT_OPTIONS, b"")).get(_MIRRED_PARMS)
            if parameters:
                _, _, action_number, _, _, way, index = _MIRRED.unpack_from(parameters)
                return int(index) if (action_number, way) == (_STOLEN, _EGRESS_REDIRECT) else 0
    return 0


def set_redirect(redirect: Redirect, index: int, to: int) -> tuple[Request, Request]:
    """`index` and `to` are those of the two links."""
    selector = _SELECTOR.pack(_TERMINAL, 0, 1, 0, 0, 0, 0, 0) + _KEY.pack(0, 0, 0, 0)
    mirred = _MIRRED.pack(0, 0, _STOLEN, 0, 0, _EGRESS_REDIRECT, to)
    action = nested(1, text(_ACT_KIND, "mirred"), nested(_ACT_OPTIONS, attribute(_MIRRED_PARMS, mirred)))
    return (
        _request(
            RTM_NEWQDISC,
            NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
            index,
            text(_KIND, "ingress"),
            handle=_INGRESS_HANDLE,
            parent=TC_H_INGRESS,
        ),
        _request(
            RTM_NEWTFILTER,
            NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
            index,
            text(_KIND, "u32"),
            nested(_OPTIONS, attribute(_U32_SEL, selector), nested(_U32_ACT, action)),
            parent=_INGRESS_HANDLE,
            info=_EVERYTHING,
        ),
    )


def delete_redirect(index: int) -> Request:
    return _request(RTM_DELQDISC, NLM_F_ACK, index, handle=_INGRESS_HANDLE, parent=TC_H_INGRESS)
