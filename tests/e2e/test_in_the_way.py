"""What stands where something new is to come: it is found out at the first refusal, told, and left as it is. And what was there
before and is of ours alone goes, although nothing new is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cni import Cni, Config, Container, bridge, network, port
from tests.command import Netrt
from tests.host import Host
from tests.snapshot import differences, snapshot

pytestmark = pytest.mark.root


@pytest.fixture
def strangers(host: Host, netrt: Netrt) -> str:
    """A namespace of somebody else, and a network."""
    netrt("network", "create", "lan")
    return host.namespace("theirs")


def refused(host: Host, netrt: Netrt, *options: str) -> str:
    """The words of a refusal that changes nothing."""
    before = snapshot(host)
    said = netrt.refused("container", "create", "--name", "box", "--network", "lan", *options)
    assert not differences(before, snapshot(host))
    assert netrt("diff") == ""
    return said


def test_an_interface_of_that_name(host: Host, netrt: Netrt, strangers: str) -> None:
    host.run("ip", "-n", "theirs", "link", "add", "eth0", "type", "veth", "peer", "name", "other")
    said = refused(host, netrt, "--netns", strangers)
    assert f"an interface eth0 exists in the namespace {strangers} already" in said
    host.run("ip", "-n", "theirs", "link", "del", "eth0")
    netrt("container", "create", "--name", "box", "--network", "lan", "--netns", strangers)


def test_what_is_ours_and_nobodys_makes_room(host: Host, netrt: Netrt) -> None:
    """A link of a crash, say, under the name that the next one gets; with mending, its turn would come by itself."""
    Path("/etc/netrt/netrt.toml").write_text("mending = false\n")
    cni, lan = Cni(host, netrt=netrt), network(bridge())
    box = cni.container("c1")
    made = cni.add(lan, box)
    link = made.result["interfaces"][1]["name"]
    made.delete()
    host.run("ip", "link", "add", link, "type", "veth", "peer", "name", "stray")
    cni.add(lan, box).check()
    assert not Path("/sys/class/net/stray").exists()


def test_a_default_route(host: Host, netrt: Netrt, strangers: str) -> None:
    host.run("ip", "-n", "theirs", "link", "add", "up0", "type", "veth", "peer", "name", "up1")
    host.run("ip", "-n", "theirs", "addr", "add", "192.0.2.2/24", "dev", "up0")
    host.run("ip", "-n", "theirs", "link", "set", "up0", "up")
    host.run("ip", "-n", "theirs", "route", "add", "default", "via", "192.0.2.1")
    said = refused(host, netrt, "--netns", strangers, "-p", "8080:80")
    assert "a route to there exists that is not ours" in said
    assert "192.0.2.1" in host.run("ip", "-n", "theirs", "route", "show", "default").stdout


@pytest.mark.parametrize("family", [4, 6])
def test_ports_after_a_plugin_that_names_no_link_of_the_host(host: Host, netrt: Netrt, family: int) -> None:
    """Nothing but elements of ours then comes and goes with them, and no mending helps."""
    Path("/etc/netrt/netrt.toml").write_text("mending = false\n")
    cni = Cni(host, netrt=netrt)

    def published(container: Container, number: int) -> Config:
        address = {4: f"10.44.0.{number}/16", 6: f"fd00:44::{number}/64"}[family]
        interface = {"name": "eth0", "mac": f"02:00:00:00:44:{number}", "sandbox": container.path}
        before = {"cniVersion": "1.0.0", "interfaces": [interface], "ips": [{"address": address, "interface": 0}]}
        ports = {"portMappings": [port(8000 + number, 80)]}
        config = {
            "cniVersion": "1.0.0",
            "name": "n",
            "type": "netrt-portmap",
            "prevResult": before,
            "runtimeConfig": ports,
        }
        assert cni.execute("ADD", config, container=container.id, netns=container.path).status == 0
        return config

    published(cni.container("c2"), 99)
    box = cni.container("c1")
    held = snapshot(host)
    for number in (80, 81):
        config = published(box, number)
        assert differences(held, snapshot(host))
        assert cni.execute("DEL", config, container=box.id, netns=box.path).status == 0
        assert not differences(held, snapshot(host))
