"""Processes of containers as the daemon sees them, with real processes in the place of containers'."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from netrt.api.answer import Api
from netrt.api.client import Client
from netrt.api.process import opened, start_ticks
from netrt.api.routes import processes
from netrt.engine.engine import Outcome
from netrt.errors import Conflict, InUse, Invalid, NetrtError, NotFound, Unavailable
from netrt.model.command import Command
from netrt.model.container import Container, ProcessState
from netrt.model.state import State
from netrt.store.memory import MemoryStore
from tests.unit.api.conftest import Desk
from tests.waiting import wait_until


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


STUBBORN = "trap '' TERM; echo; while :; do read line; done"


@pytest.fixture
def stubborn() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sh", "-c", STUBBORN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def run(desk: Desk, process: subprocess.Popen[bytes], **options: Any) -> Future[int]:
    """Make container `job`, report the process as its own, and report its end when it comes."""
    made = desk.client.create_container("job", ["sleep", "600"], networks=["none"], **options)
    report(desk.client, made, process.pid)
    reaped: Future[int] = Future()

    def reap() -> None:
        status = process.wait()
        code = status if status >= 0 else 128 - status
        try:
            with Client(socket=desk.paths.socket) as client:
                client.request("POST", f"/netrt/containers/{made}/exited", body={"ExitCode": code})
        except NetrtError as error:
            reaped.set_exception(error)
        else:
            reaped.set_result(code)

    threading.Thread(target=reap, daemon=True).start()  # it may ask a server that is on its way out
    return reaped


def report(client: Client, container: str, pid: int) -> None:
    body = {"Pid": pid, "StartTicks": start_ticks(pid)}
    client.request("POST", f"/netrt/containers/{container}/started", body=body)


def state_of(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.container("job")["State"]
    return found


def test_a_start_that_is_reported_twice_is_one(desk: Desk, sleeper: subprocess.Popen[bytes]) -> None:
    """As by a supervisor whose first report had no answer."""
    run(desk, sleeper)
    before = state_of(desk.client)
    report(desk.client, "job", sleeper.pid)
    assert state_of(desk.client) == before


def test_of_two_starts_at_one_time_one_is_refused(
    desk: Desk, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine says which, for while it has other things to do it has noted neither."""
    made = desk.client.create_container("job", ["sleep", "600"], networks=["none"])
    free, submit = threading.Event(), desk.engine.submit
    asked: list[Command] = []

    def counted(command: Command, **options: bool) -> Future[Outcome]:
        asked.append(command)
        return submit(command, **options)

    def told(pid: int) -> str:
        with Client(socket=desk.paths.socket) as client:
            try:
                report(client, made, pid)
            except InUse as error:
                return error.message
        return ""

    monkeypatch.setattr(desk.engine, "submit", counted)
    busy = desk.engine.look(lambda *_: free.wait(10))
    with ThreadPoolExecutor() as pool:
        answers = [pool.submit(told, pid) for pid in (sleeper.pid, os.getpid())]
        wait_until(lambda: len(asked) == 2, what="both reports")
        free.set()
        said = sorted(answer.result(10) for answer in answers)
    assert busy.result(1)
    noted = state_of(desk.client)["Pid"]
    assert said == ["", f"container job is running already (pid {noted})"]


