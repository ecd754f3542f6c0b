"""Networks: what is chosen where nothing was said, and how they go."""

from __future__ import annotations

import pytest

from netrt.dataplane.facts import HostFacts
from netrt.decide.decide import decide
from netrt.decide.events import rfc3339
from netrt.decide.networks import initial_state, predefined_id
from netrt.ipam.pools import Pool, Pools
from netrt.model.command import CreateContainer, CreateNetwork, PruneNetworks
from netrt.model.network import Mode, Subnet
from tests.strategies import NOW, identifier
from tests.unit.decide.asking import Asked, told


def test_what_is_there_from_the_beginning() -> None:
    state = initial_state()
    assert {(n.name, n.mode) for n in state.networks.values()} == {("host", Mode.HOST), ("none", Mode.NONE)}
    assert state == initial_state(), "ids are fixed"
    assert state.networks[predefined_id("none")].created == "1970-01-01T00:00:00.000000000Z"
    assert rfc3339(NOW + 7) == "2025-06-15T15:06:40.000000007Z"


def test_subnets_and_gateways_are_chosen() -> None:
    host = Asked()
    (subnet,) = host.network("app").subnets
    assert subnet == Subnet(cidr="172.20.0.0/24", gateway="172.20.0.1")
    assert told(host.last) == [("network", "create", "app")]
    four, six = host.network("dual", ipv6=True).subnets
    assert four.cidr == "172.20.1.0/24"
    assert six.cidr.endswith("::/64")
    assert six.gateway == six.cidr.replace("::/64", "::1")
    (only,) = host.network("six", ipv4=False, ipv6=True).subnets
    assert only.cidr.endswith(":1::/64")


def test_a_subnet_says_its_family() -> None:
    network = Asked().network("app", "fd00:1::/64")
    assert network.ipv6
    assert [subnet.cidr for subnet in network.subnets] == ["172.20.0.0/24", "fd00:1::/64"]


def test_what_is_given_is_kept_in_canonical_text() -> None:
    host = Asked()
    given = Subnet(
        cidr="FD00:1:0::/64", gateway="fd00:1::00FE", ip_range="fd00:1::FF00/120", auxiliary={"r": "FD00:1::2"}
    )
    command = CreateNetwork(id=host.id(), name="app", ipv4=False, subnets=(given,), labels={"tier": "a"})
    network = host.ask(command).state.networks[command.id]
    assert network.subnets == (
        Subnet(cidr="fd00:1::/64", gateway="fd00:1::fe", ip_range="fd00:1::ff00/120", auxiliary={"r": "fd00:1::2"}),
    )
    assert network.labels == {"tier": "a"}


@pytest.mark.parametrize(
    "subnet",
    [
        Subnet(cidr="10.9.3.0/24", ip_range="10.9.3.2/32"),
        Subnet(cidr="10.9.3.0/24", gateway="10.9.3.9", ip_range="10.9.3.8/31"),
        Subnet(cidr="10.9.3.0/30"),
        Subnet(cidr="fd00:9::/64", ip_range="fd00:9::2/128"),
        Subnet(cidr="fd00:9::/126", auxiliary={"dns": "fd00:9::2"}),
    ],
)
def test_one_address_is_enough(subnet: Subnet) -> None:
    host = Asked()
    host.ask(CreateNetwork(id=host.id(), name="small", subnets=(subnet,)))
    host.run("box", "small")
    assert len(host.on("box")[0].addresses) == (2 if ":" in subnet.cidr else 1)


def test_a_range_without_an_address_beside_one_with_some() -> None:
    host = Asked()
    given = Subnet(cidr="10.9.3.0/24", ip_range="10.9.3.0/32"), Subnet(cidr="10.9.4.0/24")
    host.ask(CreateNetwork(id=host.id(), name="both", subnets=given))
    host.run("box", "both")
    assert host.on("box")[0].addresses == ("10.9.4.2/24",)


def test_the_gateway_avoids_auxiliary_addresses() -> None:
    host = Asked()
    given = Subnet(cidr="10.1.0.0/24", auxiliary={"a": "10.1.0.1", "b": "10.1.0.2"})
    command = CreateNetwork(id=host.id(), name="app", subnets=(given,))
    assert host.ask(command).state.networks[command.id].subnets[0].gateway == "10.1.0.3"


def test_pools_are_the_host_s() -> None:
    pools = Pools(pools=(Pool(cidr="10.5.0.0/24", size=26),), ula="fd12:3456:789a::/48")
    state = initial_state()
    facts = HostFacts(routes=("10.5.0.0/26", "0.0.0.0/1"))
    state = decide(state, CreateNetwork(id=identifier(1), name="app", ipv6=True), facts, NOW, pools).state
    assert [s.cidr for s in state.networks[identifier(1)].subnets] == ["10.5.0.64/26", "fd12:3456:789a::/64"]
    state = decide(state, CreateContainer(id=identifier(2), name="web"), facts, NOW, pools).state
    assert state.networks[predefined_id("bridge")].subnets[0].cidr == "10.5.0.128/26", "no pool has room for more"


def test_force_disconnects_all() -> None:
    host = Asked()
    app = host.network("app", "10.1.0.0/24")
    web, db = host.run("web", "app"), host.run("db", "app")
    assert told(host.remove_network(app.id[:6], force=True)) == [
        ("network", "disconnect", "app"), ("network", "disconnect", "app"), ("network", "destroy", "app")]  # fmt: skip
    assert host.last.touched.containers == {web.id, db.id}
    assert host.last.touched.networks == {app.id}
    assert not host.state.released
    assert not host.on("web")
    host.network("app", "10.1.0.0/24")


@pytest.mark.parametrize(
    ("labels", "until", "gone"),
    [
        ({}, "", ("old", "plain", "new")),
        ({"tier": ""}, "", ("old", "new")),
        ({"tier": "a"}, "", ("old",)),
        ({"tier": "a", "owner": ""}, "", ()),
        ({}, "2025-06-15T15:06:40.5Z", ("old", "plain")),
        ({}, "2025-06-15T17:06:40.5+02:00", ("old", "plain")),
        ({"tier": ""}, "2025-06-15 15:06:40.5", ("old",)),
        ({}, "2025-06-15T15:06:40Z", ()),
    ],
)
def test_prune(labels: dict[str, str], until: str, gone: tuple[str, ...]) -> None:
    host = Asked()
    host.run("web")
    host.network("old", labels={"tier": "a"})
    host.network("used")
    host.network("plain")
    host.run("db", "used")
    host.count += 10**9
    host.network("new", labels={"tier": "b"})
    decision = host.ask(PruneNetworks(labels=labels, until=until))
    assert decision.removed == gone
    assert told(decision) == [("network", "destroy", name) for name in gone]
    assert {"bridge", "host", "none", "used"} <= set(host.state.network_names)
