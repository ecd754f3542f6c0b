"""netrtd that ends by SIGKILL right before a chosen kernel operation: `python -m tests.mortal`, in the place of netrtd.

The number of operations that it has left is in a file; while there is none, it lives."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from netrt.daemon import main as program
from netrt.daemon import wiring
from netrt.dataplane.ops import Op
from netrt.kernel.kernel import LinuxKernel

LEFT = Path("/run/operations-left")


class Mortal(LinuxKernel):
    """Does one operation after the other, and counts."""

    def apply(self, todo: Sequence[Op]) -> None:
        for op in todo:
            if LEFT.exists():
                left = int(LEFT.read_text())
                if not left:
                    LEFT.unlink()
                    os.kill(os.getpid(), signal.SIGKILL)
                    signal.pause()
                LEFT.write_text(str(left - 1))
            super().apply((op,))


if __name__ == "__main__":
    wiring.LinuxKernel = Mortal  # type: ignore[misc]
    sys.exit(program.main(sys.argv[1:]))
