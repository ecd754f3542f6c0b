"""Files that a configuration names."""

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
