"""What a runtime wishes for one attachment: capabilities, `args.cni` and CNI_ARGS, each where it counts."""

from __future__ import annotations

from typing import Any

import pytest

from netrt.model.command import RemoveNetwork
from tests.unit.cni.conftest import LOCAL, Desk, Json, config


def made(desk: Desk, plugin: str = "netrt-bridge", cni_args: str = "", **more: Any) -> Json:
    """The result of ADD."""
    answer = desk.ask(plugin, "ADD", config(plugin, **more), CNI_ARGS=cni_args)
    assert "code" not in answer, answer
    return answer


def addresses(result: Json) -> list[str]:
    return [ip["address"] for ip in result["ips"]]


@pytest.mark.parametrize(
    ("args", "more"),
    [
        ("IP=10.22.0.7", {}),
        ("IgnoreUnknown=true;X=y;IP=10.22.0.7/16", {}),
        ("", {"args": {"cni": {"ips": ["10.22.0.7"]}}}),
        ("", {"runtimeConfig": {"ips": ["10.22.0.7/16"]}}),
        ("IP=10.22.0.8", {"args": {"cni": {"ips": ["10.22.0.7"]}}}),
        ("IP=10.22.0.8", {"runtimeConfig": {"ips": ["10.22.0.7"]}}),
    ],
)
def test_an_address(desk: Desk, args: str, more: Json) -> None:
    assert addresses(made(desk, cni_args=args, **more)) == ["10.22.0.7/16"]


@pytest.mark.parametrize(
    ("args", "more"),
    [
        ("MAC=02:00:00:00:00:07", {}),
        ("", {"args": {"cni": {"mac": "02:00:00:00:00:07"}}}),
        ("MAC=02:00:00:00:00:08", {"runtimeConfig": {"mac": "02:00:00:00:00:07"}}),
    ],
)
def test_a_mac(desk: Desk, args: str, more: Json) -> None:
    for plugin in ("netrt", "netrt-bridge", "netrt-macvlan"):
        assert made(desk, plugin, args, **more)["interfaces"][-1]["mac"] == "02:00:00:00:00:07"
        assert desk.ask(plugin, "DEL", config(plugin)) == {}
        desk.api.engine.submit(RemoveNetwork(network="mynet")).result()


def test_ranges(desk: Desk) -> None:
    """Those of the runtime come before those of the configuration."""
    chosen = [[{"subnet": "10.90.0.0/16", "rangeStart": "10.90.1.1"}], [{"subnet": "fd00:90::/64"}]]
    ipam = {"type": "netrt-host-local"}
    assert addresses(made(desk, ipam=ipam, runtimeConfig={"ipRanges": chosen})) == ["10.90.1.1/16", "fd00:90::2/64"]


PORTS: tuple[tuple[list[Json], set[str]], ...] = (
    ([{"hostPort": 80, "containerPort": 8080}], {"80:8080/tcp"}),
    ([{"hostPort": 80, "containerPort": 8080, "protocol": "UDP"}], {"80:8080/udp"}),
    ([{"hostPort": 80, "containerPort": 8080, "protocol": "sctp"}], {"80:8080/sctp"}),
    ([{"hostPort": 80, "containerPort": 80, "hostIP": "127.0.0.1"}], {"127.0.0.1:80:80/tcp"}),
    ([{"hostPort": 80, "containerPort": 80, "range": 3}], {"80-82:80-82/tcp"}),
    ([{"hostPort": port, "containerPort": port} for port in (80, 82, 81, 81)], {"80-82:80-82/tcp"}),
    ([{"hostPort": 80, "containerPort": 80}, {"hostPort": 81, "containerPort": 80}], {"80:80/tcp", "81:80/tcp"}),
)


@pytest.mark.parametrize(("mappings", "wanted"), PORTS)
@pytest.mark.parametrize("plugin", ["netrt-bridge", "netrt-portmap", "netrt"])
def test_ports(desk: Desk, plugin: str, mappings: list[Json], wanted: set[str]) -> None:
    made(desk, plugin, runtimeConfig={"portMappings": mappings})
    (container,) = desk.state.containers.values()
    assert set(shown(container.ports)) == wanted


