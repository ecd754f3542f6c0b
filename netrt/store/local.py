"""The State of one host in SQLite.

Rule 1: one row per network, container, attachment and released address; its JSON is the truth, the other columns are its key.
Rule 2: `save` writes what changed, in one transaction. In WAL mode a commit survives kill -9 without a sync; one that changes
networks or chosen addresses is synced, and then survives power loss with all commits before it.
Rule 3: a file that is damaged or from a newer netrt is refused, never repaired or guessed at."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from netrt.errors import NetrtError, Unavailable
from netrt.model.container import Attachment, Container, Released
from netrt.model.difference import difference
from netrt.model.network import Network
from netrt.model.state import State, check_invariants, state_of

MIGRATIONS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE network (id TEXT PRIMARY KEY, body TEXT NOT NULL);
    CREATE TABLE container (id TEXT PRIMARY KEY, body TEXT NOT NULL);
    CREATE TABLE attachment (
        container_id TEXT NOT NULL, ifname TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (container_id, ifname));
    CREATE TABLE released (
        network_id TEXT NOT NULL, address TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (network_id, address));
    """,
)
"""The step from each version of the tables to the next; `PRAGMA user_version` counts the steps done."""

KEYS = {
    "network": ("id",),
    "container": ("id",),
    "attachment": ("container_id", "ifname"),
    "released": ("network_id", "address"),
}
_PUT = {
    table: f"INSERT INTO {table} ({', '.join(keys)}, body) VALUES ({', '.join('?' * (len(keys) + 1))}) "
    f"ON CONFLICT DO UPDATE SET body = excluded.body"
    for table, keys in KEYS.items()
}
_DELETE = {table: f"DELETE FROM {table} WHERE {' AND '.join(f'{k} = ?' for k in keys)}" for table, keys in KEYS.items()}
_META = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"

_REASONS = {
    sqlite3.SQLITE_BUSY: ("is locked by another process", "end the process that has it open; fuser shows which"),
    sqlite3.SQLITE_LOCKED: ("is locked by another process", "end the process that has it open; fuser shows which"),
    sqlite3.SQLITE_CORRUPT: ("is damaged", "restore it from a backup, or move it away to begin anew"),
    sqlite3.SQLITE_NOTADB: ("is damaged", "restore it from a backup, or move it away to begin anew"),
    sqlite3.SQLITE_FULL: ("cannot be written: no space left", "free some space on its file system"),
    sqlite3.SQLITE_READONLY: ("cannot be written: it is read-only", "check its permissions and its file system"),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "check its directory and permissions"),
    sqlite3.SQLITE_IOERR: ("cannot be read or written: input/output error", "check its file system; see dmesg"),
}
_LATER = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL)

Key = tuple[str, ...]
T = TypeVar("T", Network, Container, Attachment, Released)


class LocalStore:
    """State in the SQLite file at `path`, which is made (with its directory) when it is missing.

    May be used from one thread at a time. `patience` is how long, in seconds, another process's lock is waited for. Raises
    Unavailable where the file cannot be had: locked, damaged, read-only, no space, from a newer netrt.
    """

    def __init__(self, path: str, *, patience: float = 2.0) -> None:
        self._path = path
        with self._clear_errors():
            try:
                os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            except OSError as error:
                raise Unavailable(f"database {path} cannot be opened: {error.strerror}") from error
            self._db = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise

    def _open(self) -> None:
        problem = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise self._unusable(f"is damaged: {problem.splitlines()[-1][:200]}", sqlite3.SQLITE_CORRUPT)
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise Unavailable(
                f"database {self._path} is of a newer netrt (format {version}, this one knows {len(MIGRATIONS)})",
                hint="use that netrt again",
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        for number, step in enumerate(MIGRATIONS[version:], version + 1):
            self._db.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT")

    # what the engine needs

    def load(self) -> State:
        """The State as last saved. Raises Unavailable, also where rows contradict each other."""
        with self._clear_errors():
            order = self._db.execute("SELECT value FROM meta WHERE key = 'order'").fetchone()
            rows = (
                self._rows("network", Network),
                self._rows("container", Container),
                self._rows("attachment", Attachment),
                self._rows("released", Released),
            )
        try:
            state = state_of(*rows, int(order[0]) if order else 1)
            check_invariants(state)
        except AssertionError as error:
            raise self._unusable(f"contradicts itself: {error}", sqlite3.SQLITE_CORRUPT) from error
        except (LookupError, StopIteration, ValueError) as error:
            raise self._unusable(
                "contradicts itself: a row refers to what is not there", sqlite3.SQLITE_CORRUPT
            ) from error
        return state

    def save(self, before: State, after: State) -> None:
        """Write the difference in one transaction. Raises Unavailable, and then nothing was written."""
        networks = difference(before.networks, after.networks)
        containers = difference(before.containers, after.containers)
        attachments = difference(before.attachments, after.attachments)
        released = difference(before.released, after.released)
        gone, put = attachments
        fixed = any(before.attachments[key].fixed for key in gone) or any(value.fixed for _, value in put)
        with self._transaction(durable=fixed or any(networks)):
            self._write("network", [(key,) for key in networks[0]], [((key,), value) for key, value in networks[1]])
            self._write(
                "container", [(key,) for key in containers[0]], [((key,), value) for key, value in containers[1]]
            )
            self._write("attachment", *attachments)
            self._write("released", *released)
            if before.order != after.order:
                self._db.execute(_META, ("order", str(after.order)))

    def close(self) -> None:
        self._db.close()

    # what wiring needs

    def once(self, key: str, make: Callable[[], str]) -> str:
        """The text kept under `key`; made and kept on the first call. Raises Unavailable."""
        with self._transaction(durable=True):
            row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            value = str(row[0]) if row else make()
            if not row:
                self._db.execute(_META, (key, value))
        return value

    # inside

    def _write(self, table: str, gone: Sequence[Key], put: Sequence[tuple[Key, msgspec.Struct]]) -> None:
        if gone:
            self._db.executemany(_DELETE[table], gone)
        if put:
            self._db.executemany(_PUT[table], [(*key, msgspec.json.encode(value).decode()) for key, value in put])

    def _rows(self, table: str, kind: type[T]) -> tuple[T, ...]:
        decoder, values = msgspec.json.Decoder(kind), []
        columns = ", ".join(KEYS[table])
        for *key, body in self._db.execute(f"SELECT {columns}, body FROM {table} ORDER BY rowid"):
            try:
                values.append(decoder.decode(body))
            except (msgspec.MsgspecError, NetrtError) as error:
                raise self._unusable(f"is damaged: {table} {' '.join(key)}: {error}", sqlite3.SQLITE_CORRUPT) from error
        return tuple(values)

    @contextlib.contextmanager
    def _transaction(self, *, durable: bool) -> Iterator[None]:
        with self._clear_errors():
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            reason = _REASONS[code][0] if code in _REASONS else f"cannot be used: {error}"
            raise self._unusable(reason, code) from error

    def _unusable(self, reason: str, code: int) -> Unavailable:
        hint = _REASONS[code][1] if code in _REASONS else ""
        return Unavailable(f"database {self._path} {reason}", hint=hint, retry=code in _LATER)
