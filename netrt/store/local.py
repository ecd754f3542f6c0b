"""The State of one host in SQLite.

Rule 1: one row per network, container, attachment and released address; its JSON is the truth, the other columns are its key.
Rule 2: `save` writes what changed, in one transaction. In WAL mode a commit survives kill -9 without a sync; one that changes
networks or chosen addresses is synced, and then survives power loss with all commits before it.
Rule 3: a file that is damaged or from a newer netrt is refused, never repaired or guessed at. One that a save finds damaged is
put aside and written anew, for then all of the State is at hand."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping

import msgspec

from netrt.errors import Unavailable
from netrt.model.state import State
from netrt.store.copy import Copy
from netrt.store.rows import COMMIT, KEYS, Change, Contradiction, Row, change, rows_of, state_from, whole

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

ASIDE = ".damaged"
"""The end of the name under which a damaged file is kept, for whoever wants to look into it."""

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
    sqlite3.SQLITE_FULL: ("cannot be written: no space left", "free some space on its file system"),
    sqlite3.SQLITE_READONLY: ("cannot be written: it is read-only", "check its permissions and its file system"),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "check its directory and permissions"),
    sqlite3.SQLITE_IOERR: ("cannot be read or written: input/output error", "check its file system; see dmesg"),
}
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""The last one: what we ask is never wrong, so a table is missing."""
_LATER = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL)

log = logging.getLogger("netrt.store")


class Damaged(Unavailable):
    """The file is not what was written."""


