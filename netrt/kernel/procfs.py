"""A proc file system of our own, mounted nowhere.

All namespaces' directories below /proc/sys/net are children of one directory, and those of one name lie in one chain of the
kernel's cache of names (proc_sys_compare in fs/proc/proc_sysctl.c): the first look into a namespace costs time with each
namespace that was ever looked into. Another instance of the file system has a cache of its own, so one that is changed now and
then keeps the look short on a host of any size."""

from __future__ import annotations

import ctypes
import os

SANDBOXES = 64
"""How many sandboxes are looked into before the instance is changed. Giving one up costs 5 µs for each."""

_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432  # the same numbers on every architecture
_CLOEXEC = 1
_CMD_CREATE = 6

_libc = ctypes.CDLL(None, use_errno=True)


class Procfs:
    """The instance in use. Used by one thread at a time."""

    def __init__(self) -> None:
        self._root = _instance()
        self._looks = 0

    def close(self) -> None:
        os.close(self._root)

    def for_sandbox(self) -> int:
        """The open root directory, good until the next call."""
        self._looks += 1
        if self._looks % SANDBOXES == 0:
            fresh = _instance()
            os.close(self._root)
            self._root = fresh
        return self._root


def _instance() -> int:
    """A new instance's root directory; everybody's /proc where the kernel is too old (before 5.2) or does not let us. Raises
    OSError."""
    context = _libc.syscall(_FSOPEN, b"proc", _CLOEXEC)
    if context >= 0:
        try:
            _libc.syscall(_FSCONFIG, context, _CMD_CREATE, None, None, 0)
            root: int = _libc.syscall(_FSMOUNT, context, _CLOEXEC, 0)
        finally:
            os.close(context)
        if root >= 0:
            return root
    return os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
