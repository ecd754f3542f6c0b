"""`netrt run`, `exec`, `start`, `stop` and `logs`, as people use them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import PROGRAM, Netrt
from tests.host import Host
from tests.namespaces import end_inhabitants
from tests.waiting import wait_until

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def ended(netrt: Netrt) -> Iterator[None]:
    yield
    end_inhabitants()  # a container that outlives its launcher holds the pipes that the host waits for


def tried(netrt: Netrt, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line, whatever becomes of it, with a daemon that is there already."""
    netrt("network", "ls", "-q")
    return netrt.host.run(PROGRAM, *words, check=False)


def state(netrt: Netrt, name: str) -> dict[str, Any]:
    found: dict[str, Any] = netrt.inspect(name)["State"]
    return found


def names(netrt: Netrt) -> set[str]:
    return {line.split()[-1] for line in netrt("ps", "-a").splitlines()[1:]} if netrt("ps", "-a", "-q") else set()


def until(netrt: Netrt, name: str, running: bool) -> dict[str, Any]:
    """Wait until a container runs, or does not; its state."""
    wait_until(lambda: bool(state(netrt, name)["Running"]) == running, 10, f"{name} to {'run' if running else 'end'}")
    return state(netrt, name)


# in the foreground


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        (["true"], 0, ""),
        (["sh", "-c", "exit 42"], 42, ""),
        (["python3", "-c", "import os, signal; signal.raise_signal(signal.SIGKILL)"], 0, ""),  # process 1 is immune
        (["no-such-program"], 127, "netrt: 'no-such-program': executable file not found in $PATH"),
        (["/etc/passwd"], 126, "netrt: '/etc/passwd': permission denied"),
    ],
)
def test_exit_status_is_dockers(netrt: Netrt, command: list[str], status: int, said: str) -> None:
    done = tried(netrt, "run", "--name", "one", "--", *command)
    assert (done.returncode, done.stderr.strip()) == (status, said)
    assert state(netrt, "one")["ExitCode"] == status
    assert not state(netrt, "one")["Running"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--network", "nowhere"], "nowhere"),
        (["--cap-add", "FLY"], "FLY"),
        (["--hostname", "a\nb"], "hostname"),
        (["--no-such-option"], "--no-such-option"),
        (["--add-host", "db"], "extra host"),
        (["--dns", "one.one.one.one"], "DNS server"),
        (["-p", "80:x"], "80:x"),
    ],
)
def test_failures_of_netrt_itself_are_125_and_leave_nothing(netrt: Netrt, options: list[str], said: str) -> None:
    done = tried(netrt, "run", *options, "--", "true")
    assert done.returncode == 125
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert netrt("ps", "-a", "-q") == ""


@pytest.mark.parametrize("how", [(), ("-d",), ("--rm",)])
def test_a_port_that_is_taken_is_said_at_the_start_and_nothing_is_left(netrt: Netrt, how: tuple[str, ...]) -> None:
    netrt.box("web", "-p", "8080:80")
    netrt("container", "create", "--name", "late", "-p", "8080:80", "--", "sleep", "9")
    assert "port 8080/tcp is already allocated to web" in netrt.refused("start", "late")
    done = tried(netrt, "run", *how, "--name", "app", "-p", "8080:80", "--", "sleep", "9")
    assert (done.returncode, done.stdout, done.stderr) == (
        125,
        "",
        "netrt: port 8080/tcp is already allocated to web\n",
    )
    assert netrt.names("-a") == {"web", "late"}
    netrt("rm", "web")
    netrt("start", "late")
    assert netrt("port", "late").splitlines()[0] == "80/tcp -> 0.0.0.0:8080"


