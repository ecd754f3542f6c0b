"""`netrt dns` on the real daemon: whose names there are, and what would be answered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import Netrt

pytestmark = pytest.mark.root

BOX = ("container", "create")


def rows(text: str) -> list[list[str]]:
    return [line.split(None, 4) for line in text.splitlines()[1:]]


@pytest.fixture
def town(netrt: Netrt) -> Netrt:
    Path("/etc/resolv.conf").write_text("nameserver 192.0.2.53\nnameserver 127.0.0.1\n")
    netrt("network", "create", "--subnet", "10.1.0.0/24", "--subnet", "fd00:1::/64", "--ipv6", "app")
    netrt("network", "create", "--subnet", "10.2.0.0/24", "--internal", "back")
    netrt(*BOX, "--name", "web", "--network", "app", "--alias", "www", "-p", "8080:80")
    netrt(*BOX, "--name", "db", "--network", "app", "--alias", "www", "--network", "back")
    netrt(*BOX, "--name", "vault", "--network", "back")
    return netrt


def test_query_shows_the_answer_and_why(town: Netrt) -> None:
    assert rows(town("dns", "query", "--from", "db", "web")) == [
        ["web.", "A", "10.1.0.2", "5", "name of web on app"],
        ["web.", "AAAA", "fd00:1::2", "5", "name of web on app"],
    ]
    assert [row[4] for row in rows(town("dns", "query", "www.app", "A"))] == [
        "alias of web on app",
        "alias of db on app",
    ]
    assert rows(town("dns", "query", "10.1.0.2"))[0][1:3] == ["PTR", "web.app."]
    assert "0 0 80 web.app." in town("dns", "query", "--from", "db", "_http._tcp.web", "srv")
    assert json.loads(town("dns", "query", "--format", "json", "vault", "A"))["Records"][0]["Data"] == "10.2.0.3"


def test_query_says_why_there_is_none(town: Netrt) -> None:
    said = town("dns", "query", "--from", "web", "vault")
    assert said.startswith("vault. forwarded to 192.0.2.53, 127.0.0.1 (from the host): ")
    assert town("dns", "query", "--from", "vault", "example.com").startswith("example.com. REFUSED: ")
    assert town("dns", "query", "--from", "web", "nobody.app").startswith("nobody.app. NXDOMAIN: ")


def test_names_follow_what_is_connected(town: Netrt) -> None:
    town("network", "connect", "--alias", "safe", "app", "vault")
    assert rows(town("dns", "query", "--from", "web", "safe", "A"))[0][4] == "alias of vault on app"
    town("rename", "vault", "crypt")
    listed = [json.loads(line) for line in town("dns", "ls", "back", "--format", "json").splitlines()]
    assert {(each["As"], each["Container"]) for each in listed} >= {("name", "db"), ("id", "db"), ("name", "crypt")}
    assert "vault" not in {each["Name"] for each in listed}
    town("rm", "-f", "crypt")
    assert town("dns", "query", "--from", "web", "safe").startswith("safe. forwarded")


def test_ls_lists_the_zone(town: Netrt) -> None:
    found = [line.split(None, 2) for line in town("dns", "ls", "app").splitlines()]
    assert found[0][:2] == ["NAME", "TYPE"]
    listed = {(name, kind) for name, kind, _ in found[1:]}
    assert listed >= {("www", "A"), ("www", "AAAA"), ("web", "A"), ("_http._tcp.www", "SRV"), ("10.1.0.3", "PTR")}
    lines = town("dns", "ls", "app", "--format", "json").splitlines()
    assert {"www"} == {record["Name"] for record in map(json.loads, lines) if record.get("As") == "alias"}
