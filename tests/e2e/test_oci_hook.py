"""The OCI hook, called as a runtime calls it: a bundle's annotations become interfaces, names and ports, and all of it goes when
the container has ended. `make e2e-runtimes` has runc and crun call it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.asking import Asker
from tests.command import Netrt
from tests.e2e.conftest import HOST4, OUTSIDE4
from tests.e2e.test_bad_input import everything
from tests.host import Host
from tests.oci import HOOK, Bundle
from tests.snapshot import differences, snapshot
from tests.traffic import Place, seen

pytestmark = pytest.mark.root

WISHES = {
    "networks": "name=app,ip=10.1.0.9,ifname=lan0,egress=9mbit back",
    "ports": "8080:80 127.0.0.1:5353:53/udp",
    "aliases": "www store",
}


@pytest.fixture
def town(host: Host, netrt: Netrt) -> Netrt:
    host.outside()
    netrt("network", "create", "--subnet", "10.1.0.0/24", "app")
    netrt("network", "create", "--internal", "back")
    return netrt


def test_a_container_comes_and_goes(host: Host, town: Netrt, tmp_path: Path) -> None:
    peer, outside = town.box("peer", "--network", "app"), Place(host, "/run/netns/outside")
    before = snapshot(host)
    box = Bundle(host, tmp_path, "box", WISHES)
    box.create()
    shown = town.inspect("box")
    assert {name: each["DriverOpts"] for name, each in shown["NetworkSettings"]["Networks"].items()} == {
        "app": {"com.docker.network.endpoint.ifname": "lan0", "netrt.bandwidth": "egress=9000000"},
        "back": {"com.docker.network.endpoint.ifname": "eth0"},
    }
    assert (shown["Config"]["Hostname"], shown["Config"]["Labels"]) == ("box-host", {"org.netrt.oci": "box"})
    with box.tcp(80) as server:
        assert seen(peer, "10.1.0.9", 80, server) == peer.ip4
        assert seen(outside, HOST4, 8080, server) == OUTSIDE4
        for name in ("box", "box-host", "www", "store"):
            assert Asker(host, peer.path).looked_up(name) == ["10.1.0.9"]
        assert Asker(host, box.path).looked_up("peer") == [peer.ip4]
        assert "box" not in town("export"), "that is the runtime's to make"
        done = box.stopped()
        assert (done.returncode, "has not ended" in done.stderr) == (1, True), "another one of this name has ended"
        assert seen(outside, HOST4, 8080, server) == OUTSIDE4
        assert "already in use by" in Bundle(host, tmp_path, "twin", {**WISHES, "name": "box"}).refused()
    box.end()
    for _ in range(2):
        done = box.stopped()
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "box" not in town("ps", "-a")
    assert not differences(before, snapshot(host))


def test_a_namespace_that_was_there_before(host: Host, town: Netrt, tmp_path: Path) -> None:
    """By its path in the bundle: it outlives the process, and is left as it was."""
    pod = host.namespace("pod")
    before = snapshot(host)
    linux = {"namespaces": [{"type": "pid"}, {"type": "network", "path": pod}]}
    box = Bundle(host, tmp_path, "box", {"networks": "app"}, linux=linux)
    box.create()
    assert town.inspect("box")["NetworkSettings"]["SandboxKey"] == pod
    assert differences(before, snapshot(host))
    box.end()
    (box.directory / "config.json").unlink()
    assert box.stopped().returncode == 0, "the bundle may be gone by then"
    assert not differences(before, snapshot(host))


def test_the_daemon_is_started_by_the_first_call(host: Host, netrt: Netrt, tmp_path: Path) -> None:
    """But not for containers that say nothing of netrt."""
    other = Bundle(host, tmp_path, "other", {})
    for done in (other.hook("createRuntime"), other.stopped()):
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not Path("/run/netrt").exists()
    box = Bundle(host, tmp_path, "box", {"networks": "default"})
    done = box.hook("createRuntime")
    assert (done.returncode, done.stdout) == (0, "")
    assert "starting netrtd" in done.stderr
    assert [*town_networks(netrt, "box")] == ["bridge"]
    netrt("daemon", "stop")
    box.end()
    assert box.stopped().returncode == 0
    assert "box" not in netrt.names("-a")


def town_networks(netrt: Netrt, name: str) -> dict[str, object]:
    found: dict[str, object] = netrt.inspect(name)["NetworkSettings"]["Networks"]
    return found


REFUSED = [
    ({"networks": "nowhere"}, ("container box", "nowhere")),
    ({"networks": ""}, ("org.netrt.networks names no network",)),
    ({"ports": "8080:80"}, ("org.netrt.networks names no network",)),
    ({"network": "app"}, ("unknown annotation 'org.netrt.network'", "org.netrt.networks")),
    ({"networks": "app", "ports": "8080:http"}, ("annotations", "8080:http")),
    ({"networks": "app", "ports": "9090:80"}, ("9090/tcp", "peer")),
    ({"networks": "app", "aliases": "a/b"}, ("annotations", "a/b")),
    ({"networks": "name=app,colour=red"}, ("annotations", "colour", "gw-priority")),
    ({"networks": "ip=10.1.0.9"}, ("names no network",)),
    ({"networks": "host"}, ("'host' names no network",)),
    ({"networks": "app app"}, ("app is named twice",)),
    ({"networks": "name=app,gw-priority=high"}, ("high",)),
    ({"networks": "name=app,ip=10.9.0.1"}, ("10.9.0.1", "10.1.0.0/24")),
    ({"networks": "app", "name": "a b"}, ("a b", "allowed")),
]


def test_what_cannot_be_fails_the_runtime_and_leaves_nothing(host: Host, town: Netrt, tmp_path: Path) -> None:
    town("container", "create", "--name", "peer", "--network", "app", "-p", "9090:90")
    before = everything(host)
    wrong = []
    for number, (wishes, parts) in enumerate(REFUSED):
        (tmp_path / str(number)).mkdir()
        message = Bundle(host, tmp_path / str(number), "box", wishes).refused()
        wrong += [f"{wishes}: {message!r} does not say {part!r}" for part in parts if part not in message]
    assert not wrong, "\n" + "\n".join(wrong)
    (tmp_path / "last").mkdir()
    box = Bundle(host, tmp_path / "last", "box", {"networks": "app"})
    said = box.refused(box.state(pid=os.getpid()))
    assert "host's own network namespace" in said
    assert '{"type": "network"}' in said
    assert "config.json cannot be read" in box.refused(box.state(bundle="/nowhere"))
    assert "standard input is no JSON" in box.refused("{")
    assert "no process id" in box.refused(box.state(pid=0))
    done = host.run(HOOK, "prestart", input=box.state(), check=False)
    assert done.returncode == 1
    assert "createRuntime or poststop" in done.stderr
    assert not differences(before, everything(host))