def test_an_interrupt_while_it_is_created_leaves_nothing(netrt: Netrt) -> None:
    netrt("network", "ls")
    daemon = json.loads(netrt("daemon", "status", "--format", "json"))["Pid"]
    os.kill(daemon, signal.SIGSTOP)
    try:
        child = netrt.host.spawn(PROGRAM, "run", "--rm", "--", "true")
        links = Path(f"/proc/{child.pid}/fd")
        wait_until(lambda: any("socket:" in os.readlink(link) for link in links.iterdir()), what="its request")
        child.send_signal(signal.SIGINT)
    finally:
        os.kill(daemon, signal.SIGCONT)
    _, said = child.communicate(timeout=10)
    assert (child.returncode, said.strip()) == (130, "")
    assert netrt("ps", "-aq") == ""


def test_container_is_told_who_it_is(netrt: Netrt) -> None:
    netrt("network", "create", "--subnet", "10.7.0.0/24", "--ipv6", "--subnet", "fd00:7::/64", "lan")
    options = "--name web --hostname shop --network lan --ip 10.7.0.9 --ip6 fd00:7::9 --alias www --mac-address 02:00:00:00:00:09"
    more = "--dns 192.0.2.77 --add-host db:10.9.9.9 --add-host up:host-gateway --env A=b -w /usr"
    script = "hostname; cat /etc/hostname; echo $A; pwd; cat /etc/resolv.conf; cat /sys/class/net/eth0/address; cat /etc/hosts"
    said = netrt("run", *options.split(), *more.split(), "--", "sh", "-c", script).splitlines()
    assert said[:4] == ["shop", "shop", "b", "/usr"]
    assert "nameserver 127.0.0.11" in said
    assert "02:00:00:00:00:09" in said
    hosts = [line.split() for line in said]
    assert ["10.7.0.9", "shop", "web", "www"] in hosts
    assert ["fd00:7::9", "shop", "web", "www"] in hosts
    assert ["10.9.9.9", "db"] in hosts
    assert ["10.7.0.1", "up"] in hosts
    assert ["fd00:7::1", "up"] in hosts


def test_streams_are_inherited(netrt: Netrt) -> None:
    done = netrt.host.run(PROGRAM, "run", "-i", "--", "sh", "-c", "cat; echo wrong >&2", input="through\n")
    assert done.stdout == "through\n"
    assert done.stderr.splitlines()[-1] == "wrong"


def test_signals_reach_the_process(netrt: Netrt) -> None:
    netrt("network", "ls")
    child = netrt.host.spawn(PROGRAM, "run", "--", "sh", "-c", "trap 'exit 9' TERM; echo on; while :; do read x; done")
    assert child.stdout
    assert child.stdout.readline() == "on\n"
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 9


def test_removed_at_its_end(netrt: Netrt) -> None:
    assert netrt("run", "--rm", "--name", "brief", "--", "echo", "done") == "done"
    assert netrt("ps", "-a", "-q") == ""
    assert tried(netrt, "run", "--rm", "--", "no-such-program").returncode == 127
    wait_until(lambda: netrt("ps", "-a", "-q") == "", what="the removal of what could not start")


def test_killing_the_command_line_leaves_the_container(netrt: Netrt) -> None:
    child = netrt.host.spawn(PROGRAM, "run", "--rm", "--name", "orphan", "--", "sleep", "1000")
    wait_until(lambda: netrt("ps", "-q"), 10, "the container to run")
    child.kill()
    child.wait()
    assert netrt("exec", "orphan", "hostname") == netrt("ps", "-q")
    os.kill(state(netrt, "orphan")["Pid"], signal.SIGKILL)
    wait_until(lambda: netrt("ps", "-a", "-q") == "", 10, "its removal although nobody reports its end")


def test_end_while_the_daemon_is_away_is_known_later(netrt: Netrt) -> None:
    child = netrt.host.spawn(PROGRAM, "run", "--name", "one", "--", "sh", "-c", "read line; exit 6")
    wait_until(lambda: netrt("ps", "-q"), 10, "the container to run")
    netrt("daemon", "stop")
    assert child.stdin
    child.stdin.write("go\n")
    child.stdin.flush()
    assert child.wait(10) == 6
    assert until(netrt, "one", running=False)["ExitCode"] == 6


