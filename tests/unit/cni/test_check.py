"""CHECK and STATUS: each single thing that is not as it was made is found, and said which."""

from __future__ import annotations

from typing import Any

import pytest

from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import Foreign, Link, Object, Pin
from netrt.model.network import Network
from tests.fakes import FakeKernel
from tests.unit.cni.conftest import BEFORE, NETNS, Desk, Json, config

CHAIN: tuple[tuple[str, Json], ...] = (
    ("netrt-bridge", {"runtimeConfig": {"ips": ["10.22.0.9"]}, "macspoofchk": True}),
    ("netrt-portmap", {}),
    ("netrt-bandwidth", {"egressRate": 1_000_000}),
    ("netrt-tuning", {"sysctl": {"net.core.somaxconn": "7"}, "promisc": True}),
    ("netrt-firewall", {}),
)


def added(desk: Desk) -> list[tuple[str, Json]]:
    """The chain, each with the result that CHECK gets: that of the last one."""
    result: Json | None = None
    for plugin, more in CHAIN:
        result = desk.ask(plugin, "ADD", config(plugin, **more, prevResult=result))
        assert "code" not in result, result
    return [(plugin, config(plugin, **more, prevResult=result)) for plugin, more in CHAIN]


def kernel_of(desk: Desk) -> FakeKernel:
    kernel = desk.api.engine._kernel
    assert isinstance(kernel, FakeKernel)
    return kernel


def words_of(thing: Object) -> str:
    """What a message must have of it: the last part of what it is known by."""
    return str(getattr(thing, "name", "") or getattr(thing, "address", "") or getattr(thing, "dst", "") or "")


def test_each_single_thing_that_is_removed(desk: Desk) -> None:
    chain, kernel = added(desk), kernel_of(desk)
    whole, found = kernel.host, 0
    for plugin, given in chain:
        assert desk.ask(plugin, "CHECK", given) == {}, plugin
    for key, thing in whole.objects.items():
        if isinstance(thing, Pin | Foreign):
            continue
        kernel.host = HostState.of(other for other in whole.objects.values() if other is not thing)
        answers = [desk.ask(plugin, "CHECK", given) for plugin, given in chain]
        said = [answer["msg"] for answer in answers if answer]
        kernel.host = whole
        assert said, f"nobody misses {key}"
        found += 1
        assert all(answer.get("code", 105) == 105 for answer in answers)
        assert all(words_of(thing) in words for words in said), (key, said)
    assert found > 15


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mac": "02:00:00:00:00:77"}, "has mac 02:00:00:00:00:77"),
        ({"mtu": 9000}, "has mtu 9000"),
        ({"up": False}, "has up"),
        ({"master": "other"}, "has master other"),
    ],
    ids=["mac", "mtu", "down", "master"],
)
def test_each_property_of_a_link(desk: Desk, change: dict[str, Any], words: str) -> None:
    (plugin, given), *_ = added(desk)
    kernel = kernel_of(desk)
    whole, name = kernel.host, "master" in change or "up" in change
    for link in whole.all(Link):
        if (link.netns == "") != name or not link.peer:
            continue
        changed = type(link)(**{field: getattr(link, field) for field in link.__struct_fields__} | change)
        kernel.host = HostState.of(changed if thing is link else thing for thing in whole.objects.values())
        answer = desk.ask(plugin, "CHECK", given)
        assert answer["code"] == 105
        assert words in answer["msg"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ips": [{"address": "10.22.0.77/16", "interface": 0}]}, "10.22.0.77/16"),
        ({"interfaces": [{"name": "eth0", "sandbox": NETNS, "mac": "02:00:00:00:00:77"}]}, "02:00:00:00:00:77"),
    ],
    ids=["address", "mac"],
)
def test_what_the_runtime_remembers_differently(desk: Desk, change: Json, words: str) -> None:
    (plugin, given), *_ = added(desk)
    before = {**given["prevResult"], "interfaces": [{"name": "eth0", "sandbox": NETNS}], "ips": [], **change}
    answer = desk.ask(plugin, "CHECK", {**given, "prevResult": before})
    assert answer["code"] == 105
    assert words in answer["msg"]


def test_a_container_that_is_not_known(desk: Desk) -> None:
    answer = desk.ask("netrt-bridge", "CHECK", config("netrt-bridge", prevResult=BEFORE))
    assert answer["code"] == 3
    assert "c1" in answer["msg"]


# STATUS


def test_ready(desk: Desk) -> None:
    for plugin in ("netrt", "netrt-bridge", "netrt-host-local", "netrt-portmap", "netrt-loopback"):
        assert desk.ask(plugin, "STATUS", config(plugin)) == {}


def test_no_address_left_is_50(desk: Desk) -> None:
    ipam = {"type": "netrt-host-local", "subnet": "10.22.0.0/30"}
    given = config("netrt-bridge", ipam=ipam)
    assert desk.ask("netrt-bridge", "STATUS", given) == {}
    assert "code" not in desk.ask("netrt-bridge", "ADD", given)
    answer = desk.ask("netrt-bridge", "STATUS", given)
    assert answer["code"] == 50
    assert "no IPv4 address left" in answer["msg"]
    assert desk.ask("netrt-bridge", "ADD", given, CNI_IFNAME="eth1")["code"] == 103
    assert desk.ask("netrt-bridge", "DEL", given) == {}, "whatever STATUS says"
    assert desk.ask("netrt-bridge", "STATUS", given) == {}


def test_a_network_that_is_not_there_is_50(desk: Desk) -> None:
    answer = desk.ask("netrt", "STATUS", config("netrt", mode=None, subnets=None))
    assert answer["code"] == 50
    assert "mynet" in answer["msg"]


def test_a_broken_bridge_is_51_where_containers_suffer_else_50(desk: Desk) -> None:
    given, kernel = config("netrt-bridge"), kernel_of(desk)
    assert "code" not in desk.ask("netrt-bridge", "ADD", given)
    whole = kernel.host
    kernel.host = HostState.of(thing for thing in whole.objects.values() if getattr(thing, "name", "") != "cni0")
    answer = desk.ask("netrt-bridge", "STATUS", given)
    assert answer["code"] == 51
    assert "cni0" in answer["msg"]
    kernel.host = whole
    desk.ask("netrt-bridge", "DEL", given)
    whole = kernel.host
    kernel.host = HostState.of(thing for thing in whole.objects.values() if getattr(thing, "name", "") != "cni0")
    assert desk.ask("netrt-bridge", "STATUS", given)["code"] == 50
    assert all(isinstance(network, Network) for network in desk.state.networks.values())


def test_an_engine_that_ended_is_51(desk: Desk) -> None:
    desk.api.engine.close()
    for plugin in ("netrt-bridge", "netrt-portmap"):
        assert desk.ask(plugin, "STATUS", config(plugin))["code"] == 51
    desk.api.engine._jobs.put(None)
