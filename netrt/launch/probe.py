"""One check of a container's health by a command: runs it inside, and tells how it ended and what it said.

    python -I -S -c … SECONDS      (`probe_argv`; the launch object and the command come as JSON by standard input)

Rule: it takes no longer than it may, and no more of the output than OUTPUT; whatever keeps the output open afterwards is not
waited for."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time

from netrt.errors import NetrtError
from netrt.launch.foreground import exit_status
from netrt.launch.launch import Launch
from netrt.launch.start import start_more

OUTPUT = 4096
"""Bytes of output that are kept, as with Docker."""
FAILED = 1
"""The exit status of a check that could not be made."""


def probe_argv(seconds: float) -> list[str]:
    """How to call it."""
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = "import sys; sys.path.insert(0, sys.argv[1]); from netrt.launch.probe import main; main(float(sys.argv[2]))"
    return [sys.executable, "-I", "-S", "-c", code, top, str(seconds)]


def main(seconds: float) -> None:
    """The program. Prints `{"ExitCode": 0, "Output": ""}`."""
    asked = json.load(sys.stdin)
    said, answer = b"", os.dup(1)
    try:
        status, said = _run(Launch(asked["Launch"]), asked["Command"], seconds)
    except (NetrtError, OSError) as error:
        status, said = FAILED, str(error).encode()
    with open(answer, "w", encoding="utf-8") as out:
        json.dump({"ExitCode": status, "Output": said.decode("utf-8", "replace")}, out)


def _run(launch: Launch, command: list[str], seconds: float) -> tuple[int, bytes]:
    """Exit status and output. Raises NetrtError, OSError."""
    deadline = time.monotonic() + seconds
    hear, say = os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, stream in enumerate((nothing, say, say)):
        os.dup2(stream, number)
    for stream in (nothing, say):
        os.close(stream)
    child = start_more(launch, command)
    child.ready()
    child.release()
    process = os.pidfd_open(child.pid)
    said, heard = b"", [hear, process]
    while process in heard:
        ready = select.select(heard, [], [], max(0.0, deadline - time.monotonic()))[0]
        if not ready:
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
            return -1, f"Health check exceeded timeout ({seconds:g}s): ".encode() + said
        if process in ready:
            heard.remove(process)
        if hear in ready:
            piece = os.read(hear, OUTPUT)
            said = (said + piece)[:OUTPUT]
            if not piece:
                heard.remove(hear)
    if select.select([hear], [], [], 0)[0]:  # what it said last
        said = (said + os.read(hear, OUTPUT))[:OUTPUT]
    return exit_status(os.waitpid(child.pid, 0)[1]), said
