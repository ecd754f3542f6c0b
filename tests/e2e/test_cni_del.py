"""DEL and GC: whatever has happened meanwhile, what was taken is given back, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cni import BANDWIDTH, PORTMAP, Cni, Config, Container, bridge, network, port
from tests.command import Netrt
from tests.e2e.test_restart import kill_daemon
from tests.host import Host
from tests.snapshot import differences, snapshot
from tests.traffic import Place, seen

pytestmark = pytest.mark.root

CHAIN = (
    bridge(),
    PORTMAP,
    BANDWIDTH,
    {"type": "netrt-firewall", "ingressPolicy": "same-bridge"},
    {"type": "netrt-tuning", "mtu": 1400},
)
ASKED: dict[str, Any] = {"portMappings": [port(8080, 80)], "bandwidth": {"ingressRate": 10**7, "egressRate": 10**7}}


@pytest.fixture
def cni(host: Host, netrt: Netrt) -> Cni:
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    return Cni(host, netrt=netrt)


@pytest.fixture
def one(cni: Cni) -> Container:
    return cni.container("c1")


@pytest.fixture
def before(cni: Cni, host: Host) -> dict[str, Any]:
    """The host with the network and another container on it."""
    cni.add(network(*CHAIN), cni.container("c0"))
    return without_namespaces(host)


def without_namespaces(host: Host) -> dict[str, Any]:
    taken = snapshot(host)
    return {key: value for key, value in taken.items() if "c1" not in key} | {"namespaces": []}


def nothing_is_left(cni: Cni, before: dict[str, Any], netrt: Netrt) -> None:
    assert not differences(before, without_namespaces(cni.host))
    assert "c1" not in netrt.names()


def test_deleted_twice(cni: Cni, one: Container, before: dict[str, Any], netrt: Netrt) -> None:
    made = cni.add(network(*CHAIN), one, **ASKED)
    for _ in range(2):
        made.delete()
        nothing_is_left(cni, before, netrt)


@pytest.mark.parametrize("netns", ["", "/run/netns/gone", "/etc/passwd", "/"])
def test_without_the_right_namespace(
    cni: Cni, one: Container, before: dict[str, Any], netrt: Netrt, netns: str
) -> None:
    cni.add(network(*CHAIN), one, **ASKED).delete(netns=netns)
    nothing_is_left(cni, before, netrt)
    assert "eth0" not in cni.host.run("ip", "-n", "c1", "link").stdout


def test_a_namespace_that_is_gone(cni: Cni, one: Container, before: dict[str, Any], netrt: Netrt) -> None:
    lan = network(*CHAIN)
    made, other = cni.add(lan, one, **ASKED), cni.add(lan, one, "eth1")
    cni.host.run("ip", "netns", "del", "c1")
    made.delete()
    other.delete()
    nothing_is_left(cni, before, netrt)


def test_a_namespace_that_lost_its_name(cni: Cni, one: Container, before: dict[str, Any], netrt: Netrt) -> None:
    """Somebody still lives there: its interfaces are taken away nevertheless."""
    lan = network(*CHAIN)
    made, other = cni.add(lan, one, **ASKED), cni.add(lan, one, "eth1")
    child = cni.host.spawn("ip", "netns", "exec", "c1", "sleep", "100")
    with one.call(lambda: open("/proc/thread-self/ns/net")) as there:
        cni.host.run("ip", "netns", "del", "c1")
        made.delete()
        other.delete()
        nothing_is_left(cni, before, netrt)
        shown = cni.host.run("nsenter", f"--net=/proc/{os.getpid()}/fd/{there.fileno()}", "ip", "link").stdout
        assert "eth" not in shown.replace("link/ether", "")
    child.kill()


def test_a_path_that_leads_to_another_namespace(cni: Cni, one: Container, before: dict[str, Any], netrt: Netrt) -> None:
    made = cni.add(network(*CHAIN), one, **ASKED)
    cni.host.run("ip", "netns", "del", "c1")
    cni.container("c1")
    made.delete()
    nothing_is_left(cni, before, netrt)


def test_after_a_reboot(cni: Cni, one: Container, host: Host, netrt: Netrt) -> None:
    """Only the disk is left, and the runtime asks for DEL of what it remembers."""
    lan = network(*CHAIN)
    made = cni.add(lan, one, **ASKED)
    kill_daemon(netrt)
    host.run("ip", "netns", "del", "c1")
    host.run("nft", "flush", "ruleset")
    for link in json.loads(host.run("ip", "-j", "link", "show").stdout):
        if link["ifname"] != "lo":
            host.run("ip", "link", "del", link["ifname"], check=False)
    shutil.rmtree("/run/netrt")
    made.delete()
    assert "c1" not in netrt.names()
    again = cni.add(lan, cni.container("c1"), **ASKED)
    again.check()


@pytest.mark.parametrize(
    "changed",
    [
        {"bridge": "cni7", "ipam": {"type": "netrt-host-local", "subnet": "10.99.0.0/16"}},
        {"ipam": {"type": "../wrong", "subnet": 7}, "vlan": 5, "mtu": "many"},
        {"type": "../x", "dns": 7},
        {"cniVersion": "0.3.0"},
    ],
    ids=["other", "wrong", "senseless", "older"],
)
def test_a_configuration_that_changed(
    cni: Cni, one: Container, before: dict[str, Any], netrt: Netrt, changed: Config
) -> None:
    lan = network(*CHAIN)
    cni.add(lan, one, **ASKED)
    config = cni.request(lan, bridge(), {}, None) | changed
    assert cni.execute("DEL", config, plugin="netrt-bridge").status == 0
    nothing_is_left(cni, before, netrt)


@pytest.mark.parametrize("text", [b"", b"{}", b'{"cniVersion": "1.0.0", "type": "netrt-bridge"}'])
def test_a_configuration_that_is_missing(
    cni: Cni, one: Container, before: dict[str, Any], netrt: Netrt, text: bytes
) -> None:
    cni.add(network(*CHAIN), one, **ASKED)
    assert cni.execute("DEL", text, plugin="netrt-bridge").status == 0
    nothing_is_left(cni, before, netrt)


def test_what_never_was(cni: Cni, before: dict[str, Any], netrt: Netrt) -> None:
    for plugin in (*CHAIN, {"type": "netrt"}, {"type": "netrt-host-local"}, {"type": "netrt-loopback"}):
        answer = cni.execute("DEL", cni.request(network(), plugin, {}, None), netns="/run/netns/none")
        assert (answer.status, answer.output) == (0, "")
    nothing_is_left(cni, before, netrt)


def test_another_networks_attachment_is_let_be(cni: Cni, one: Container, before: dict[str, Any]) -> None:
    made = cni.add(network(*CHAIN), one, **ASKED)
    assert cni.execute("DEL", cni.request(network(name="other"), bridge(), {}, None)).status == 0
    made.check()


def test_a_chained_plugin_takes_back_its_own_part(cni: Cni, one: Container, before: dict[str, Any]) -> None:
    made = cni.add(network(*CHAIN), one, **ASKED)
    outside = Place(cni.host)
    with one.tcp(80) as web:
        assert seen(outside, "127.0.0.1", 8080, web)
        request = cni.request(made.network, PORTMAP, ASKED, made.result)
        assert cni.execute("DEL", request).status == 0
        assert not seen(outside, "127.0.0.1", 8080, web, patience=0.5)
        assert seen(outside, made.ip4, 80, web)
        assert cni.execute("ADD", request).status == 0
        assert seen(outside, "127.0.0.1", 8080, web)
    made.check()


# GC


@pytest.mark.parametrize("key", ["cni.dev/valid-attachments", "cni.dev/attachments"])
def test_gc_frees_what_is_not_listed(cni: Cni, host: Host, netrt: Netrt, key: str) -> None:
    lan, other = network(*CHAIN), network(bridge(subnet="10.23.0.0/16", bridge="cni1"), name="other")
    boxes = {name: cni.container(name) for name in ("c0", "c1", "c2")}
    kept, native = cni.add(lan, boxes["c0"]), netrt.box("native")
    before = without_namespaces(host)
    cni.add(lan, boxes["c1"], **ASKED)
    cni.add(lan, boxes["c0"], "eth1")
    foreign = cni.add(other, boxes["c2"])
    valid = [{"containerID": "c0", "ifname": "eth0"}, {"containerID": "unknown", "ifname": "eth0"}]
    for plugin in lan["plugins"]:
        answer = cni.execute("GC", cni.request(lan, plugin, {}, None) | {key: valid}, container="", netns="", ifname="")
        assert (answer.status, answer.output) == (0, ""), answer.output
    kept.check()
    foreign.check()
    assert native.name in netrt.names()
    assert "c1" not in netrt.names()
    assert "eth" not in host.run("ip", "-n", "c1", "link").stdout.replace("link/ether", "")
    foreign.delete()
    netrt("network", "rm", "other")
    left, keys = without_namespaces(host), ("links ", "links c0", "nft")
    assert not differences({key: before[key] for key in keys}, {key: left[key] for key in keys})


def test_gc_with_an_empty_list_and_without_one(cni: Cni, one: Container, before: dict[str, Any], netrt: Netrt) -> None:
    lan = network(*CHAIN)
    made = cni.add(lan, one, **ASKED)
    request = cni.request(lan, lan["plugins"][0], {}, None)
    assert cni.execute("GC", request).error["code"] == 7
    made.check()
    cni.host.run("ip", "netns", "del", "c1")
    assert cni.execute("GC", {**request, "cni.dev/valid-attachments": [], "cni.dev/attachments": None}).status == 0
    assert len(netrt("ps").splitlines()) == 1


def test_a_delegated_lease_is_given_back_as_it_was_taken(cni: Cni, one: Container, host: Host, netrt: Netrt) -> None:
    """Even where the configuration names another IPAM plugin by now, or none."""
    Path("/run/plugins").mkdir()
    ipam = Path("/run/plugins/my-ipam")
    ipam.write_text(IPAM)
    ipam.chmod(0o755)
    cni.path += ":/run/plugins"
    lan = network(bridge(ipam={"type": "my-ipam", "subnet": "10.66.0.0/16"}))
    made = cni.add(lan, one)
    assert made.addresses == ["10.66.0.9"]
    assert "default via 10.66.0.1 dev eth0" in host.run("ip", "-n", "c1", "route").stdout
    made.check()
    assert cni.execute("DEL", cni.request(lan, bridge(), {}, None)).status == 0
    verbs = Path("/run/plugins/log").read_text().split()
    assert verbs == ["ADD", "CHECK", "DEL"]


def test_a_delegated_plugin_that_fails_leaves_nothing(cni: Cni, one: Container, host: Host, netrt: Netrt) -> None:
    Path("/run/plugins").mkdir()
    ipam = Path("/run/plugins/my-ipam")
    ipam.write_text('#!/bin/sh\necho \'{"code": 112, "msg": "no more", "details": "really"}\'\nexit 1\n')
    ipam.chmod(0o755)
    cni.path += ":/run/plugins"
    before = snapshot(host)
    error = cni.try_add(network(bridge(ipam={"type": "my-ipam"})), one).error
    assert error["code"] == 112
    assert "my-ipam" in error["msg"]
    assert "no more" in error["msg"]
    assert not differences(before, snapshot(host))
    assert "mynet" not in netrt("network", "ls")


IPAM = """\
#!/bin/sh
cat >/dev/null
echo $CNI_COMMAND >>/run/plugins/log
test $CNI_COMMAND != ADD || echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.66.0.9/16", "gateway": "10.66.0.1"}],
  "routes": [{"dst": "0.0.0.0/0"}]}'
"""
