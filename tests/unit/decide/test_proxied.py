"""Which part of a link's IPv6 subnet a network may have."""

from __future__ import annotations

import pytest

from netrt.dataplane.facts import HostFacts, Parent
from netrt.errors import Conflict, InUse, Invalid, NetrtError, NotFound
from tests.unit.decide.asking import Asked

UPLINK = Parent(addresses=("192.0.2.1/24", "2001:db8::1/64", "2001:db8:7::1/64"))
FACTS = HostFacts(
    addresses=("192.0.2.1", "2001:db8::1", "2001:db8:7::1"),
    routes=("192.0.2.0/24", "2001:db8::/64", "2001:db8:7::/64", "2001:db8:0:0:8::/80"),
    parents={"eth0": UPLINK, "br-ours": Parent(ours=True), "eth1": Parent(addresses=("10.0.0.1/24",))},
)


@pytest.mark.parametrize("cidr", ["2001:db8:0:0:1::/80", "2001:db8:7:0:8000::/65", "2001:db8::ff:0/112"])
def test_a_part_of_it(cidr: str) -> None:
    host = Asked(FACTS)
    made = host.network("part", cidr, options={"ndp_proxy": "eth0"})
    assert [subnet.cidr for subnet in made.subnets_of(6)] == [cidr]


@pytest.mark.parametrize(
    ("link", "cidrs", "more", "error", "says"),
    [
        ("eth9", ("2001:db8:0:0:1::/80",), {}, NotFound, "there is no interface eth9 on this host for network part"),
        ("eth0", (), {}, Invalid, "ndp_proxy needs a part of 2001:db8::/64, 2001:db8:7::/64 (give it as --subnet)"),
        ("eth0", ("2001:db8:7::/64",), {}, Invalid, "is no part of 2001:db8::/64"),
        ("eth0", ("fd00:1::/80",), {}, Invalid, "is no part of 2001:db8::/64"),
        ("eth0", ("2001:db8::/80",), {}, Conflict, "contains the host's own address 2001:db8::1"),
        ("eth0", ("2001:db8:0:0:8::/81",), {}, Conflict, "overlaps the host's route 2001:db8:0:0:8::/80"),
        ("eth0", ("2001:db8:0:0:1::/80",), {"internal": True}, Invalid, "is of no use to an internal network"),
        ("br-ours", ("2001:db8:9:0:1::/80",), {}, Invalid, "br-ours is netrt's own interface"),
        ("eth1", ("2001:db8:9:0:1::/80",), {}, Invalid, "eth1 has no IPv6 subnet"),
        ("eth0", ("2001:db8:0:0:2::/80",), {}, InUse, "overlaps network held"),
    ],
)
def test_what_is_refused(
    link: str, cidrs: tuple[str, ...], more: dict[str, bool], error: type[NetrtError], says: str
) -> None:
    host = Asked(FACTS)
    host.network("held", "2001:db8:0:0:2::/79", options={"ndp_proxy": "eth0"})
    with pytest.raises(error) as refusal:
        host.network("part", *cidrs, options={"ndp_proxy": link}, **more)
    assert says in str(refusal.value)
