"""What a process in a container sees, may do and leaves behind."""

from __future__ import annotations

import os
import pty
import select
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netrt.launch import isolate
from tests.host import Host
from tests.kernel.sandbox import FOREGROUND, LIBRARY_SIGNALS, RESOLVER, Sandbox
from tests.namespaces import end_inhabitants
from tests.waiting import wait_until

pytestmark = pytest.mark.root

DEFAULT_CAPABILITIES = 0xA80425FB
NET_ADMIN = 1 << 12


@pytest.fixture
def box(host: Host) -> Iterator[Sandbox]:
    yield Sandbox(host)
    end_inhabitants()  # a process 1 that outlives its launcher holds the pipes that the host waits for


def ended(pid: int) -> bool:
    return not Path(f"/proc/{pid}/stat").exists()


def status_of(text: str) -> dict[str, str]:
    """/proc/PID/status."""
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


# namespaces


def test_process_is_number_one_in_namespaces_of_its_own(box: Sandbox) -> None:
    seen = dict(line.split(":[") for line in box.sh("cd /proc/self/ns; for n in *; do readlink $n; done").split())
    for kind in ("mnt", "uts", "ipc", "pid", "net"):
        assert f"{kind}:[{seen[kind]}" != os.readlink(f"/proc/self/ns/{kind}"), kind
    assert f"net:[{seen['net']}" == f"net:[{Path('/run/netns/box').stat().st_ino}]"
    assert box.sh("echo $$").strip() == "1"
    assert len(box.sh("ps -o pid= -A").split()) == 2, "sh and ps"


def test_network_is_the_sandbox_alone(box: Sandbox) -> None:
    box.host.run("ip", "link", "add", "outer", "type", "veth", "peer", "name", "inner", "netns", "box")
    assert box.sh("ls /sys/class/net").split() == ["inner", "lo"]
    assert "outer" not in box.sh("cat /proc/net/dev")


def test_hosts_network_is_used_where_there_is_no_sandbox(box: Sandbox) -> None:
    assert box.sh("readlink /proc/self/ns/net", Netns="").strip() == os.readlink("/proc/self/ns/net")


def test_name_and_files_are_its_own_and_the_hosts_stay(box: Sandbox) -> None:
    before = {name: Path("/etc", name).read_bytes() for name in ("resolv.conf", "hosts", "hostname")}
    said = box.sh('hostname; cat /etc/hostname /etc/resolv.conf /etc/hosts; echo "$HOSTNAME"')
    assert said == f"box\nbox\n{RESOLVER}127.0.0.1 localhost\nbox\n"
    assert {name: Path("/etc", name).read_bytes() for name in before} == before
    assert os.uname().nodename != "box"


def test_files_follow_what_is_written_in_place(box: Sandbox) -> None:
    box.start("sh", "-c", "read line; cat /etc/hosts")
    (box.directory / "hosts").write_text("10.1.0.2 later\n")
    assert box.enter("cat", "/etc/hosts").stdout == "10.1.0.2 later\n"


def test_a_link_that_leads_nowhere_is_said_and_passed_over(box: Sandbox) -> None:
    Path("/etc/resolv.conf").unlink()
    Path("/etc/resolv.conf").symlink_to("/run/nowhere/stub.conf")
    done = box.run("true")
    assert done.returncode == 0
    assert "no /etc/resolv.conf" in done.stderr


def test_mounts_inside_do_not_reach_the_host(box: Sandbox) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    box.sh("mount -t tmpfs inside /mnt; touch /mnt/x", CapAdd=["SYS_ADMIN"])
    assert Path("/proc/self/mountinfo").read_text() == before


def test_daemon_cannot_be_reached_from_inside(box: Sandbox) -> None:
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind("/run/netrt/netrt.sock")
        assert box.sh("ls -A /run/netrt") == ""


# what it is given


