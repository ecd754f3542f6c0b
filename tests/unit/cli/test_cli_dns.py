"""`netrt dns`: what is asked of the daemon and what is printed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.cli.conftest import Netrt
from tests.unit.cli.standin import StandIn

WWW: dict[str, Any] = {
    "Name": "www.",
    "Type": "A",
    "From": "db",
    "Outcome": "answered",
    "Status": "NOERROR",
    "Why": "a network that it sees has this name",
    "Records": [
        {"Name": "www.", "Type": "A", "TTL": 5, "Data": "10.1.0.2"},
        {"Name": "www.", "Type": "A", "TTL": 5, "Data": "10.1.0.3"},
    ],
    "Because": [
        {"Network": "app", "Name": "www", "Type": "A", "Data": "10.1.0.2", "Container": "web", "As": "alias"},
        {"Network": "app", "Name": "www", "Type": "A", "Data": "10.1.0.3", "Container": "db", "As": "alias"},
    ],
    "Upstreams": [],
}
UPSTREAMS = ({"Address": "192.0.2.1", "FromHost": False}, {"Address": "::1", "FromHost": True})
TABLE = """\
NAME      TYPE      DATA       TTL       WHY
www.      A         10.1.0.2   5         alias of web on app
www.      A         10.1.0.3   5         alias of db on app
"""


def nothing(outcome: str, status: str, why: str, *upstreams: dict[str, Any]) -> dict[str, Any]:
    return WWW | {
        "Outcome": outcome,
        "Status": status,
        "Why": why,
        "Upstreams": upstreams,
        "Records": [],
        "Because": [],
    }


def test_an_answer_is_a_table_with_reasons(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("GET", "/netrt/dns/query", WWW)
    assert netrt("dns", "query", "--from", "db", "www", "a").out == TABLE
    assert daemon.asked[-1].query == {"name": "www", "type": "a", "from": "db"}


def test_without_a_type_both_kinds_of_addresses_are_meant(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("GET", "/netrt/dns/query", WWW)
    done = netrt("dns", "query", "www", "--format", "json")
    assert [json.loads(line) for line in done.out.splitlines()] == [WWW, WWW]
    assert [each.query for each in daemon.asked[-2:]] == [{"name": "www", "type": kind} for kind in ("A", "AAAA")]
    for address in ("10.1.0.2", "fd00::2"):
        netrt("dns", "query", address)
        assert daemon.asked[-1].query == {"name": address}


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (nothing("answered", "NXDOMAIN", "nothing has it"), "www. NXDOMAIN: nothing has it"),
        (nothing("refused", "REFUSED", "it may not"), "www. REFUSED: it may not"),
        (nothing("elsewhere", "", "it is elsewhere"), "www. not asked of netrt: it is elsewhere"),
        (
            nothing("forwarded", "", "no such name", *UPSTREAMS),
            "www. forwarded to 192.0.2.1, ::1 (from the host): no such name",
        ),
    ],
)  # fmt: skip
def test_where_there_is_no_answer_a_line_says_why(
    daemon: StandIn, netrt: Netrt, said: dict[str, Any], line: str
) -> None:
    daemon.answer("GET", "/netrt/dns/query", said)
    done = netrt("dns", "query", "www")
    assert (done.status, done.out, done.err) == (0, f"{line}\n", "")


def test_a_zone(daemon: StandIn, netrt: Netrt) -> None:
    records = WWW["Because"]
    daemon.answer("GET", "/netrt/dns/zones/app", {"Network": "app", "Domain": "app", "TTL": 5, "Records": records})
    assert netrt("dns", "ls", "app").out.splitlines() == [
        "NAME      TYPE      DATA       WHOSE",
        "www       A         10.1.0.2   alias of web",
        "www       A         10.1.0.3   alias of db",
    ]
    lines = netrt("dns", "ls", "app", "--format", "json").out.splitlines()
    assert [json.loads(line)["Container"] for line in lines] == ["web", "db"]


def test_refusals_are_one_line(daemon: StandIn, netrt: Netrt) -> None:
    done = netrt("dns", "ls", "nowhere")
    assert (done.status, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1
    assert netrt("dns", "query").status == netrt("dns", "query", "--from", "", "web").status == 2
