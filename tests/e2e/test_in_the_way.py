"""What stands where something new is to come: it is found out at the first refusal, told, and left as it is."""

from __future__ import annotations

import pytest

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


def test_a_default_route(host: Host, netrt: Netrt, strangers: str) -> None:
    host.run("ip", "-n", "theirs", "link", "add", "up0", "type", "veth", "peer", "name", "up1")
    host.run("ip", "-n", "theirs", "addr", "add", "192.0.2.2/24", "dev", "up0")
    host.run("ip", "-n", "theirs", "link", "set", "up0", "up")
    host.run("ip", "-n", "theirs", "route", "add", "default", "via", "192.0.2.1")
    said = refused(host, netrt, "--netns", strangers, "-p", "8080:80")
    assert "a route to there exists that is not ours" in said
    assert "192.0.2.1" in host.run("ip", "-n", "theirs", "route", "show", "default").stdout
