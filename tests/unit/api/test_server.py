"""What holds for every request: versions, bodies, errors, who may ask."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import netrt
from netrt.api import server
from netrt.api.client import Client
from netrt.errors import Invalid, NotFound, Unavailable
from tests.unit.api.conftest import GROUP, Desk

MIB = 1 << 20


class Plain(http.client.HTTPConnection):
    """The standard library's client, on a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("netrt")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


@pytest.fixture
def raw(desk: Desk) -> Iterator[http.client.HTTPConnection]:
    with closing(Plain(desk.paths.socket)) as connection:
        yield connection


def ask(raw: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
    raw.request(method, path, body)
    response = raw.getresponse()
    content = response.read()
    return response.status, json.loads(content) if content[:1] in (b"{", b"[") else content


@pytest.mark.parametrize("prefix", ["", "/v1.24", "/v1.47", "/v1.999"])
def test_version_prefix_is_optional(raw: http.client.HTTPConnection, prefix: str) -> None:
    assert ask(raw, "GET", f"{prefix}/containers/json") == (200, [])
    assert ask(raw, "GET", f"{prefix}/_ping") == (200, b"OK")
    assert ask(raw, "HEAD", f"{prefix}/_ping") == (200, b"")


def test_api_version_is_in_every_answer(raw: http.client.HTTPConnection) -> None:
    for path in ("/_ping", "/networks/nowhere", "/nowhere"):
        raw.request("GET", path)
        response = raw.getresponse()
        response.read()
        assert response.getheader("Api-Version") == "1.47"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/images/json"), ("PUT", "/networks"), ("GET", "/v1/networks")]
)
def test_unknown_pages_say_so_in_json(raw: http.client.HTTPConnection, method: str, path: str) -> None:
    status, said = ask(raw, method, path)
    assert status == 404
    assert said["message"].startswith("page not found")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "request body is not JSON"),
        (b"\xff", "request body is not JSON"),
        (b'{"Name": "\xff"}', "request body is not JSON"),
        (b'{"Name": "\\ud800"}', "request body is not JSON"),
        (b"[" * 100_000, "request body"),
        (b"[]", "request body: expected object, got array"),
        (b"", "field Name is missing"),
        (b'{"Name": null}', "field Name is missing"),
        (b'{"Name": 5}', "field Name: expected str, got int"),
        (b'{"Name": "a", "EnableIPv6": "yes"}', "field EnableIPv6: expected bool, got str"),
        (b'{"Name": "a", "Labels": {"k": 1}}', "field Labels[...]: expected str, got int"),
        (
            b'{"Name": "a", "IPAM": {"Config": [{"Subnet": []}]}}',
            "field IPAM.Config[0].Subnet: expected str, got array",
        ),
        (b'{"Name": "a", "IPAM": {"Config": [{"Gateway": "10.1.0.1"}]}}', "field IPAM.Config[0].Subnet is missing"),
        (b'{"Name": "a", "Driver": "teleport"}', "unknown network driver 'teleport' (known: bridge, macvlan, ipvlan"),
        (b'{"Name": "a", "ConfigOnly": true}', "field ConfigOnly is not supported"),
        (b'{"Name": "a", "IPAM": {"Driver": "radius"}}', "unknown IPAM driver 'radius'"),
        (b'{"Name": "a", "Scope": "swarm"}', "invalid scope 'swarm'"),
    ],
)
def test_bad_bodies_are_400_and_name_the_field(
    desk: Desk, raw: http.client.HTTPConnection, body: bytes, words: str
) -> None:
    before = desk.engine.state
    status, said = ask(raw, "POST", "/networks/create", body)
    assert status == 400, said
    assert words in said["message"]
    assert "\n" not in said["message"]
    assert desk.engine.state is before


def test_unknown_fields_and_nulls_are_ignored(raw: http.client.HTTPConnection) -> None:
    body = b'{"Name": "a", "CheckDuplicate": true, "Driver": null, "IPAM": null, "Options": null, "Labels": null, "X": [1]}'
    status, said = ask(raw, "POST", "/networks/create", body)
    assert status == 201
    assert len(said["Id"]) == 64


def test_huge_bodies_are_refused(desk: Desk, raw: http.client.HTTPConnection) -> None:
    status, said = ask(raw, "POST", "/networks/create", json.dumps({"Name": "a", "X": "x" * (8 * MIB)}).encode())
    assert (status, said["message"]) == (400, "request body is larger than 8 MiB")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_bodies_that_are_not_what_their_header_says_are_refused(
    raw: http.client.HTTPConnection, caplog: pytest.LogCaptureFixture, encoding: str
) -> None:
    raw.request("POST", "/networks/create", b'{"Name": "a"}', {"Content-Encoding": encoding})
    response = raw.getresponse()
    said = json.loads(response.read())["message"]
    assert (response.status, said) == (400, f"request body cannot be decoded (its Content-Encoding is {encoding})")
    assert ask(raw, "POST", "/networks/create", b'{"Name": "a"}')[0] == 201
    assert not caplog.records, "it is a fault of who asked"


