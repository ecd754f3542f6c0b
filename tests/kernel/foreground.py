"""The foreground of `netrt run FILE` and `netrt exec FILE COMMAND…` without a daemon: FILE holds the launch object. What a test
starts as a program of its own, because it waits, passes signals on, and may be killed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from netrt.errors import NetrtError
from netrt.launch.foreground import hold_signals, wait
from netrt.launch.launch import Launch
from netrt.launch.program import OWN_FAILURE, NotStarted
from netrt.launch.start import start_first, start_more


def main(file: str, *command: str) -> int:
    launch = Launch(json.loads(Path(file).read_text()))
    try:
        child = start_more(launch, command) if command else start_first(launch)
        child.ready()
        hold_signals()
        child.release()
    except NetrtError as error:
        print(f"netrt: {error}", file=sys.stderr)
        return error.status if isinstance(error, NotStarted) else OWN_FAILURE
    if not command:
        Path(launch.directory, "pid").write_text(str(child.pid))
    return wait(child.pid)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
