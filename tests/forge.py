"""A process that has imported the command line and netrtd, and forks one that becomes what is asked for.

A test runs `netrt` a dozen times and starts a daemon, and most of that would be imports. What is forked enters the namespaces of
the thread that asks, and is in all else what the installed program is: its arguments, environment, working directory, streams and
exit status. Rule 1: who forks has no other thread. Rule 2: tests of how the programs themselves are started run the programs."""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import selectors
import socket
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import netrt.daemon.main  # noqa: F401  for those that become it
from netrt import cli
from netrt.cli.main import execute
from netrt.daemon import starting
from netrt.daemon.starting import spawned
from tests.namespaces import CLONE_NEWNET, CLONE_NEWNS, setns
from tests.warm import LIMIT


class Forge:
    """Forks what is asked for, and tells who asked how it ended, until nobody can ask any more."""

    def __init__(self, asked: socket.socket) -> None:
        self._asked = asked
        self._selector = selectors.DefaultSelector()
        self._selector.register(asked, selectors.EVENT_READ)
        self._asking: dict[int, tuple[int, socket.socket]] = {}

    def serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._asked:
                    self._ended(key.fd)
                elif not self._fork():
                    return

    def _fork(self) -> bool:
        request, descriptors, _, _ = socket.recv_fds(self._asked, LIMIT, 5)
        if not request:
            return False
        pid = os.fork()
        if not pid:
            become(json.loads(request), descriptors[1:])
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        ended = os.pidfd_open(pid)
        self._asking[ended] = pid, socket.socket(fileno=descriptors[0])
        self._selector.register(ended, selectors.EVENT_READ)
        return True

    def _ended(self, ended: int) -> None:
        self._selector.unregister(ended)
        pid, asking = self._asking.pop(ended)
        os.close(ended)
        with asking:
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            asking.send(str(status).encode())


def become(request: dict[str, object], descriptors: Sequence[int]) -> NoReturn:
    """Be `netrt`, in the namespaces of who asked."""
    out, err, net, mnt = descriptors
    status = 70
    try:
        setns(net, CLONE_NEWNET)
        setns(mnt, CLONE_NEWNS)
        os.chdir(str(request["directory"]))
        _open_only(out, err)
        environ, words = request["environ"], request["words"]
        assert isinstance(environ, dict)
        assert isinstance(words, list)
        os.environ.clear()
        os.environ.update(environ)
        sys.argv = ["netrt", *words]
        status = execute(words)
        sys.stdout.flush()
        sys.stderr.flush()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    os._exit(status)


def forked(module: str, words: Sequence[str], kept: int, log: int) -> int:
    """In the place of `netrt.daemon.starting.spawned`, which the daemon has again: it has threads, so it is not to fork."""
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        os.setsid()
        os.chdir("/")
        starting.spawned = spawned
        say = os.dup2(kept, 3)
        _open_only(log, log, say)
        words = [str(say) if word == str(kept) else word for word in words]
        status = importlib.import_module(module).main(words)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    os._exit(status)


def _open_only(out: int, err: int, *more: int) -> None:
    """Nothing at the standard input, these at output and error, and `more` (3, or nothing); all else is closed."""
    null = os.open(os.devnull, os.O_RDONLY)
    for number, stream in enumerate((null, out, err)):
        os.dup2(stream, number)
    os.closerange(3 + len(more), 1 << 16)


def main() -> None:
    for module in pkgutil.iter_modules(cli.__path__, f"{cli.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()
    starting.spawned = forked
    Forge(socket.socket(fileno=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
