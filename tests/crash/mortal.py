"""netrtd, put together with a kernel, a store and a publisher that know the moment of their death.

The program forks one daemon for each line on its standard input and says its number and its first words, so that a start costs
no imports; the daemon is netrtd's own `main`, a process of its own, and SIGKILL is the kernel's. Its ids are counted, not
random, so that two runs of a flow lead to the same State."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from typing import Any

from netrt.daemon import main as program
from netrt.daemon import wiring
from netrt.daemon.publisher import Publisher
from netrt.dataplane.ops import Op
from netrt.kernel.kernel import LinuxKernel
from netrt.model.state import State
from netrt.startup import READY
from netrt.store import restore
from netrt.store.copy import Copy
from netrt.store.local import LocalStore
from tests.crash.moment import Moment


def put_together(moment: Moment) -> None:
    """Wire mortal parts in the place of the usual ones."""

    class Kernel(LinuxKernel):
        def apply(self, todo: Sequence[Op]) -> None:
            for op in todo:
                moment.point(f"before: {op.describe()}")
                super().apply((op,))
                moment.point(f"after: {op.describe()}")

    class Store(LocalStore):
        def save(self, before: State, after: State) -> None:
            moment.point("before: save")
            super().save(before, after)
            moment.point("after: save")

    class Twin(Copy):
        def add(self, *step: Any) -> None:
            moment.point("before: copy of what was saved")
            super().add(*step)

    class Told(Publisher):
        def leaving(self, before: State, after: State) -> None:
            moment.point("before: names go")
            super().leaving(before, after)
            moment.point("after: names go")

        def committed(self, *commit: Any) -> None:
            moment.point("before: tell")
            super().committed(*commit)
            moment.point("after: tell")

    wiring.LinuxKernel, wiring.Publisher = Kernel, Told  # type: ignore[misc]
    restore.LocalStore, restore.Copy = Store, Twin  # type: ignore[misc]
    numbers = itertools.count()

    def counted(size: int | None = None) -> str:
        return hashlib.sha256(f"{moment.armed} {next(numbers)}".encode()).hexdigest()[: 2 * (size or 32)]

    secrets.token_hex = counted


def live(moment: str, say: int) -> None:
    """Be a daemon until the end."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    put_together(Moment(moment))
    null = os.open(os.devnull, os.O_RDWR)
    log = os.open("/run/mortal.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number, stream in enumerate((null, log, log)):
        os.dup2(stream, number)
    os._exit(program.main(["--ready-fd", str(say), "--log-level", "error"]))


def main() -> None:
    moment = sys.argv[1]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the dead here
    for _ in sys.stdin:
        hear, say = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(hear)
            live(moment, say)
        os.close(say)
        with open(hear, "rb") as pipe:
            words = pipe.read() if pid else b""
        print(json.dumps({"pid": pid, "ready": words == READY, "said": words.decode()}), flush=True)


if __name__ == "__main__":
    main()