def test_what_aiohttp_refuses_keeps_its_status(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    async def gone(*_: object) -> web.StreamResponse:
        raise web.HTTPGone

    monkeypatch.setattr(server, "ROUTES", [*server.ROUTES, ("GET", "/gone", gone)])
    desk: Desk = request.getfixturevalue("desk")
    with closing(Plain(desk.paths.socket)) as raw:
        assert ask(raw, "GET", "/gone") == (410, {"message": "Gone"})
    assert not caplog.records


def test_statuses_are_dockers(raw: http.client.HTTPConnection, client: Client) -> None:
    client.create_network("app")
    client.create_container("web", networks=["app"])
    client.create_container("side", networks=["container:web"])
    assert ask(raw, "POST", "/networks/create", b'{"Name": "app"}')[0] == 409
    assert ask(raw, "DELETE", "/networks/app")[0] == 403
    assert ask(raw, "GET", "/networks/nowhere")[0] == 404
    assert ask(raw, "DELETE", "/containers/web")[0] == 409
    assert ask(raw, "POST", "/containers/web/stop")[0] == 304
    assert ask(raw, "POST", "/containers/web/kill")[0] == 409
    assert ask(raw, "DELETE", "/containers/side")[0] == 204


def test_version_and_info(client: Client) -> None:
    client.create_network("app")
    version, info = client.request("GET", "/version"), client.request("GET", "/info")
    assert (version["ApiVersion"], version["Os"]) == ("1.47", "linux")
    assert (info["Networks"], info["Containers"]) == (3, 0)


def test_the_version_is_that_of_the_package(client: Client) -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    assert client.request("GET", "/version")["Version"] == netrt.__version__ == project["version"]


def test_names_are_quoted_in_paths(client: Client) -> None:
    for name in ("a/b", "a b", "../networks", "é?#%", "x\ny"):
        with pytest.raises(NotFound):
            client.network(name)


def test_no_daemon_is_unavailable(tmp_path: os.PathLike[str]) -> None:
    with Client(socket=f"{tmp_path}/none.sock") as client, pytest.raises(Unavailable, match="netrtd is not running"):
        client.networks()


def test_client_connects_again_after_the_daemon_went_away(desk: Desk) -> None:
    client = desk.client
    assert client.containers() == []
    kept = client._transport._kept
    assert kept is not None
    assert kept._socket is not None
    kept._socket.shutdown(socket.SHUT_RDWR)
    assert client.containers() == []


def test_wrong_port_text_is_invalid(client: Client) -> None:
    with pytest.raises(Invalid, match="malformed port"):
        client.create_container("web", ports=["80:80:80:80"])


STRANGER = """
import os, sys
import netrt.api.reply  # which a stranger may not be able to read
from netrt.api.client import Client
from netrt.errors import NetrtError
os.setgroups([int(sys.argv[2])])
os.setgid(65534)
os.setuid(65534)
try:
    print(Client(socket=sys.argv[1]).containers())
except NetrtError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def open_to_all(desk: Desk) -> Iterator[str]:
    """The server's socket at a path, and with a mode, that keep nobody out: only the server itself looks at who asks."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        os.link(desk.paths.socket, f"{directory}/netrt.sock")
        os.chmod(desk.paths.socket, 0o666)
        yield f"{directory}/netrt.sock"


@pytest.mark.root
@pytest.mark.parametrize(
    ("group", "said"),
    [(65534, "Unavailable user 65534 may not use netrt (be root or a member of the daemon's group)"), (GROUP, "[]")],
)
def test_strangers_are_refused_and_the_group_is_not(open_to_all: str, group: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, open_to_all, str(group)], check=True, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout.strip() == said


def test_where_the_time_of_a_request_goes_is_told_to_who_asks(client: Client) -> None:
    told: list[tuple[str, float, list[Any]]] = []
    client.trace(lambda *row: told.append(row))
    client.create_network("app")
    client.trace(None)
    client.create_network("next")
    ((request, took, spans),) = told
    assert request == "POST /networks/create"
    names = [(name, depth) for name, depth, _, _ in spans]
    assert names[:2] == [("request", 0), ("engine", 1)]
    assert {name for name, depth in names if depth == 2} >= {
        "facts",
        "decide",
        "compile",
        "observe",
        "plan",
        "store",
        "publish",
    }
    assert spans[0][3] <= took * 1000
    assert sum(length for _, depth, _, length in spans if depth == 2) <= spans[1][3]


def test_a_refusal_tells_where_its_time_went(client: Client) -> None:
    told: list[Any] = []
    client.trace(lambda *row: told.append(row))
    with pytest.raises(NotFound):
        client.remove_network("missing")
    assert told[0][2][0][0] == "request"
