"""The verbs about processes, and the options that every verb has, on the real daemon and kernel."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.command import PROGRAM, Netrt
from tests.host import Host
from tests.snapshot import differences, snapshot
from tests.waiting import wait_until

pytestmark = pytest.mark.root


def state_of(netrt: Netrt, name: str) -> dict[str, Any]:
    found: dict[str, Any] = netrt.inspect(name)["State"]
    return found


def ended(netrt: Netrt, name: str) -> int:
    """The exit status of a container, once it has ended."""
    wait_until(lambda: state_of(netrt, name)["Status"] == "exited", 15, f"the end of {name}")
    return int(state_of(netrt, name)["ExitCode"])


# exit statuses


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "kill -9 $$; exit 3"), 3),  # process 1 of a namespace cannot kill itself
        (("sh", "-c", "sh -c 'kill -9 $$'"), 137),
        (("/etc",), 126),
        (("no-such-command",), 127),
    ],
)
def test_run_passes_the_status_on(netrt: Netrt, host: Host, argv: tuple[str, ...], status: int) -> None:
    done = host.run(PROGRAM, "run", "--rm", "--network", "none", "--", *argv, check=False)
    assert done.returncode == status, done.stderr
    assert netrt("ps", "-aq") == ""


@pytest.mark.parametrize(
    "argv", ["--fly true", "", "-p x:y true", "--network nope true", "--name a/b true", "--cap-add X true"]
)
def test_run_says_125_where_netrt_itself_failed(netrt: Netrt, host: Host, argv: str) -> None:
    netrt("network", "ls")
    done = host.run(PROGRAM, "run", *argv.split(), check=False)
    assert done.returncode == 125
    assert done.stderr.count("\n") == 1
    assert netrt("ps", "-aq") == ""


def test_exec_passes_the_status_on(netrt: Netrt, host: Host) -> None:
    netrt("run", "-d", "--name", "web", "--network", "none", "sleep", "1000")
    for argv, status in ((("true",), 0), (("sh", "-c", "exit 7"), 7), (("/etc",), 126), (("no-such-command",), 127)):
        assert host.run(PROGRAM, "exec", "web", *argv, check=False).returncode == status
    assert host.run(PROGRAM, "exec", "nope", "true", check=False).returncode not in (0, 126, 127)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_fault(netrt: Netrt, host: Host, closed: str) -> None:
    """They lead nowhere, here and in the container."""
    inside = "echo said; echo oops >&2; cat; readlink /proc/1/fd/[012] /proc/self/fd/[012] | grep -q ^socket: || exit 5"
    netrt("network", "ls")
    command = f"{PROGRAM} run --rm --network none -- sh -c {shlex.quote(inside)} {closed}"
    assert host.run("sh", "-c", command, check=False).returncode == 5
    netrt("run", "-d", "--name", "web", "--network", "none", "sleep", "1000")
    assert host.run("sh", "-c", f"{PROGRAM} exec web sh -c {shlex.quote(inside)} {closed}", check=False).returncode == 5
    for words, status in (("logs web", 0), ("network prune", 1)):
        done = host.run("sh", "-c", f"{PROGRAM} {words} {closed}", check=False)
        assert done.returncode == status, (words, done)
        assert "fault" not in done.stdout + done.stderr


# one life


def test_run_in_the_foreground(netrt: Netrt, host: Host) -> None:
    script = "hostname; pwd; echo $X; cat; echo oops >&2; grep CapEff /proc/self/status; touch /here 2>&1"
    flags = "--rm --name web -h www -w /usr -e X=1 --cap-drop ALL --cap-add NET_RAW --read-only --network none -i"
    done = host.run(PROGRAM, "run", *flags.split(), "--", "sh", "-c", script, input="said\n", check=False)
    assert done.stdout.splitlines()[:4] == ["www", "/usr", "1", "said"]
    assert int(re.search(r"CapEff:\s*(\w+)", done.stdout)[1], 16) == 1 << 13
    assert "Read-only file system" in done.stdout
    assert "oops" in done.stderr


def test_a_detached_life(netrt: Netrt, host: Host) -> None:
    script = "echo one; echo two; echo oops >&2; exec sleep 1000"
    identifier = netrt("run", "-d", "--name", "web", "sh", "-c", script)
    assert re.fullmatch(r"[0-9a-f]{64}", identifier)
    assert netrt("ps", "-q", "--no-trunc") == identifier
    assert netrt("ps").splitlines()[1].split()[1] == "web"

    def logs(*flags: str) -> tuple[str, str]:
        done = host.run(PROGRAM, "logs", *flags, "web")
        return done.stdout, done.stderr

    wait_until(lambda: logs() == ("one\ntwo\n", "oops\n"), what="what it prints")
    assert logs("--tail", "0") == ("", "")
    assert len("".join(logs("-n", "2")).splitlines()) == 2
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z one$", logs("-t")[0].splitlines()[0])
    assert netrt("exec", "-e", "Y=2", "-w", "/usr", "web", "sh", "-c", "echo $Y; pwd").split() == ["2", "/usr"]
    assert "running" in netrt.refused("rm", "web")
    assert netrt("stop", "-t", "0", "web") == "web"
    assert ended(netrt, "web") == 137
    assert netrt("ps", "-q") == ""
    assert "Exited (137)" in netrt("ps", "-a")
    assert "is not running" in netrt.refused("exec", "web", "true")
    assert netrt("start", "web") == "web"
    assert state_of(netrt, "web")["Running"]
    assert netrt("rm", "-f", "web") == "web"
    assert netrt("ps", "-aq") == ""


def test_logs_follow_to_the_end(netrt: Netrt, host: Host) -> None:
    netrt("run", "-d", "--name", "web", "--network", "none", "sh", "-c", "echo one; exec sleep 1000")
    following = host.spawn(PROGRAM, "logs", "-f", "web")
    assert following.stdout
    assert following.stdout.readline() == "one\n"
    netrt("stop", "-t", "0", "web")
    assert following.wait(10) == 0


def test_rm_of_itself(netrt: Netrt) -> None:
    netrt("run", "-d", "--rm", "--name", "short", "--network", "none", "true")
    wait_until(lambda: netrt("ps", "-aq") == "", 15, "the end of a container that was run with --rm")


def test_the_container_group_has_the_same_verbs(netrt: Netrt) -> None:
    netrt("container", "run", "-d", "--name", "web", "--network", "none", "sh", "-c", "echo hello; exec sleep 1000")
    assert netrt("container", "exec", "web", "echo", "hi") == "hi"
    wait_until(lambda: netrt("container", "logs", "web") == "hello", what="what it prints")
    assert netrt("container", "stop", "--timeout", "0", "web") == "web"
    assert netrt("container", "start", "web") == "web"
    assert netrt("container", "rename", "web", "www") == ""
    assert netrt("container", "port", "www") == ""
    assert json.loads(netrt("container", "inspect", "www"))[0]["Name"] == "/www"
    assert netrt("container", "rm", "-f", "www") == "www"


# what every verb has


def everything(host: Host) -> dict[str, Any]:
    with sqlite3.connect("file:/var/lib/netrt/netrt.db?mode=ro", uri=True) as database:
        return snapshot(host) | {"database": list(database.iterdump())}


CHANGES = [
    ("network create --ipv6 new", "add bridge"),
    ("network connect other web", "add veth"),
    ("network disconnect app web", "delete link"),
    ("network rm other", "delete link"),
    ("network rm -f app other", "delete link"),
    ("network prune", "delete link"),
    ("container create --network app -p 9090:90", "add veth"),
    ("run --network app true", "start true"),
    ("run -d --network app sleep 9", "start sleep 9"),
    ("rm web", "delete link"),
    ("rm -f busy", "delete link"),
    ("rename web www", ""),
    ("start idle", ""),
    ("stop busy", ""),
]


def test_a_dry_run_of_any_verb_changes_nothing(netrt: Netrt, host: Host) -> None:
    netrt("network", "create", "app")
    netrt("network", "create", "other")
    netrt.box("web", "--network", "app")
    netrt("container", "create", "--name", "idle", "--network", "none", "sleep", "1000")
    netrt("run", "-d", "--name", "busy", "--network", "app", "sleep", "1000")
    before, told = everything(host), host.spawn(PROGRAM, "events", "--format", "json")
    for words, expected in CHANGES:
        verb, *rest = words.split()
        if verb in ("network", "container"):
            verb, rest = f"{verb} {rest[0]}", rest[1:]
        done = host.run(PROGRAM, *verb.split(), "--dry-run", *rest)
        assert expected in done.stdout, words
        assert not differences(before, everything(host)), words
    assert state_of(netrt, "busy")["Running"]
    netrt("network", "create", "last")
    assert told.stdout
    assert json.loads(told.stdout.readline())["Actor"]["Attributes"]["name"] == "last", "a dry run is no event"


def test_root_and_socket(netrt: Netrt, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrt("network", "create", "here")
    aside = ("--root", str(tmp_path))
    assert netrt(*aside, "network", "ls", "-q", "-f", "name=here") == ""
    socket = f"{tmp_path}/run/netrt.sock"
    assert socket in netrt(*aside, "daemon", "status")
    assert netrt("--socket", socket, "network", "ls", "-q", "-f", "name=here") == ""
    monkeypatch.setenv("NETRT_ROOT", str(tmp_path))
    assert socket in netrt("daemon", "status")
    assert netrt("--socket", "/run/netrt/netrt.sock", "network", "ls", "-q", "-f", "name=here") != ""
    assert netrt("daemon", "stop") == ""
    monkeypatch.delenv("NETRT_ROOT")
    assert netrt("network", "ls", "-q", "-f", "name=here") != ""


def test_a_reader_that_leaves_is_no_fault(netrt: Netrt, host: Host) -> None:
    netrt("network", "ls")
    done = host.run("sh", "-c", f"{PROGRAM} network ls | true; {PROGRAM} inspect host | head -n 1")
    assert (done.stdout, done.stderr) == ("[\n", "")


def test_output_that_nobody_can_take_is_an_error(netrt: Netrt, host: Host) -> None:
    netrt("network", "ls")
    for buffered in ("", "PYTHONUNBUFFERED=1"):
        done = host.run("sh", "-c", f"unset PYTHONUNBUFFERED; {buffered} {PROGRAM} network ls >/dev/full", check=False)
        assert (done.returncode, done.stderr) == (1, "netrt: No space left on device\n")