def test_a_start_whose_client_leaves_is_on_its_way_still(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.client.create_container("job", ["sleep", "600"], networks=["none"])
    free = threading.Event()
    begun: list[str] = []

    async def supervised(api: Api, container: Container) -> None:
        begun.append(container.name)
        await asyncio.to_thread(free.wait, 10)

    monkeypatch.setattr(processes, "_supervised", supervised)
    with socket.socket(socket.AF_UNIX) as leaving:
        leaving.connect(desk.paths.socket)
        leaving.sendall(b"POST /containers/job/start HTTP/1.1\r\nHost: netrt\r\nContent-Length: 0\r\n\r\n")
        wait_until(lambda: begun, what="the start")
    desk.client.request("GET", "/version")  # once this is answered, that the other left was seen
    asking = threading.Thread(target=desk.client.start, args=["job"])
    asking.start()
    asking.join(5)
    free.set()
    asking.join(10)
    assert begun == ["job"]


def test_a_run_from_start_to_end(desk: Desk, sleeper: subprocess.Popen[bytes]) -> None:
    client = desk.client
    reaped = run(desk, sleeper)
    running = state_of(client)
    assert (running["Status"], running["Pid"]) == ("running", sleeper.pid)
    assert [entry["State"] for entry in client.containers()] == ["running"]
    with pytest.raises(InUse, match=f"running already .pid {sleeper.pid}"):
        report(client, "job", os.getpid())
    with pytest.raises(InUse, match="is running"):
        client.remove_container("job")
    client.stop("job")
    assert reaped.result(5) == 128 + signal.SIGTERM
    over = state_of(client)
    assert (over["Status"], over["Running"], over["Pid"], over["ExitCode"]) == ("exited", False, 0, 143)
    assert over["StartedAt"] == running["StartedAt"] <= over["FinishedAt"]
    assert client.containers(every=True)[0]["Status"].startswith("Exited (143) ")
    assert client.stop("job") == ""
    client.remove_container("job")


def test_ports_are_held_while_it_runs(desk: Desk, sleeper: subprocess.Popen[bytes]) -> None:
    client = desk.client
    client.create_container("job", ["sleep", "600"], ports=["8080:80"])
    report(client, "job", sleeper.pid)
    bound = {"HostIp": "0.0.0.0", "HostPort": "8080"}
    assert client.container("job")["NetworkSettings"]["Ports"] == {"80/tcp": [bound]}
    sleeper.kill()
    sleeper.wait()
    client.request("POST", "/netrt/containers/job/exited", body={"ExitCode": 137})
    assert client.container("job")["NetworkSettings"]["Ports"] == {}
    assert client.container("job")["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    assert client.containers(every=True)[0]["Ports"] == []
    client.create_container("other", ports=["8080:80"])
    with pytest.raises(InUse, match="port 8080/tcp is already allocated to other"):
        client.start("job")
    assert state_of(client)["ExitCode"] == 137


def test_stop_kills_what_does_not_end(desk: Desk, stubborn: subprocess.Popen[bytes]) -> None:
    reaped = run(desk, stubborn)
    desk.client.stop("job", timeout=0)
    assert reaped.result(5) == 128 + signal.SIGKILL
    assert state_of(desk.client)["ExitCode"] == 137


def test_kill_sends_any_signal(desk: Desk, sleeper: subprocess.Popen[bytes]) -> None:
    reaped = run(desk, sleeper)
    with pytest.raises(Invalid, match="invalid signal 'NOPE'"):
        desk.client.kill("job", "NOPE")
    desk.client.kill("job", "SIGUSR1")
    assert reaped.result(5) == 128 + signal.SIGUSR1
    wait_until(lambda: state_of(desk.client)["Status"] == "exited", what="the end to be noted")
    with pytest.raises(Conflict, match="container job is not running"):
        desk.client.kill("job")


def test_wait_gives_the_exit_status(desk: Desk, sleeper: subprocess.Popen[bytes]) -> None:
    run(desk, sleeper)
    with Client(socket=desk.paths.socket) as other:
        answer: Future[int] = Future()
        waiting = threading.Thread(target=lambda: answer.set_result(other.wait("job")))
        waiting.start()
        assert not answer.done()
        sleeper.send_signal(signal.SIGINT)
        assert answer.result(5) == 130
    assert desk.client.wait("job") == 130


def test_wait_for_a_container_that_is_removed_at_its_end(desk: Desk, sleeper: subprocess.Popen[bytes]) -> None:
    run(desk, sleeper, auto_remove=True)
    sleeper.terminate()
    with Client(socket=desk.paths.socket) as other:
        said = other.request("POST", "/containers/job/wait", query={"condition": "removed"})
    assert said == {"StatusCode": 143}
    with pytest.raises(NotFound):
        desk.client.container("job")


def test_remove_with_force_ends_it_first(desk: Desk, stubborn: subprocess.Popen[bytes]) -> None:
    reaped = run(desk, stubborn)
    desk.client.create_container("side", networks=["none"])
    desk.client.remove_container("job", force=True)
    assert reaped.exception(5) is not None or reaped.result() == 137
    with pytest.raises(NotFound):
        desk.client.container("job")


def test_remove_with_force_ends_nothing_that_must_stay(desk: Desk, sleeper: subprocess.Popen[bytes]) -> None:
    run(desk, sleeper)
    desk.client.create_container("side", networks=["container:job"])
    with pytest.raises(InUse, match="side"):
        desk.client.remove_container("job", force=True)
    assert sleeper.poll() is None


def test_an_end_that_nobody_reports_is_noted(desk: Desk, sleeper: subprocess.Popen[bytes]) -> None:
    made = desk.client.create_container("job", ["sleep", "600"])
    report(desk.client, made, sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    wait_until(lambda: state_of(desk.client)["Status"] == "exited", what="the end to be noted", timeout=10)
    assert state_of(desk.client)["ExitCode"] == 255
    assert state_of(desk.client)["Error"] == "nobody reported how it ended"


def test_what_a_supervisor_left_is_read(desk: Desk, sleeper: subprocess.Popen[bytes]) -> None:
    made = desk.client.create_container("job", ["sleep", "600"])
    report(desk.client, made, sleeper.pid)
    left = {"ExitCode": 7, "Error": "", "FinishedAt": "2200-01-01T00:00:00.000000000Z"}
    Path(desk.paths.container(made), "exit.json").write_text(json.dumps(left))
    sleeper.kill()
    sleeper.wait()
    wait_until(lambda: state_of(desk.client)["Status"] == "exited", what="the end to be noted", timeout=10)
    assert state_of(desk.client)["ExitCode"] == 7
    assert state_of(desk.client)["FinishedAt"] == left["FinishedAt"]
    assert not Path(desk.paths.container(made), "exit.json").exists()


def refusing(monkeypatch: pytest.MonkeyPatch, unsaved: Callable[[State, State], bool]) -> list[State]:
    """From now on what `unsaved` says cannot be saved, as on a full disk. Returns what that was, as it comes."""
    refused: list[State] = []
    save = MemoryStore.save

    def full(self: MemoryStore, before: State, after: State) -> None:
        if unsaved(before, after):
            refused.append(after)
            raise Unavailable("no space left")
        save(self, before, after)

    monkeypatch.setattr(MemoryStore, "save", full)
    return refused


def test_an_end_that_cannot_be_saved_is_noted_when_it_can(
    desk: Desk, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = desk.client.create_container("job", ["sleep", "600"])
    report(desk.client, made, sleeper.pid)
    file = Path(desk.paths.container(made), "exit.json")
    file.write_text(json.dumps({"ExitCode": 7, "Error": "", "FinishedAt": "2200-01-01T00:00:00.000000000Z"}))
    refused = refusing(monkeypatch, lambda *_: len(refused) < 2)
    sleeper.kill()
    wait_until(lambda: state_of(desk.client)["Status"] == "exited", what="the end to be noted", timeout=10)
    assert (len(refused), state_of(desk.client)["ExitCode"]) == (2, 7)
    wait_until(lambda: not file.exists(), what="the file to go, which has told all")


def test_a_removal_at_the_end_that_cannot_be_saved_is_done_when_it_can(
    desk: Desk, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    reaped = run(desk, sleeper, auto_remove=True)
    refused = refusing(
        monkeypatch, lambda before, after: len(after.containers) < len(before.containers) and len(refused) < 2
    )
    sleeper.kill()
    assert reaped.result(5) == 137
    assert state_of(desk.client)["ExitCode"] == 137
    wait_until(lambda: not desk.client.containers(every=True), what="the removal", timeout=10)
    assert len(refused) == 2


def test_a_report_of_the_end_of_what_still_runs_is_refused(desk: Desk, sleeper: subprocess.Popen[bytes]) -> None:
    made = desk.client.create_container("job", ["sleep", "600"])
    report(desk.client, made, sleeper.pid)
    with pytest.raises(Conflict, match=f"process {sleeper.pid} of container job still runs"):
        desk.client.request("POST", f"/netrt/containers/{made}/exited", body={"ExitCode": 0})


def test_a_command_that_could_not_be_started(desk: Desk) -> None:
    desk.client.create_container("job", ["nope"])
    desk.client.request("POST", "/netrt/containers/job/exited", body={"ExitCode": 127, "Error": "no such file"})
    state = state_of(desk.client)
    assert (state["Status"], state["ExitCode"], state["Error"]) == ("created", 127, "no such file")


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("started", {"Pid": 0, "StartTicks": 1}, "not those of a process"),
        ("started", {"Pid": "1", "StartTicks": 1}, "field Pid: expected int, got str"),
        ("started", {}, "missing required field"),
        ("exited", {"ExitCode": 256}, "256 is not 0 to 255"),
    ],
)
def test_bad_reports(client: Client, path: str, body: dict[str, Any], words: str) -> None:
    client.create_container("job", ["true"])
    with pytest.raises(Invalid, match=words):
        client.request("POST", f"/netrt/containers/job/{path}", body=body)


def test_launch_object_says_all_that_is_needed(desk: Desk) -> None:
    made = desk.client.create_container("job", ["sh", "-c", "true"], env={"A": "1"}, cwd="/srv", networks=["none"])
    assert desk.client.request("GET", "/netrt/containers/job/launch") == {
        "Id": made,
        "Name": "job",
        "Netns": "/run/netns/netrt-job",
        "Inode": 0,
        "Hostname": made[:12],
        "Directory": desk.paths.container(made),
        "Command": ["sh", "-c", "true"],
        "Env": ["A=1"],
        "Cwd": "/srv",
        "CapAdd": [],
        "CapDrop": [],
        "ReadOnly": False,
        "AutoRemove": False,
        "Log": desk.paths.log(made),
        "Socket": desk.paths.socket,
        "Pid": 0,
        "StartTicks": 0,
    }


def test_plans_of_processes(desk: Desk, sleeper: subprocess.Popen[bytes]) -> None:
    desk.client.create_container("new", ["echo", "a b"])
    assert desk.client.start("new", dry_run=True) == "start echo 'a b' in new"
    run(desk, sleeper)
    assert f"SIGTERM to process {sleeper.pid}" in desk.client.stop("job", dry_run=True)
    assert f"SIGHUP to process {sleeper.pid}" in desk.client.kill("job", "HUP", dry_run=True)
    assert sleeper.poll() is None


def test_another_process_of_that_number_is_not_meant() -> None:
    ticks = start_ticks(os.getpid())
    for state, meant in (
        (ProcessState(pid=os.getpid(), start_ticks=ticks), True),
        (ProcessState(pid=os.getpid(), start_ticks=ticks + 1), False),
        (ProcessState(), False),
    ):
        with opened(state) as descriptor:
            assert (descriptor is not None) is meant
