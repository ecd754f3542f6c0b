"""Names through the API: the zone of a network, and answers with their reasons."""

from __future__ import annotations

from typing import Any

import pytest

from netrt.api.client import Client
from netrt.errors import Invalid, NotFound


@pytest.fixture
def town(client: Client) -> Client:
    client.create_network("app", subnets=["10.1.0.0/24", "fd00:1::/64"])
    client.create_network("back", subnets=["10.2.0.0/24"], internal=True)
    client.create_container("web", networks={"app": {"aliases": ["www"]}}, ports=["8080:80"], hostname="front")
    client.create_container("db", networks={"app": {"aliases": ["www"]}, "back": {}})
    client.create_container("vault", networks=["back"])
    client.create_container("side", networks=["container:web"])
    client.create_container("old", networks=["bridge"])
    return client


def data(said: dict[str, Any]) -> list[str]:
    return [record["Data"] for record in said["Records"]]


def because(said: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [(each["Data"], each["Container"], each["As"], each["Network"]) for each in said["Because"]]


def test_an_answer_and_why(town: Client) -> None:
    said = town.query("Web", "A", sandbox="db")
    assert (said["Outcome"], said["Status"], said["From"]) == ("answered", "NOERROR", "db")
    assert said["Records"] == [{"Name": "Web.", "Type": "A", "TTL": 5, "Data": "10.1.0.2"}]
    assert because(said) == [("10.1.0.2", "web", "name", "app")]
    assert data(town.query("web", "AAAA", sandbox="db")) == ["fd00:1::2"]


def test_names_of_several_and_in_several_networks(town: Client) -> None:
    said = town.query("www.app", sandbox="web")
    assert sorted(because(said)) == [("10.1.0.2", "web", "alias", "app"), ("10.1.0.3", "db", "alias", "app")]
    assert sorted(data(said)) == ["10.1.0.2", "10.1.0.3"]
    both = town.query("db", sandbox="db")
    assert {each[3] for each in because(both)} == {"app", "back"}
    assert sorted(data(both)) == ["10.1.0.3", "10.2.0.2"]
    assert because(town.query("side", sandbox="db")) == [("10.1.0.2", "side", "name", "app")]
    shared = because(town.query("front", sandbox="db"))
    assert shared == [("10.1.0.2", "web", "hostname", "app"), ("10.1.0.2", "side", "hostname", "app")]


def test_pointers_and_services(town: Client) -> None:
    said = town.query("10.1.0.2")
    assert (said["Type"], data(said)) == ("PTR", ["web.app."])
    assert because(said) == [("web.app.", "web", "name", "app")]
    assert data(town.query("fd00:1::3")) == ["db.app."]
    said = town.query("_http._tcp.web", "srv", sandbox="db")
    assert (data(said), because(said)) == (["0 0 80 web.app."], [("0 0 80 web.app.", "web", "port", "app")])


def test_without_records(town: Client) -> None:
    assert town.query("web", "MX", sandbox="db")["Why"] == "there is such a name, without anything of this type"
    said = town.query("nobody.app", sandbox="db")
    assert (said["Status"], said["Outcome"]) == ("NXDOMAIN", "answered")
    assert "network app" in said["Why"]
    assert town.query("10.1.0.77", sandbox="db")["Status"] == "NXDOMAIN"


def test_where_unknown_names_go(town: Client) -> None:
    said = town.query("example.com", sandbox="web")
    assert (said["Outcome"], said["Upstreams"]) == ("forwarded", [{"Address": "192.0.2.53", "FromHost": False}])
    assert town.query("vault", sandbox="web")["Outcome"] == "forwarded", "on a network that it is not on"
    said = town.query("example.com", sandbox="vault")
    assert (said["Outcome"], said["Status"]) == ("refused", "REFUSED")
    assert "nobody else" in said["Why"]
    assert town.query("app", "AXFR", sandbox="web")["Outcome"] == "refused"


def test_who_asks_elsewhere(town: Client) -> None:
    said = town.query("web", sandbox="old")
    assert (said["Outcome"], said["Records"]) == ("elsewhere", [])
    assert "resolv.conf" in said["Why"]


def test_nobody_in_particular_sees_all_networks(town: Client) -> None:
    assert data(town.query("vault")) == ["10.2.0.3"]
    assert data(town.query("web")) == ["10.1.0.2"]


def test_a_zone(town: Client) -> None:
    zone = town.zone("app")
    assert (zone["Network"], zone["Domain"], zone["TTL"]) == ("app", "app", 5)
    rows = [(each["Name"], each["Type"], each["Data"], each["Container"], each["As"]) for each in zone["Records"]]
    assert ("web", "A", "10.1.0.2", "web", "name") in rows
    assert ("www", "AAAA", "fd00:1::3", "db", "alias") in rows
    assert ("_http._tcp.web", "SRV", "0 0 80 web.app.", "web", "port") in rows
    assert rows[-4:] == [
        ("10.1.0.2", "PTR", "web.app.", "web", "name"),
        ("10.1.0.3", "PTR", "db.app.", "db", "name"),
        ("fd00:1::2", "PTR", "web.app.", "web", "name"),
        ("fd00:1::3", "PTR", "db.app.", "db", "name"),
    ]
    town.remove_container("db", force=True)
    assert "db" not in {each["Container"] for each in town.zone("app")["Records"]}
    assert data(town.query("www", sandbox="web")) == ["10.1.0.2"]


@pytest.mark.parametrize(
    ("name", "rdtype", "words"),
    [
        ("web", "SOUP", "unknown type 'SOUP'"),
        ("web", "TYPE70000", "unknown type"),
        ("a..b", "A", "is not a name"),
        ("x" * 64, "A", "is not a name"),
        (".".join(["abcdefghi"] * 26), "A", "is not a name"),
        ("", "A", "no name"),
        ("ä\n" * 40, "A", "is not a name"),
    ],
)
def test_bad_questions_are_refused(client: Client, name: str, rdtype: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refusal:
        client.query(name, rdtype)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 250


def test_what_is_not_there_is_not_found(town: Client) -> None:
    with pytest.raises(NotFound, match="no container named nobody"):
        town.query("web", sandbox="nobody")
    with pytest.raises(NotFound, match="no network named nowhere"):
        town.zone("nowhere")
    for network in ("bridge", "host", "none"):
        with pytest.raises(Invalid, match=f"network {network} has no names"):
            town.zone(network)
