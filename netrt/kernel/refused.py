"""The one place that looks at error numbers: what the kernel said no to, in words, and what a person can do about it."""

from __future__ import annotations

import errno
import os
from ipaddress import ip_interface

from netrt.dataplane import ops
from netrt.errors import KernelRefused

_ALREADY_GONE = {
    ops.UnpinNamespace: (errno.ENOENT,),
    ops.DelLink: (errno.ENODEV,),
    ops.DelAddress: (errno.EADDRNOTAVAIL, errno.ENODEV),
    ops.ResizeAddress: (errno.EADDRNOTAVAIL,),
    ops.DelRoute: (errno.ESRCH, errno.ENODEV),
    ops.DelRule: (errno.ENOENT,),
    ops.DelNeighbor: (errno.ENOENT, errno.ENODEV),
    ops.DelShaper: (errno.ENOENT, errno.EINVAL, errno.ENODEV),
    ops.DelRedirect: (errno.ENOENT, errno.EINVAL, errno.ENODEV),
    ops.TakeNamePort: (errno.ENOENT, errno.ENODEV),
}
"""What a namespace that ends, or a process that moves in, takes away between our look and our hand is away, which is what we
wanted. Not so for what we wanted there."""

_HINTS: dict[tuple[type[ops.Op] | None, int], str] = {
    (None, errno.EPERM): "netrtd needs root, with CAP_NET_ADMIN and CAP_SYS_ADMIN",
    (None, errno.EACCES): "netrtd needs root, with CAP_NET_ADMIN and CAP_SYS_ADMIN",
    (None, errno.EROFS): "/proc/sys is read-only here; in a container it needs --privileged",
    (None, errno.ENOMEM): "the kernel is out of memory",
    (None, errno.ENOBUFS): "the kernel is out of memory",
    (None, errno.ENFILE): "the kernel is out of open files",
    (None, errno.EMFILE): "netrtd is out of open files; raise its limit (LimitNOFILE=)",
    (ops.PinNamespace, errno.ENOSPC): "too many namespaces or mounts; raise user.max_net_namespaces or fs.mount-max",
    (ops.PinNamespace, errno.EEXIST): "a namespace is pinned there already",
    (ops.AddBridge, errno.EEXIST): "an interface of that name exists already",
    (ops.AddBridge, errno.EOPNOTSUPP): "this kernel has no bridges; try `modprobe bridge`",
    (ops.AddVeth, errno.EEXIST): "an interface of that name exists already, on the host or in the namespace",
    (ops.AddVeth, errno.EOPNOTSUPP): "this kernel has no veth pairs; try `modprobe veth`",
    (ops.AddVeth, errno.EXFULL): "a bridge takes at most 1023 interfaces; use a second network",
    (ops.AddVeth, errno.ENODEV): "the bridge, or the interface, is gone",
    (ops.SetLink, errno.ENODEV): "the interface is gone",
    (ops.SetLink, errno.EXFULL): "a bridge takes at most 1023 interfaces; use a second network",
    (ops.AddAddress, errno.ENODEV): "the interface is gone",
    (ops.AddAddress, errno.EEXIST): "the interface has this address already",
    (ops.ResizeAddress, errno.ENODEV): "the interface is gone",
    (ops.AddAddress, errno.EACCES): "IPv6 is off on this interface (disable_ipv6)",
    (ops.AddAddress, errno.EOPNOTSUPP): "this kernel has no IPv6",
    (ops.AddAddress, errno.EAFNOSUPPORT): "this kernel has no IPv6",
    (ops.SetRoute, errno.ENODEV): "the interface is gone",
    (ops.SetRoute, errno.EEXIST): "a route to there exists that is not ours",
    (ops.SetRoute, errno.ENETUNREACH): "the interface is down, or the gateway not on its network",
    (ops.SetRoute, errno.EHOSTUNREACH): "the interface is down, or the gateway not on its network",
    (ops.AddStacked, errno.EEXIST): "an interface of that name exists already",
    (ops.AddStacked, errno.EBUSY): "the parent is a port of something else, or has links of another kind on it",
    (ops.AddStacked, errno.EOPNOTSUPP): "this kernel has no macvlan or ipvlan; try `modprobe macvlan`",
    (ops.AddStacked, errno.EINVAL): "the parent has a smaller MTU, or is taken by a passthru network",
    (ops.SetRule, errno.EOPNOTSUPP): "this kernel has no policy routing (IP_MULTIPLE_TABLES)",
    (ops.SetRule, errno.EAFNOSUPPORT): "this kernel has no policy routing (IP_MULTIPLE_TABLES)",
    (ops.AddIfb, errno.EOPNOTSUPP): "this kernel has no ifb; try `modprobe ifb`",
    (ops.SetShaper, errno.ENOENT): "this kernel has no tbf; try `modprobe sch_tbf`",
    (ops.SetRedirect, errno.ENOENT): "this kernel lacks ingress, u32 or mirred; try `modprobe act_mirred cls_u32`",
    (ops.SetRedirect, errno.EEXIST): "somebody else has put something at the way in of this interface",
    (ops.SetSysctl, errno.ENOENT): "the interface is gone, or this kernel has no such setting",
}

_LATER = frozenset({errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ENOBUFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE})


_SCARCE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def unseen(path: str, error: OSError | ValueError) -> KernelRefused | None:
    """The error where a namespace cannot be looked at for want of something; that does not say that it is not there."""
    if not isinstance(error, OSError) or error.errno not in _SCARCE:
        return None
    words = f"cannot look at {path[:200]!r}: {os.strerror(error.errno)}"
    return KernelRefused(words, errno=error.errno, hint=_HINTS[None, error.errno], retry=True)


def harmless(op: ops.Op, number: int) -> bool:
    """Whether this refusal only says that there is nothing left to do: it is gone already, or the kernel has given a link the
    link-local address meanwhile that it was about to get."""
    if isinstance(op, ops.AddAddress) and number == errno.EEXIST:
        return ip_interface(op.address.address).is_link_local
    return number in _ALREADY_GONE.get(type(op), ())


def refused(op: ops.Op, number: int, text: str = "") -> KernelRefused:
    """The error for an operation that the kernel refused with this errno; `text` is what it said besides (extack)."""
    said = os.strerror(number) if number else ""
    words = ": ".join(part for part in (said, text.strip(" .")) if part)
    hint = _HINTS.get((type(op), number)) or _HINTS.get((None, number), "")
    return KernelRefused(f"cannot {_short(op.describe())}: {words}", errno=number, hint=hint, retry=number in _LATER)


def gone(op: ops.Op, why: str) -> KernelRefused:
    """The error for an operation in a sandbox that is not there."""
    return KernelRefused(f"cannot {_short(op.describe())}: {why}", errno=errno.ENOENT)


def named(op: ops.Op, error: KernelRefused) -> KernelRefused:
    """A refusal that does not say yet what was tried."""
    words = f"cannot {_short(op.describe())}: {error.message}"
    return KernelRefused(words, errno=error.errno, hint=error.hint, retry=error.retry)


def _short(words: str) -> str:
    return words if len(words) <= 300 else words[:300] + "…"
