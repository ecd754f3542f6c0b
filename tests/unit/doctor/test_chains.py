"""Which packets base chains of others drop, by rules in libnftables' JSON."""

from __future__ import annotations

from typing import Any

import pytest

from netrt.doctor.chains import Packet, Ruleset

OUT = Packet(iif="nr0", oif="eth0", source="10.1.0.2", target="203.0.113.1")
BACK = Packet(iif="eth0", oif="nr0", source="203.0.113.1", target="10.1.0.2", state="established")
OUT6 = Packet(iif="nr0", oif="eth0", source="fd00::2", target="2001:2::1")


def match(left: dict[str, Any], right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def meta(key: str, right: Any, op: str = "==") -> dict[str, Any]:
    return match({"meta": {"key": key}}, right, op)


def source(right: Any) -> dict[str, Any]:
    return match({"payload": {"protocol": "ip", "field": "saddr"}}, right)


STATE = match({"ct": {"key": "state"}}, {"set": ["established", "related"]}, "in")
ACCEPT, DROP, COUNT = {"accept": None}, {"drop": None}, {"counter": {"packets": 1, "bytes": 2}}
XT = {"xt": {"type": "match", "name": "addrtype"}}


def rules(*bodies: list[dict[str, Any]], policy: str = "drop", family: str = "ip", **chains: Any) -> Ruleset:
    """A base chain `f` (handle 1) with these rules (handles from 10), and more chains by name."""
    place = {"family": family, "table": "t"}
    base = {**place, "name": "f", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": policy}
    listing: list[dict[str, Any]] = [{"chain": base}]
    for chain, held in {"f": bodies, **chains}.items():
        listing += [{"rule": {**place, "chain": chain, "handle": 10 + n, "expr": e}} for n, e in enumerate(held)]
    return Ruleset(listing)


def verdict(ruleset: Ruleset, packet: Packet) -> str:
    """`ok`, or who drops, with a question mark where a rule that cannot be read might save the packet."""
    blamed = list(ruleset.drops(packet))
    return " ".join(f"{b.chain}:{b.handle}{'' if b.sure else '?'}" for b in blamed) or "ok"


@pytest.mark.parametrize(
    ("ruleset", "packet", "said"),
    [
        (rules(), OUT, "f:1"),
        (rules(policy="accept"), OUT, "ok"),
        (rules(family="ip6"), OUT, "ok"),
        (rules(family="ip6"), OUT6, "f:1"),
        (rules(family="inet"), OUT6, "f:1"),
        (rules([STATE, ACCEPT]), OUT, "f:1"),
        (rules([STATE, ACCEPT]), BACK, "ok"),
        (rules([meta("iifname", "nr0"), COUNT, ACCEPT]), OUT, "ok"),
        (rules([meta("iifname", "nr*"), ACCEPT]), OUT, "ok"),
        (rules([meta("iifname", "docker0", "!="), ACCEPT]), OUT, "ok"),
        (rules([meta("oifname", {"set": ["eth1", "eth2"]}), ACCEPT]), OUT, "f:1"),
        (rules([source({"prefix": {"addr": "10.0.0.0", "len": 8}}), ACCEPT]), OUT, "ok"),
        (rules([source({"prefix": {"addr": "10.2.0.0", "len": 16}}), ACCEPT]), OUT, "f:1"),
        (rules([source("@trusted"), ACCEPT]), OUT, "f:1?"),
        (rules([XT, ACCEPT]), OUT, "f:1?"),
        (rules([meta("oifname", "eth0"), DROP], policy="accept"), OUT, "f:10"),
        (rules([XT, ACCEPT], [meta("oifname", "eth0"), {"reject": {}}], policy="accept"), OUT, "f:11?"),
        (rules([XT, DROP], policy="accept"), OUT, "ok"),
        (rules([{"jump": {"target": "user"}}], user=[[meta("iifname", "nr0"), ACCEPT]]), OUT, "ok"),
        (rules([{"jump": {"target": "user"}}], user=[[{"return": None}], [ACCEPT]]), OUT, "f:1"),
        (rules([{"jump": {"target": "user"}}], policy="accept", user=[[DROP]]), OUT, "user:10"),
        (rules([{"goto": {"target": "user"}}], [ACCEPT], user=[]), OUT, "f:1"),
        (rules([{"jump": {"target": "f"}}]), OUT, "f:1"),
    ],
)
def test_who_drops(ruleset: Ruleset, packet: Packet, said: str) -> None:
    assert verdict(ruleset, packet) == said


def test_our_own_chains_are_nobody_elses() -> None:
    chain = {"family": "inet", "table": "netrt", "name": "f", "handle": 1, "type": "filter", "hook": "forward"}
    assert not list(Ruleset([{"chain": {**chain, "policy": "drop"}}]).drops(OUT))
