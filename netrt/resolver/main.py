"""netrt-dns, the program: arguments, the lock, the log, readiness, and its parts put together."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable

from netrt.errors import NetrtError, Unavailable
from netrt.paths import ROOT_VARIABLE, Paths
from netrt.resolver.control import Control
from netrt.resolver.loop import READ, Loop
from netrt.resolver.saved import Saving, load
from netrt.resolver.server import Server
from netrt.resolver.sockets import raise_limit
from netrt.startup import READY, alone, log_to, notify_service_manager, options, settle, tell

log = logging.getLogger("netrt.resolver")


def main(argv: list[str] | None = None) -> int:
    """Answer until told to stop. Returns the exit status: 1 with one line on stderr if that was not possible."""
    asked = options("netrt-dns", "Answers the questions of containers about names.").parse_args(argv)
    paths = Paths.under(asked.root or os.environ.get(ROOT_VARIABLE))
    try:
        if os.geteuid() != 0:
            raise Unavailable("netrt-dns needs root", hint="it opens sockets in network namespaces")
        _have(paths.run)
        log_to(asked.log_file, asked.log_level or "info")
        with alone("netrt-dns", paths.resolver_lock, paths.run):
            run(paths, lambda: tell(asked.ready_fd, READY))
    except NetrtError as error:
        print(f"netrt-dns: {error}", file=sys.stderr)
        tell(asked.ready_fd, str(error).encode())
        return 1
    return 0


def run(paths: Paths, ready: Callable[[], None]) -> None:
    """Serve the names that are told, and until then those of the last time. Raises Unavailable."""
    raise_limit()
    loop = Loop()
    server = Server(loop)
    names = load(paths.resolver_names)
    server.take(names)
    saving = Saving(loop, paths.resolver_names, names)
    control = Control(
        loop, server, paths.resolver_socket, changed=lambda: saving.changed(server.names), left=saving.now
    )
    _stop_by_signal(loop)
    settle(50_000)
    log.info("serving %d sandboxes; names are told at %s", len(names.views), paths.resolver_socket)
    ready()
    notify_service_manager("READY=1")
    loop.run()
    log.info("stopping")
    notify_service_manager("STOPPING=1")
    control.close()
    saving.now()
    server.close()
    loop.close()


def _have(directory: str) -> None:
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"cannot use {directory}: {error.strerror}") from error


def _stop_by_signal(loop: Loop) -> None:
    """SIGTERM and SIGINT end the loop, which sleeps until something can be read."""
    heard, written = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def wake(_: int) -> None:
        os.read(heard, 64)

    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.stop())
    loop.watch(heard, READ, wake)


if __name__ == "__main__":
    sys.exit(main())
