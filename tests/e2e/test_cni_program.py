"""The program that all plugins are: how it starts, whom it asks, and what it does when nobody can be asked."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from tests.cni import PLUGINS, Cni, Container, bridge, network, port
from tests.command import Netrt
from tests.host import Host
from tests.snapshot import differences, snapshot
from tests.traffic import Place, seen
from tests.waiting import wait_until

pytestmark = pytest.mark.root

SOCKET = Path("/run/netrt/netrt.sock")


@pytest.fixture
def cni(host: Host) -> Cni:
    return Cni(host)


@pytest.fixture
def one(cni: Cni) -> Container:
    return cni.container("c1")


def test_it_starts_a_daemon_where_none_runs(cni: Cni, one: Container, netrt: Netrt) -> None:
    lan = network(bridge())
    request = cni.request(lan, lan["plugins"][0], {}, None)
    answer = cni.execute("ADD", request)
    assert answer.result["ips"][0]["address"] == "10.22.0.2/16"
    assert "starting netrtd" in answer.errors
    assert SOCKET.is_socket()
    answer = cni.execute("DEL", request)
    assert (answer.status, answer.output, answer.errors) == (0, "", "")
    netrt("daemon", "stop")


def test_several_at_once_start_one_daemon(cni: Cni, host: Host) -> None:
    lan = network(bridge())
    request = cni.request(lan, lan["plugins"][0], {}, None)
    boxes = [cni.container(f"c{number}") for number in range(4)]
    with_them = [cni.begin("ADD", request, container=box.id, netns=box.path) for box in boxes]
    answers = [begun() for begun in with_them]
    assert sorted(answer.result["ips"][0]["address"] for answer in answers) == [f"10.22.0.{n}/16" for n in (2, 3, 4, 5)]
    assert sum("starting netrtd" in answer.errors for answer in answers) == 1


def test_many_at_once(cni: Cni, host: Host, netrt: Netrt) -> None:
    """Different containers, whose ADDs and then DELs are under way together, with a port each."""
    netrt("ps")
    config = {"cniVersion": "1.1.0", "name": "mynet", **bridge()}
    boxes = [cni.container(f"c{number}") for number in range(12)]
    given = {
        box.name: config | {"runtimeConfig": {"portMappings": [port(9000 + number, 80)]}}
        for number, box in enumerate(boxes)
    }
    for verb in ("ADD", "DEL", "ADD"):
        begun = [cni.begin(verb, given[box.name], container=box.id, netns=box.path) for box in boxes]
        answers = [finish() for finish in begun]
        assert not [answer.output for answer in answers if answer.status]
    addresses = {answer.result["ips"][0]["address"] for answer in answers}
    assert len(addresses) == len(boxes)
    with boxes[7].tcp(80) as server:
        assert seen(Place(host), "127.0.0.1", 9007, server)


def test_it_does_the_work_itself_where_no_daemon_can_be(cni: Cni, one: Container, host: Host, netrt: Netrt) -> None:
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")  # else the guard of forwarding stays
    SOCKET.mkdir(parents=True)
    (SOCKET / "in the way").touch()
    lan = network(bridge())
    before = snapshot(host)
    made = cni.try_add(lan, one)
    assert "does the work itself" in made.errors
    with one.tcp(80) as server:
        assert seen(Place(host), made.result["ips"][0]["address"].partition("/")[0], 80, server) == "10.22.0.1"
    request = cni.request(lan, lan["plugins"][0], {}, made.result)
    assert cni.execute("CHECK", request).status == 0
    assert cni.execute("ADD", request).error["code"] == 101
    assert cni.execute("DEL", request).status == 0
    (SOCKET / "in the way").unlink()
    SOCKET.rmdir()
    netrt("network", "rm", "mynet")
    assert not differences(before, snapshot(host))


def test_who_finds_another_at_the_state_is_told_to_come_later(
    cni: Cni, one: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that has not ended yet, or a plugin that does the work itself."""
    root = f"/run{'/long' * 30}"  # where no daemon can be
    monkeypatch.setenv("NETRT_ROOT", root)
    os.makedirs(f"{root}/lib")
    with open(f"{root}/lib/lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        error = cni.try_add(network(bridge()), one).error
    assert error["code"] == 11
    assert "another netrtd" in error["msg"]


@pytest.mark.parametrize("root", ["/run/else", f"/run{'/long' * 30}"], ids=["short", "too long for a socket"])
def test_below_another_root(cni: Cni, one: Container, monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    monkeypatch.setenv("NETRT_ROOT", root)
    made = cni.add(network(bridge()), one)
    made.check()
    made.delete()
    assert Path(root, "lib/netrt.db").exists()
    assert not SOCKET.exists()


def test_it_is_found_by_any_link(cni: Cni, tmp_path: Path) -> None:
    """In a CNI directory there may be links to links; relative ones, too."""
    (tmp_path / "plugins").symlink_to(PLUGINS)
    (tmp_path / "netrt").symlink_to("plugins/netrt")
    (tmp_path / "netrt-loopback").symlink_to("netrt")
    asked = {"CNI_COMMAND": "VERSION", "PATH": os.defpath}
    for words, directory in ((["./netrt-loopback"], tmp_path), ([f"{tmp_path}/netrt-loopback"], "/")):
        done = subprocess.run(
            words, env=asked, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert b"supportedVersions" in done.stdout


def test_nothing_of_the_environment_gets_into_it(cni: Cni, one: Container, tmp_path: Path) -> None:
    """Isolated mode, without site: neither PYTHONPATH nor the working directory nor sitecustomize are looked at."""
    for name in ("sitecustomize", "posix", "_socket", "netrt", "json", "asyncio"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hijacked')\n")
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        answer = cni.execute("STATUS", {**bridge(), "cniVersion": "1.1.0", "name": "x"}, PYTHONPATH=str(tmp_path))
    finally:
        os.chdir(before)
    assert answer.status == 0, answer.output + answer.errors


def test_a_killed_plugin_leaves_work_that_del_takes_back(cni: Cni, one: Container, host: Host, netrt: Netrt) -> None:
    lan = network(bridge())
    two = cni.container("c2")
    cni.add(lan, two)
    before = snapshot(host)
    request = cni.request(lan, lan["plugins"][0], {}, None)
    child = cni.start("ADD", request)
    child.kill()
    child.communicate()
    wait_until(lambda: cni.execute("DEL", request).status == 0, what="DEL")
    assert not differences(before, snapshot(host))


def test_who_may_not_ask_is_told_so(cni: Cni, one: Container, host: Host, netrt: Netrt) -> None:
    netrt("ps")
    asked = {"CNI_COMMAND": "STATUS", "PATH": os.defpath}
    done = subprocess.run(
        [f"{PLUGINS}/netrt-bridge"], env=asked, input=b"{}", capture_output=True, user=65534, group=65534, check=False
    )
    assert done.returncode == 1
    assert b"be root, or a member of group netrt" in done.stdout
