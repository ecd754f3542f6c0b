"""Files that a configuration names, and those of the kernel that say what it leaves out."""

from __future__ import annotations

import os
import stat

from netrt.cni.refusal import CONFIGURATION, Refusal

LARGEST = 65536


def read_file(field: str, path: str) -> str:
    """The text of a regular file. Raises Refusal, and waits for nothing: a FIFO or a device is refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise Refusal(CONFIGURATION, f"field {field}: {path[:200]!r} cannot be read: {why}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Refusal(CONFIGURATION, f"field {field}: {path[:200]!r} is no file")
        return os.read(descriptor, LARGEST).decode(errors="replace")
    finally:
        os.close(descriptor)


def uplink() -> str:
    """The link of the first default route (IPv4, else IPv6), empty where there is none."""
    with open("/proc/net/route") as four, open("/proc/net/ipv6_route") as six:
        rows = [line.split() for line in four]
        found = [row[0] for row in rows if row[1] == "00000000" and row[7] == "00000000"]
        wide = [line.split() for line in six]
        found += [row[9] for row in wide if set(row[0]) == {"0"} and row[1] == "00" and row[9] != "lo"]
    return next(iter(found), "")
