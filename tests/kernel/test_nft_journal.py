"""What netrt knows of its tables without listing them, while others change theirs, or ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyroute2.netlink import NETLINK_NETFILTER

from netrt.dataplane.objects import Element, Skeleton
from netrt.firewall.skeleton import skeleton
from netrt.kernel.netlink import Netlink
from netrt.kernel.nfnetlink import generation
from netrt.kernel.nft import Nft
from netrt.kernel.nftjournal import Abroad, Journal
from tests.host import Host

pytestmark = pytest.mark.root

BRIDGE = Element(table="inet", set="bridges", at=("nrtest",))
OTHER = Element(table="inet", set="bridges", at=("nrother",))


@pytest.fixture
def nft(host: Host) -> Iterator[Nft]:
    made = Nft()
    made.load(skeleton(frozenset()), (BRIDGE,))
    yield made
    made.close()


def held(nft: Nft) -> set[Element | Skeleton]:
    return set(nft.seen(None))


def test_a_change_of_a_foreign_table_is_not_ours(host: Host) -> None:
    netlink = Netlink(NETLINK_NETFILTER)
    journal = Journal(netlink)
    host.run("nft", "-f", "-", input="table ip foreign { set s { type ipv4_addr; elements = { 10.0.0.1 }; }; }")
    assert not journal.others_changed_ours(generation(netlink))
    host.run("nft", "add", "table", "inet", "netrt")
    assert journal.others_changed_ours(generation(netlink))
    assert not journal.others_changed_ours(generation(netlink)), "told once"


@pytest.mark.parametrize(
    "vandalism",
    [
        "add element inet netrt bridges { nrother }",
        "delete element inet netrt bridges { nrtest }",
        "flush set inet netrt bridges",
        "delete table inet netrt",
        "flush ruleset",
    ],
)
def test_what_others_do_to_our_tables_is_seen(host: Host, nft: Nft, vandalism: str) -> None:
    before = held(nft)
    assert BRIDGE in before
    host.run("nft", *vandalism.split())
    assert held(nft) != before


def test_our_changes_amid_foreign_ones_are_known(host: Host, nft: Nft) -> None:
    for number in range(5):
        host.run("nft", "add", "table", "ip", f"foreign{number}")
        nft.change((), (OTHER,))
        assert {BRIDGE, OTHER} <= held(nft)
        host.run("nft", "delete", "table", "ip", f"foreign{number}")
        nft.change((OTHER,), ())
        assert OTHER not in held(nft)


def test_lost_announcements_mean_a_new_look(host: Host, nft: Nft) -> None:
    elements = ", ".join(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(150_000))
    host.run(
        "nft", "-f", "-", input=f"table ip foreign {{ set s {{ type ipv4_addr; elements = {{ {elements} }}; }}; }}"
    )
    host.run("nft", "add", "element", "inet", "netrt", "bridges", "{ nrother }")
    assert OTHER in held(nft)


def test_sandboxes_in_which_something_is_taken_from_our_table(host: Host) -> None:
    """And not those in which it is made, or in which tables of others are changed, nor the host itself."""
    abroad = Abroad()
    host.namespace("box")
    host.run("ip", "netns", "set", "box", "7")

    def robbed(what: str, *where: str) -> set[int]:
        host.run(*where, "nft", "-f", "-", input=what.replace("; ", "\n"))
        found, lost = abroad.robbed()
        assert not lost
        return set(found)

    inside = ("ip", "netns", "exec", "box")
    made = "add table ip netrt; add chain ip netrt names; add rule ip netrt names accept"
    assert robbed(made, *inside) == set()
    assert (
        robbed("add table ip own; add chain ip own c; add rule ip own c accept; add table inet netrt", *inside) == set()
    )
    assert robbed("flush chain ip own c; delete table inet netrt", *inside) == set()
    assert robbed("flush ruleset; add table ip other", *inside) == {7}
    assert robbed(made, *inside) == set()
    assert robbed("flush chain ip netrt names", *inside) == {7}
    assert robbed(made) == robbed("flush ruleset") == set(), "the host"
    abroad.close()
