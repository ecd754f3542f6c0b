"""One list of scenarios for every store; and what only the SQLite one promises: it survives kill -9, writes only what changed,
and refuses with a clear word a file that it cannot use."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from netrt.errors import Unavailable
from netrt.model.container import Attachment, Container, ProcessSpec, Sandbox
from netrt.model.network import Mode, Network, Subnet
from netrt.model.port import PortMapping
from netrt.model.state import State
from netrt.store.local import MIGRATIONS, LocalStore
from netrt.store.memory import MemoryStore
from tests.host import Host

Store = LocalStore | MemoryStore
APP = Network(
    id="a" * 64,
    name="app",
    mode=Mode.BRIDGE,
    created="2026-01-01T00:00:00Z",
    subnets=(Subnet(cidr="10.1.0.0/24", gateway="10.1.0.1", auxiliary={"router": "10.1.0.9"}),),
    labels={"tier": "front"},
)


def container(number: int, name: str = "") -> Container:
    return Container(
        id=f"{number:064x}",
        name=name or f"web{number}",
        created="2026-01-01T00:00:00Z",
        sandbox=Sandbox(path=f"/run/netns/netrt-{number}", owned=True),
        network_mode="app",
        ports=(PortMapping(protocol="tcp", container_port=80, host_port=8000 + number),),
        process=ProcessSpec(command=("sleep", "1"), env=("A=ü\n",)),
    )


def attachment(number: int, fixed: tuple[int, ...] = ()) -> Attachment:
    return Attachment(
        container_id=f"{number:064x}",
        network_id=APP.id,
        ifname="eth0",
        link=f"nr{number:010x}",
        mac=f"02:42:0a:01:{number >> 8:02x}:{number & 255:02x}",
        order=number,
        address4=f"10.1.0.{number + 1}/24",
        fixed=fixed,
    )


def attached(*numbers: int) -> State:
    state = State().with_network(APP)
    for number in numbers:
        state = state.with_container(container(number)).with_attachment(attachment(number))
    return state


EDITS: dict[str, Callable[[State], State]] = {
    "nothing": lambda s: s,
    "network added": lambda s: s.with_network(Network(id="b" * 64, name="db", mode=Mode.NONE, created="")),
    "network replaced": lambda s: s.with_network(Network(id=APP.id, name="app", mode=Mode.BRIDGE, created="x")),
    "network removed": lambda s: attached().without_network(APP.id),
    "container added": lambda s: s.with_container(container(9)),
    "container renamed": lambda s: s.with_container(container(1, "front")),
    "attached": lambda s: s.with_container(container(9)).with_attachment(attachment(9)),
    "attached with a fixed address": lambda s: s.with_container(container(9)).with_attachment(attachment(9, (4,))),
    "detached": lambda s: s.without_attachment((f"{1:064x}", "eth0")),
    "container removed": lambda s: s.without_attachment((f"{1:064x}", "eth0")).without_container(f"{1:064x}"),
    "everything removed": lambda s: State(),
}


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "lib" / "netrt.db")


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, path: str) -> Iterator[Store]:
    with closing(MemoryStore() if request.param == "memory" else LocalStore(path)) as made:
        yield made


def test_new_store_is_empty(store: Store) -> None:
    assert store.load() == State()


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_what_was_saved_is_loaded(store: Store, edit: Callable[[State], State]) -> None:
    before = attached(1, 2, 3)
    store.save(State(), before)
    assert store.load() == before
    after = edit(before)
    store.save(before, after)
    assert store.load() == after


def test_released_addresses_are_kept_until_used_again(store: Store) -> None:
    before = attached(1, 2)
    freed = before.without_attachment((f"{2:064x}", "eth0"))
    store.save(State(), before)
    store.save(before, freed)
    assert [r.owner for r in store.load().released.values()] == ["web2"]
    again = freed.with_attachment(attachment(2))
    store.save(freed, again)
    assert store.load().released == {}


def test_text_is_made_once(store: Store) -> None:
    assert store.once("ula", lambda: "fd00::/48") == "fd00::/48"
    assert store.once("ula", lambda: "fd99::/48") == "fd00::/48"


# what the SQLite store promises


def test_it_is_there_in_the_next_process(path: str) -> None:
    state = attached(1, 2, 3).without_attachment((f"{2:064x}", "eth0"))
    with closing(LocalStore(path)) as store:
        store.save(State(), state)
        store.once("ula", lambda: "fd00::/48")
    with closing(LocalStore(path)) as store:
        assert store.load() == state
        assert store.once("ula", lambda: "other") == "fd00::/48"


def test_a_save_survives_kill(path: str) -> None:
    code = (
        "import os, signal\nfrom tests.contract.test_store import *\n"
        f"s = LocalStore({path!r}); s.save(State(), attached(1)); s.save(attached(1), attached(1, 2))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    with closing(LocalStore(path)) as store:
        assert store.load() == attached(1, 2)


def test_only_what_changed_is_written(path: str) -> None:
    before = attached(*range(1, 50))
    after = EDITS["detached"](before.with_container(container(99)))
    with closing(LocalStore(path)) as store:
        store.save(State(), before)
        _record_writes(path)
        store.save(before, after)
        assert _writes(path) == ["DELETE attachment", "INSERT container", "INSERT released"]


def _record_writes(path: str) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE written (what TEXT)")
        for table in ("network", "container", "attachment", "released"):
            for verb in ("INSERT", "UPDATE", "DELETE"):
                body = f"INSERT INTO written VALUES ('{verb} {table}');"
                other.execute(f"CREATE TRIGGER {table}_{verb} AFTER {verb} ON {table} BEGIN {body} END")


def _writes(path: str) -> list[str]:
    with closing(sqlite3.connect(path)) as other:
        return sorted(what for (what,) in other.execute("SELECT what FROM written"))


def test_only_its_owner_reads_it(path: str) -> None:
    LocalStore(path).close()
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700


def test_a_locked_database_writes_nothing_and_says_so(path: str) -> None:
    with (
        closing(LocalStore(path, patience=0.05)) as store,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        store.save(State(), attached(1))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="is locked by another process") as caught:
            store.save(attached(1), attached(1, 2))
        assert caught.value.retry
        other.execute("ROLLBACK")
        assert store.load() == attached(1)
        store.save(attached(1), attached(1, 2))
        assert store.load() == attached(1, 2)


def overwrite(path: str, offset: int, octets: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(octets)


@pytest.mark.parametrize(("offset", "octets"), [(0, b"no database at all"), (4096, b"\xff" * 4096)])
def test_a_damaged_file_is_refused(path: str, offset: int, octets: bytes) -> None:
    with closing(LocalStore(path)) as store:
        store.save(State(), attached(*range(1, 100)))
    overwrite(path, offset, octets)
    with pytest.raises(Unavailable, match="is damaged") as caught:
        LocalStore(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE container SET body = '{}'", "container 0+1: Object missing required field"),
        ("UPDATE network SET body = replace(body, 'app', 'a/b')", "invalid network name"),
        ("DELETE FROM network", "contradicts itself: a row refers to what is not there"),
        (f"PRAGMA user_version = {len(MIGRATIONS) + 1}", "is of a newer netrt"),
    ],
)
def test_rows_that_cannot_be_are_refused(path: str, change: str, words: str) -> None:
    with closing(LocalStore(path)) as store:
        store.save(State(), attached(1))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(change)
    with pytest.raises(Unavailable, match=words), closing(LocalStore(path)) as store:
        store.load()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match=f"database {tmp_path}/file/netrt.db cannot be opened: File exists"):
        LocalStore(f"{tmp_path}/file/netrt.db")


@pytest.mark.root
def test_a_full_disk_writes_nothing_and_says_so(host: Host) -> None:
    os.mkdir("/run/small")
    host.run("mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", "/run/small")
    with closing(LocalStore("/run/small/netrt.db")) as store:
        store.save(State(), attached(1))
        with pytest.raises(Unavailable, match="no space left"):
            store.save(attached(1), attached(*range(1, 250)))
        assert store.load() == attached(1)