def test_dry_run_changes_nothing(netrt: Netrt, tmp_path: Path) -> None:
    netrt("network", "create", "lan")
    plan = netrt("run", "--dry-run", "--network", "lan", "-p", "8080:80", "--", "touch", str(tmp_path / "ran"))
    assert "veth" in plan
    assert plan.splitlines()[-1] == f"start touch {tmp_path}/ran"
    assert netrt("ps", "-a", "-q") == ""
    assert not (tmp_path / "ran").exists()


# in the background


def test_detached_prints_its_id_and_keeps_its_output(netrt: Netrt) -> None:
    said = netrt("run", "-d", "--name", "back", "--", "sh", "-c", "echo one; echo two >&2; sleep 1000")
    assert re.fullmatch("[0-9a-f]{64}", said)
    assert state(netrt, "back")["Running"]
    wait_until(lambda: netrt("logs", "back") == "one", what="its first line")
    done = netrt.host.run(PROGRAM, "logs", "back")
    assert (done.stdout, done.stderr) == ("one\n", "two\n")
    stamped = (
        netrt("logs", "-t", "--tail", "1", "back") + netrt.host.run(PROGRAM, "logs", "-t", "-n", "2", "back").stderr
    )
    assert re.search(r"\d{4}-\d\d-\d\dT[\d:.]+Z two", stamped)


def test_logs_are_followed_to_the_end(netrt: Netrt, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    netrt("run", "-d", "--name", "back", "--", "cat", str(fifo))
    following = netrt.host.spawn(PROGRAM, "logs", "-f", "back")
    assert following.stdout
    with fifo.open("w") as speak:
        for line in ("first\n", "second\n"):
            speak.write(line)
            speak.flush()
            assert following.stdout.readline() == line
    assert following.wait(10) == 0


def test_what_cannot_start_in_the_background_says_so_at_once(netrt: Netrt) -> None:
    done = tried(netrt, "run", "-d", "--name", "back", "--", "no-such-program")
    assert done.returncode == 127
    assert done.stdout == ""
    assert "executable file not found" in done.stderr


def test_background_outlives_the_daemon(netrt: Netrt) -> None:
    netrt("run", "-d", "--name", "back", "--", "sh", "-c", "read x < /dev/zero; exit 5")
    netrt("run", "-d", "--name", "stay", "--", "sleep", "1000")
    pid = state(netrt, "stay")["Pid"]
    netrt("daemon", "stop")
    assert Path(f"/proc/{pid}").exists()
    assert state(netrt, "stay")["Pid"] == pid
    os.kill(pid, signal.SIGKILL)
    assert until(netrt, "stay", running=False)["ExitCode"] == 137


def test_stop_and_start_again(netrt: Netrt) -> None:
    netrt(
        "run", "-d", "--name", "polite", "--", "sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done"
    )
    wait_until(lambda: netrt("logs", "polite") == "up", what="its handler")
    address = netrt.inspect("polite")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    assert netrt("stop", "polite") == "polite"
    assert state(netrt, "polite")["ExitCode"] == 3
    assert netrt("start", "polite") == "polite"
    assert state(netrt, "polite")["Running"]
    assert netrt.inspect("polite")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] == address
    wait_until(lambda: netrt("logs", "polite") == "up\nup", what="the log of both runs")
    netrt("run", "-d", "--name", "deaf", "--", "sleep", "1000")
    netrt("stop", "-t", "0", "deaf")
    assert state(netrt, "deaf")["ExitCode"] == 137
    assert netrt("rm", "-f", "polite", "deaf") == "polite\ndeaf"


# one more process


