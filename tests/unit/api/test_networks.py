"""Networks through the API: Docker's shapes, errors by class, plans."""

from __future__ import annotations

import pytest

from netrt.api.client import Client
from netrt.errors import Exists, InUse, Invalid, NotFound
from tests.unit.api.conftest import Desk


def test_inspect_has_dockers_shape(client: Client) -> None:
    subnet = {
        "Subnet": "10.1.0.0/24",
        "Gateway": "10.1.0.254",
        "IPRange": "10.1.0.128/25",
        "AuxiliaryAddresses": {"r": "10.1.0.9"},
    }
    made = client.create_network("app", subnets=[subnet], labels={"tier": "front"}, options={"host_access": "true"})
    client.create_container("web", networks={"app": {"mac": "02:42:00:00:00:05"}})
    shown = client.network("app")
    (attached,) = shown.pop("Containers").values()
    created = shown.pop("Created")
    assert created.endswith("Z")
    assert shown == {
        "Name": "app",
        "Id": made,
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": {}, "Config": [subnet]},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Options": {"host_access": "true"},
        "Labels": {"tier": "front"},
    }
    assert len(attached.pop("EndpointID")) == 64
    assert attached == {
        "Name": "web",
        "MacAddress": "02:42:00:00:00:05",
        "IPv4Address": "10.1.0.128/24",
        "IPv6Address": "",
    }


def test_names_ids_and_prefixes_lead_to_it(client: Client) -> None:
    made = client.create_network("app")
    assert client.network(made)["Name"] == client.network(made[:12])["Name"] == client.network("app")["Name"] == "app"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, {"app", "db", "lan", "host", "none"}),
        ({"name": ["a"]}, {"app", "lan"}),
        ({"name": ["^a"]}, {"app"}),
        ({"name": ["^a", "db"]}, {"app", "db"}),
        ({"name": ["^none$"]}, {"none"}),
        ({"label": ["tier"]}, {"app", "db"}),
        ({"label": ["tier=front"]}, {"app"}),
        ({"label": ["tier", "x"]}, set()),
        ({"driver": ["bridge"]}, {"app", "db", "lan"}),
        ({"driver": ["null"]}, {"none"}),
        ({"scope": ["local"], "type": ["custom"]}, {"app", "db", "lan"}),
        ({"type": ["builtin"]}, {"host", "none"}),
        ({"dangling": ["true"]}, {"app", "db"}),
        ({"dangling": ["false"]}, {"lan", "host", "none"}),
        ({"until": ["1h"]}, {"host", "none"}),
        ({"until": ["2200-01-01T00:00:00Z"], "type": ["custom"]}, {"app", "db", "lan"}),
    ],
)
def test_list_is_filtered(client: Client, filters: dict[str, list[str]], found: set[str]) -> None:
    client.create_network("app", labels={"tier": "front"})
    client.create_network("db", labels={"tier": "back"})
    client.create_network("lan")
    client.create_container("web", networks=["lan"])
    assert {network["Name"] for network in client.networks(filters)} == found


def test_filter_by_id(client: Client) -> None:
    made = client.create_network("app")
    client.create_network("db")
    assert [network["Name"] for network in client.networks({"id": [made[:10]]})] == ["app"]


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"color": ["red"]}, "invalid filter 'color'"),
        ({"name": ["("]}, "invalid pattern in filter"),
        ({"type": ["odd"]}, "invalid filter type='odd'"),
    ],
)
def test_unknown_filters_are_refused(client: Client, filters: dict[str, list[str]], words: str) -> None:
    client.create_network("app")
    with pytest.raises(Invalid, match=words):
        client.networks(filters)


def test_dockers_old_form_of_filters(client: Client) -> None:
    client.create_network("app")
    client.create_network("db")
    found = client.request("GET", "/networks", query={"filters": '{"name": {"app": true}}'})
    assert [network["Name"] for network in found] == ["app"]


def test_connect_and_disconnect(client: Client) -> None:
    client.create_network("app", subnets=["10.1.0.0/24"])
    client.create_container("web", networks=["none"])
    client.connect("app", "web", ip="10.1.0.77", aliases=["www"], ifname="lan0")
    shown = client.container("web")["NetworkSettings"]["Networks"]["app"]
    assert shown["IPAddress"] == "10.1.0.77"
    assert shown["IPAMConfig"] == {"IPv4Address": "10.1.0.77"}
    assert shown["Aliases"] == ["www"]
    assert shown["DriverOpts"] == {"com.docker.network.endpoint.ifname": "lan0"}
    client.disconnect("app", "web")
    assert client.network("app")["Containers"] == {}
    with pytest.raises(NotFound):
        client.disconnect("app", "web")
    client.disconnect("app", "web", force=True)


def test_errors_keep_their_class(client: Client) -> None:
    client.create_network("app")
    client.create_container("web", networks=["app"])
    with pytest.raises(Exists):
        client.create_network("app")
    with pytest.raises(NotFound):
        client.network("db")
    with pytest.raises(InUse, match="web"):
        client.remove_network("app")
    with pytest.raises(Invalid) as caught:
        client.create_network("a/b")
    assert caught.value.hint


def test_prune_removes_what_nobody_is_on(client: Client) -> None:
    for name in ("app", "db", "lan"):
        client.create_network(name, labels={"name": name})
    client.create_container("web", networks=["lan"])
    assert client.prune_networks({"label": ["name=db"]}) == ["db"]
    assert client.prune_networks({"until": ["1h"]}) == []
    assert client.prune_networks() == ["app"]


def test_dry_run_plans_and_changes_nothing(desk: Desk) -> None:
    client = desk.client
    client.create_network("app")
    client.create_container("web", networks=["none"])
    before, host = desk.engine.state, desk.kernel.host
    assert "bridge" in client.create_network("db", dry_run=True)
    assert client.create_container("x", networks=["app"], dry_run=True)
    assert client.connect("app", "web", dry_run=True)
    assert client.remove_network("app", dry_run=True)
    assert client.remove_container("web", dry_run=True)
    assert client.prune_networks(dry_run=True)
    assert client.rename("web", "www", dry_run=True) == ""
    with pytest.raises(Exists):
        client.create_network("app", dry_run=True)
    assert desk.engine.state is before
    assert desk.kernel.host is host


def test_update(client: Client) -> None:
    client.create_network("app", subnets=["10.1.0.0/24"], labels={"tier": "front"}, dns=["192.0.2.53"])
    assert client.network("app")["Netrt"] == {"Dns": ["192.0.2.53"]}
    assert "in the place of 10.1.0.1/24" in client.update_network("app", grow=["10.1.0.0/22"], dry_run=True)
    client.update_network(
        "app", grow=["10.1.0.0/22"], add_subnets=["10.8.0.0/24"], labels={"a": "b"}, remove_labels=["tier"], dns=[]
    )
    shown = client.network("app")
    assert [block["Subnet"] for block in shown["IPAM"]["Config"]] == ["10.1.0.0/22", "10.8.0.0/24"]
    assert (shown["Labels"], "Netrt" in shown) == ({"a": "b"}, False)
    with pytest.raises(Invalid, match="are all missing"):
        client.request("POST", "/netrt/networks/app/update", body={})
    with pytest.raises(Invalid, match="EnableIPv6: a network keeps the families"):
        client.request("POST", "/netrt/networks/app/update", body={"EnableIPv6": False})