def test_environment_is_docker_like_and_what_is_given(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "1")
    lines = set(box.run("env", Env=["A=b=c", "EMPTY="]).stdout.splitlines())
    assert lines == {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/root",
        "HOSTNAME=box",
        "TERM=xterm",
        "A=b=c",
        "EMPTY=",
    }


def test_working_directory_and_mask(box: Sandbox) -> None:
    assert box.sh("pwd").strip() == "/"
    assert box.sh("pwd; umask", Cwd="/usr/share").split() == ["/usr/share", "0022"]


def test_no_descriptor_is_passed_on_but_the_streams(box: Sandbox) -> None:
    leak = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(leak, True)
    try:
        assert box.sh("ls /proc/$$/fd").split() == ["0", "1", "2"]
    finally:
        os.close(leak)


def test_signals_are_as_a_program_expects_them(box: Sandbox) -> None:
    found = status_of(box.run("cat", "/proc/self/status").stdout)
    assert int(found["SigBlk"], 16) == 0
    assert int(found["SigIgn"], 16) & ~LIBRARY_SIGNALS == 0


# what it may do


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        ([], [], DEFAULT_CAPABILITIES),
        (["NET_ADMIN"], [], DEFAULT_CAPABILITIES | NET_ADMIN),
        (["cap_net_admin"], ["ALL"], NET_ADMIN),
        ([], ["ALL"], 0),
        ([], ["CHOWN"], DEFAULT_CAPABILITIES & ~1),
    ],
)
def test_capabilities(box: Sandbox, add: list[str], drop: list[str], expected: int) -> None:
    found = status_of(box.run("cat", "/proc/self/status", CapAdd=add, CapDrop=drop).stdout)
    assert int(found["CapBnd"], 16) == expected
    assert int(found["CapPrm"], 16) == expected
    assert int(found["CapEff"], 16) == expected
    assert int(found["CapInh"], 16) == int(found["CapAmb"], 16) == 0
    assert found["NoNewPrivs"] == "1"


def test_all_capabilities_are_all_that_we_have(box: Sandbox) -> None:
    ours = status_of(Path("/proc/self/status").read_text())["CapBnd"]
    found = status_of(box.run("cat", "/proc/self/status", CapAdd=["ALL"], CapDrop=["SYS_TIME"]).stdout)
    assert int(found["CapEff"], 16) == int(ours, 16) & ~(1 << 25)
    assert found["NoNewPrivs"] == "1"


def test_network_can_be_changed_with_net_admin_only(box: Sandbox) -> None:
    assert box.run("ip", "link", "set", "lo", "down").returncode != 0
    switch = "/proc/sys/net/ipv4/ip_forward"
    assert box.run("sh", "-c", f"echo 1 > {switch}").returncode != 0
    before = Path(switch).read_text()
    assert box.sh(f"ip link set lo down; echo 1 > {switch}; cat {switch}", CapAdd=["NET_ADMIN"]) == "1\n"
    assert Path(switch).read_text() == before


def test_settings_of_the_whole_machine_are_read_only(box: Sandbox) -> None:
    for path in ("/proc/sys/kernel/pid_max", "/proc/sys/net/core/somaxconn", "/sys/kernel/profiling"):
        if Path(path).exists():
            assert "Read-only" in box.run("sh", "-c", f"cat {path} > {path}", Cwd="/").stderr, path