def test_exec_is_in_all_namespaces(netrt: Netrt) -> None:
    netrt("run", "-d", "--name", "one", "--env", "A=b", "--", "sleep", "1000")
    spaces = "readlink /proc/self/ns/net /proc/self/ns/mnt /proc/self/ns/pid /proc/self/ns/uts"
    pid = state(netrt, "one")["Pid"]
    assert netrt("exec", "one", *spaces.split()).split() == [
        os.readlink(f"/proc/{pid}/ns/{n}") for n in ("net", "mnt", "pid", "uts")
    ]
    assert netrt("exec", "-e", "C=d", "-w", "/usr", "one", "sh", "-c", "echo $A $C $PWD") == "b d /usr"
    assert "NoNewPrivs:\t1" in netrt("exec", "--privileged", "one", "cat", "/proc/self/status")


def test_exec_passes_on_status_and_signals(netrt: Netrt) -> None:
    netrt("run", "-d", "--name", "one", "--", "sleep", "1000")
    assert tried(netrt, "exec", "one", "sh", "-c", "exit 7").returncode == 7
    assert tried(netrt, "exec", "one", "no-such-program").returncode == 127
    assert tried(netrt, "exec", "-it", "one", "sh", "-c", "kill -9 $$").returncode == 137
    child = netrt.host.spawn(PROGRAM, "exec", "one", "sh", "-c", "echo on; exec sleep 1000")
    assert child.stdout
    assert child.stdout.readline() == "on\n"
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 128 + signal.SIGTERM


def test_exec_in_a_sandbox_without_process(netrt: Netrt) -> None:
    box = netrt.box("bare", "--hostname", "plain")
    assert netrt("exec", "bare", "hostname") == "plain"
    assert box.ip4 in netrt("exec", "bare", "cat", "/etc/hosts")
    assert box.ip4 in netrt("exec", "bare", "ip", "addr", "show", "eth0")


def test_exec_needs_a_container_that_runs(netrt: Netrt) -> None:
    netrt("run", "--name", "over", "--", "true")
    for name, said in (("over", "container over is not running"), ("nobody", "nobody")):
        done = tried(netrt, "exec", name, "true")
        assert done.returncode == 125
        assert said in done.stderr


def test_hosts_file_follows_the_networks(netrt: Netrt) -> None:
    netrt("network", "create", "--subnet", "10.8.0.0/24", "later")
    netrt("run", "-d", "--name", "one", "--", "sleep", "1000")
    assert "10.8.0." not in netrt("exec", "one", "cat", "/etc/hosts")
    netrt("network", "connect", "--ip", "10.8.0.8", "later", "one")
    assert "10.8.0.8" in netrt("exec", "one", "cat", "/etc/hosts")
    netrt("network", "disconnect", "later", "one")
    assert "10.8.0." not in netrt("exec", "one", "cat", "/etc/hosts")


def test_member_shares_the_owners_network_and_names(netrt: Netrt) -> None:
    netrt("run", "-d", "--name", "owner", "--hostname", "front", "--", "sleep", "1000")
    said = netrt("run", "--network", "container:owner", "--", "sh", "-c", "readlink /proc/self/ns/net; cat /etc/hosts")
    assert said.splitlines()[0] == netrt("exec", "owner", "readlink", "/proc/self/ns/net")
    assert said.splitlines()[1:] == netrt("exec", "owner", "cat", "/etc/hosts").splitlines()


def test_host_mode_has_the_hosts_network_and_resolvers(host: Host, netrt: Netrt) -> None:
    Path("/etc/resolv.conf").write_text("nameserver 127.0.0.53\n")
    said = netrt(
        "run",
        "--network",
        "host",
        "--",
        "sh",
        "-c",
        "readlink /proc/self/ns/net; hostname; cat /etc/resolv.conf; echo $$",
    )
    lines = said.splitlines()
    assert lines[0] == os.readlink("/proc/self/ns/net")
    assert lines[1] == os.uname().nodename
    assert "nameserver 127.0.0.53" in lines
    assert lines[-1] == "1"
