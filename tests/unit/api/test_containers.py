"""Containers through the API: Docker's shapes, and what a body may ask for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from netrt.api.client import Client
from netrt.errors import Exists, InUse, Invalid, NetrtError, NotFound
from tests.unit.api.conftest import Desk


def test_inspect_has_dockers_shape(desk: Desk) -> None:
    client = desk.client
    network = client.create_network("app", subnets=["10.1.0.0/24", "fd00:1::/64"], ipv6=True)
    made = client.create_container(
        "web",
        ["python3", "-m", "http.server"],
        networks={"app": {"ip": "10.1.0.9", "aliases": ["www"], "mac": "02:42:00:00:00:05"}},
        ports=["8080:80", "127.0.0.1:5353:53/udp", "9000-9001:90-91"],
        hostname="shop",
        labels={"tier": "front"},
        env={"A": "b=c"},
        cwd="/srv",
        cap_drop=["ALL"],
        cap_add=["cap_net_admin"],
        read_only=True,
        auto_remove=True,
    )
    shown = client.container("web")
    assert shown["Id"] == made
    assert shown["Name"] == "/web"
    assert (shown["Path"], shown["Args"]) == ("python3", ["-m", "http.server"])
    assert (
        shown["State"] | {"Status": "created", "Running": False, "Pid": 0, "ExitCode": 0, "Error": ""} == shown["State"]
    )
    assert shown["State"]["StartedAt"] == shown["State"]["FinishedAt"] == "0001-01-01T00:00:00Z"
    config = shown["Config"]
    assert (config["Hostname"], config["Env"]) == ("shop", ["A=b=c"])
    assert config["Cmd"] == ["python3", "-m", "http.server"]
    assert (config["Labels"], config["WorkingDir"]) == ({"tier": "front"}, "/srv")
    asked = shown["HostConfig"]
    assert (asked["NetworkMode"], asked["AutoRemove"], asked["ReadonlyRootfs"]) == ("app", True, True)
    assert (asked["CapAdd"], asked["CapDrop"]) == (["NET_ADMIN"], ["ALL"])
    settings = shown["NetworkSettings"]
    assert settings["SandboxKey"] == "/run/netns/netrt-web"
    assert settings["Ports"] == {}, "it does not run"
    assert list(asked["PortBindings"]) == ["80/tcp", "53/udp", "90/tcp", "91/tcp"]
    endpoint = settings["Networks"]["app"]
    assert re.fullmatch("[0-9a-f]{64}", endpoint.pop("EndpointID"))
    assert re.fullmatch("fd00:1::[0-9a-f:]+", endpoint.pop("GlobalIPv6Address"))
    assert endpoint == {
        "IPAMConfig": {"IPv4Address": "10.1.0.9"},
        "Aliases": ["www"],
        "DNSNames": ["web", shown["Id"][:12], "shop", "www"],
        "NetworkID": network,
        "Gateway": "10.1.0.1",
        "IPAddress": "10.1.0.9",
        "IPPrefixLen": 24,
        "IPv6Gateway": "fd00:1::1",
        "GlobalIPv6PrefixLen": 64,
        "MacAddress": "02:42:00:00:00:05",
        "DriverOpts": {"com.docker.network.endpoint.ifname": "eth0"},
        "GwPriority": 0,
    }


def test_without_a_command_it_is_running_from_the_start(client: Client) -> None:
    client.create_container("box")
    state = client.container("box")["State"]
    assert (state["Status"], state["Running"], state["Pid"]) == ("running", True, 0)
    (listed,) = client.containers()
    assert (listed["Names"], listed["State"], listed["Command"]) == (["/box"], "running", "")
    assert listed["Status"].startswith("Up ")


def test_with_a_command_it_is_listed_when_asked_for_all(client: Client) -> None:
    client.create_container("job", ["true"])
    assert client.containers() == []
    (listed,) = client.containers(every=True)
    assert (listed["State"], listed["Status"], listed["Command"]) == ("created", "Created", "true")


def test_names_are_made_up(client: Client) -> None:
    made = [client.create_container() for _ in range(5)]
    names = {client.container(each)["Name"] for each in made}
    assert len(names) == 5
    assert all(re.fullmatch("/[a-z]+_[a-z]+[0-9]*", name) for name in names)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"name": ["w"]}, {"web"}),
        ({"name": ["/web"]}, {"web"}),
        ({"label": ["tier=front"]}, {"web"}),
        ({"status": ["created"]}, {"job"}),
        ({"status": ["created", "running"]}, {"job", "web", "box"}),
        ({"network": ["app"]}, {"web"}),
        ({"network": ["none"]}, {"box"}),
        ({"network": ["app"], "label": ["tier=back"]}, set()),
    ],
)
def test_list_is_filtered(client: Client, filters: dict[str, list[str]], found: set[str]) -> None:
    client.create_network("app")
    client.create_container("web", networks=["app"], labels={"tier": "front"})
    client.create_container("box", networks=["none"])
    client.create_container("job", ["true"])
    assert {entry["Names"][0][1:] for entry in client.containers(filters)} == found


@pytest.mark.parametrize(
    ("network", "everywhere"),
    [
        ({"subnets": ["10.1.0.0/24", "fd00:1::/64"], "ipv6": True}, ["0.0.0.0", "::"]),
        ({"subnets": ["10.1.0.0/24"]}, ["0.0.0.0"]),
        ({"subnets": ["fd00:1::/64"], "ipv4": False, "ipv6": True}, ["::"]),
        ({"options": {"com.docker.network.bridge.gateway_mode_ipv6": "routed"}, "ipv6": True}, ["0.0.0.0", "::"]),
    ],
)
def test_ports_are_shown_at_the_addresses_where_they_are(
    client: Client, network: dict[str, Any], everywhere: list[str]
) -> None:
    client.create_network("app", **network)
    client.create_container("web", networks=["app"], ports=["8080:80", "9000-9001:90-91"])
    bound = {
        inside: [(ip, host) for ip in everywhere]
        for inside, host in (("80/tcp", "8080"), ("90/tcp", "9000"), ("91/tcp", "9001"))
    }
    shown = client.container("web")["NetworkSettings"]["Ports"]
    assert {inside: [(each["HostIp"], each["HostPort"]) for each in held] for inside, held in shown.items()} == bound
    listed = client.containers()[0]["Ports"]
    assert sorted((each["IP"], each["PublicPort"]) for each in listed) == sorted(
        (ip, int(host)) for held in bound.values() for ip, host in held
    )
    client.disconnect("app", "web")
    assert client.containers()[0]["Ports"] == []


def test_filter_by_an_unknown_status_is_refused(client: Client) -> None:
    with pytest.raises(Invalid, match="invalid filter status='odd'"):
        client.containers({"status": ["odd"]})


def test_modes_without_networks(client: Client) -> None:
    client.create_container("web", ports=["8080:80"])
    for name, mode in (("own", "none"), ("wide", "host"), ("side", "container:web")):
        client.create_container(name, networks=[mode])
    shown = {name: client.container(name) for name in ("web", "own", "wide", "side")}
    networks = {name: list(each["NetworkSettings"]["Networks"]) for name, each in shown.items()}
    assert networks == {"web": ["bridge"], "own": ["none"], "wide": ["host"], "side": []}
    web = shown["web"]["Id"]
    assert shown["side"]["HostConfig"]["NetworkMode"] == f"container:{web}"
    assert shown["side"]["NetworkSettings"]["SandboxKey"] == shown["web"]["NetworkSettings"]["SandboxKey"]
    with pytest.raises(InUse, match="side"):
        client.remove_container("web")


def test_namespaces_are_adopted(client: Client) -> None:
    client.create_container("web", netns="/run/netns/theirs")
    assert client.container("web")["NetworkSettings"]["SandboxKey"] == "/run/netns/theirs"
    with pytest.raises(Invalid, match="no network namespace at '/proc/17/ns/net'"):
        client.create_container("other", pid=17)
    with pytest.raises(Invalid, match="exclude each other"):
        client.create_container("other", pid=17, netns="/run/netns/x")


def test_rename_and_remove(client: Client) -> None:
    client.create_container("web")
    client.create_container("db")
    client.rename("web", "front")
    assert client.container("front")["Name"] == "/front"
    with pytest.raises(Exists):
        client.rename("front", "db")
    client.remove_container("front")
    with pytest.raises(NotFound):
        client.container("front")


def create(client: Client, **body: Any) -> str:
    made: str = client.request("POST", "/containers/create", body=body)["Id"]
    return made


def test_dockers_own_body(client: Client) -> None:
    client.create_network("app", subnets=["10.1.0.0/24"], ipv6=True)
    client.create_network("back")
    made = create(
        client,
        Image="alpine",
        Entrypoint="/bin/sh",
        Cmd=["-c", "true"],
        Env=None,
        ExposedPorts={"80/tcp": {}},
        HostConfig={
            "NetworkMode": "app",
            "PortBindings": {
                "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "::1", "HostPort": "8081"}],
                "53/udp": [{"HostPort": ""}],
                "70/tcp": None,
            },
        },
        NetworkingConfig={
            "EndpointsConfig": {"back": None, "app": {"IPAMConfig": {"IPv4Address": "10.1.0.5"}, "Links": None}}
        },
    )
    shown = client.container(made)
    assert shown["Config"]["Cmd"] == ["/bin/sh", "-c", "true"]
    networks = shown["NetworkSettings"]["Networks"]
    assert list(networks) == ["app", "back"]
    assert networks["app"]["IPAddress"] == "10.1.0.5"
    ports = shown["HostConfig"]["PortBindings"]
    assert ports["80/tcp"] == [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "::1", "HostPort": "8081"}]
    assert int(ports["53/udp"][0]["HostPort"]) > 1024
    assert "70/tcp" not in ports


def test_what_dockers_command_line_says_of_nothing(client: Client) -> None:
    """It sends every field, empty; and a MAC in the place where it was before there were several networks."""
    empty = {
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "Binds": None, "Mounts": [], "Links": None, "Memory": 0,
        "Privileged": False, "PublishAllPorts": False, "Sysctls": {}, "MemorySwappiness": -1, "IpcMode": "",
    }  # fmt: skip
    plain = client.container(create(client, User="", MacAddress="", NetworkDisabled=False, HostConfig=empty))
    assert list(plain["NetworkSettings"]["Networks"]) == ["bridge"]
    root = client.container(create(client, User="0:0", MacAddress="02:42:00:00:00:05"))
    assert root["NetworkSettings"]["Networks"]["bridge"]["MacAddress"] == "02:42:00:00:00:05"
    apart = client.container(create(client, NetworkDisabled=True, HostConfig={"NetworkMode": "default"}))
    assert apart["HostConfig"]["NetworkMode"] == "none"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"Cmd": 5}, "field Cmd: expected"),
        ({"Cmd": ["a\0b"]}, "field Cmd has a NUL character in it"),
        ({"Cmd": ["a"], "Env": ["novalue"]}, "field Env: 'novalue' is not KEY=VALUE"),
        ({"Cmd": ["a"], "WorkingDir": "here"}, "field WorkingDir: 'here' is not an absolute path"),
        ({"Cmd": ["a"], "HostConfig": {"CapAdd": ["net admin"]}}, "field CapAdd: 'NET ADMIN' is no capability"),
        ({"Cmd": ["a"], "HostConfig": {"CapAdd": ["FLY"]}}, "FLY"),
        ({"Cmd": ["a"], "HostConfig": {"Dns": ["somewhere"]}}, "invalid resolver 'somewhere'"),
        ({"Cmd": ["a"], "HostConfig": {"ExtraHosts": ["db"]}}, "invalid extra host 'db'"),
        (
            {"HostConfig": {"PortBindings": {"80": [{"HostPort": 8080}]}}},
            "field HostConfig.PortBindings[...][0].HostPort: expected str, got int",
        ),
        ({"HostConfig": {"PortBindings": {"80/icmp": [{"HostPort": "80"}]}}}, "invalid protocol 'icmp'"),
        ({"User": "www-data"}, "field User is not supported"),
        *(
            ({"HostConfig": {field: value}}, f"field HostConfig.{field} is not supported")
            for field, value in (
                ("PublishAllPorts", True),
                ("Sysctls", {"net.ipv4.ip_forward": "1"}),
                ("Links", ["db:db"]),
                ("RestartPolicy", {"Name": "always"}),
                ("Privileged", True),
                ("Binds", ["/:/host"]),
                ("Mounts", [{"Type": "bind"}]),
                ("Memory", 1 << 20),
            )
        ),
        (
            {"NetworkDisabled": True, "HostConfig": {"NetworkMode": "app"}},
            "field NetworkDisabled: true, and network app",
        ),
        (
            {"MacAddress": "02:42:00:00:00:05", "HostConfig": {"NetworkMode": "none"}},
            "field MacAddress: a container in mode none",
        ),
        (
            {
                "MacAddress": "02:42:00:00:00:05",
                "NetworkingConfig": {"EndpointsConfig": {"bridge": {"MacAddress": "02:42:00:00:00:06"}}},
            },
            "field MacAddress: 02:42:00:00:00:05 is not the 02:42:00:00:00:06 of network bridge",
        ),
        ({"HostConfig": {"AutoRemove": True}}, "field HostConfig.AutoRemove is not supported"),
        (
            {"NetworkingConfig": {"EndpointsConfig": {"bridge": {"GwPriority": 2**31}}}},
            "gateway priority 2147483648 is out of",
        ),
        (
            {"NetworkingConfig": {"EndpointsConfig": {"app": {"DriverOpts": {"netrt.bandwidth": "fast"}}}}},
            "invalid bandwidth 'fast'",
        ),
        (
            {"NetworkingConfig": {"EndpointsConfig": {"a": {"DriverOpts": {"x": "y"}}}}},
            "unknown option 'x' of an endpoint",
        ),
        ({"Netrt": {"Pid": -5}}, "field Netrt.Pid: -5 is no process id"),
        ({"HostConfig": {"NetworkMode": "nowhere"}}, "no network named nowhere"),
        ({"HostConfig": {"NetworkMode": "container:nobody"}}, "no container named nobody"),
    ],
)
def test_bad_bodies_change_nothing(desk: Desk, body: dict[str, Any], words: str) -> None:
    before, host = desk.engine.state, desk.kernel.host
    with pytest.raises(NetrtError) as caught:
        create(desk.client, **body)
    assert words in str(caught.value)
    assert desk.engine.state is before
    assert desk.kernel.host is host


def test_files_of_a_container_are_there_when_somebody_enters(desk: Desk) -> None:
    desk.client.create_network("app", subnets=["10.1.0.0/24"])
    made = desk.client.create_container("web", networks={"app": {"ip": "10.1.0.9"}})
    hosts = Path(desk.paths.container(made), "hosts")
    assert not hosts.exists()
    desk.client.request("GET", "/netrt/containers/web/launch")
    assert "10.1.0.9" in hosts.read_text()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"command": "true"}, "command: 'true' is one text, where a list of them is meant (['true'])"),
        ({"networks": "net"}, "networks: 'net' is one text"),
        ({"ports": "8080:80"}, "ports: '8080:80' is one text"),
        ({"networks": {"bridge": {"aliases": "www"}}}, "aliases: 'www' is one text"),
    ],
)
def test_a_text_is_no_list_of_letters(desk: Desk, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=re.escape(words)):
        desk.client.create_container("web", **asked)
    assert desk.client.containers(every=True) == []
