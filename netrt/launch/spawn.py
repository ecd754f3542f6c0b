"""A process that is made ready first and becomes the command when it is told to.

    parent                              child
    fork ─────────────────────────────▶ enter the container, find the command
    ready()          ◀── "+" ────────── wait
    (tell the daemon the pid)
    release() ────── "+" ─────────────▶ exec
                     ◀── end of pipe ──

Rule 1: between ready() and release() everybody who must know of the process can learn of it, so no command ever runs unknown.
Rule 2: whatever goes wrong in the child comes back as text with an exit status, and is raised in the parent as NotStarted.
Rule 3: a parent that dies before release() takes the child with it; one that dies later does not.
Rule 4: the child passes on its three standard streams and no other descriptor."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

from netrt.errors import NetrtError
from netrt.launch.program import OWN_FAILURE, NotStarted, Program
from netrt.launch.syscalls import CLONE_NEWPID, setns

Streams = tuple[int, int, int]


class Child:
    """A process between fork and exec. `pid` is its number as the caller sees it."""

    def __init__(self, pid: int, words: int, consent: int) -> None:
        self.pid = pid
        self._words, self._consent = words, consent

    def ready(self) -> None:
        """Wait until the command could be started. Raises NotStarted; the child is gone then."""
        word = os.read(self._words, 1)
        if word != b"+":
            os.close(self._consent)
            raise self._failure(word)

    def release(self) -> None:
        """Let it start, and wait until it has. Raises NotStarted; the child is gone then."""
        try:
            os.write(self._consent, b"+")
        except BrokenPipeError:  # killed meanwhile; the caller learns it by waiting for it
            return
        finally:
            os.close(self._consent)
        if word := os.read(self._words, 1):
            raise self._failure(word)
        os.close(self._words)

    def abandon(self) -> None:
        """Instead of release(): let it end, and wait until it has."""
        os.close(self._consent)
        os.close(self._words)
        os.waitpid(self.pid, 0)

    def _failure(self, word: bytes) -> NotStarted:
        with open(self._words, "rb") as words:
            said = (word + words.read()).decode("utf-8", "replace")
        os.waitpid(self.pid, 0)
        status, _, message = said.removeprefix("-").partition(" ")
        if not message:
            return NotStarted("the process was killed before it started")
        return NotStarted(message, int(status))


def spawn(
    prepare: Callable[[], None],
    program: Program,
    *,
    streams: Streams = (0, 1, 2),
    pid_namespace: Callable[[], None] | None = None,
) -> Child:
    """Fork a child that calls `prepare` and then waits to become `program`.

    `pid_namespace` makes the caller's next child the first of a new PID namespace, or one of another's; the caller is brought
    back to its own afterwards. Raises OSError, NotStarted.
    """
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    words, say = os.pipe()
    hear, consent = os.pipe()
    try:
        if pid_namespace:
            pid_namespace()
        pid = os.fork()
        if pid == 0:
            os.close(consent)
            _become(prepare, program, streams, say, hear)
    except BaseException:
        os.close(words)
        os.close(consent)
        raise
    finally:
        setns(own, CLONE_NEWPID, "netrt's own PID namespace")
        for descriptor in (own, say, hear):
            os.close(descriptor)
    return Child(pid, words, consent)


def _become(prepare: Callable[[], None], program: Program, streams: Streams, say: int, hear: int) -> None:
    """The child's life up to exec. Leaves this function by exec or _exit only."""
    try:
        _only_streams(streams)
        prepare()
        os.umask(0o022)
        path = program.locate()
        os.write(say, b"+")
        if os.read(hear, 1):
            _default_signals()
            program.execute(path)
    except NotStarted as error:
        os.write(say, f"-{error.status} {error.message}".encode())
    except (NetrtError, OSError) as error:
        os.write(say, f"-{OWN_FAILURE} {_reason(error)}".encode())
    except BaseException as error:
        os.write(say, f"-{OWN_FAILURE} {error!r}".encode())
    finally:
        os._exit(OWN_FAILURE)


def _reason(error: NetrtError | OSError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _only_streams(streams: Streams) -> None:
    """Put the streams at 0, 1 and 2, and let nothing else outlive the exec."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):  # it was that of the listing
                os.set_inheritable(int(name), False)


def _default_signals() -> None:
    """Undo what Python ignores, and what the parent held back."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, and stays so
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
