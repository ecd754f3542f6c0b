"""The names that were told last, in a file, for the next start of this process while netrtd is not there to tell them.

Rule 1: what is in the file was whole when it was written; a file that cannot be read is as good as none. Rule 2: names that are
not served any more are in no file: better none, until netrtd tells them, than wrong ones."""

from __future__ import annotations

import contextlib
import logging
import os

import msgspec

from netrt.dns.zone import Names, plain
from netrt.resolver.loop import Loop

DELAY = 1.0
"""Seconds after a change until it is written, with all that have come since."""

_log = logging.getLogger(__name__)

_encoder = msgspec.msgpack.Encoder(enc_hook=plain)
_decoder = msgspec.msgpack.Decoder(Names)


def load(path: str) -> Names:
    """No names where there is no such file."""
    try:
        with open(path, "rb") as file:
            return _decoder.decode(file.read())
    except FileNotFoundError:
        pass
    except (OSError, msgspec.MsgspecError) as error:
        _log.warning("the names of the last time cannot be read from %s: %s", path, error)
    return Names()


def save(path: str, names: Names) -> None:
    """In place of what was there, in one step."""
    new = f"{path}.new"
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(_encoder.encode(names))
        os.rename(new, path)
    except OSError as error:
        _log.error("names cannot be written to %s: %s", path, error)


class Saving:
    """Writes a while after a change, or at once when told to."""

    def __init__(self, loop: Loop, path: str, names: Names) -> None:
        """`names` are those in the file."""
        self._loop = loop
        self._path = path
        self._saved = self._names = names
        self._waits = False

    def changed(self, names: Names) -> None:
        self._names = names
        if not self._waits:
            self._waits = True
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            self._loop.later(DELAY, self._late)

    def now(self) -> None:
        """Write what is not written yet."""
        if self._saved is not self._names:
            save(self._path, self._names)
            self._saved = self._names

    def _late(self) -> None:
        self._waits = False
        self.now()
