"""What helps against what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from netrt.doctor.evidence import Evidence
from netrt.doctor.findings import findings
from netrt.model.network import BRIDGE_NAME
from tests.unit.decide.asking import Asked


def dropping(family: str, table: str, chain: str) -> list[dict[str, Any]]:
    """A base chain of somebody else that lets nothing be forwarded."""
    base = {"family": family, "table": table, "name": chain, "handle": 1}
    return [{"chain": {**base, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}}]


@pytest.mark.parametrize(
    ("chain", "commands"),
    [
        (
            ("inet", "other", "f"),
            [
                'nft insert rule inet other f oifname { "br-a", "br-b" } accept',
                'nft insert rule inet other f iifname { "br-a", "br-b" } accept',
            ],
        ),
        (
            ("ip", "filter", "FORWARD"),
            [f"iptables -I FORWARD {way} {bridge} -j ACCEPT" for bridge in ("br-a", "br-b") for way in ("-i", "-o")],
        ),
        (
            ("ip", "filter", "ufw-forward"),
            [f"ufw route allow {way} on {bridge}" for bridge in ("br-a", "br-b") for way in ("in", "out")],
        ),
        (
            ("inet", "firewalld", "filter_FORWARD"),
            [
                "firewall-cmd --permanent --zone=trusted --add-interface=br-a",
                "firewall-cmd --permanent --zone=trusted --add-interface=br-b",
                "firewall-cmd --reload",
            ],
        ),
    ],
)
def test_what_helps_against_a_chain_that_drops_helps_every_network(
    chain: tuple[str, str, str], commands: list[str]
) -> None:
    host = Asked()
    for number, name in enumerate(("a", "b")):
        host.network(name, f"10.{number}.0.0/24", options={BRIDGE_NAME: f"br-{name}"})
    settings = {"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"}
    (found,) = findings(host.state, Evidence(settings=settings, ruleset=dropping(*chain), uplinks=("eth0",)))
    assert found.networks == ("a", "b")
    assert found.remedy.split("; ") == commands
