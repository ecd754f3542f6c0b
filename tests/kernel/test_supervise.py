"""The supervisor of a detached container: what it keeps, what it reports and to whom, and what it leaves behind."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest

from netrt.launch import logfile
from netrt.launch.enter import start_ticks
from netrt.launch.logread import Entry, LogReader
from netrt.launch.supervise import supervisor_argv
from tests.host import Host
from tests.kernel.sandbox import LIBRARY_SIGNALS, Sandbox
from tests.namespaces import end_inhabitants
from tests.waiting import wait_until

pytestmark = pytest.mark.root


class Daemon:
    """Hears the reports at the socket, as the daemon would. `answer` is its HTTP status and body from now on."""

    def __init__(self, path: str) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.answer = 204, b""
        daemon = self

        class Request(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                daemon.heard.append((self.path, body))
                status, content = daemon.answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingUnixStreamServer(path, Request)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def said(self, what: str, timeout: float = 5.0) -> dict[str, Any]:
        """The body of the first report of this kind, once it is there."""
        wait_until(lambda: any(path.endswith(what) for path, _ in self.heard), timeout, f"the report {what}")
        return next(body for path, body in self.heard if path.endswith(what))

    def close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


@pytest.fixture
def box(host: Host) -> Iterator[Sandbox]:
    yield Sandbox(host)
    end_inhabitants()


@pytest.fixture
def daemon(box: Sandbox) -> Iterator[Daemon]:
    made = Daemon("/run/netrt/netrt.sock")
    yield made
    made.close()


def supervise(box: Sandbox, *command: str, **launch: Any) -> subprocess.CompletedProcess[str]:
    return box.host.run(*supervisor_argv(box.file(Command=command, **launch)), check=False)


def logged(box: Sandbox, tail: int | None = None) -> list[Entry]:
    with LogReader(box.launch["Log"], tail) as reader:
        return list(reader.entries())


def supervisor_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_start_and_end_are_reported(box: Sandbox, daemon: Daemon) -> None:
    done = supervise(box, "sh", "-c", "test -e /tmp/go || read x; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert daemon.said("/exited") == {"ExitCode": 3, "Error": ""}
    assert [path for path, _ in daemon.heard] == [
        f"/netrt/containers/boxboxbox/{what}" for what in ("started", "exited")
    ]


def test_report_names_a_process_that_waits_to_run(box: Sandbox, daemon: Daemon) -> None:
    assert supervise(box, "sleep", "60").returncode == 0
    said = daemon.said("/started")
    assert start_ticks(said["Pid"]) == said["StartTicks"]
    assert Path(f"/proc/{said['Pid']}/comm").read_text() == "sleep\n"
    os.kill(said["Pid"], signal.SIGKILL)
    assert daemon.said("/exited") == {"ExitCode": 137, "Error": ""}


def test_supervisor_is_in_nobodys_session_and_ends_with_the_container(box: Sandbox, daemon: Daemon) -> None:
    supervise(box, "sleep", "60")
    pid = daemon.said("/started")["Pid"]
    supervisor = supervisor_of(pid)
    assert os.getsid(supervisor) not in (os.getsid(0), os.getpid())
    assert {os.readlink(f"/proc/{supervisor}/fd/{n}") for n in range(3)} == {"/dev/null"}
    assert Path(f"/proc/{supervisor}/comm").read_text() == "netrt-supervise\n"
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        os.kill(supervisor, number)
    os.kill(pid, signal.SIGKILL)
    assert daemon.said("/exited")["ExitCode"] == 137
    wait_until(lambda: not Path(f"/proc/{supervisor}").exists(), what="the end of the supervisor")


def test_signals_are_as_a_program_expects_them(box: Sandbox, daemon: Daemon) -> None:
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for what it puts into the background
    try:
        supervise(box, "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
    finally:
        signal.signal(signal.SIGINT, ignored)
    daemon.said("/exited")
    assert [int(e.log.split()[1], 16) & ~LIBRARY_SIGNALS for e in logged(box)] == [0, 0]


def test_supervisor_is_small(box: Sandbox, daemon: Daemon) -> None:
    supervise(box, "sleep", "60")
    supervisor = supervisor_of(daemon.said("/started")["Pid"])
    sizes = dict(line.split()[:2] for line in Path(f"/proc/{supervisor}/smaps_rollup").read_text().splitlines()[1:])
    assert int(sizes["Rss:"]) < 14_000, "kB"


def test_what_cannot_start_is_said_and_reported(box: Sandbox, daemon: Daemon) -> None:
    done = supervise(box, "no-such-program")
    assert done.returncode == 127
    assert done.stderr == "netrt: 'no-such-program': executable file not found in $PATH\n"
    assert daemon.said("/exited") == {
        "ExitCode": 127,
        "Error": "'no-such-program': executable file not found in $PATH",
    }
    assert supervise(box, "true", Netns="/run/netns/none").returncode == 125


def test_nothing_runs_that_the_daemon_refuses(box: Sandbox, daemon: Daemon, tmp_path: Path) -> None:
    daemon.answer = 409, b'{"message": "container box is running already"}'
    done = supervise(box, "touch", str(tmp_path / "ran"))
    assert (done.returncode, done.stderr) == (125, "netrt: container box is running already\n")
    assert [path.rpartition("/")[2] for path, _ in daemon.heard] == ["started"], (
        "the end of another is not ours to report"
    )
    assert not (tmp_path / "ran").exists()


def test_nothing_runs_without_a_daemon(box: Sandbox, tmp_path: Path) -> None:
    done = supervise(box, "touch", str(tmp_path / "ran"))
    assert done.returncode == 125
    assert "the daemon does not answer at /run/netrt/netrt.sock" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_end_is_written_down_while_the_daemon_is_away(box: Sandbox, daemon: Daemon) -> None:
    supervise(box, "sleep", "60")
    pid = daemon.said("/started")["Pid"]
    daemon.close()
    Path("/run/netrt/netrt.sock").unlink()
    os.kill(pid, signal.SIGTERM)  # ignored by process 1
    os.kill(pid, signal.SIGKILL)
    written = box.directory / "exit.json"
    wait_until(written.exists, what="exit.json")
    end = json.loads(written.read_text())
    assert (end["ExitCode"], end["Error"]) == (137, "")
    assert end["FinishedAt"].endswith("Z")


# output


def test_output_is_kept_by_line_with_its_stream(box: Sandbox, daemon: Daemon) -> None:
    script = "printf 'one\\ntwo'; printf ' and more\\n'; echo wrong >&2; printf 'no end'; printf '\\377\\n' >&2"
    supervise(box, "sh", "-c", script)
    daemon.said("/exited")
    entries = logged(box)
    assert [e.log for e in entries if e.stream == "stdout"] == ["one\n", "two and more\n", "no end"]
    assert [e.log for e in entries if e.stream == "stderr"] == ["wrong\n", "\ufffd\n"]
    assert all(e.time.endswith("Z") and len(e.time) == 30 for e in entries)


def test_long_lines_are_kept_in_parts(box: Sandbox, daemon: Daemon) -> None:
    text = "é" * 20_000
    supervise(box, "python3", "-c", "print('é' * 20_000)", Env=["PYTHONIOENCODING=utf-8"])
    daemon.said("/exited")
    parts = [e.log for e in logged(box)]
    assert "".join(parts) == text + "\n"
    assert len(parts) == 3
    assert all(len(part.encode()) <= logfile.PART for part in parts)


def test_much_output_is_kept_in_bounded_space(box: Sandbox, daemon: Daemon) -> None:
    supervise(box, "sh", "-c", "seq -f 'line %.0f of many, many, many, many, many' 300000")
    assert daemon.said("/exited", timeout=60)["ExitCode"] == 0
    files = [Path(box.launch["Log"] + suffix) for suffix in ("", ".1")]
    assert all(file.stat().st_size <= logfile.LIMIT for file in files)
    assert [e.log for e in logged(box, tail=2)] == [
        f"line {n} of many, many, many, many, many\n" for n in (299999, 300000)
    ]
    numbers = [int(e.log.split()[1]) for e in logged(box)]
    assert numbers == list(range(numbers[0], 300001)), "nothing is missing but the oldest"


def test_a_full_disk_loses_output_and_stops_nothing(box: Sandbox, daemon: Daemon, tmp_path: Path) -> None:
    directory = Path(box.launch["Log"]).parent
    directory.mkdir(parents=True)
    box.host.run("mount", "-t", "tmpfs", "-o", "size=64k", "small", str(directory))
    flood = tmp_path / "flood"
    os.mkfifo(flood)
    supervise(box, "sh", "-c", f"echo 100000; read now < {flood}; seq 100001 200000; exit 4")
    wait_until(lambda: logged(box), what="the first line")
    flood.write_text("now\n")
    assert daemon.said("/exited")["ExitCode"] == 4
    kept = Path(box.launch["Log"]).read_text()
    assert kept.endswith("}\n")
    assert len(kept) < 65536
    assert [int(e.log) for e in logged(box)] == list(range(100000, 100000 + kept.count("\n"))), "whole entries only"


def test_log_is_followed_as_it_grows(box: Sandbox, daemon: Daemon, tmp_path: Path) -> None:
    words = tmp_path / "words"
    os.mkfifo(words)
    supervise(box, "cat", str(words))
    with words.open("w") as speak, LogReader(box.launch["Log"]) as reader:
        assert list(reader.entries()) == []
        for line in ("first\n", "second\n"):
            speak.write(line)
            speak.flush()
            assert select.select([reader], [], [], 10)[0], "the descriptor tells of more"
            assert [e.log for e in reader.entries()] == [line]


def test_second_start_goes_on_with_the_log(box: Sandbox, daemon: Daemon) -> None:
    for word in ("first", "second"):
        supervise(box, "echo", word)
        wait_until(lambda: any(e.log == f"{word}\n" for e in logged(box)), what=f"{word} in the log")  # noqa: B023
    assert [e.log for e in logged(box)] == ["first\n", "second\n"]