def shown(ports: Any) -> list[str]:
    """As people write them."""

    def span(first: int, count: int) -> str:
        return str(first) if count == 1 else f"{first}-{first + count - 1}"

    return [
        f"{p.host_ip + ':' if p.host_ip else ''}{span(p.host_port, p.count)}:{span(p.container_port, p.count)}/{p.protocol}"
        for p in ports
    ]


def test_labels_and_the_name_of_a_pod(desk: Desk) -> None:
    pod = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0;K8S_POD_UID=u1;K8S_POD_INFRA_CONTAINER_ID=abc"
    made(desk, cni_args=pod, args={"cni": {"labels": [{"key": "tier", "value": "back"}]}})
    (container,) = desk.state.containers.values()
    assert container.name == "cart-0"
    assert dict(container.labels) == {
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.name": "cart-0",
        "io.kubernetes.pod.uid": "u1",
        "io.kubernetes.pod.sandbox": "abc",
        "tier": "back",
    }


def test_an_unknown_argument_is_refused_unless_it_may_be_ignored(desk: Desk) -> None:
    answer = desk.ask("netrt-bridge", "ADD", config("netrt-bridge"), CNI_ARGS="X=y")
    assert answer["code"] == 4
    assert "X" in answer["msg"]
    assert made(desk, cni_args="X=y;IgnoreUnknown=1")


HELD = {**LOCAL, "subnet": "10.22.0.0/24"}
"""Out of which c1 has 10.22.0.2 when its network's configuration is changed."""


@pytest.mark.parametrize(
    ("ipam", "words"),
    [
        ({"gateway": "10.22.0.2"}, "10.22.0.2 cannot be the gateway of network mynet: c1 holds it"),
        ({"subnet": "10.22.0.0/16"}, "subnet 10.22.0.0/16 overlaps 10.22.0.0/24, in which c1 holds 10.22.0.2"),
        ({"subnet": "10.22.0.0/29"}, "subnet 10.22.0.0/29 overlaps 10.22.0.0/24, in which c1 holds 10.22.0.2"),
    ],
)
@pytest.mark.parametrize("plugin", ["netrt-bridge", "netrt-host-local"])
def test_a_changed_configuration_takes_no_address_from_who_holds_it(
    desk: Desk, plugin: str, ipam: Json, words: str
) -> None:
    made(desk, plugin, ipam=HELD)
    before = desk.state
    again = config(plugin, ipam={**HELD, **ipam})
    answer = desk.ask(plugin, "ADD", again, CNI_IFNAME="eth1")
    assert (answer["code"], answer["msg"]) == (102, words)
    assert desk.state is before
    assert desk.ask(plugin, "DEL", config(plugin)) == {}
    assert addresses(desk.ask(plugin, "ADD", again)), "nobody holds it any more"


def test_the_bridge_keeps_the_address_by_which_routes_lead(desk: Desk) -> None:
    made(desk, ipam=HELD)
    answer = desk.ask(
        "netrt-bridge", "ADD", config("netrt-bridge", ipam={**HELD, "gateway": "10.22.0.9"}), CNI_IFNAME="eth1"
    )
    assert answer["msg"] == "10.22.0.1 stays the gateway of network mynet: c1 goes by it"


@pytest.mark.parametrize(
    ("ipam", "address"),
    [
        ({}, "10.22.0.3/24"),
        ({"rangeStart": "10.22.0.9"}, "10.22.0.9/24"),
        ({"subnet": "10.23.0.0/16"}, "10.23.0.2/16"),
        ({"ranges": [[{"subnet": "fd00:22::/64"}]]}, "fd00:22::2/64"),
    ],
)
def test_a_configuration_may_stay_or_change_otherwise(desk: Desk, ipam: Json, address: str) -> None:
    made(desk, ipam=HELD)
    answer = desk.ask("netrt-bridge", "ADD", config("netrt-bridge", ipam={**HELD, **ipam}), CNI_IFNAME="eth1")
    assert address in addresses(answer)
