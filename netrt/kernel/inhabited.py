"""Which network namespaces somebody lives in: those of processes, and those that a mount keeps."""

from __future__ import annotations

import contextlib
import os
import re

_MOUNTED = re.compile(rb"^\S+ \S+ \S+ net:\[(\d+)\] ", re.MULTILINE)
"""The root of a mount of nsfs, in the form of proc_pid_mountinfo(5)."""


def inhabited() -> frozenset[int]:
    """Their inode numbers. A number alone is not for ever: the kernel gives it to a later namespace."""
    with open("/proc/self/mountinfo", "rb") as file:
        mounted = {int(number) for number in _MOUNTED.findall(file.read())}
    return frozenset(mounted | set(by_process()))


def by_process() -> dict[int, list[int]]:
    """The processes (numbers) in each namespace (inode). Those that we may not look at are left out."""
    found: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):  # it has ended
                found.setdefault(os.stat(f"/proc/{entry}/ns/net").st_ino, []).append(int(entry))
    return found