@pytest.mark.parametrize("one_by_one", [False, True], ids=["mount_setattr", "mount by mount"])
def test_read_only(box: Sandbox, one_by_one: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = tmp_path / "a mount with spaces"
    below.mkdir()
    box.host.run("mount", "-t", "tmpfs", "-o", "nosuid", "below", str(below))
    if one_by_one:
        monkeypatch.setattr(isolate, "make_tree_read_only", isolate.read_only_one_by_one)
    for place in (tmp_path, below, Path("/tmp"), Path("/etc/hosts"), Path("/run")):
        status, said = box.here("touch", str(place / "x" if place.is_dir() else place), ReadOnly=True)
        assert status == 1, place
        assert "Read-only file system" in said, place
    usable = (
        "echo x > /dev/null; echo x > /proc/self/comm; touch /dev/shm/x; test -r /etc/resolv.conf; head -c1 /dev/zero"
    )
    assert box.here("sh", "-ec", usable, ReadOnly=True)[0] == 0
    assert box.here("python3", "-c", "import pty; pty.openpty()", ReadOnly=True)[0] == 0
    (below / "host").write_text("the host may still write")


# its end


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        (("sh", "-c", "exit 42"), 42, ""),
        (("sh", "-c", "kill -KILL $$; exit 7"), 7, ""),  # process 1 is not killed from inside
        (("no-such-program",), 127, "'no-such-program': executable file not found in $PATH"),
        (("/no/such/program",), 127, "'/no/such/program': no such file"),
        (("/etc/passwd",), 126, "'/etc/passwd': permission denied"),
        (("/etc",), 126, "'/etc': is a directory"),
    ],
)
def test_exit_status(box: Sandbox, command: tuple[str, ...], status: int, said: str) -> None:
    done = box.run(*command)
    assert done.returncode == status
    assert done.stderr.strip() == (f"netrt: {said}" if said else "")


def test_what_the_kernel_cannot_run(box: Sandbox, tmp_path: Path) -> None:
    for text, status, said in (("\0\0", 126, "Exec format error"), ("#!/no/such/shell\n", 127, "interpreter")):
        program = tmp_path / "program"
        program.write_text(text)
        program.chmod(0o755)
        done = box.run(str(program))
        assert done.returncode == status
        assert said in done.stderr


def test_failures_of_our_own(box: Sandbox) -> None:
    for launch, said in (
        (
            {"Netns": "/run/netns/none"},
            "the network namespace /run/netns/none cannot be opened: No such file or directory",
        ),
        ({"Netns": "/etc/passwd"}, "/etc/passwd is not a network namespace"),
        ({"Netns": "/proc/self/ns/uts"}, "/proc/self/ns/uts is not a network namespace"),
        ({"CapAdd": ["FLY"]}, "unknown capability 'FLY' (use ALL, or a name such as NET_ADMIN (capabilities(7)))"),
    ):
        done = box.run("true", **launch)
        assert (done.returncode, done.stderr.strip()) == (125, f"netrt: {said}")
    assert box.run("true", Cwd="/no/where").returncode == 126


def test_signals_are_passed_on_and_decide_only_if_there_is_a_handler(box: Sandbox) -> None:
    for name in ("TERM", "INT", "HUP", "QUIT", "USR1", "USR2"):
        child = box.start("sh", "-c", f"trap 'exit 9' {name}; echo on; while :; do read x || sleep 0.02; done")
        assert child.stdout
        assert child.stdout.readline() == "on\n"
        child.send_signal(getattr(signal, f"SIG{name}"))
        assert child.wait(10) == 9, name


def test_process_one_ignores_what_it_does_not_handle(box: Sandbox) -> None:
    child = box.start("cat")
    assert child.stdin
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        child.send_signal(number)
    assert child.communicate("still here", 10) == ("still here", "")
    assert child.returncode == 0


def test_a_signal_that_ends_it_is_its_exit_status(box: Sandbox) -> None:
    child = box.start("sleep", "60")
    os.kill(box.pid(), signal.SIGKILL)
    assert child.wait(10) == 128 + signal.SIGKILL


def test_its_end_ends_all_that_it_started(box: Sandbox) -> None:
    box.sh("setsid sleep 61 < /dev/null > /dev/null 2>&1 & true")
    assert b"sleep\x0061" not in b"".join(p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists())


COUNT_INTERRUPTS = """
from signal import *
interrupt = {SIGINT}
pthread_sigmask(SIG_BLOCK, interrupt)
print("on", flush=True)
sigwait(interrupt)
print("one", flush=True)
print("two" if sigtimedwait(interrupt, 0.5) else "no more", flush=True)
"""


