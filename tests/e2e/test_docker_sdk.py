"""Docker's own clients pointed at our socket: the Python SDK, and the `docker` command where it is installed."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from queue import Queue
from typing import Any

import docker
import pytest
from docker.errors import APIError, NotFound
from docker.types import IPAMConfig, IPAMPool

from tests.command import Netrt
from tests.host import Host
from tests.traffic import Place, seen

pytestmark = pytest.mark.root

SOCKET = "unix:///run/netrt/netrt.sock"


@pytest.fixture
def sdk(netrt: Netrt) -> Iterator[docker.DockerClient]:
    netrt("network", "ls")  # starts the daemon
    with closing(docker.DockerClient(base_url=SOCKET)) as client:
        yield client


def test_it_answers(sdk: docker.DockerClient) -> None:
    assert sdk.ping()
    assert sdk.version()["ApiVersion"] == "1.47"
    assert sdk.info()["OSType"] == "linux"


def test_networks_from_create_to_remove(host: Host, sdk: docker.DockerClient) -> None:
    pool = IPAMPool(
        subnet="10.77.0.0/24", gateway="10.77.0.254", iprange="10.77.0.128/25", aux_addresses={"r": "10.77.0.9"}
    )
    made = sdk.networks.create("app", driver="bridge", ipam=IPAMConfig(pool_configs=[pool]), labels={"tier": "front"},
                               options={"com.docker.network.bridge.name": "br-app"})  # fmt: skip
    assert made.name == "app"
    assert made.attrs["IPAM"]["Config"] == [
        {
            "Subnet": "10.77.0.0/24",
            "Gateway": "10.77.0.254",
            "IPRange": "10.77.0.128/25",
            "AuxiliaryAddresses": {"r": "10.77.0.9"},
        }
    ]
    assert "10.77.0.254/24" in host.run("ip", "addr", "show", "br-app").stdout
    assert sdk.networks.get(made.short_id).id == sdk.networks.get("app").id == made.id
    assert [n.name for n in sdk.networks.list(names=["app"])] == ["app"]
    assert [n.name for n in sdk.networks.list(filters={"label": "tier=front"})] == ["app"]
    assert {"bridge", "null"} >= {n.attrs["Driver"] for n in sdk.networks.list(filters={"driver": ["bridge", "null"]})}
    made.remove()
    with pytest.raises(NotFound):
        sdk.networks.get("app")
    assert host.run("ip", "link", "show", "br-app", check=False).returncode != 0


def test_errors_are_its_own(netrt: Netrt, sdk: docker.DockerClient) -> None:
    sdk.networks.create("app")
    netrt.box("web", "--network", "app")
    with pytest.raises(APIError) as taken:
        sdk.networks.create("app")
    assert taken.value.status_code == 409
    with pytest.raises(APIError) as used:
        sdk.networks.get("app").remove()
    assert used.value.status_code == 403
    assert "network app has active containers: web" in used.value.explanation
    with pytest.raises(APIError) as odd:
        sdk.networks.create("odd", options={"com.docker.network.nonsense": "1"})
    assert odd.value.status_code == 400


def test_connect_and_disconnect(host: Host, netrt: Netrt, sdk: docker.DockerClient) -> None:
    network = sdk.networks.create("app", ipam=IPAMConfig(pool_configs=[IPAMPool(subnet="10.77.0.0/24")]))
    peer, web = netrt.box("peer", "--network", "app"), netrt.box("web", "--network", "none")
    network.connect("web", ipv4_address="10.77.0.50", aliases=["www"])
    network.reload()
    assert {c["Name"]: c["IPv4Address"] for c in network.attrs["Containers"].values()}["web"] == "10.77.0.50/24"
    assert {c.name for c in network.containers} == {"peer", "web"}
    server = Place(host, web.path).tcp(80)
    assert seen(peer, "10.77.0.50", 80, server) == peer.ip4
    network.disconnect("web")
    network.reload()
    assert [c["Name"] for c in network.attrs["Containers"].values()] == ["peer"]
    with pytest.raises(NotFound):
        network.disconnect("web")
    network.disconnect("web", force=True)


def test_prune(netrt: Netrt, sdk: docker.DockerClient) -> None:
    for name in ("one", "two", "used"):
        sdk.networks.create(name, labels={"name": name})
    netrt.box("web", "--network", "used")
    assert sdk.networks.prune(filters={"label": "name=one"})["NetworksDeleted"] == ["one"]
    assert sdk.networks.prune()["NetworksDeleted"] == ["two"]


def test_containers(netrt: Netrt, sdk: docker.DockerClient) -> None:
    netrt("network", "create", "app")
    box = netrt.box("web", "--network", "app", "-p", "8080:80", "--label", "tier=front")
    netrt("run", "-d", "--name", "job", "--network", "app", "--", "sh", "-c", "echo one; echo two >&2; sleep 600")
    assert {c.name for c in sdk.containers.list()} == {"web", "job"}
    assert [c.name for c in sdk.containers.list(filters={"label": "tier=front"})] == ["web"]
    web, job = sdk.containers.get("web"), sdk.containers.get("job")
    assert (web.id, web.status, web.labels) == (box.id, "running", {"tier": "front"})
    assert web.ports == {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}
    assert job.attrs["State"]["Pid"] > 0
    assert sorted(job.logs().splitlines()) == [b"one", b"two"]
    assert job.logs(stderr=False) == b"one\n"
    job.kill()
    assert job.wait()["StatusCode"] == 137
    job.reload()
    assert job.status == "exited"
    job.start()
    job.reload()
    assert job.status == "running"
    job.stop(timeout=0)
    job.rename("done")
    assert [c.name for c in sdk.containers.list(all=True, filters={"status": "exited"})] == ["done"]
    job.remove()
    web.remove(force=True)
    assert sdk.containers.list(all=True) == []


def test_a_port_is_taken_by_who_starts_first(netrt: Netrt, sdk: docker.DockerClient) -> None:
    netrt("network", "create", "app")
    first, second = (
        sdk.containers.create("ignored", ["sleep", "600"], name=name, network="app", ports={"80/tcp": 8080})
        for name in ("first", "second")
    )
    first.start()
    with pytest.raises(APIError, match="port 8080/tcp is already allocated to first"):
        second.start()
    second.reload()
    assert (second.status, second.ports) == ("created", {})
    first.remove(force=True)
    second.start()


def test_made_by_the_sdk(host: Host, netrt: Netrt, sdk: docker.DockerClient) -> None:
    sdk.networks.create("app", ipam=IPAMConfig(pool_configs=[IPAMPool(subnet="10.77.0.0/24")]))
    made = sdk.containers.create("ignored", ["sleep", "600"], name="web", network="app", environment={"A": "1"},
                                 ports={"80/tcp": ("127.0.0.1", 8080), "53/udp": 5353}, auto_remove=True)  # fmt: skip
    made.start()
    made.reload()
    assert made.attrs["Config"]["Env"] == ["A=1"]
    assert made.attrs["NetworkSettings"]["Ports"]["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "8080"}]
    assert f"inet {made.attrs['NetworkSettings']['Networks']['app']['IPAddress']}/24" in netrt(
        "exec", "web", "ip", "addr"
    )
    made.kill()
    with pytest.raises(NotFound):
        made.reload()


def test_events(netrt: Netrt, sdk: docker.DockerClient) -> None:
    begun = time.time()
    network = sdk.networks.create("app")
    box = netrt.box("web", "--network", "app")
    network.disconnect("web")
    netrt("rm", "web")
    network.remove()
    past = list(sdk.events(since=begun, until=time.time(), decode=True))
    assert [(event["Type"], event["Action"]) for event in past] == [
        ("network", "create"),
        ("container", "create"),
        ("network", "connect"),
        ("network", "disconnect"),
        ("container", "destroy"),
        ("network", "destroy"),
    ]
    assert past[2]["Actor"]["Attributes"]["container"] == box.id
    coming: Queue[dict[str, Any]] = Queue()
    stream = sdk.events(decode=True, filters={"event": "create"})
    threading.Thread(target=lambda: [coming.put(event) for event in stream], daemon=True).start()
    sdk.networks.create("later")
    assert coming.get(timeout=5)["Actor"]["Attributes"]["name"] == "later"
    stream.close()


@pytest.mark.skipif(not shutil.which("docker"), reason="the docker command is not installed")
def test_the_docker_command(host: Host, netrt: Netrt, sdk: docker.DockerClient) -> None:
    def run(*words: str) -> str:
        return host.run("docker", "-H", SOCKET, *words).stdout.strip()

    made = run("network", "create", "--subnet", "10.77.0.0/24", "--label", "tier=front", "app")
    assert len(made) == 64
    assert (
        run("network", "ls", "--filter", "type=custom", "--format", "{{.Name}} {{.Driver}} {{.Scope}}")
        == "app bridge local"
    )
    netrt.box("web", "--network", "none")
    run("network", "connect", "--ip", "10.77.0.9", "--alias", "www", "app", "web")
    assert (
        json.loads(run("network", "inspect", "app"))[0]["Containers"][netrt.inspect("web")["Id"]]["IPv4Address"]
        == "10.77.0.9/24"
    )
    assert run("inspect", "-f", "{{.NetworkSettings.Networks.app.IPAddress}}", "web") == "10.77.0.9"
    assert run("ps", "--format", "{{.Names}} {{.Status}}").startswith("web Up ")
    refused = host.run("docker", "-H", SOCKET, "network", "rm", "app", check=False)
    assert "network app has active containers: web" in refused.stderr
    run("network", "disconnect", "app", "web")
    assert run("network", "prune", "-f").splitlines()[1] == "app"
    netrt("run", "-d", "--name", "job", "--network", "none", "--", "sh", "-c", "echo hello; sleep 600")
    assert run("logs", "job") == "hello"
    run("stop", "-t", "0", "job")
    assert run("ps", "-a", "--filter", "status=exited", "--format", "{{.Names}} {{.Status}}").startswith(
        "job Exited (137)"
    )
    assert run("wait", "job") == "137"
    run("rm", "-f", "job", "web")
    assert run("ps", "-aq") == ""
    assert "web" in run("events", "--since", "10m", "--until", str(time.time()), "--filter", "type=container")
    assert run("version", "--format", "{{.Server.Version}}")
    assert run("info", "--format", "{{.OSType}}") == "linux"
