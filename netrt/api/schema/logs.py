"""What a container printed, as frames of Docker's multiplexed stream: stream number, three zeros, length (big-endian), bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from netrt.launch.logread import Entry

_STREAMS = {"stdout": 1, "stderr": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries, and how: `since` and `until` are RFC 3339 in UTC with nine digits, as the log has them, or empty."""

    stdout: bool
    stderr: bool
    timestamps: bool = False
    since: str = ""
    until: str = ""

    def __contains__(self, entry: Entry) -> bool:
        shown = self.stdout if entry.stream == "stdout" else self.stderr
        return shown and self.since <= entry.time and (not self.until or entry.time <= self.until)


def frames(entries: Iterable[Entry], wanted: Wanted) -> bytes:
    """The frames of those entries that are wanted."""
    return b"".join(_frame(entry, wanted.timestamps) for entry in entries if entry in wanted)


def _frame(entry: Entry, timestamps: bool) -> bytes:
    text = (f"{entry.time} {entry.log}" if timestamps else entry.log).encode("utf-8", "replace")
    return struct.pack(">BxxxL", _STREAMS.get(entry.stream, 1), len(text)) + text
