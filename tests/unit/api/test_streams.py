"""Events and logs: what was, what comes, and when it ends."""

from __future__ import annotations

import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from netrt.api.client import Client
from netrt.api.process import start_ticks
from netrt.api.schema.logs import Wanted, frames
from netrt.errors import Invalid, NotFound, Unavailable
from netrt.launch import logread
from netrt.launch.logfile import entry
from netrt.launch.logread import Entry
from tests.unit.api.conftest import Desk
from tests.waiting import wait_until

Brief = tuple[str, str, str]


def brief(event: dict[str, Any]) -> Brief:
    return event["Type"], event["Action"], event["Actor"]["Attributes"]["name"]


def some_life(client: Client) -> None:
    client.create_network("app")
    client.create_container("web", networks=["app"], labels={"tier": "front"})
    client.disconnect("app", "web")
    client.remove_container("web")
    client.remove_network("app")


LIFE = [
    ("network", "create", "app"),
    ("container", "create", "web"),
    ("network", "connect", "app"),
    ("network", "disconnect", "app"),
    ("container", "destroy", "web"),
    ("network", "destroy", "app"),
]


def past(client: Client, **filters: list[str]) -> list[Brief]:
    return [brief(event) for event in client.events(filters, since="1h", until=str(time.time()))]


def test_past_events(client: Client) -> None:
    some_life(client)
    assert past(client) == LIFE
    assert past(client, type=["network"], event=["create", "destroy"]) == [LIFE[0], LIFE[5]]
    assert past(client, container=["web"]) == [LIFE[1], LIFE[4]]
    assert past(client, label=["tier=front"]) == [LIFE[1], LIFE[4]]
    assert past(client, image=["x"]) == []
    assert list(client.events(since="2200-01-01T00:00:00Z", until="0")) == []
    with pytest.raises(Invalid, match="invalid filter 'color'"):
        past(client, color=["red"])
    with pytest.raises(Invalid, match="parameter since='soon' is not a time"):
        list(client.events(since="soon"))


def test_an_event_has_dockers_shape(client: Client) -> None:
    network = client.create_network("app")
    made = client.create_container("web", networks=["app"], labels={"tier": "front"})
    events = list(client.events(since="1h", until=str(time.time())))
    connect = next(event for event in events if event["Action"] == "connect")
    when = connect.pop("timeNano")
    assert connect == {
        "Type": "network",
        "Action": "connect",
        "Actor": {"ID": network, "Attributes": {"name": "app", "type": "bridge", "container": made}},
        "scope": "local",
        "time": when // 10**9,
    }
    create = next(event for event in events if event["Type"] == "container")
    assert (create["status"], create["id"]) == ("create", made)
    assert create["Actor"]["Attributes"] == {"name": "web", "tier": "front"}


@pytest.fixture
def follow(desk: Desk) -> Callable[[Callable[[Client], Iterator[Any]]], Queue[Any]]:
    """Read a stream in a thread of its own; None in the queue is its end."""

    def begin(read: Callable[[Client], Iterator[Any]]) -> Queue[Any]:
        queue: Queue[Any] = Queue()

        def pump() -> None:
            with Client(socket=desk.paths.socket) as client:
                for each in read(client):
                    queue.put(each)
            queue.put(None)

        threading.Thread(target=pump, daemon=True).start()
        return queue

    return begin


def test_coming_events(desk: Desk, follow: Callable[..., Queue[Any]]) -> None:
    queue = follow(lambda client: client.events({"type": ["network"]}, since="1h"))
    desk.client.create_network("first")
    assert brief(queue.get(timeout=5)) == ("network", "create", "first")
    desk.client.create_container("web", networks=["none"])
    desk.client.create_network("second")
    assert brief(queue.get(timeout=5)) == ("network", "create", "second")


