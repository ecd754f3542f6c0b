"""Every verb and flag of the command line on the real daemon and kernel: what is printed, what it did, its exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.command import PROGRAM, Netrt
from tests.host import Host
from tests.waiting import wait_until

pytestmark = pytest.mark.root

ID = re.compile(r"[0-9a-f]{64}")


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


# networks


def test_network_create_says_the_id_and_keeps_every_flag(netrt: Netrt) -> None:
    blocks = "--subnet 10.7.0.0/24 --gateway 10.7.0.254 --ip-range 10.7.0.128/25 --aux-address dns=10.7.0.9"
    blocks += " --ipv6 --subnet fd00:7::/64 --gateway fd00:7::1 --internal --label tier=back --label bare"
    options = "-o com.docker.network.bridge.name=br-app -o com.docker.network.driver.mtu=1400"
    identifier = netrt("network", "create", "-d", "bridge", *blocks.split(), *options.split(), "app")
    assert ID.fullmatch(identifier)
    shown = netrt.inspect("app")
    assert (shown["Id"], shown["Driver"], shown["Internal"], shown["EnableIPv6"]) == (identifier, "bridge", True, True)
    assert shown["Labels"] == {"tier": "back", "bare": ""}
    assert shown["Options"]["com.docker.network.driver.mtu"] == "1400"
    assert shown["IPAM"]["Config"] == [
        {
            "Subnet": "10.7.0.0/24",
            "IPRange": "10.7.0.128/25",
            "Gateway": "10.7.0.254",
            "AuxiliaryAddresses": {"dns": "10.7.0.9"},
        },
        {"Subnet": "fd00:7::/64", "Gateway": "fd00:7::1"},
    ]
    assert json.loads(netrt.host.run("ip", "-j", "link", "show", "br-app").stdout)[0]["mtu"] == 1400


def test_network_families(netrt: Netrt) -> None:
    netrt("network", "create", "--ipv4=false", "--ipv6=true", "six")
    netrt("network", "create", "four")
    blocks = {name: [c["Subnet"] for c in netrt.inspect(name)["IPAM"]["Config"]] for name in ("six", "four")}
    assert [":" in cidr for cidr in blocks["six"]] == [True]
    assert [":" in cidr for cidr in blocks["four"]] == [False]


def test_network_ls(netrt: Netrt) -> None:
    app = netrt("network", "create", "--label", "tier=back", "app")
    web = netrt("network", "create", "web")
    head, *rows = netrt("network", "ls").splitlines()
    assert re.split(r" {2,}", head.strip()) == ["NETWORK ID", "NAME", "DRIVER", "SCOPE"]
    listed = {row[1]: row for row in map(str.split, rows)}
    assert listed["app"] == [app[:12], "app", "bridge", "local"]
    assert set(listed) == {"app", "web", "host", "none"}
    assert netrt("network", "ls", "-q", "-f", "name=app") == app[:12]
    assert netrt("network", "ls", "-q", "--no-trunc", "--filter", "label=tier=back") == app
    assert netrt("network", "ls", "-q", "-f", f"id={web[:8]}") == web[:12]
    assert netrt("network", "ls", "-q", "-f", "driver=macvlan") == ""
    assert len(netrt("network", "ls", "-q", "-f", "type=custom").splitlines()) == 2
    netrt("container", "create", "--network", "web", "--name", "c")
    assert netrt("network", "ls", "-q", "-f", "dangling=true") == app[:12]
    row = json.loads(netrt("network", "ls", "--format", "{{json .}}", "-f", "name=app"))
    assert (row["ID"], row["Name"], row["Labels"], row["IPv6"]) == (app[:12], "app", "tier=back", "false")
    assert "known: name" in netrt.refused("network", "ls", "-f", "colour=blue")


def test_network_inspect(netrt: Netrt, host: Host) -> None:
    netrt("network", "create", "app")
    netrt.box("web", "--network", "app")
    shown = json.loads(netrt("network", "inspect", "app"))[0]
    assert [held["Name"] for held in shown["Containers"].values()] == ["web"]
    done = host.run(PROGRAM, "network", "inspect", "app", "nope", check=False)
    assert (done.returncode, json.loads(done.stdout)[0]["Name"], done.stderr) == (
        1,
        "app",
        "netrt: no such network: nope\n",
    )
    done = host.run(PROGRAM, "inspect", "nope", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "[]\n", "netrt: no such object: nope\n")
    assert json.loads(netrt("inspect", "--type", "network", "app"))[0]["Id"] == shown["Id"]
    assert netrt("inspect", "--format", "json", "app", "web").count("\n") == 0


def test_connect_and_disconnect(netrt: Netrt) -> None:
    netrt("network", "create", "--subnet", "10.7.0.0/24", "--ipv6", "--subnet", "fd00:7::/64", "app")
    netrt("network", "create", "web")
    box = netrt.box("web", "--network", "web")
    flags = "--ip 10.7.0.77 --ip6 fd00:7::77 --mac 02:42:0a:07:00:4d --alias db --alias sql"
    option = "com.docker.network.endpoint.ifname=app0"
    assert netrt("network", "connect", *flags.split(), "--driver-opt", option, "app", "web") == ""
    shown = netrt.inspect("web")["NetworkSettings"]["Networks"]["app"]
    assert (shown["IPAddress"], shown["GlobalIPv6Address"]) == ("10.7.0.77", "fd00:7::77")
    assert (shown["MacAddress"], shown["Aliases"]) == ("02:42:0a:07:00:4d", ["db", "sql"])

    def inside() -> str:
        return netrt.host.run("nsenter", f"--net={box.path}", "ip", "-br", "addr", "show").stdout

    assert "10.7.0.77/24" in inside()
    assert "app0@" in inside()
    assert netrt("network", "disconnect", "app", "web") == ""
    assert "10.7.0.77" not in inside()
    assert "is not connected to network app" in netrt.refused("network", "disconnect", "app", "web")
    assert netrt("network", "disconnect", "-f", "app", "web") == ""


def test_network_rm(netrt: Netrt, host: Host) -> None:
    for name in ("a", "b", "c"):
        netrt("network", "create", name)
    netrt.box("web", "--network", "b")
    netrt.box("db", "--network", "b")
    done = host.run(PROGRAM, "network", "rm", "a", "b", "c", check=False)
    assert (done.returncode, done.stdout) == (1, "a\nc\n")
    assert re.fullmatch(r"netrt: network b has active containers: (web, db|db, web).*\n", done.stderr)
    assert netrt("network", "rm", "-f", "b", "gone") == "b"
    assert netrt("network", "ls", "-q", "-f", "type=custom") == ""
    assert list(netrt.inspect("web")["NetworkSettings"]["Networks"]) == []


def test_network_prune(netrt: Netrt, host: Host) -> None:
    for name in ("a", "b"):
        netrt("network", "create", "--label", f"name={name}", name)
    netrt("network", "create", "used")
    netrt.box("web", "--network", "used")
    asked = host.run(PROGRAM, "network", "prune", input="n\n", check=False)
    assert (asked.returncode, asked.stderr) == (1, "netrt: cancelled\n")
    assert netrt("network", "prune", "-f", "--filter", "until=1h") == ""
    assert netrt("network", "prune", "-f", "--filter", "label=name=a") == "Deleted Networks:\na"
    assert host.run(PROGRAM, "network", "prune", input="y\n").stdout.endswith("Deleted Networks:\nb\n")
    assert netrt("network", "ls", "-f", "type=custom").splitlines()[1:][0].split()[1] == "used"


# containers


def test_container_create_keeps_every_flag(netrt: Netrt) -> None:
    netrt("network", "create", "--subnet", "10.7.0.0/24", "--ipv6", "--subnet", "fd00:7::/64", "front")
    netrt("network", "create", "--subnet", "10.8.0.0/24", "back")
    argv = "--name web -h www --network front --network name=back,ip=10.8.0.8,alias=x --ip 10.7.0.7 --ip6 fd00:7::7"
    argv += " --mac-address 02:42:0a:07:00:07 --alias proxy -p 8080:80 -p 127.0.0.1:5353:53/udp --label a=b -e X=1"
    argv += " --cap-drop ALL --cap-add NET_RAW --read-only --dns 192.0.2.53 --add-host db:10.8.0.9 -w /srv sleep 9"
    identifier = netrt("container", "create", *argv.split())
    assert ID.fullmatch(identifier)
    shown = netrt.inspect("web")
    assert (shown["Id"], shown["Name"], shown["State"]["Status"]) == (identifier, "/web", "created")
    assert (shown["Config"]["Hostname"], shown["Config"]["Cmd"], shown["Config"]["Env"]) == (
        "www",
        ["sleep", "9"],
        ["X=1"],
    )
    assert (shown["Config"]["Labels"], shown["Config"]["WorkingDir"]) == ({"a": "b"}, "/srv")
    held = shown["HostConfig"]
    assert (held["CapAdd"], held["CapDrop"], held["ReadonlyRootfs"]) == (["NET_RAW"], ["ALL"], True)
    assert (held["Dns"], held["ExtraHosts"]) == (["192.0.2.53"], ["db:10.8.0.9"])
    networks = shown["NetworkSettings"]["Networks"]
    assert list(networks) == ["front", "back"]
    front, back = networks["front"], networks["back"]
    assert (front["IPAddress"], front["GlobalIPv6Address"], front["MacAddress"], front["Aliases"]) == (
        "10.7.0.7",
        "fd00:7::7",
        "02:42:0a:07:00:07",
        ["proxy"],
    )
    assert (back["IPAddress"], back["Aliases"]) == ("10.8.0.8", ["x"])
    assert held["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}],
    }
    assert netrt("port", "web") == "", "it does not run"


def test_port(netrt: Netrt) -> None:
    netrt("network", "create", "--ipv6", "front")
    netrt.box("web", "--network", "front", "-p", "8080:80", "-p", "127.0.0.1:5353:53/udp")
    assert netrt("port", "web").splitlines() == [
        "80/tcp -> 0.0.0.0:8080",
        "80/tcp -> [::]:8080",
        "53/udp -> 127.0.0.1:5353",
    ]
    assert netrt("port", "web", "53/udp") == "127.0.0.1:5353"


def test_ps(netrt: Netrt) -> None:
    netrt("network", "create", "--subnet", "10.7.0.0/24", "app")
    box = netrt.box("web", "--network", "app", "-p", "8080-8082:80-82", "--label", "tier=front")
    netrt("container", "create", "--name", "idle", "--network", "none", "sleep", "1000")
    head, *rows = netrt("ps").splitlines()
    assert head.split()[:3] == ["CONTAINER", "ID", "NAMES"]
    assert [row.split()[:2] for row in rows] == [[box.id[:12], "web"]]
    assert "0.0.0.0:8080-8082->80-82/tcp" in rows[0]
    assert "[::]" not in rows[0], "it has no IPv6"
    assert rows[0].split()[-2:] == ["app", box.ip4]
    assert {row.split()[1] for row in netrt("ps", "-a").splitlines()[1:]} == {"web", "idle"}
    assert netrt("container", "ls", "-a", "-q", "-f", "name=web", "--no-trunc") == box.id
    assert netrt("ps", "-aq", "-f", "label=tier=front", "-f", "network=app") == box.id[:12]
    assert json.loads(netrt("ps", "-a", "--format", "json", "-f", "status=created"))["Command"] == '"sleep 1000"'


def test_rename_and_rm(netrt: Netrt, host: Host) -> None:
    netrt.box("web")
    assert netrt("rename", "web", "www") == ""
    assert netrt.inspect("www")["Name"] == "/www"
    assert "no such object: web" in netrt.refused("inspect", "web").replace("[]", "")
    done = host.run(PROGRAM, "container", "rm", "nope", "www", check=False)
    assert (done.returncode, done.stdout) == (1, "www\n")
    assert netrt("ps", "-aq") == ""
    assert host.run(PROGRAM, "rm", "-f", "nope").returncode == 0


def test_the_default_network_and_other_modes(netrt: Netrt) -> None:
    netrt("container", "create", "--name", "plain")
    assert list(netrt.inspect("plain")["NetworkSettings"]["Networks"]) == ["bridge"]
    netrt("container", "create", "--name", "mac", "--mac", "02:42:0a:07:00:07")
    assert netrt.inspect("mac")["NetworkSettings"]["Networks"]["bridge"]["MacAddress"] == "02:42:0a:07:00:07"
    netrt("container", "create", "--name", "deaf", "--network", "none")
    netrt("container", "create", "--name", "open", "--network", "host")
    netrt("container", "create", "--name", "guest", "--network", "container:plain")
    keys = {name: netrt.inspect(name)["NetworkSettings"]["SandboxKey"] for name in ("plain", "deaf", "open", "guest")}
    assert keys["guest"] == keys["plain"]
    assert keys["deaf"] not in ("", keys["plain"])
    assert "nope" in netrt.refused("container", "create", "--network", "container:nope")


def test_our_namespaces_are_those_of_ip_netns(netrt: Netrt, host: Host) -> None:
    box = netrt.box("web")
    name = Path(box.path).name
    assert name in host.run("ip", "netns", "list").stdout.split()
    assert box.ip4 in host.run("ip", "netns", "exec", name, "ip", "addr").stdout
    assert box.ip4 in host.run("nsenter", f"--net={box.path}", "ip", "addr").stdout
    netrt("rm", "web")
    assert name not in host.run("ip", "netns", "list").stdout.split()


def test_adopting_a_namespace(netrt: Netrt, host: Host) -> None:
    netrt("network", "create", "app")
    path = host.namespace("theirs")
    netrt("container", "create", "--name", "a", "--network", "app", "--netns", path)
    assert (
        netrt.inspect("a")["NetworkSettings"]["Networks"]["app"]["IPAddress"]
        in host.run("ip", "-n", "theirs", "addr").stdout
    )
    netrt("rm", "a")
    assert "theirs" in host.run("ip", "netns", "list").stdout.split()
    assert "eth0" not in host.run("ip", "-n", "theirs", "link").stdout
    child = host.spawn("ip", "netns", "exec", "theirs", "cat")
    inode = os.stat(path).st_ino
    wait_until(lambda: os.stat(f"/proc/{child.pid}/ns/net").st_ino == inode, what="the process in the namespace")
    netrt("container", "create", "--name", "b", "--network", "app", "--pid", str(child.pid))
    assert "eth0" in host.run("ip", "-n", "theirs", "link").stdout
    netrt("rm", "b")


@pytest.mark.parametrize("path", ["/etc/hostname", "/proc/self/ns/mnt", "/no/such/file", "/dev/null"])
def test_only_network_namespaces_are_adopted(netrt: Netrt, path: str) -> None:
    netrt("network", "ls")
    message = netrt.refused("container", "create", "--name", "a", "--netns", path)
    assert path in message
    assert netrt("ps", "-aq") == ""


# netrt itself


def test_version_status_events_and_stop(netrt: Netrt, host: Host) -> None:
    assert host.run(PROGRAM, "daemon", "status", check=False).returncode == 1
    assert netrt("version").endswith("Server: not running")
    assert netrt("--version").startswith("netrt version ")
    box = netrt.box("web")
    shown = netrt("daemon", "status")
    pid = json.loads(netrt("daemon", "status", "--format", "json"))["Pid"]
    assert f" is running as process {pid}\n" in shown
    assert "\nContainers: 1, 1 of them running\nNetworks: 3" in shown
    assert json.loads(netrt("version", "--format", "json"))["Server"]["ApiVersion"]
    past = words(netrt("events", "--since", "10m", "--until", "0s", "-f", "type=container"))
    assert [line[1:4] for line in past] == [["container", "create", box.id]]
    assert netrt("daemon", "stop") == ""
    assert host.run(PROGRAM, "daemon", "stop").stderr == "netrt: netrtd is not running\n"
    assert box.ip4 in host.run("nsenter", f"--net={box.path}", "ip", "addr").stdout
    assert host.run(PROGRAM, "ps", "-q").stdout == f"{box.id[:12]}\n"


def test_who_may_not_ask_is_told_so(netrt: Netrt) -> None:
    netrt("network", "ls")
    for verb in ("status", "stop"):
        argv = [PROGRAM, "daemon", verb]
        done = subprocess.run(
            argv, check=False, capture_output=True, text=True, user=65534, group=65534, extra_groups=[]
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("netrt: permission denied on /run/netrt/netrt.sock")


def test_events_as_they_happen(netrt: Netrt, host: Host) -> None:
    netrt("network", "ls")
    # --since, because the network may be there before the one who follows
    following = host.spawn(PROGRAM, "events", "--since", "10m", "--format", "json", "-f", "type=network")
    assert following.stdout

    netrt("network", "create", "app")
    event = json.loads(following.stdout.readline())
    assert (event["Type"], event["Action"], event["Actor"]["Attributes"]["name"]) == ("network", "create", "app")


def test_two_roots_are_two_hosts(netrt: Netrt, tmp_path: Path) -> None:
    netrt("network", "ls")
    refused = netrt.host.run(PROGRAM, "--root", str(tmp_path), "daemon", "status", check=False)
    assert refused.returncode == 1
    assert f"{tmp_path}/run/netrt.sock" in refused.stdout