class Terminal:
    """A program with a terminal of its own, and what a person types and reads there."""

    def __init__(self, *argv: str) -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.execv(argv[0], argv)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def shows(self, expected: str) -> None:
        """Wait until exactly this has been shown since the last time."""
        said = ""
        while len(said) < len(expected):
            assert select.select([self._master], [], [], 10)[0], said
            said += os.read(self._master, 100).decode()
        assert said == expected

    def end(self) -> int:
        """Wait for its end; its exit status."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._master)
        return status


def test_interrupt_from_the_terminal_arrives_once(box: Sandbox) -> None:
    terminal = Terminal(sys.executable, FOREGROUND, box.file(Command=["python3", "-c", COUNT_INTERRUPTS]))
    terminal.shows("on\r\n")
    os.kill(terminal.pid, signal.SIGSTOP)  # so that what it may pass on comes when the first has been seen
    os.waitpid(terminal.pid, os.WUNTRACED)
    terminal.type("\x03")
    terminal.shows("^Cone\r\n")
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.shows("no more\r\n")
    assert terminal.end() == 0


TAKE_TERMINAL = """
import os, signal
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
os.setpgid(0, 0)
os.tcsetpgrp(0, os.getpgrp())
"""


def test_terminal_is_given_back(box: Sandbox) -> None:
    """A shell in the container makes itself the terminal's foreground group; a script that goes on after it can read again."""
    file = box.file(Command=["python3", "-c", TAKE_TERMINAL])
    terminal = Terminal("/bin/sh", "-c", f"{sys.executable} {FOREGROUND} {file}; echo on; read line; exit $line")
    terminal.shows("on\r\n")
    terminal.type("6\n")
    assert terminal.end() == 6


def test_killing_the_launcher_ends_nothing(box: Sandbox) -> None:
    launcher = box.start("sleep", "60")
    pid = box.pid()
    launcher.kill()
    launcher.wait()
    assert Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
    assert box.enter("hostname").stdout == "box\n"
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: ended(pid), what="the end of process 1")


# one more process


def test_entered_is_all_of_the_container(box: Sandbox) -> None:
    box.start("sleep", "60", CapAdd=["NET_ADMIN"], CapDrop=["ALL"], ReadOnly=True)
    kinds = ("net", "mnt", "uts", "ipc", "pid")
    options = {"CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"]}
    entered = box.enter("sh", "-c", f"cd /proc/self/ns; readlink {' '.join(kinds)}").stdout.split()
    assert entered == [os.readlink(f"/proc/{box.pid()}/ns/{kind}") for kind in kinds]
    found = status_of(box.enter("cat", "/proc/self/status", **options).stdout)
    assert int(found["CapEff"], 16) == int(found["CapBnd"], 16) == NET_ADMIN
    assert found["NoNewPrivs"] == "1"
    assert "Read-only" in box.enter("touch", "/tmp/x").stderr
    assert box.enter("sh", "-c", "hostname; cat /etc/resolv.conf; echo $A", Env=["A=b"]).stdout == f"box\n{RESOLVER}b\n"


def test_entered_passes_status_and_signals_on(box: Sandbox) -> None:
    box.start("sleep", "60")
    assert box.enter("sh", "-c", "exit 5").returncode == 5
    assert box.enter("no-such-program").returncode == 127
    assert box.enter("sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM


def test_a_number_that_was_given_to_another_process_is_not_entered(box: Sandbox) -> None:
    box.start("sleep", "60")
    done = box.enter("true", StartTicks=1)
    assert (done.returncode, done.stderr) == (125, "netrt: container box is not running\n")


def test_a_sandbox_without_process_can_be_entered(box: Sandbox) -> None:
    said = box.enter("sh", "-c", "hostname; cat /etc/resolv.conf; ls /sys/class/net; readlink /proc/self/ns/pid")
    assert said.stdout == f"box\n{RESOLVER}lo\n{os.readlink('/proc/self/ns/pid')}\n"
    assert status_of(box.enter("cat", "/proc/self/status").stdout)["NoNewPrivs"] == "1"