class LocalStore:
    """State in the SQLite file at `path`, which is made (with its directory) when it is missing; each commit goes to `copy`, too.

    May be used from one thread at a time. `patience` is how long, in seconds, another process's lock is waited for. Raises
    Unavailable where the file cannot be had: locked, read-only, no space, from a newer netrt; and Damaged.
    """

    def __init__(self, path: str, *, copy: Copy | None = None, patience: float = 2.0) -> None:
        self._path = path
        self._copy = copy
        self._patience = patience
        self._settings: dict[str, str] = {}
        self._state: State | None = None
        """The State as last saved, once it is known."""
        self._durable: bool | None = None
        """What this connection was told last of whether its commits are to survive power loss."""
        self._db: sqlite3.Connection | None = self._opened()

    def _opened(self) -> sqlite3.Connection:
        self._durable = None
        with self._clear_errors():
            try:
                os.makedirs(os.path.dirname(self._path) or ".", mode=0o700, exist_ok=True)
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            except OSError as error:
                raise Unavailable(f"database {self._path} cannot be opened: {error.strerror}") from error
            db = sqlite3.connect(self._path, timeout=self._patience, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(db)
            except BaseException:
                db.close()
                raise
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise self._damaged(f"is damaged: {problem.splitlines()[-1][:200]}")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise Unavailable(
                f"database {self._path} is of a newer netrt (format {version}, this one knows {len(MIGRATIONS)})",
                hint="use that netrt again",
            )
        db.execute("PRAGMA journal_mode = WAL")
        for number, step in enumerate(MIGRATIONS[version:], version + 1):
            db.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT")
        self._settings = dict(db.execute("SELECT key, value FROM meta"))
        if not self._settings.get(COMMIT, "0").isdecimal():
            raise self._damaged("is damaged: it does not tell the number of commits")

    # what the engine needs

    def load(self) -> State:
        """The State as last saved. Raises Unavailable; Damaged also where rows contradict each other."""
        if self._state is None:
            try:
                self._state = state_from(rows_of(self.held()))
            except Contradiction as error:
                raise self._damaged(str(error)) from error
        return self._state

    def save(self, before: State, after: State) -> None:
        """Write the difference in one transaction. Raises Unavailable, and then nothing was written. A file that is found damaged
        is put aside, and written anew."""
        step = change(before, after, self.number + 1)
        try:
            self._commit(self._connection, step, durable=_lasting(step, before, after))
        except Damaged as damage:
            log.error("%s; it is put aside (%s), and written anew", damage.message, ASIDE)
            self._renew(whole(after, {**self._settings, **step.settings}))
        self._state = after
        self._committed(step, lambda: whole(after, self._settings))

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
        if self._copy is not None:
            self._copy.close()

    # what wiring needs

    @property
    def number(self) -> int:
        """How many commits there were."""
        return int(self._settings.get(COMMIT, 0))

    @property
    def settings(self) -> Mapping[str, str]:
        """What is kept beside the State."""
        return self._settings

    def held(self) -> Change:
        """What stands in the file. Raises Unavailable; Damaged also where it cannot be read."""
        with self._clear_errors():
            return Change(settings=self._settings, put={table: self._rows(table) for table in KEYS}, whole=True)

    def once(self, key: str, make: Callable[[], str]) -> str:
        """The text kept under `key`; made and kept on the first call. Raises Unavailable."""
        if key not in self._settings:
            step = Change(settings={key: make(), COMMIT: str(self.number + 1)})
            self._commit(self._connection, step, durable=True)
            self._committed(step, lambda: whole(self.load(), self._settings))
        return self._settings[key]

    def fill(self, everything: Change) -> None:
        """Write all of a State into an empty file. Raises Unavailable."""
        self._commit(self._connection, everything, durable=True)
        self._settings = dict(everything.settings)
        self._state = None

    # inside

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise self._damaged("was damaged, and could not be written anew yet")
        return self._db

    def _commit(self, db: sqlite3.Connection, step: Change, *, durable: bool) -> None:
        with self._transaction(db, durable=durable):
            for table, gone in step.gone.items():
                db.executemany(_DELETE[table], gone)
            for table, put in step.put.items():
                db.executemany(_PUT[table], [(*key, bytes(body).decode()) for key, body in put])
            db.executemany(_META, step.settings.items())

    def _committed(self, step: Change, everything: Callable[[], Change]) -> None:
        self._settings.update(step.settings)
        if self._copy is not None:
            self._copy.add(step, everything)

    def _rows(self, table: str) -> list[Row]:
        columns = ", ".join(KEYS[table])
        found = self._connection.execute(f"SELECT {columns}, body FROM {table} ORDER BY rowid")
        return [(tuple(key), msgspec.Raw(str(body).encode())) for *key, body in found]

    def _renew(self, everything: Change) -> None:
        """Begin the file anew with what is at hand. Raises Unavailable; the next commit then tries again."""
        if self._db is not None:
            self._db.close()
            self._db = None
            put_aside(self._path)
        db = self._opened()
        try:
            self._commit(db, everything, durable=True)
        except BaseException:
            db.close()
            raise
        self._db = db

    @contextlib.contextmanager
    def _transaction(self, db: sqlite3.Connection, *, durable: bool) -> Iterator[None]:
        with self._clear_errors():
            if durable is not self._durable:
                db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            db.execute("BEGIN IMMEDIATE")
            try:
                yield
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            whole_code = getattr(error, "sqlite_errorcode", 0)
            code = whole_code & 0xFF
            no_text = not code and isinstance(error, sqlite3.OperationalError)
            if code in _DAMAGED or whole_code == sqlite3.SQLITE_IOERR_SHORT_READ or no_text:
                raise self._damaged(f"is damaged: {error}") from error
            reason, hint = _REASONS.get(code, (f"cannot be used: {error}", ""))
            raise Unavailable(f"database {self._path} {reason}", hint=hint, retry=code in _LATER) from error

    def _damaged(self, reason: str) -> Damaged:
        return Damaged(
            f"database {self._path} {reason}", hint="restore it from a backup, or move it away to begin anew"
        )


def put_aside(path: str) -> None:
    """Keep a database under another name, in place of what was kept before, and what belongs to it. Raises Unavailable."""
    try:
        for end in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{path}{end}", f"{path}{ASIDE}{end}")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}-shm")
    except OSError as error:
        raise Unavailable(f"database {path} cannot be put aside: {error.strerror}") from error


def _lasting(step: Change, before: State, after: State) -> bool:
    """Whether a commit is to survive power loss."""
    gone = [before.attachments[key[0], key[1]] for key in step.gone.get("attachment", ())]
    put = [after.attachments[key[0], key[1]] for key, _ in step.put.get("attachment", ())]
    return "network" in step.put or "network" in step.gone or any(attachment.fixed for attachment in gone + put)
