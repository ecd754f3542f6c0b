"""The daemon where something that it needs is missing: a clear word, nothing changed, and on it goes when the cause is gone."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from netrt.api.client import Client
from netrt.errors import NetrtError, Unavailable
from tests.command import Netrt
from tests.host import Host
from tests.namespaces import mount
from tests.processes import end
from tests.snapshot import differences, snapshot
from tests.waiting import wait_until

pytestmark = pytest.mark.root

DATABASE = Path("/var/lib/netrt/netrt.db")
LOG = Path("/run/netrt/netrtd.log")
SOCKET = "/run/netrt/netrt.sock"


def pid_of() -> int:
    return int(Path("/var/lib/netrt/lock").read_text())


def killed() -> None:
    """End the daemon as a crash does."""
    end(pid_of())


@pytest.fixture
def client(host: Host, netrt: Netrt) -> Iterator[Client]:
    """Of a daemon that has a network and a container."""
    netrt("network", "create", "lan")
    netrt("container", "create", "--name", "web", "--network", "lan", "-p", "8080:80")
    with Client() as made:
        yield made


def refused(client: Client, host: Host, words: str) -> None:
    """An attach is refused with these words, and nothing changed."""
    before, names = snapshot(host), [c["Names"] for c in client.containers()]
    with pytest.raises(NetrtError, match=words) as caught:
        client.create_container("more", networks=["lan"], ports=["9090:90"])
    assert "\n" not in str(caught.value)
    assert [c["Names"] for c in client.containers()] == names
    assert not differences(before, snapshot(host))


def test_a_full_disk(host: Host, netrt: Netrt) -> None:
    mount("tmpfs", "/var/lib/netrt", "tmpfs", options="size=700k,mode=700")
    netrt("network", "create", "lan")
    ballast = Path("/var/lib/netrt/ballast")
    with Client() as client:
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        last = full(client)
        refused(client, host, "no space left")
        ballast.unlink()
        client.create_container("more", networks=["lan"], ports=["9090:90"])
    killed()
    assert {"more", *filter(None, [last])} <= set(netrt("ps", "-a").split())


def full(client: Client) -> str:
    """What fits into the file that is there can still be saved; fill it. Returns the name of the last container that did."""
    for number in range(200):
        try:
            client.create_container(f"c{number}", networks=["none"])
        except Unavailable:
            return f"c{number - 1}" if number else ""
    raise AssertionError("the disk is never full")


def test_a_locked_database(client: Client, host: Host) -> None:
    with closing(sqlite3.connect(DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused(client, host, "is locked by another process")
        other.execute("ROLLBACK")
    client.create_container("more", networks=["lan"], ports=["9090:90"])


def test_whoever_cannot_be_removed_keeps_the_namespace(client: Client, host: Host) -> None:
    """It is the same one, so nobody who lives there is cut off."""
    path = client.container("web")["NetworkSettings"]["SandboxKey"]
    before, number = snapshot(host), os.stat(path).st_ino
    with closing(sqlite3.connect(DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="is locked by another process"):
            client.remove_container("web")
    assert os.stat(path).st_ino == number
    assert not differences(before, snapshot(host))


def test_an_end_that_cannot_be_saved_is_noted_when_it_can(client: Client) -> None:
    """What its supervisor left tells how it ended, until then."""
    job = client.create_container("job", ["sh", "-c", "trap 'exit 7' TERM; echo; sleep 1000 & wait"], networks=["none"])
    client.start("job")
    wait_until(lambda: [*client.logs("job")], what="its trap to be set")
    with closing(sqlite3.connect(DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        client.kill("job", "TERM")
        wait_until(lambda: "the end of job cannot be noted yet" in LOG.read_text(), 30, "the attempt to note it")
        assert Path(f"/run/netrt/containers/{job}/exit.json").exists()
        other.execute("ROLLBACK")
    assert client.wait("job") == 7


DAMAGE: dict[str, Callable[[], object]] = {
    "cut": lambda: os.truncate(DATABASE, 0),
    "overwritten": lambda: DATABASE.write_bytes(b"?" * 20000),
    "gone": DATABASE.unlink,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_database_is_restored_at_the_next_start(
    client: Client, host: Host, netrt: Netrt, damage: str
) -> None:
    client.create_container("last", networks=["lan"])
    killed()
    before = snapshot(host)
    for suffix in ("-wal", "-shm"):
        DATABASE.with_name(f"netrt.db{suffix}").unlink(missing_ok=True)
    DAMAGE[damage]()
    assert {"web", "last"} <= set(netrt("ps", "-a").split())
    assert not differences(before, snapshot(host))
    assert "restored from /var/lib/netrt/netrt.db.copy as of commit" in LOG.read_text()
    assert {file.stat().st_mode & 0o777 for file in Path("/var/lib/netrt").glob("netrt.db*")} == {0o600}


def test_a_database_damaged_under_the_daemon_is_written_anew(client: Client, netrt: Netrt) -> None:
    with closing(sqlite3.connect(DATABASE, isolation_level=None)) as other:
        other.execute("DROP TABLE attachment")
    client.create_container("more", networks=["lan"])
    assert "written anew" in LOG.read_text()
    killed()
    assert {"web", "more"} <= set(netrt("ps", "-a").split())


@contextlib.contextmanager
def open_files(more: int) -> Iterator[None]:
    """The daemon can open this many more files than it has open."""
    pid = pid_of()
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + more, limits[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("adopted", [False, True])
def test_no_more_open_files(client: Client, host: Host, netrt: Netrt, adopted: bool) -> None:
    """However far a command comes before there is no file for its next step: it is done, names and all, or nothing of it is."""
    netns = host.namespace("mine") if adopted else ""
    client.containers()  # so it is connected from now on; who is not waits until there is a file for it
    clean = snapshot(host)

    def create() -> None:
        client.create_container("more", networks=["lan"], ports=["9090:90"], netns=netns)

    attached = reached(host, create)
    assert differences(clean, attached)
    assert "more" in netrt("exec", "web", "getent", "hosts", "more")
    assert "web" in netrt("exec", "more", "getent", "hosts", "web")
    detached = reached(host, lambda: client.remove_container("more"))
    assert not differences(clean, detached)
    create()


def reached(host: Host, command: Callable[[], object]) -> dict[str, Any]:
    """The host after a command that was tried with no file more, one more, and so on until they were enough."""
    before = snapshot(host)
    for more in range(40):
        with open_files(more):
            said = refusal(command)
            after = snapshot(host)
        if not said:
            return after
        assert "Too many open files" in said
        assert "\n" not in said
        assert not differences(before, after), more
    raise AssertionError("there are never enough open files")


def refusal(command: Callable[[], object]) -> str:
    try:
        command()
    except NetrtError as error:
        return str(error)
    return ""


def test_more_clients_than_open_files(client: Client, host: Host) -> None:
    """Who cannot be served waits, and is served when that can be. The log says so in one line."""
    assert client.containers(), "it is connected now"
    before = LOG.read_text()
    with contextlib.ExitStack() as waiting:
        asking = [waiting.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(20)]
        with open_files(4):
            for peer in asking:
                peer.connect(SOCKET)
                peer.sendall(b"GET /_ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            wait_until(lambda: LOG.read_text() != before, what="a word about it")
            assert client.containers(), "and is served all the time"
        for peer in asking:
            peer.settimeout(10)
            assert peer.recv(4096).startswith(b"HTTP/1.0 200")
    (line,) = LOG.read_text().removeprefix(before).splitlines()
    assert "Too many open files" in line


def test_clients_that_go_before_their_answer(client: Client, host: Host) -> None:
    """What was asked is done or not, and never half: the daemon lists just what the kernel holds."""
    body = b'{"HostConfig": {"NetworkMode": "lan"}}'
    for number in range(30):
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(SOCKET)
            head = f"POST /containers/create?name=gone{number} HTTP/1.1\r\nHost: netrt\r\nContent-Type: application/json\r\n"
            asking.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body[: len(body) - number % 3])

    def settled() -> bool:
        links = [name for name in os.listdir("/sys/class/net") if Path("/sys/class/net", name, "brport").exists()]
        return len(links) == len(client.containers({"network": ["lan"]}))

    wait_until(settled, 20, "as many links as containers")
    client.create_container("more", networks=["lan"])
