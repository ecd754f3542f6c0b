"""Networks that change while they are used."""

from __future__ import annotations

from typing import Any

import pytest

from netrt.dataplane.facts import HostFacts, Parent
from netrt.decide.defined import defined
from netrt.errors import Conflict, Exhausted, InUse, Invalid, NetrtError, NotFound
from netrt.ipam.pools import DEFAULT
from netrt.model.command import Definition, UpdateNetwork
from netrt.model.decision import Touched
from netrt.model.network import Mode, Subnet
from tests.unit.decide.asking import Asked, told

FACTS = HostFacts(
    routes=("192.0.2.0/24", "10.64.0.0/10"),
    parents={"up0": Parent(addresses=("10.5.0.9/29", "10.5.1.1/24"), mac="02:00:00:00:01:00")},
)


@pytest.fixture
def host() -> Asked:
    asked = Asked(FACTS)
    asked.network("app", "10.1.0.0/29", "fd00:1::/64", labels={"tier": "front"})
    asked.network("four", "10.3.0.0/30")
    asked.network("six", "fd00:6::/64", ipv4=False)
    asked.run("web", "app")
    asked.run("db", "app")
    asked.run("lone", "four")
    return asked


def update(host: Asked, network: str, *grow: str, add: tuple[str, ...] = (), **more: Any) -> Any:
    added = tuple(Subnet(cidr=cidr) for cidr in add)
    return host.ask(UpdateNetwork(network=network, grow=grow, add=added, **more))


def test_addresses_stay_and_the_rest_can_be_had(host: Asked) -> None:
    decision = update(host, "app", "10.1.0.0/28", "fd00:1::/60")
    assert told(decision) == [("network", "update", "app")]
    assert host.on("web")[0].addresses == ("10.1.0.2/28", "fd00:1::2/60")
    assert decision.touched.containers == {a.container_id for name in ("web", "db") for a in host.on(name)}
    for number in range(11):  # 14 hosts in a /28, the gateway and two among them
        host.run(f"c{number}", "app")
    assert host.on("c10")[0].address4 == "10.1.0.14/28"
    with pytest.raises(Exhausted):
        host.run("more", "app")


def test_it_can_grow_and_get_a_family_at_once(host: Asked) -> None:
    update(host, "four", "10.3.0.0/29", add=("fd00:3::/64",), ipv6=True)
    assert host.on("lone")[0].addresses == ("10.3.0.2/29", "fd00:3::2/64")
    host.remove("lone")
    host.run("lone", "four")
    assert host.on("lone")[0].addresses == ("10.3.0.2/29", "fd00:3::2/64")


def test_what_rested_rests_in_what_is_larger(host: Asked) -> None:
    host.remove("db")
    update(host, "app", "10.1.0.0/24")
    assert host.run("db", "app").name == "db"
    assert host.on("db")[0].address4 == "10.1.0.3/24"


def test_a_further_subnet_is_used_after_the_first(host: Asked) -> None:
    update(host, "four", add=("10.4.0.0/24",))
    host.run("next", "four")
    assert host.on("next")[0].address4 == "10.4.0.2/24"
    assert host.on("lone")[0].address4 == "10.3.0.2/30"


def test_a_family_comes_for_all_who_are_there(host: Asked) -> None:
    update(host, "four", ipv6=True)
    assert host.state.networks[host.state.network_names["four"]].ipv6
    assert host.on("lone")[0].address6.endswith("::2/64")
    held = host.state
    assert not told(update(host, "four", ipv6=True)), "it is there"
    assert host.state == held


def test_labels_and_resolvers_touch_nothing(host: Asked) -> None:
    decision = update(host, "app", labels={"a": "b"}, unlabel=("tier",), dns=("192.0.2.53", "2001:DB8::1"))
    network = host.state.networks[decision.id]
    assert (network.labels, network.dns) == ({"a": "b"}, ("192.0.2.53", "2001:db8::1"))
    assert decision.touched == Touched()
    update(host, "app", labels={"a": "c"})
    assert host.state.networks[decision.id].dns == ("192.0.2.53", "2001:db8::1")


def test_addresses_of_the_host_on_a_parent_are_given_to_nobody(host: Asked) -> None:
    made = host.network("lan", "10.5.0.0/29", mode=Mode.MACVLAN, options={"parent": "up0"})
    update(host, "lan", "10.5.0.0/23")
    assert host.state.networks[made.id].subnets[0].auxiliary == {"host": "10.5.0.9", "host2": "10.5.1.1"}


REFUSED: list[tuple[str, tuple[str, ...], dict[str, Any], type[NetrtError], str]] = [
    ("nobody", (), {}, NotFound, "no network named nobody"),
    ("host", (), {"labels": {"a": "b"}}, Invalid, "network host is predefined and cannot be changed"),
    ("app", ("10.9.0.0/16",), {}, Invalid, "contains no subnet of network app (has: 10.1.0.0/29, fd00:1::/64)"),
    ("app", ("10.1.0.0/29",), {}, Invalid, "network app has subnet 10.1.0.0/29 already (a larger block is expected)"),
    ("app", ("10.1.0.0/30",), {}, Invalid, "10.1.0.0/30 is smaller than subnet 10.1.0.0/29"),
    ("app", ("10.1.0.9/28",), {}, Invalid, "did you mean 10.1.0.0/28?"),
    ("app", ("10.0.0.0/14",), {}, InUse, "subnet 10.0.0.0/14 overlaps network four (10.3.0.0/30)"),
    ("four", ("10.0.0.0/8",), {}, InUse, "overlaps network app"),
    ("app", (), {"add": ("10.65.0.0/24",)}, Conflict, "overlaps the host's route 10.64.0.0/10"),
    ("app", (), {"add": ("10.1.0.0/28",)}, Invalid, "10.1.0.0/29 and 10.1.0.0/28 of one network overlap"),
    ("four", (), {"add": ("fd00:4::/64",)}, Invalid, "is IPv6, which network four has not (wish for it: --ipv6)"),
    ("six", (), {"add": ("10.6.0.0/24",)}, Invalid, "is IPv4, which network six has not (make another network)"),
    ("app", (), {"unlabel": ("owner",)}, NotFound, "network app has no label owner (has: tier)"),
    ("app", (), {"labels": {"": "x"}}, Invalid, "label"),
    ("app", (), {"dns": ("there",)}, Invalid, "invalid resolver 'there'"),
]


@pytest.mark.parametrize(("network", "grow", "more", "error", "says"), REFUSED)
def test_what_is_refused(
    host: Asked, network: str, grow: tuple[str, ...], more: dict[str, Any], error: type[NetrtError], says: str
) -> None:
    before = host.state
    with pytest.raises(error) as refusal:
        update(host, network, *grow, **more)
    assert says in str(refusal.value)
    assert host.state == before


def test_two_subnets_do_not_grow_into_one(host: Asked) -> None:
    update(host, "four", add=("10.3.0.128/25",))
    with pytest.raises(Invalid, match="contains several subnets"):
        update(host, "four", "10.3.0.0/24")


def test_what_a_runtime_configures_is_changed_there(host: Asked) -> None:
    asked = Definition(id="f" * 64, name="pods", plugin="netrt-bridge", subnets=(Subnet(cidr="10.7.0.0/24"),))
    host.state = defined(host.state, asked, FACTS, 0, DEFAULT)[0]
    with pytest.raises(Invalid, match="follows a configuration of netrt-bridge"):
        update(host, "pods", "10.7.0.0/23")
