"""A CNI plugin where no daemon answers: starts one and asks it, or, where none can be started, does the work in this process, by
the same engine under the same lock."""

from __future__ import annotations

import json
import os
import socket
import sys
import traceback

from netrt.daemon.ondemand import ensure_daemon
from netrt.errors import NetrtError, Unavailable
from netrt.paths import ROOT_VARIABLE, Paths

INTERNAL = 100
"""The code of `cni.refusal` for what should not happen; imported here it would cost each start of a daemon."""


def main() -> None:
    """`sys.argv[1]` is the name that the plugin was called by. Prints the answer and ends the process."""
    paths = Paths.under(os.environ.get(ROOT_VARIABLE))
    variables = [f"{key}={value}" for key, value in os.environ.items() if key.startswith("CNI_") or key == "PATH"]
    head = "\0".join((sys.argv[1], *variables)).encode(errors="surrogateescape")
    body = head + b"\0\0" + sys.stdin.buffer.read()
    well, said, errors = _told(paths, body)
    for stream, words in ((sys.stderr, errors), (sys.stdout, said)):
        stream.buffer.write(words)
        stream.flush()
    sys.exit(0 if well else 1)


Told = tuple[bool, bytes, bytes]
"""Whether it went well, and what is for standard output and for standard error output."""


def _told(paths: Paths, body: bytes) -> Told:
    """Whatever happens, the last word is an error that a runtime understands."""
    try:
        return _done(paths, body)
    except Exception as error:
        traceback.print_exc()
        wrong = {"cniVersion": "1.1.0", "code": INTERNAL, "msg": f"internal error: {error!r}"}
        return False, json.dumps(wrong).encode(), b""


def _done(paths: Paths, body: bytes) -> Told:
    if os.environ.get("CNI_COMMAND") != "VERSION":
        try:
            ensure_daemon(paths)
            return _asked(paths, body)
        except NetrtError as error:
            return _here(paths, body, error)
    return _here(paths, body, None)


def _asked(paths: Paths, body: bytes) -> Told:
    """What the daemon says. Raises Unavailable."""
    try:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(paths.socket)
            peer.sendall(b"POST /netrt/cni HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            answer = b"".join(iter(lambda: peer.recv(65536), b""))
    except OSError as error:
        raise Unavailable(f"netrtd does not answer: {error}", retry=True) from error
    head, separator, said = answer.partition(b"\r\n\r\n")
    if not separator:
        raise Unavailable("netrtd ended before it answered", hint="see its log", retry=True)
    errors = int(head.partition(b"\r\nStderr-Length: ")[2].partition(b"\r\n")[0] or 0)
    return head[9:12] == b"200", said[errors:], said[:errors]


def _here(paths: Paths, body: bytes, why: NetrtError | None) -> Told:
    """The work done in this process; `why` is what keeps a daemon from doing it."""
    import asyncio

    from netrt.api.plugins.dispatch import run, version_of
    from netrt.cni.refusal import error_json
    from netrt.daemon.config import read_config
    from netrt.daemon.main import only_one
    from netrt.daemon.wiring import running

    async def work() -> Told:
        if why is None:
            printed = await run(None, body)
        else:
            async with running(paths, read_config(paths.configuration)) as api:
                printed = await run(api, body)
        return printed.well, printed.output, printed.errors

    try:
        if why is None:
            return asyncio.run(work())
        if os.geteuid() != 0:
            raise why
        print(f"netrt: no daemon ({why}); this process does the work itself", file=sys.stderr)
        with only_one(paths):
            return asyncio.run(work())
    except NetrtError as error:
        return False, json.dumps(error_json(error, version_of(body))).encode(), b""
