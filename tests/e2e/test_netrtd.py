"""netrtd as a program: its socket, its start by others, its configuration; and the Python API that starts it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

import netrt as package
from netrt.api.client import Client
from netrt.errors import NotFound, Unavailable
from netrt.launch.program import NotStarted
from tests.cni import Cni, bridge, network
from tests.host import Host
from tests.waiting import wait_until

pytestmark = pytest.mark.root

DAEMON = str(Path(sys.executable).with_name("netrtd"))
SOCKET = "/run/netrt/netrt.sock"
PLUGINS = "/run/netrt/cni.sock"
CONFIGURATION = Path("/etc/netrt/netrt.toml")


@pytest.fixture(autouse=True)
def standard_places(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETRT_ROOT", raising=False)
    CONFIGURATION.parent.mkdir(exist_ok=True)


def serving(host: Host, *options: str) -> subprocess.Popen[str]:
    """A daemon that answers."""
    hear, say = os.pipe()
    os.set_inheritable(say, True)
    daemon = subprocess.Popen(
        [DAEMON, "--ready-fd", str(say), *options], pass_fds=[say], text=True, stderr=subprocess.PIPE
    )
    os.close(say)
    with open(hear, encoding="utf-8") as pipe:
        assert pipe.read() == "READY\n"
    return daemon


def ended(daemon: subprocess.Popen[str]) -> str:
    """What it printed until its end, after SIGTERM."""
    daemon.send_signal(signal.SIGTERM)
    _, said = daemon.communicate(timeout=10)
    assert daemon.returncode == 0, said
    return said


def test_its_socket_is_for_root_and_the_group(host: Host) -> None:
    host.run("groupadd", "--system", "netrt")
    group = int(host.run("getent", "group", "netrt").stdout.split(":")[2])
    daemon = serving(host)
    found = os.stat(SOCKET)
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o660, 0, group)
    assert stat.S_IMODE(os.stat("/var/lib/netrt/netrt.db").st_mode) == 0o600
    ended(daemon)
    assert not os.path.exists(SOCKET)


def test_an_ended_daemon_leaves_no_waiters(host: Host) -> None:
    daemon = serving(host)
    with Client() as client, Client() as listener, socket.socket(socket.AF_UNIX) as waiter:
        client.create_container("job", ["true"], networks=["none"])
        waiter.connect(SOCKET)
        waiter.sendall(b"POST /containers/job/wait?condition=next-exit HTTP/1.1\r\nHost: netrt\r\n\r\n")
        events = listener.events(since="1h")
        assert next(events)["Action"] == "create"
        ended(daemon)
        assert list(events) == []
        assert b"the daemon is stopping" in waiter.recv(4096)


def test_requests_under_way_are_finished(host: Host) -> None:
    daemon = serving(host)
    with Client() as client:
        made = [client.create_network(f"n{number}") for number in range(3)]
        daemon.send_signal(signal.SIGTERM)
        daemon.communicate(timeout=10)
    with Client() as client:
        assert [client.network(each)["Name"] for each in made] == ["n0", "n1", "n2"]


def by_client(host: Host) -> None:
    with package.Client() as client:
        assert client.containers() == []


def by_runtime(host: Host) -> None:
    cni = Cni(host)
    cni.add(network(bridge()), cni.container("c1"))


@pytest.mark.parametrize("ask", [by_client, by_runtime])
def test_who_comes_while_it_ends_is_answered_by_the_next(host: Host, ask: Callable[[Host], None]) -> None:
    """Requests under way keep it there for seconds; another one by hand is not started meanwhile."""
    old = serving(host)
    with socket.socket(socket.AF_UNIX) as half, Client() as client:
        half.connect(SOCKET)
        half.sendall(b"POST /networks/create HTTP/1.1\r\nHost: netrt\r\nContent-Length: 100\r\n\r\n{")
        assert client.containers() == [], "it has heard the other one by then, too"
        old.send_signal(signal.SIGTERM)
        wait_until(lambda: not os.path.exists(SOCKET), what="the way in to be shut")
        assert f"another netrtd (pid {old.pid}) already serves this state" in refused()
        assert old.poll() is None
        ask(host)
    ended(old)


@pytest.mark.parametrize(
    "doors", [[SOCKET], [PLUGINS, SOCKET], [SOCKET, PLUGINS]], ids=["one", "plugins first", "plugins last"]
)
def test_systemd_may_hand_over_the_sockets(host: Host, doors: list[str]) -> None:
    os.makedirs("/run/netrt", exist_ok=True)
    with ExitStack() as stack:
        notices = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        notices.bind("/run/notify")
        listeners = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in doors]
        for listener, path in zip(listeners, doors, strict=True):
            listener.bind(path)
            listener.listen()
        inodes = [os.stat(path).st_ino for path in doors]
        code = (
            "import os, sys\n"
            "for number, file in enumerate(map(int, sys.argv[1:])): os.dup2(file, 3 + number, inheritable=True)\n"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sys.argv) - 1))\n"
            f"os.execv({DAEMON!r}, ['netrtd'])"
        )
        given = [fcntl.fcntl(listener, fcntl.F_DUPFD, 100) for listener in listeners]
        daemon = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, given)],
            pass_fds=given,
            env={**os.environ, "NOTIFY_SOCKET": "/run/notify"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for file in given:
            os.close(file)
        with Client(socket=SOCKET) as client:
            assert client.containers() == []
        assert [os.stat(path).st_ino for path in doors] == inodes
        answer = Cni(host).execute("VERSION", {"cniVersion": "1.1.0", "name": "x", "type": "netrt-bridge"})
        assert answer.result["cniVersion"] == "1.1.0"
        assert not answer.errors
        notices.settimeout(10)
        assert notices.recv(100) == b"READY=1"
        ended(daemon)
        assert all(os.path.exists(path) for path in doors), "they are systemd's, which goes on listening"
        assert os.path.exists(PLUGINS) == (PLUGINS in doors)


def test_the_python_api_starts_it(host: Host, capfd: pytest.CaptureFixture[str]) -> None:
    with package.Client() as client:
        client.create_network("app", subnets=["10.77.0.0/24"])
        client.create_container("web", ["sleep", "600"], networks=["app"], ports=["8080:80"])
        client.start("web")
        shown = client.container("web")
        assert shown["State"]["Status"] == "running"
        assert shown["NetworkSettings"]["Networks"]["app"]["IPAddress"] == "10.77.0.2"
        client.remove_container("web", force=True)
        with pytest.raises(NotFound):
            client.container("web")
    assert "netrt: starting netrtd (its log: /run/netrt/netrtd.log)" in capfd.readouterr().err


def test_a_command_that_cannot_be_run_says_why(host: Host) -> None:
    with package.Client() as client:
        client.create_container("web", ["/no/such/file"], networks=["none"])
        with pytest.raises(NotStarted, match="no such file") as caught:
            client.start("web")
        assert caught.value.status == 127
        assert client.container("web")["State"]["ExitCode"] == 127


def test_several_roots_live_side_by_side(host: Host, tmp_path: Path) -> None:
    with Client(root=f"{tmp_path}/a") as one, Client(root=f"{tmp_path}/b") as other:
        one.create_network("app", subnets=["10.77.0.0/24"])
        assert [n["Name"] for n in other.networks({"type": ["custom"]})] == []
        assert os.path.exists(f"{tmp_path}/a/lib/netrt.db")


def test_who_is_not_root_cannot_start_it(host: Host) -> None:
    code = "import netrt, os; netrt.Client; os.setuid(65534); netrt.Client().networks()"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "netrtd is not running" in done.stderr.splitlines()[-1]
    assert "as root" in done.stderr.splitlines()[-1]


# configuration


def refused(*options: str) -> str:
    """What a daemon says that does not start."""
    done = subprocess.run([DAEMON, *options], check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize(("text", "words"), [
    ('colour = "red"', "unknown key 'colour' (known: group, log_level, publish_address, lock_rules, mending, compare_every, "),
    ("pools = [{ cidr = '10.0.0.0/8', length = 24 }]", "unknown key 'length' in pools[0] (known: cidr, size)"),
    ("[dns]\ntime = 5", "unknown key 'time' in dns (known: ttl)"),
    ("[dns]\nttl = -1", "dns.ttl -1 is out of range (0 to 86400 seconds)"),
    ("[dns]\nttl = '5s'", "expected int, got str - at dns.ttl"),
    ("log_level = 5", "expected str, got int - at log_level"),
    ("log_level = 'loud'", "invalid enum value 'loud' - at log_level"),
    ("publish_address = 'here'", "invalid publish_address 'here'"),
    ("ula = '10.0.0.0/8'", "invalid ULA prefix 10.0.0.0/8"),
    ("pools = [{ cidr = '10.0.0.0/24', size = 16 }]", "pool 10.0.0.0/24 cannot be cut into subnets of /16"),
    ("group = ", "is not TOML"),
])  # fmt: skip
def test_a_wrong_configuration_is_refused(text: str, words: str) -> None:
    CONFIGURATION.write_text(text)
    line = refused()
    assert line.startswith(f"netrtd: {CONFIGURATION}")
    assert words.lower() in line.lower()


def test_configuration_is_used(host: Host) -> None:
    CONFIGURATION.write_text("""
        publish_address = "127.0.0.1"
        ula = "fd12:3456:789a::/48"
        pools = [{ cidr = "10.99.0.0/16", size = 26 }]
    """)
    daemon = serving(host)
    with Client() as client:
        client.create_network("app", ipv6=True)
        subnets = [block["Subnet"] for block in client.network("app")["IPAM"]["Config"]]
        assert subnets == ["10.99.0.0/26", "fd12:3456:789a::/64"]
        client.create_container("web", networks=["app"], ports=["8080:80"])
        ports = client.container("web")["NetworkSettings"]["Ports"]
        assert ports == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}
    ended(daemon)


def test_the_ula_prefix_is_made_once(host: Host) -> None:
    prefixes = []
    for number in range(2):
        daemon = serving(host)
        with Client() as client:
            client.create_network(f"n{number}", ipv6=True)
            (subnet,) = [b["Subnet"] for b in client.network(f"n{number}")["IPAM"]["Config"] if ":" in b["Subnet"]]
        prefixes.append(subnet.split(":")[:3])
        ended(daemon)
    assert prefixes[0] == prefixes[1]
    assert prefixes[0][0].startswith("fd")


def test_a_database_that_cannot_be_used_is_named(host: Host) -> None:
    os.makedirs("/var/lib/netrt", exist_ok=True)
    Path("/var/lib/netrt/netrt.db").write_text("this is no database")
    assert "database /var/lib/netrt/netrt.db is damaged" in refused()
    with pytest.raises(Unavailable, match="is damaged"), Client() as client:
        client.networks()


def test_a_socket_path_that_is_too_long_is_named(tmp_path: Path) -> None:
    assert "the path of the socket is too long" in refused("--root", f"{tmp_path}/{'x' * 100}")


# what ran while it was away


def test_processes_go_on_and_their_end_is_found_later(host: Host) -> None:
    daemon = serving(host)
    with Client() as client:
        client.create_container("short", ["sh", "-c", "read line < /run/go; exit 7"], networks=["none"])
        client.create_container("long", ["sleep", "600"], networks=["none"])
        os.mkfifo("/run/go")
        client.start("short")
        client.start("long")
        pid = client.container("long")["State"]["Pid"]
        directory = client.request("GET", "/netrt/containers/short/launch")["Directory"]
    ended(daemon)
    Path("/run/go").write_text("go\n")
    wait_until(lambda: os.path.exists(f"{directory}/exit.json"), what="what the supervisor leaves")
    assert json.loads(Path(f"{directory}/exit.json").read_text())["ExitCode"] == 7
    serving(host)
    with Client() as client:
        wait_until(lambda: client.container("short")["State"]["Status"] == "exited", what="the end to be noted")
        assert client.container("short")["State"]["ExitCode"] == 7
        assert client.container("long")["State"]["Pid"] == pid
        assert client.wait("short") == 7
