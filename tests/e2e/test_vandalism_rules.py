"""What others do to our tables: nothing, where these have an owner; and where they cannot have one it is undone within a second,
with the connections that were made meanwhile."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Site
from tests.e2e.vandals import bridge, listening, mended_within_a_second, repairs, ways
from tests.host import Host
from tests.probes import probing
from tests.snapshot import differences, snapshot
from tests.waiting import wait_until

pytestmark = pytest.mark.root

ACTS = {
    "everything flushed": ("flush ruleset", "rules"),
    "table deleted": ("delete table inet netrt", "rules"),
    "table of the bridge family deleted": ("delete table bridge netrt", "rules"),
    "chain flushed": ("flush chain inet netrt forward", "rules"),
    "rule deleted": ("delete rule inet netrt forward_to_bridge handle {drop}", "rules"),
    "rule added": ("insert rule inet netrt forward accept", "rules"),
    "policy changed": ("chain inet netrt forward {{ policy drop; }}", "rules"),
    "table asleep": ("add table inet netrt {{ flags dormant; }}", "rules"),
    "set added": ("add set inet netrt intruder {{ type ipv4_addr; }}", "rules"),
    "set emptied": ("flush set inet netrt bridges", "elements"),
    "element removed": ("delete element inet netrt bridges {{ {bridge} }}", "elements"),
    "element added": ("add element inet netrt open {{ {bridge} }}", "elements"),
    "published ports removed": ("flush map inet netrt ports4", "elements"),
}


def filled(site: Site, act: str) -> str:
    chain = site.netrt.host.run("nft", "-a", "list", "chain", "inet", "netrt", "forward_to_bridge").stdout
    drop = re.findall(r"^\s*(?:goto drop_outside|drop) # handle (\d+)$", chain, re.MULTILINE)[-1]
    return act.format(drop=drop, bridge=bridge(site))


@pytest.fixture
def unlocked(host: Host) -> None:
    Path("/etc/netrt/netrt.toml").write_text("lock_rules = false\n")


def test_nobody_else_changes_rules_that_have_an_owner(site: Site) -> None:
    host, (allowed, forbidden) = site.netrt.host, ways(site)
    if "owner" not in host.run("nft", "list", "table", "inet", "netrt").stdout:
        pytest.skip("this kernel, or its nft, does not know tables with an owner that persist (Linux 6.9)")
    before = snapshot(host)
    with listening() as client, probing(allowed, forbidden):
        for name, (act, _) in ACTS.items():
            refused = host.run("nft", filled(site, act), check=False).returncode != 0
            assert refused or name == "everything flushed"
        assert not differences(before, snapshot(host))
        assert not +repairs(client)


def test_rules_without_an_owner_are_there_again_within_a_second(unlocked: None, site: Site) -> None:
    allowed, forbidden = ways(site)
    before = snapshot(site.netrt.host)
    with listening() as client, probing(allowed, forbidden, never=False) as probes:

        def done(name: str) -> float:
            """Do it, and return how long it took until all was as it should be again."""
            act, kind = ACTS[name]
            counted, began = repairs(client), time.monotonic()
            site.netrt.host.run("nft", filled(site, act))
            wait_until(lambda: repairs(client)[kind] > counted[kind], 5, f"a repair of: {name}")
            mended = time.monotonic()
            probes.flowing(mended, name)
            quiet = probes.rounds + 50
            wait_until(lambda: probes.rounds > quiet, 10)
            late = [way.arrivals[-1] - began for way in forbidden if way.arrivals and way.arrivals[-1] > began]
            return max(*(way.gap(began, time.monotonic()) for way in allowed), *late, 0.0)

        mended_within_a_second(ACTS, done)
    assert not differences(before, snapshot(site.netrt.host))
