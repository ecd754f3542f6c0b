"""A database that was damaged, cut, or lost comes back from its copy with all that was committed; and where the copy is damaged,
too, it is said what is lost."""

from __future__ import annotations

import logging
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from netrt.errors import Unavailable
from netrt.model.state import State
from netrt.store.copy import ROOM
from netrt.store.local import LocalStore
from netrt.store.restore import open_store
from tests.contract.test_store import EDITS, attached, container, overwrite
from tests.host import Host
from tests.namespaces import mount

FULL = attached(*range(1, 60))
LAST = EDITS["attached"](EDITS["detached"](FULL))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "lib" / "netrt.db")


@contextmanager
def opened(path: str) -> Iterator[tuple[LocalStore, str]]:
    store, said = open_store(path)
    with closing(store):
        yield store, said


def filled(path: str) -> None:
    """A database after three commits and a setting."""
    with opened(path) as (store, said):
        assert said == ""
        store.once("ula", lambda: "fd00::/48")
        store.save(State(), FULL)
        store.save(FULL, EDITS["detached"](FULL))
        store.save(EDITS["detached"](FULL), LAST)


def found(path: str) -> tuple[State, str]:
    """What the next process finds, and what it says; afterwards all is well."""
    with opened(path) as (store, said):
        state = store.load()
        assert store.once("ula", lambda: "new") == "fd00::/48"
    with opened(path) as (store, again):
        assert (store.load(), again) == (state, "")
    return state, said


def truncated(path: str) -> None:
    os.truncate(path, os.path.getsize(path) // 2)


def half_a_page(path: str) -> None:
    overwrite(path, 3 * 4096 + 2048, b"\xff" * 2048)


def with_sql(statement: str) -> Callable[[str], None]:
    def change(path: str) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute(statement)

    return change


DAMAGES: dict[str, tuple[Callable[[str], None], str]] = {
    "removed": (os.unlink, "is missing"),
    "emptied": (lambda path: os.truncate(path, 0), "lacks what came after commit 0"),
    "cut": (truncated, "is damaged"),
    "header": (lambda path: overwrite(path, 0, b"no database at all"), "is damaged"),
    "first page": (lambda path: overwrite(path, 0, b"\0" * 4096), "is damaged"),
    "a page": (half_a_page, "is damaged"),
    "no table": (with_sql("DROP TABLE attachment"), "is damaged"),
    "a row gone": (with_sql("DELETE FROM network"), "contradicts itself"),
    "a body": (with_sql("UPDATE container SET body = '{}' WHERE rowid = 5"), "container"),
    "a digit": (with_sql("UPDATE attachment SET body = replace(body, '10.1.0.9/', '10.1.0.222/')"), "differs from its copy"),
    "a container gone": (with_sql("DELETE FROM released"), "differs from its copy"),
    "a setting": (with_sql("UPDATE meta SET value = 'fd11::/48' WHERE key = 'ula'"), "differs from its copy"),
    "a number": (with_sql("UPDATE meta SET value = 'many' WHERE key = 'commit'"), "is damaged"),
    "no text": (with_sql("UPDATE container SET body = CAST(x'ff00' AS TEXT)"), "is damaged"),
    "an old one": (with_sql("UPDATE meta SET value = '2' WHERE key = 'commit'"), "lacks what came after commit 2"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_was_damaged_is_restored_whole(path: str, damage: str) -> None:
    filled(path)
    change, words = DAMAGES[damage]
    change(path)
    state, said = found(path)
    assert state == LAST
    assert words in said
    assert f"restored from {path}.copy as of commit 4: nothing is known to be lost" in said
    assert damage == "removed" or os.path.getsize(f"{path}.damaged") or damage == "emptied"


@pytest.mark.parametrize("file", ["netrt.db", "netrt.db-wal", "netrt.db.copy"])
def test_octets_changed_anywhere_lose_nothing(tmp_path: Path, path: str, file: str) -> None:
    """Twelve times each: what a killed process left, with random octets somewhere, is opened again."""
    chance, left = random.Random(file), tmp_path / "left"
    store, _ = open_store(path)
    store.once("ula", lambda: "fd00::/48")
    store.save(State(), FULL)
    store.save(FULL, LAST)
    shutil.copytree(Path(path).parent, left)
    store.close()
    for _ in range(12):
        shutil.rmtree(Path(path).parent)
        shutil.copytree(left, Path(path).parent)
        place = str(Path(path).with_name(file))
        overwrite(place, chance.randrange(os.path.getsize(place)), chance.randbytes(chance.randint(1, 64)))
        state, _ = found(path)
        assert state == LAST


def test_with_both_damaged_it_is_said_what_is_lost(path: str) -> None:
    filled(path)
    copy = Path(f"{path}.copy")
    lines = copy.read_bytes().splitlines(keepends=True)
    lines[-2] = lines[-2].replace(b"web", b"wab")
    copy.write_bytes(b"".join(lines))
    overwrite(path, 0, b"no database at all")
    state, said = found(path)
    assert state == FULL
    assert "as of commit 2: what came after it is lost (2 lines of the copy are damaged, too)" in said


def test_without_a_copy_a_damaged_database_is_refused(path: str) -> None:
    filled(path)
    overwrite(f"{path}.copy", 0, b"?")
    overwrite(path, 0, b"no database at all")
    with pytest.raises(Unavailable, match="is damaged") as caught:
        open_store(path)
    assert "backup" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_copy_is_written_anew_when_it_has_grown(path: str) -> None:
    with opened(path) as (store, _):
        store.save(State(), FULL)
        state, largest = FULL, 0
        for number in range(500):
            after = state.with_container(container(1, f"name{number}"))
            store.save(state, after)
            state, largest = after, max(largest, os.path.getsize(f"{path}.copy"))
        assert 0 < largest < 2 * ROOM
    os.unlink(path)
    with opened(path) as (store, _):
        assert store.load() == state


def test_one_that_is_damaged_under_a_daemon_is_written_anew(path: str, caplog: pytest.LogCaptureFixture) -> None:
    filled(path)
    with opened(path) as (store, _), closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DROP TABLE container")
        after = LAST.with_container(container(77))
        with caplog.at_level(logging.ERROR):
            store.save(LAST, after)
        assert "written anew" in caplog.text
        assert store.load() == after
    assert found(path) == (after, "")
    assert os.path.exists(f"{path}.damaged")


def test_only_their_owner_reads_what_is_there(path: str) -> None:
    filled(path)
    overwrite(path, 0, b"no database at all")
    with opened(path) as (store, _):
        store.save(LAST, FULL)
        files = sorted(Path(path).parent.iterdir())
        assert [file.name.removeprefix("netrt.db") for file in files] == ["", "-shm", "-wal", ".copy", ".damaged"]
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


@pytest.mark.root
def test_a_copy_that_cannot_be_written_stops_nothing_and_is_made_up_for(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkdir("/run/small")
    mount("tmpfs", "/run/small", "tmpfs", options="size=400k")
    with opened("/run/small/netrt.db") as (store, _):
        store.save(State(), attached(1))
        copy = Path("/run/small/netrt.db.copy")
        copy.unlink()
        copy.mkdir()  # nothing can take its place
        state = attached(1)
        for number in range(2, 5):
            after = state.with_container(container(number))
            store._copy.close()  # type: ignore[union-attr]
            store.save(state, after)
            state = after
        assert caplog.text.count("cannot be written") == 1
        copy.rmdir()
        store.save(state, attached(1))
        assert copy.exists()
