"""The supervisor of one detached container: starts its command, keeps its output and its exit status, and ends with it.

    python -I -S -c … FILE     (`supervisor_argv`; FILE holds the launch object as JSON)

The program that is called returns when the command runs (exit status 0), or with one line on stderr and 125, 126 or 127 when it
could not be started. What stays behind is a process in a session of its own, a child of nobody that matters: neither the
daemon's end nor the caller's touches it. It tells the daemon of the start before the command runs, and of the end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterable

from netrt.errors import NetrtError
from netrt.launch.foreground import exit_status
from netrt.launch.launch import Launch
from netrt.launch.logfile import Lines, LogWriter, entry
from netrt.launch.program import OWN_FAILURE, NotStarted
from netrt.launch.report import Refused, let_go, tell_end
from netrt.launch.spawn import Child
from netrt.launch.start import start_first
from netrt.launch.syscalls import set_process_name

_CHUNK = 64 * 1024


def supervisor_argv(file: str) -> list[str]:
    """How to call the supervisor with the launch object in `file`: without site, which would double its start and memory."""
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = "import sys; sys.path.insert(0, sys.argv[1]); from netrt.launch.supervise import main; main(sys.argv[2])"
    return [sys.executable, "-I", "-S", "-c", code, top, file]


def main(file: str) -> None:
    """The program. Leaves by SystemExit."""
    try:
        with open(file, encoding="utf-8") as content:
            launch = Launch(json.load(content))
    except (OSError, ValueError, NetrtError) as error:
        sys.exit(_failed(OWN_FAILURE, f"{file}: {error}"))
    outcome, tell = os.pipe()
    first = os.fork()
    if first == 0:
        os.setsid()
        if os.fork() == 0:
            _supervise(launch, tell)
        os._exit(0)
    os.close(tell)
    os.waitpid(first, 0)
    with open(outcome, encoding="utf-8") as words:
        status, _, message = words.read().partition(" ")
    sys.exit(_failed(int(status or OWN_FAILURE), message or "the supervisor was killed") if status != "0" else 0)


def _failed(status: int, message: str) -> int:
    print(f"netrt: {message}", file=sys.stderr)
    return status


def _supervise(launch: Launch, tell: int) -> None:
    """The supervisor's whole life. Never returns."""
    try:
        set_process_name("netrt-supervise")
        os.chdir("/")
        _own_signals()
        try:
            output = Output(LogWriter(launch.log))
            child = output.start(launch)
            let_go(child, launch)
        except (NetrtError, OSError) as error:
            status = error.status if isinstance(error, NotStarted) else OWN_FAILURE
            if not isinstance(error, Refused):
                tell_end(launch, status, str(error))
            _answer(tell, f"{status} {error}")
            return
        _answer(tell, "0")
        tell_end(launch, output.follow(child.pid))
    finally:
        os._exit(0)


def _own_signals() -> None:
    """What would end us does nothing any more. By a handler: an ignored signal would stay so in the container, where exec puts
    handlers back to the default; and so would those that our caller ignored."""
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, lambda *_: None)


def _answer(tell: int, said: str) -> None:
    """Answer the program that was called, and close whatever its callers may wait on: the pipe, and their streams."""
    with contextlib.suppress(BrokenPipeError):  # it was killed
        os.write(tell, said.encode())
    os.close(tell)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)


class Output:
    """What a container prints, from two pipes into its log."""

    def __init__(self, log: LogWriter) -> None:
        self._log = log
        self._pipes: dict[int, tuple[str, Lines]] = {}

    def start(self, launch: Launch) -> Child:
        """Make the container's process with our pipes as its streams, and nothing to read. Raises as `start_first`."""
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        ends = []
        for name in ("stdout", "stderr"):
            ours, its = os.pipe()
            os.set_blocking(ours, False)
            self._pipes[ours] = name, Lines()
            ends.append(its)
        try:
            return start_first(launch, streams=(null, ends[0], ends[1]))
        finally:
            for descriptor in (null, *ends):
                os.close(descriptor)

    def follow(self, pid: int) -> int:
        """Keep what it prints until it ends. Returns its exit status, 128 + N if a signal ended it.

        With process 1 all others of its PID namespace are gone, so what they printed is in the pipes by then.
        """
        process = os.pidfd_open(pid)
        poll = select.poll()
        for descriptor in (process, *self._pipes):
            poll.register(descriptor, select.POLLIN)
        running = True
        while running:
            for descriptor, _ in poll.poll():
                if descriptor == process:
                    running = False
                elif not self._keep(descriptor):
                    poll.unregister(descriptor)
        for descriptor, (stream, lines) in self._pipes.items():
            while self._keep(descriptor):
                pass
            self._write(stream, lines.end())
        return exit_status(os.waitpid(pid, 0)[1])

    def _keep(self, descriptor: int) -> bool:
        """Take one chunk. False where there is nothing now, or never again."""
        try:
            chunk = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        stream, lines = self._pipes[descriptor]
        self._write(stream, lines.feed(chunk))
        return bool(chunk)

    def _write(self, stream: str, texts: Iterable[bytes]) -> None:
        now = time.time_ns()
        if entries := b"".join(entry(text, stream, now) for text in texts):
            self._log.write(entries)
