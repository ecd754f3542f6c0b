"""`netrt container …`, `ps`, `port`, `rename`, `inspect`: requests, Docker's columns, refusals."""

from __future__ import annotations

import json
import signal
import time
from types import SimpleNamespace
from typing import Any

import pytest

from netrt.api.client import Client
from netrt.launch.report import let_go
from tests.unit.cli.conftest import Netrt
from tests.unit.cli.standin import StandIn, filled

ID = "0123456789abcdef" * 4


def web() -> dict[str, Any]:
    return {
        "Id": ID,
        "Names": ["/web"],
        "Command": "python3 -m http.server 8080",
        "Created": int(time.time()) - 3700,
        "State": "running",
        "Status": "Up 5 minutes",
        "Labels": {"x": "y"},
        "Ports": [
            {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
            {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        ],
        "HostConfig": {"NetworkMode": "front"},
        "NetworkSettings": {
            "Networks": {
                "front": {"IPAddress": "10.1.0.2", "GlobalIPv6Address": "fd00::2"},
                "six": {"IPAddress": "", "GlobalIPv6Address": "fd01::2"},
            }
        },
    }


def test_ps(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("GET", "/containers/json", [web()])
    head, row = netrt("ps").out.splitlines()
    columns = ["CONTAINER ID", "NAMES", "COMMAND", "CREATED", "STATUS", "PORTS", "NETWORKS", "ADDRESSES"]
    assert [word.strip() for word in head.split("  ") if word.strip()] == columns
    starts = [head.index(column) for column in columns]
    cells = [row[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
    assert cells == [
        "0123456789ab",
        "web",
        '"python3 -m http.ser…"',
        "About an hour ago",
        "Up 5 minutes",
        "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp",
        "front,six",
        "10.1.0.2,fd01::2",
    ]
    assert row.split()[1] == "web", "for awk: the name is always the second word"
    assert '"python3 -m http.server 8080"' in netrt("ps", "--no-trunc").out
    assert netrt("ps", "-q").out == "0123456789ab\n"
    shown = json.loads(netrt("ps", "--format", "json").out)
    assert (shown["Names"], shown["State"], shown["Networks"]) == ("web", "running", "front,six")


def test_ps_all_and_filters(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("GET", "/containers/json", [])
    netrt("ps")
    assert daemon.asked[-1].query == {}
    netrt("container", "ls", "-a", "-f", "network=front")
    assert daemon.asked[-1].query == {"all": "1", "filters": '{"network": ["front"]}'}


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("container", "create", "printf", "x\udcff"), r"argument 'x\udcff' is not UTF-8"),
        (("run", "-d", "-e", "A=x\udcff", "true"), r"variable 'A=x\udcff' is not UTF-8"),
        (("container", "create", "-w", "/x\udcff", "true"), r"WorkingDir '/x\udcff' is not UTF-8"),
        (("rm", "x\udcff"), r"name 'x\udcff' is not UTF-8"),
    ],
)
def test_what_is_not_utf8_is_named_and_not_sent(
    daemon: StandIn, netrt: Netrt, argv: tuple[str, ...], words: str
) -> None:
    """As Python has bytes of a command line that are none."""
    done = netrt(*argv)
    assert done.status
    assert done.err == f"netrt: {words}\n"
    assert not daemon.asked


def test_create_sends_docker_s_body(daemon: StandIn, netrt: Netrt, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.answer("POST", "/containers/create", {"Id": ID, "Warnings": []}, 201)
    monkeypatch.setenv("HERE", "there")
    argv = "--name web -h www --network front --network name=back,ip=10.2.0.5,alias=db --ip 10.1.0.5 --alias proxy"
    argv += (
        " -p 8080:80 -p 127.0.0.1::53/udp --label a=b -e X=1 -e HERE --cap-drop all --cap-add cap_net_raw --read-only"
    )
    argv += " --rm --dns 192.0.2.53 --add-host db:10.2.0.9 -w /srv python3 -m http.server --help"
    done = netrt("container", "create", *argv.split())
    assert (done.status, done.out, done.err) == (0, f"{ID}\n", "")
    assert daemon.changes[-1].query == {"name": "web"}
    assert filled(daemon.changes[-1].body) == {
        "Hostname": "www",
        "Cmd": ["python3", "-m", "http.server", "--help"],
        "Env": ["X=1", "HERE=there"],
        "Labels": {"a": "b"},
        "WorkingDir": "/srv",
        "HostConfig": {
            "NetworkMode": "front",
            "AutoRemove": True,
            "CapAdd": ["cap_net_raw"],
            "CapDrop": ["all"],
            "ReadonlyRootfs": True,
            "Dns": ["192.0.2.53"],
            "ExtraHosts": ["db:10.2.0.9"],
        },
        "NetworkingConfig": {
            "EndpointsConfig": {
                "front": {"IPAMConfig": {"IPv4Address": "10.1.0.5"}, "Aliases": ["proxy"]},
                "back": {"IPAMConfig": {"IPv4Address": "10.2.0.5"}, "Aliases": ["db"]},
            }
        },
        "Netrt": {"Ports": ["8080:80", "127.0.0.1::53/udp"]},
    }
    assert list(daemon.changes[-1].body["NetworkingConfig"]["EndpointsConfig"]) == ["front", "back"]


@pytest.mark.parametrize(
    ("argv", "mode", "endpoints"),
    [
        ("", "default", {}),
        ("--network none", "none", {}),
        ("--network container:web", "container:web", {}),
        ("--mac 02:42:0a:01:00:05", "bridge", {"bridge": {"MacAddress": "02:42:0a:01:00:05"}}),
        ("--network b --network a", "b", {"b": {}, "a": {}}),
    ],
)
def test_network_modes(daemon: StandIn, netrt: Netrt, argv: str, mode: str, endpoints: dict[str, Any]) -> None:
    daemon.answer("POST", "/containers/create", {"Id": ID, "Warnings": []}, 201)
    assert netrt("container", "create", *argv.split()).status == 0
    body = daemon.changes[-1].body
    asked = {name: filled(wishes) for name, wishes in body["NetworkingConfig"]["EndpointsConfig"].items()}
    assert (body["HostConfig"]["NetworkMode"], asked) == (mode, endpoints)


def test_adopting_names_the_namespace(
    daemon: StandIn, netrt: Netrt, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    daemon.answer("POST", "/containers/create", {"Id": ID, "Warnings": []}, 201)
    monkeypatch.chdir(tmp_path)
    netrt("container", "create", "--netns", "blue")
    assert daemon.changes[-1].body["Netrt"] == {"Ports": [], "NetnsPath": f"{tmp_path}/blue", "Pid": 0}
    netrt("container", "create", "--pid", "17")
    assert daemon.changes[-1].body["Netrt"] == {"Ports": [], "NetnsPath": "", "Pid": 17}


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("--name a/b", "invalid container name 'a/b'"),
        ("--hostname a_b", "invalid hostname 'a_b'"),
        ("-p 80:80:80:80", "malformed port '80:80:80:80'"),
        ("-p 70000:80", "malformed port '70000:80'"),
        ("-p 80-81:80", "2 host ports for 1 container ports"),
        ("-p 80:80/icmp", "invalid protocol 'icmp'"),
        ("--network host -p 80:80", "ports cannot be published with --network host (use a bridge network)"),
        ("--network container:a -p 80:80", "ports cannot be published with --network container:a"),
        ("--network none --network web", "--network none cannot be combined with other networks"),
        ("--network web --network host", "--network host cannot be combined with other networks"),
        ("--network none --ip 10.1.0.1", "--network none has no addresses, aliases or MAC of its own"),
        ("--network web --network web", "network web is given twice"),
        ("--network name=web,ip=10.1.0.1 --ip 10.1.0.2", "both say what it shall be"),
        ("--network name=web,colour=blue", "unknown field 'colour' of --network"),
        ("--network ip=10.1.0.1", "has no name="),
        ("--netns /run/netns/a --pid 1", "--netns and --pid are two ways to name one namespace"),
        ("--cap-add FLY", "unknown capability 'FLY'"),
        ("--dns nowhere", "invalid DNS server 'nowhere'"),
        ("--add-host db", "invalid extra host 'db' (use NAME:ADDRESS"),
        ("--env =x", "--env '=x' is not KEY=VALUE"),
    ],
)
def test_bad_containers_are_refused_before_anything_is_asked(
    daemon: StandIn, netrt: Netrt, argv: str, says: str
) -> None:
    done = netrt("container", "create", *argv.split())
    assert done.status == 1
    assert says in done.err
    assert done.err.count("\n") == 1
    assert not daemon.asked


def test_rm(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("DELETE", "/containers/a", None, 204)
    daemon.answer("DELETE", "/containers/b", {"message": "container b is running"}, 409)
    assert netrt("rm", "a").out == "a\n"
    done = netrt("container", "rm", "b", "a")
    assert (done.status, done.out, done.err) == (1, "a\n", "netrt: container b is running\n")
    assert netrt("rm", "-f", "a", "gone").status == 0
    assert daemon.changes[-1].query == {"force": "1"}


def test_rename(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("POST", "/containers/a/rename", None, 204)
    done = netrt("rename", "a", "b")
    assert (done.status, done.out) == (0, "")
    assert daemon.changes[-1].query == {"name": "b"}
    assert "invalid container name" in netrt("rename", "a", "b c").err


def test_port(daemon: StandIn, netrt: Netrt) -> None:
    ports = {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
        "53/udp": None,
    }
    daemon.answer("GET", "/containers/web/json", {"NetworkSettings": {"Ports": ports}})
    daemon.answer("GET", "/containers/shy/json", {"NetworkSettings": {"Ports": {}}})
    assert netrt("port", "web").out == "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n"
    assert netrt("port", "web", "80").out == netrt("port", "web", "80/tcp").out == "0.0.0.0:8080\n[::]:8080\n"
    done = netrt("port", "web", "81")
    assert (done.status, done.out, done.err) == (1, "", "netrt: port 81/tcp of web is not published\n")
    assert (netrt("port", "shy").status, netrt("port", "shy").out) == (0, "")


def test_inspect_finds_containers_and_networks(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("GET", "/containers/app/json", {"Name": "/app"})
    daemon.answer("GET", "/networks/app", {"Name": "app", "Driver": "bridge"})
    daemon.answer("GET", "/networks/web", {"Name": "web"})
    assert json.loads(netrt("inspect", "app", "web").out) == [{"Name": "/app"}, {"Name": "web"}]
    assert json.loads(netrt("inspect", "--type", "network", "app").out) == [{"Name": "app", "Driver": "bridge"}]
    assert json.loads(netrt("container", "inspect", "app").out) == [{"Name": "/app"}]
    done = netrt("inspect", "x", "app")
    assert (done.status, json.loads(done.out), done.err) == (1, [{"Name": "/app"}], "netrt: no such object: x\n")
    done = netrt("inspect", "x")
    assert (done.status, done.out, done.err) == (1, "[]\n", "netrt: no such object: x\n")
    assert netrt("container", "inspect", "web").err == "netrt: no such container: web\n"


@pytest.mark.parametrize(
    ("method", "path", "argv"),
    [
        ("POST", "/containers/create", "container create --dry-run --name web sleep 1"),
        ("POST", "/containers/web/rename", "rename --dry-run web www"),
        ("DELETE", "/containers/web", "rm --dry-run web"),
    ],
)
def test_dry_run_prints_the_plan_and_nothing_else(
    daemon: StandIn, netrt: Netrt, method: str, path: str, argv: str
) -> None:
    daemon.answer(method, path, {"Plan": ["make namespace x", "add veth y"]})
    done = netrt(*argv.split())
    assert (done.status, done.out, done.err) == (0, "make namespace x\nadd veth y\n", "")
    assert daemon.changes[-1].query["dry-run"] == "1"


@pytest.mark.parametrize(
    ("asked", "options", "kept"),
    [
        ("/containers/create", ("-d",), False),
        (f"/netrt/containers/{ID}/launch", (), False),
        (f"/containers/{ID}/start", ("-d",), True),
    ],
)
def test_an_interrupt_before_the_start_takes_back_what_was_created(
    daemon: StandIn, netrt: Netrt, monkeypatch: pytest.MonkeyPatch, asked: str, options: tuple[str, ...], kept: bool
) -> None:
    daemon.answer("POST", "/containers/create", {"Id": ID, "Warnings": []}, 201)
    daemon.answer("POST", f"/containers/{ID}/start", None, 204)
    daemon.answer("DELETE", f"/containers/{ID}", None, 204)
    request = Client.request

    def interrupted(client: Client, method: str, path: str, **more: Any) -> Any:
        if path == asked:
            signal.raise_signal(signal.SIGINT)
        return request(client, method, path, **more)

    monkeypatch.setattr(Client, "request", interrupted)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    done = netrt("run", *options, "--", "true")
    assert (done.status, done.err.strip()) == (130, "")
    assert [each.method for each in daemon.changes] == (["POST", "POST"] if kept else ["POST", "DELETE"])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_was_held_lets_no_process_go() -> None:
    done: list[str] = []
    child: Any = SimpleNamespace(ready=lambda: done.append("ready"), abandon=lambda: done.append("abandon"))
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            let_go(child, SimpleNamespace())  # type: ignore[arg-type]
        assert signal.sigtimedwait({signal.SIGINT}, 0)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
    assert done == ["ready", "abandon"]
