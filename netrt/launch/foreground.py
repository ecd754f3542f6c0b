"""Standing in for a process in the foreground: signals are passed on to it, and its end becomes ours.

A signal that the terminal sends (^C, ^\\) reaches the whole foreground process group, the container's process with it, so it
must not be sent a second time; the kernel says so in `si_code`. Process 1 of a container ignores what it has no handler for,
SIGTERM and SIGINT too; that is the kernel's rule for every process 1, and the same as with `docker run`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

_FROM_KERNEL = 0x80
_KEPT = {
    signal.SIGCHLD, signal.SIGKILL, signal.SIGSTOP,
    signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGPIPE, signal.SIGURG,
    signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV, signal.SIGSYS,
}  # fmt: skip
"""What says something about this process, not about the container's."""


def passed_on() -> set[int]:
    """The signals that are passed on: all but those of `_KEPT` and those that we were started to ignore."""
    return {number for number in signal.valid_signals() - _KEPT if signal.getsignal(number) is not signal.SIG_IGN}


def hold_signals() -> None:
    """From now on signals wait for `wait`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, passed_on() | {signal.SIGCHLD})


def wait(pid: int) -> int:
    """Pass signals on to the child `pid` until it ends. Returns its exit status, 128 + N if a signal ended it.

    `hold_signals` was called before the child was let go.
    """
    expected = passed_on() | {signal.SIGCHLD}
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        arrived = signal.sigwaitinfo(expected)
        if arrived.si_signo != signal.SIGCHLD and arrived.si_code != _FROM_KERNEL:
            os.kill(pid, arrived.si_signo)
    _take_terminal_back()
    return exit_status(status)


def exit_status(status: int) -> int:
    """A wait status as a shell shows it."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _take_terminal_back() -> None:
    """A shell in the container made itself the terminal's foreground group; that group is gone now."""
    with contextlib.suppress(OSError, ValueError):
        terminal = sys.__stdin__.fileno() if sys.__stdin__ else -1
        if os.isatty(terminal) and os.tcgetpgrp(terminal) != os.getpgrp():
            ignored = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(terminal, os.getpgrp())
            signal.signal(signal.SIGTTOU, ignored)
