"""`netrt network`: what is asked of the daemon, what is printed, what is refused before anything is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.cli.conftest import Netrt
from tests.unit.cli.standin import Asked, StandIn, filled

ID = "0123456789abcdef" * 4
WEB: dict[str, Any] = {
    "Name": "web",
    "Id": ID,
    "Created": "2026-01-02T03:04:05.123456789Z",
    "Scope": "local",
    "Driver": "bridge",
    "EnableIPv4": True,
    "EnableIPv6": False,
    "Internal": False,
    "Labels": {"a": "b", "c": ""},
}
TABLE = """\
NETWORK ID     NAME      DRIVER    SCOPE
0123456789ab   web       bridge    local
"""
"""What Docker's own command line (28.2) prints of WEB."""

ROW = {
    "CreatedAt": "2026-01-02 03:04:05.123456789 +0000 UTC",
    "Driver": "bridge",
    "ID": "0123456789ab",
    "IPv4": "true",
    "IPv6": "false",
    "Internal": "false",
    "Labels": "a=b,c=",
    "Name": "web",
    "Scope": "local",
}


def test_ls_prints_what_docker_prints(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("GET", "/networks", [WEB])
    assert netrt("network", "ls").out == TABLE
    assert netrt("network", "ls", "--no-trunc").out.splitlines()[1].startswith(f"{ID}   web ")
    assert netrt("network", "ls", "-q").out == "0123456789ab\n"
    assert netrt("network", "ls", "-q", "--no-trunc").out == f"{ID}\n"
    for form in ("json", "{{json .}}", "{{ json . }}"):
        assert json.loads(netrt("network", "ls", "--format", form).out) == ROW


def test_ls_of_nothing_is_a_head_and_no_rows(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("GET", "/networks", [])
    assert netrt("network", "ls").out == TABLE.splitlines()[0].replace("NETWORK ID     ", "NETWORK ID   ") + "\n"
    assert netrt("network", "ls", "-q").out == netrt("network", "ls", "--format", "json").out == ""


def test_filters_go_to_the_daemon(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("GET", "/networks", [])
    netrt("network", "ls", "--filter", "label=a=b", "-f", "label=c", "-f", "name=web")
    assert json.loads(daemon.asked[-1].query["filters"]) == {"label": ["a=b", "c"], "name": ["web"]}


def test_create_sends_docker_s_body_and_prints_the_id(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("POST", "/networks/create", {"Id": ID, "Warning": ""}, 201)
    blocks = "--subnet 10.1.0.0/24 --gateway 10.1.0.1 --ip-range 10.1.0.128/25 --aux-address dns=10.1.0.9"
    blocks += " --subnet fd00:1::/64 --gateway fd00:1::1 --ipv6 --internal --label a=b --label c"
    done = netrt("network", "create", *blocks.split(), "-o", "com.docker.network.driver.mtu=1400", "web")
    assert (done.status, done.out, done.err) == (0, f"{ID}\n", "")
    assert daemon.changes[-1].body["Labels"] == {"a": "b", "c": ""}
    assert filled(daemon.changes[-1].body) == {
        "Name": "web",
        "Driver": "bridge",
        "EnableIPv4": True,
        "EnableIPv6": True,
        "Internal": True,
        "Options": {"com.docker.network.driver.mtu": "1400"},
        "Labels": {"a": "b"},
        "IPAM": {
            "Driver": "default",
            "Config": [
                {
                    "Subnet": "10.1.0.0/24",
                    "Gateway": "10.1.0.1",
                    "IPRange": "10.1.0.128/25",
                    "AuxiliaryAddresses": {"dns": "10.1.0.9"},
                },
                {"Subnet": "fd00:1::/64", "Gateway": "fd00:1::1"},
            ],
        },
    }


@pytest.mark.parametrize(
    ("flags", "ipv4", "ipv6"),
    [
        ("", True, False),
        ("--ipv6", True, True),
        ("--ipv6=true --ipv4=false", False, True),
        ("--no-ipv4 --ipv6", False, True),
        ("--ipv6=false", True, False),
    ],
)
def test_families(daemon: StandIn, netrt: Netrt, flags: str, ipv4: bool, ipv6: bool) -> None:
    daemon.answer("POST", "/networks/create", {"Id": ID}, 201)
    assert netrt("network", "create", *flags.split(), "web").status == 0
    assert (daemon.changes[-1].body["EnableIPv4"], daemon.changes[-1].body["EnableIPv6"]) == (ipv4, ipv6)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("a/b", "invalid network name 'a/b'"),
        ('a"b', "invalid network name 'a\"b'"),
        ("a\nb", r"invalid network name 'a\nb'"),
        ("x" * 300, "invalid network name 'xxx"),
        ("web --subnet 10.1.0.0/33", "invalid subnet '10.1.0.0/33'"),
        ("web --subnet 10.1.0.5/24", "did you mean 10.1.0.0/24?"),
        ("web --subnet 10.1.0.0/24 --subnet 10.1.0.0/24", "subnet 10.1.0.0/24 is given twice"),
        ("web --gateway 10.1.0.1", "--gateway 10.1.0.1 needs a --subnet that contains it"),
        ("web --subnet 10.1.0.0/24 --gateway 10.2.0.1", "gateway 10.2.0.1 is outside of subnet 10.1.0.0/24"),
        ("web --subnet 10.1.0.0/24 --gateway 10.1.0.1 --gateway 10.1.0.2", "has two of --gateway"),
        ("web --subnet 10.1.0.0/24 --ip-range 10.0.0.0/8", "ip-range 10.0.0.0/8 is outside of subnet 10.1.0.0/24"),
        ("web --subnet 10.1.0.0/24 --ip-range 10.1.0.0/16", "ip-range 10.1.0.0/16 is outside of subnet 10.1.0.0/24"),
        ("web --subnet 10.1.0.0/24 --aux-address a=10.2.0.1", "aux-address 10.2.0.1 is outside of subnet"),
        ("web --subnet 10.1.0.0/24 --aux-address 10.1.0.2", "--aux-address '10.1.0.2' is not NAME=ADDRESS"),
        ("web -o colour=blue", "unknown option 'colour' for a bridge network (known: com.docker.network.{bridge.name"),
        ("web -o com.docker.network.driver.mtu=12", "is not an MTU"),
        ("web --label =x", "--label '=x' is not KEY=VALUE"),
    ],
)
def test_bad_networks_are_refused_before_anything_is_asked(daemon: StandIn, netrt: Netrt, argv: str, says: str) -> None:
    done = netrt("network", "create", *argv.split(" "))
    assert done.status == 1
    assert done.err.startswith("netrt: ")
    assert says in done.err
    assert done.err.count("\n") == 1
    assert not daemon.asked


def test_inspect_prints_a_list_and_says_what_is_missing(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("GET", "/networks/web", WEB)
    assert json.loads(netrt("network", "inspect", "web").out) == [WEB]
    done = netrt("network", "inspect", "web", "nope")
    assert (done.status, json.loads(done.out), done.err) == (1, [WEB], "netrt: no such network: nope\n")
    done = netrt("network", "inspect", "nope")
    assert (done.status, done.out) == (1, "[]\n")
    one_line = netrt("network", "inspect", "--format", "{{json .}}", "web").out
    assert one_line.count("\n") == 1
    assert json.loads(one_line) == [WEB]


def test_connect_and_disconnect_print_nothing(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("POST", "/networks/web/connect", None)
    daemon.answer("POST", "/networks/web/disconnect", None)
    wishes = "--ip 10.1.0.5 --ip6 FD00:1:0::5 --mac 02-42-0A-01-00-05 --alias db --alias sql"
    done = netrt("network", "connect", *wishes.split(), "web", "app")
    assert (done.status, done.out, done.err) == (0, "", "")
    assert filled(daemon.changes[-1].body) == {
        "Container": "app",
        "EndpointConfig": {
            "IPAMConfig": {"IPv4Address": "10.1.0.5", "IPv6Address": "fd00:1::5"},
            "MacAddress": "02:42:0a:01:00:05",
            "Aliases": ["db", "sql"],
        },
    }
    done = netrt("network", "disconnect", "-f", "web", "app")
    assert (done.status, done.out, done.err) == (0, "", "")
    assert filled(daemon.changes[-1].body) == {"Container": "app", "Force": True}


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("--ip fd00::1 web app", "--ip fd00::1 is not an IPv4 address"),
        ("--ip6 10.1.0.1 web app", "--ip6 10.1.0.1 is not an IPv6 address"),
        ("--ip 10.1.0 web app", "invalid address '10.1.0'"),
        ("--mac 01:00:5e:00:00:01 web app", "invalid MAC address"),
        ("--alias a;b web app", "invalid alias 'a;b'"),
    ],
)
def test_bad_attachments_are_refused_before_anything_is_asked(
    daemon: StandIn, netrt: Netrt, argv: str, says: str
) -> None:
    done = netrt("network", "connect", *argv.split())
    assert done.status == 1
    assert says in done.err
    assert not daemon.asked


def test_rm_goes_on_after_a_failure(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("DELETE", "/networks/a", None, 204)
    daemon.answer("DELETE", "/networks/b", {"message": "network b has active containers: web, db"}, 403)
    daemon.answer("DELETE", "/networks/c", None, 204)
    done = netrt("network", "rm", "a", "b", "c")
    assert (done.status, done.out) == (1, "a\nc\n")
    assert done.err == "netrt: network b has active containers: web, db\n"


def test_rm_force_forgives_what_is_not_there(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("DELETE", "/networks/a", None, 204)
    done = netrt("network", "rm", "-f", "gone", "a")
    assert (done.status, done.out) == (0, "a\n")
    assert daemon.changes[-1].query == {"force": "1"}
    assert netrt("network", "rm", "gone").status == 1


def test_a_name_never_leads_elsewhere(daemon: StandIn, netrt: Netrt) -> None:
    assert netrt("network", "rm", "../containers/web?force=1#x").status == 1
    assert daemon.changes == [Asked("DELETE", "/networks/../containers/web?force=1#x", {}, None)]
    done = netrt("network", "rm", "")
    assert (done.status, "a name cannot be empty" in done.err) == (2, True)


def test_prune_asks_first(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("POST", "/networks/prune", {"NetworksDeleted": ["a", "b"]})
    refused = netrt("network", "prune", input="n\n")
    assert (refused.status, refused.err) == (1, "netrt: cancelled\n")
    assert netrt("network", "prune", input="").status == 1
    assert not daemon.changes
    done = netrt("network", "prune", input="y\n")
    assert (done.status, done.out.partition("]: ")[2]) == (0, "Deleted Networks:\na\nb\n")
    done = netrt("network", "prune", "-f", "--filter", "until=10m")
    assert done.out == "Deleted Networks:\na\nb\n"
    assert json.loads(daemon.changes[-1].query["filters"]) == {"until": ["10m"]}


DRY = (
    {"Plan": ["add bridge nrabc", "add address 10.1.0.1/24 to nrabc"]},
    "add bridge nrabc\nadd address 10.1.0.1/24 to nrabc\n",
)


@pytest.mark.parametrize(
    ("method", "path", "argv"),
    [
        ("POST", "/networks/create", "create web"),
        ("POST", "/networks/web/connect", "connect web app"),
        ("POST", "/networks/web/disconnect", "disconnect web app"),
        ("DELETE", "/networks/web", "rm web"),
        ("POST", "/networks/prune", "prune"),
    ],
)
def test_dry_run_prints_the_plan_and_nothing_else(
    daemon: StandIn, netrt: Netrt, method: str, path: str, argv: str
) -> None:
    daemon.answer(method, path, DRY[0])
    verb, *rest = argv.split()
    done = netrt("network", verb, "--dry-run", *rest)
    assert (done.status, done.out, done.err) == (0, DRY[1], "")
    assert daemon.changes[-1].query == {"dry-run": "1"}


def test_update_says_only_what_was_said(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("POST", "/netrt/networks/web/update", None, 204)
    said = "--grow 10.1.0.0/22 --add-subnet 10.2.0.0/24 --gateway 10.2.0.9 --label a=b --label-rm c --dns 192.0.2.53 --ipv6"
    assert netrt("network", "update", *said.split(), "web") == netrt("network", "update", "web", *said.split())
    assert filled(daemon.changes[-1].body) == {
        "Grow": ["10.1.0.0/22"],
        "AddSubnets": [{"Subnet": "10.2.0.0/24", "Gateway": "10.2.0.9"}],
        "EnableIPv6": True,
        "Labels": {"a": "b"},
        "RemoveLabels": ["c"],
        "Dns": ["192.0.2.53"],
    }
    netrt("network", "update", "web", "--label", "a=b")
    assert daemon.changes[-1].body["Dns"] is None
    netrt("network", "update", "web", "--dns", "host")
    assert daemon.changes[-1].body["Dns"] == []


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("web", "nothing is to be changed"),
        ("web --grow 10.1.0.1/22", "did you mean 10.1.0.0/22?"),
        ("web --add-subnet 10.1.0.0/33", "invalid subnet"),
        ("web --label a=b --gateway 10.1.0.1", "needs a --subnet"),
        ("web --dns resolver", "invalid DNS server 'resolver'"),
        ("web --dns host --dns 192.0.2.53", "invalid DNS server 'host'"),
    ],
)
def test_update_refuses_before_anything_is_asked(daemon: StandIn, netrt: Netrt, argv: str, says: str) -> None:
    done = netrt("network", "update", *argv.split())
    assert done.status
    assert says in done.err
    assert not daemon.changes
