"""The system calls that Python 3.11 has no function for, by way of the C library. Each raises OSError that says what failed."""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000

PR_SET_NAME = 15
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_SYS_MOUNT_SETATTR = 442  # the same number on every architecture
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 0x1
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def setns(descriptor: int, kinds: int, what: str) -> None:
    """Enter the namespace of a namespace file, or those `kinds` of a process's (pidfd)."""
    _check(_libc.setns(descriptor, kinds), f"enter {what}")


def unshare(kinds: int) -> None:
    """Leave for new namespaces of these kinds."""
    _check(_libc.unshare(kinds), "make namespaces")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode() or None
    )
    _check(result, f"mount {kind or source or 'again'} on {target}")


def make_tree_read_only(path: str) -> None:
    """Every mount at and below `path` becomes read-only in this mount namespace, in one call (Linux 5.12)."""
    attributes = _MountAttr(attr_set=_MOUNT_ATTR_RDONLY)
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        path.encode(),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    _check(result, f"make {path} read-only")


def sethostname(name: str) -> None:
    """Of the calling process's UTS namespace."""
    text = name.encode()
    _check(_libc.sethostname(text, ctypes.c_size_t(len(text))), f"set the hostname {name}")


def prctl(option: int, argument: int = 0, what: str = "prctl") -> int:
    """prctl(2) with one argument; the others are 0."""
    zero = ctypes.c_ulong(0)
    return _check(_libc.prctl(ctypes.c_int(option), ctypes.c_ulong(argument), zero, zero, zero), what)


def set_process_name(name: str) -> None:
    """What `ps` and /proc/PID/comm show; 15 bytes."""
    _libc.prctl(ctypes.c_int(PR_SET_NAME), name.encode(), 0, 0, 0)


def capset(mask: int) -> None:
    """Exactly these capabilities (bit by number) effective and permitted, none inheritable."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    sets = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    _check(_libc.capset(header, sets), "set capabilities")


def filesystem_type(descriptor: int) -> int:
    """The magic number of the file system that a descriptor's file is on."""
    buffer = (ctypes.c_long * 32)()  # struct statfs begins with f_type; 120 bytes on 64-bit machines
    _check(_libc.fstatfs(descriptor, buffer), "fstatfs")
    return int(buffer[0])