def test_events_end_at_until(desk: Desk, follow: Callable[..., Queue[Any]]) -> None:
    queue = follow(lambda client: client.events(until=str(time.time() + 0.3)))
    assert queue.get(timeout=5) is None


# logs


def log_of(desk: Desk, container: str) -> Path:
    path = Path(desk.paths.log(container))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_logs_are_what_was_printed(desk: Desk) -> None:
    made = desk.client.create_container("job", ["true"])
    lines = [(b"one\n", "stdout"), (b"two\n", "stderr"), ("thr\u00e9e\n".encode(), "stdout")]
    entries = [entry(text, stream, 10**9 * number) for number, (text, stream) in enumerate(lines)]
    log_of(desk, made).write_bytes(b"".join(entries))
    shown = [(stream, text) for text, stream in lines]
    read = desk.client.logs
    assert list(read("job")) == shown
    assert list(read("job", tail=2)) == shown[1:]
    assert list(read("job", tail=0)) == []
    assert list(read("job", stderr=False)) == [shown[0], shown[2]]
    assert list(read("job", stdout=False, timestamps=True)) == [("stderr", b"1970-01-01T00:00:01.000000000Z two\n")]
    desk.client.remove_container("job")
    assert not log_of(desk, made).exists()


def test_only_who_follows_needs_to_be_told_of_changes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    made = desk.client.create_container("job", ["true"])
    log_of(desk, made).write_bytes(entry(b"one\n", "stdout", 0))
    monkeypatch.setattr(logread._libc, "inotify_init1", lambda _: -1)
    assert list(desk.client.logs("job")) == [("stdout", b"one\n")]
    with pytest.raises(Unavailable, match="the log cannot be followed, for no inotify instance can be had"):
        list(desk.client.logs("job", follow=True))


def test_logs_of_nobody(desk: Desk) -> None:
    desk.client.create_container("job", ["true"])
    assert list(desk.client.logs("job")) == []
    with pytest.raises(Invalid, match="neither stdout nor stderr"):
        list(desk.client.logs("job", stdout=False, stderr=False))
    with pytest.raises(NotFound):
        list(desk.client.logs("nobody"))


def test_following_ends_with_the_container(desk: Desk, follow: Callable[..., Queue[Any]]) -> None:
    made = desk.client.create_container("job", ["cat"])
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process, log_of(desk, made).open("ab", buffering=0) as log:
        body = {"Pid": process.pid, "StartTicks": start_ticks(process.pid)}
        desk.client.request("POST", f"/netrt/containers/{made}/started", body=body)
        log.write(entry(b"one\n", "stdout", 0))
        queue = follow(lambda client: client.logs("job", follow=True))
        assert queue.get(timeout=5) == ("stdout", b"one\n")
        log.write(entry(b"two\n", "stderr", 0))
        assert queue.get(timeout=5) == ("stderr", b"two\n")
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
        log.write(entry(b"last words\n", "stdout", 0))
    desk.client.request("POST", f"/netrt/containers/{made}/exited", body={"ExitCode": 0})
    assert queue.get(timeout=5) == ("stdout", b"last words\n")
    assert queue.get(timeout=5) is None


def test_a_listener_that_went_away_leaves_nothing_behind(desk: Desk) -> None:
    stream = desk.client.events()
    with pytest.raises(StopIteration):
        next(desk.client.events(until="0"))
    stream.close()  # type: ignore[attr-defined]
    some_life(desk.client)
    wait_until(lambda: past(desk.client) == LIFE, what="the events of that life")


def test_frames() -> None:
    wanted = Wanted(stdout=True, stderr=True, since="2026-01-01T00:00:01.000000000Z")
    early = Entry(log="early\n", stream="stdout", time="2026-01-01T00:00:00.000000000Z")
    late = Entry(log="é\n", stream="stderr", time="2026-01-01T00:00:02.000000000Z")
    assert frames([early, late], wanted) == struct.pack(">BxxxL", 2, 3) + "é\n".encode()
