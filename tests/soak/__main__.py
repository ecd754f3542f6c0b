"""`make soak`: 5,000 cycles (or as many as are told) on a host of their own, and what they left behind.

python -m tests.soak [CYCLES]      exit status 1 if anything grew by more than 5 %"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

from netrt import Client
from netrt.paths import Paths
from tests.command import Netrt
from tests.host import Host
from tests.namespaces import own_namespaces
from tests.soak.cycles import Burden, cycle, grown, rested

MOST = 32 << 20
"""Bytes that database, write-ahead log and copy may have together, whatever happened so far."""

WARM = 300
"""Cycles before it is measured first: every address of the two small networks rests then, and caches are full."""


def soaked(host: Host, cycles: int, warm: int = WARM) -> tuple[Burden, Burden]:
    """The burden before and after so many cycles."""
    netrt = Netrt(host)
    netrt("network", "create", "--subnet", "10.1.0.0/27", "app")
    netrt("network", "create", "--internal", "--subnet", "10.2.0.0/28", "back")
    with Client() as client:
        cycle(client, warm)
        before = rested()
        cycle(client, cycles)
        after = rested(before)
        size = sum(path.stat().st_size for path in Path(Paths().lib).rglob("*") if path.is_file())
        assert size < MOST, f"{Paths().lib} holds {size} bytes"
        return before, after


def main() -> int:
    cycles = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    with own_namespaces(), contextlib.closing(Host()) as host:
        host.run("ip", "link", "set", "lo", "up")
        began = time.monotonic()
        before, after = soaked(host, cycles)
    print(f"{cycles} cycles in {time.monotonic() - began:.0f} s")
    for what, was in vars(before).items():
        print(f"  {what:12} {was:12,} {getattr(after, what):12,}")
    if worse := grown(before, after):
        print(f"grown: {worse}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
