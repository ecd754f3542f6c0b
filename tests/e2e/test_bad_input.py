"""What cannot be done is refused in one line that says what is wrong and what is allowed, and changes nothing: links, addresses,
routes, rules and the database are the same before and after."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from typing import Any

import pytest

from tests.command import PROGRAM, Netrt
from tests.host import Host
from tests.snapshot import differences, snapshot
from tests.waiting import wait_until

pytestmark = pytest.mark.root

CREATE = ("network", "create")
BOX = ("container", "create")
LONG = "n" * 300

REFUSED: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    # networks
    ((*CREATE, "--subnet", "10.1.0.128/25", "new"), ("10.1.0.128/25", "10.1.0.0/24", "app")),
    ((*CREATE, "--subnet", "192.0.2.0/25", "new"), ("192.0.2.0/25", "192.0.2.0/24")),
    ((*CREATE, "--subnet", "10.9.0.1/24", "new"), ("10.9.0.1/24", "10.9.0.0/24")),
    ((*CREATE, "--subnet", "10.9.0.0/24", "--gateway", "10.8.0.1", "new"), ("10.8.0.1", "10.9.0.0/24")),
    ((*CREATE, "--subnet", "10.9.0.0/24", "--ip-range", "10.8.0.0/28", "new"), ("10.8.0.0/28", "10.9.0.0/24")),
    ((*CREATE, "--subnet", "10.9.0.0/24", "--ip-range", "10.9.0.1/32", "new"), ("10.9.0.1/32", "no address for")),
    ((*CREATE, "--subnet", "10.9.0.0/24", "--aux-address", "r=10.8.0.9", "new"), ("10.8.0.9", "10.9.0.0/24")),
    ((*CREATE, "--subnet", "10.9.0.0/33", "new"), ("10.9.0.0/33",)),
    ((*CREATE, "--subnet", "fd00:9::/64", "--gateway", "10.9.0.1", "new"), ("10.9.0.1",)),
    ((*CREATE, "-o", "colour=red", "new"), ("colour", "com.docker.network.{", "driver.mtu", "ndp_proxy")),
    ((*CREATE, "-o", "com.docker.network.driver.mtu=big", "new"), ("com.docker.network.driver.mtu", "1280")),
    ((*CREATE, "-d", "teleport", "new"), ("teleport", "bridge")),
    ((*CREATE, "app"), ("app", "exists")),
    ((*CREATE, "bridge"), ("bridge",)),
    ((*CREATE, "a/b"), ("a/b", "allowed")),
    ((*CREATE, 'a"b'), ("allowed",)),
    ((*CREATE, "a\nb"), (r"a\nb", "allowed")),
    ((*CREATE, "a;b"), ("a;b", "allowed")),
    ((*CREATE, ".."), ("..", "allowed")),
    ((*CREATE, "a..b"), ("a..b", "beside a dot")),
    ((*CREATE, LONG), ("63",)),
    ((*CREATE, ""), ("allowed",)),
    (("network", "rm", "app"), ("network app has active containers", "db", "web")),
    (("network", "rm", "nothing"), ("nothing", "no network named")),
    (("network", "rm", "host"), ("host",)),
    (("network", "inspect", "nothing"), ("nothing", "no such network")),
    (("network", "connect", "nothing", "web"), ("nothing", "no network named")),
    (("network", "connect", "app", "nobody"), ("nobody", "no container named")),
    (("network", "connect", "app", "web"), ("web", "app", "already")),
    (("network", "connect", "host", "web"), ("host",)),
    (("network", "disconnect", "empty", "web"), ("web", "empty", "not connected")),
    ((*CREATE, "-o", "com.docker.network.bridge.name=uplink", "new"), ("uplink",)),
    ((*CREATE, "-o", "congctl=vegas", "new"), ("vegas", "auto", "off")),
    ((*CREATE, "-o", "ndp_proxy=eth9", "--subnet", "2001:db8:9::/80", "new"), ("eth9", "no interface")),
    # what changes while it is used
    (("network", "update", "nothing", "--label", "a=b"), ("nothing", "no network named")),
    (("network", "update", "app", "--grow", "10.9.0.0/16"), ("10.9.0.0/16",)),
    (("network", "update", "app", "--grow", "10.1.0.0/25"), ("10.1.0.0/25",)),
    (("network", "update", "app", "--grow", "10.0.0.0/14"), ("10.0.0.0/14", "10.2.0.0/24")),
    (("network", "update", "app", "--add-subnet", "10.2.0.0/24"), ("10.2.0.0/24", "empty")),
    (("network", "update", "app", "--dns", "nobody"), ("nobody",)),
    (("publish", "add", "nobody", "81:81"), ("nobody", "no container named")),
    (("publish", "add", "db", "8080:80"), ("8080/tcp", "web")),
    (("publish", "rm", "db", "81:81"), ("81",)),
    # from a file, and into one
    (("apply", "-f", "/run/nothing.yaml"), ("/run/nothing.yaml",)),
    (("apply", "-f", "/run"), ("/run",)),
    (("capture", "nobody"), ("nobody",)),
    (("capture", "web", "no", "filter"), ("no filter",)),
    (("debug", "nobody"), ("nobody", "no container named")),
    # on the LAN
    ((*CREATE, "-d", "macvlan", "new"), ("parent", "-o parent=eth0")),
    ((*CREATE, "-d", "macvlan", "-o", "parent=eth9", "new"), ("eth9", "no interface")),
    ((*CREATE, "-d", "macvlan", "-o", "parent=lo", "new"), ("lo", "no Ethernet interface")),
    ((*CREATE, "-d", "macvlan", "-o", "parent=uplink", "-o", "macvlan_mode=x", "new"), ("macvlan_mode", "passthru")),
    ((*CREATE, "-d", "macvlan", "-o", "parent=a;b", "new"), ("a;b", "allowed")),
    ((*CREATE, "--ipam-driver", "radius", "new"), ("radius", "default, dhcp")),
    ((*CREATE, "--ipam-driver", "dhcp", "new"), ("bridge", "DHCP", "-d macvlan")),
    (
        (*CREATE, "--ipam-driver", "dhcp", "-d", "macvlan", "-o", "parent=uplink", "--subnet", "10.9.0.0/24", "new"),
        ("10.9.0.0/24", "the server says"),
    ),
    # several networks
    ((*BOX, "--network", "app", "--ifname", "lo"), ("lo", "loopback")),
    ((*BOX, "--network", "app", "--ifname", "a b"), ("a b", "allowed")),
    ((*BOX, "--network", "name=app,gw-priority=high"), ("gw-priority", "high")),
    ((*BOX, "--network", "app", "--gw-priority", "3000000000"), ("3000000000", "2147483647")),
    # changes of what runs
    (("publish", "add", "db", "8080:80"), ("8080/tcp", "web")),
    (("publish", "rm", "web", "81"), ("does not publish 81", "8080/tcp to 80")),
    (("container", "update", "--bandwidth", "ingress=fast", "web"), ("ingress=fast", "10mbit")),
    (("container", "update", "--bandwidth", "ingress=1mbit", "--network", "empty", "web"), ("web", "empty")),
    # addresses
    ((*BOX, "--network", "app", "--ip", "10.1.0.2"), ("10.1.0.2 is held by web on app",)),
    ((*BOX, "--network", "app", "--ip", "10.1.0.1"), ("10.1.0.1", "gateway")),
    ((*BOX, "--network", "app", "--ip", "10.1.0.0"), ("10.1.0.0", "network")),
    ((*BOX, "--network", "app", "--ip", "10.1.0.255"), ("10.1.0.255", "broadcast")),
    ((*BOX, "--network", "app", "--ip", "10.2.0.5"), ("10.2.0.5", "10.1.0.0/24")),
    ((*BOX, "--network", "app", "--ip", "10.1.0.999"), ("10.1.0.999",)),
    ((*BOX, "--network", "app", "--ip6", "fd00::5"), ("fd00::5", "app", "IPv6")),
    ((*BOX, "--network", "app", "--mac-address", "zz:00"), ("zz:00", "02:42")),
    ((*BOX, "--network", "app", "--mac-address", "01:00:5e:00:00:01"), ("01:00:5e:00:00:01", "unicast")),
    ((*BOX, "--network", "full"), ("full", "10.3.0.0/30")),
    # names
    (("dns", "query", "--from", "nobody", "web"), ("nobody", "no container named")),
    (("dns", "query", "a..b"), ("a..b", "253")),
    (("dns", "query", "x" * 64), ("63",)),
    (("dns", "query", "web", "SOUP"), ("SOUP", "AAAA")),
    (("dns", "ls", "nothing"), ("nothing", "no network named")),
    (("dns", "ls", "host"), ("host", "no names")),
    # containers
    ((*BOX, "--name", "web"), ("web", "already")),
    ((*BOX, "--name", "a/b"), ("a/b", "allowed")),
    ((*BOX, "--name", "a'b"), ("allowed",)),
    ((*BOX, "--name", "a\nb"), (r"a\nb", "allowed")),
    ((*BOX, "--name", LONG), ("63",)),
    ((*BOX, "printf", "x\udcff"), ("argument", "UTF-8")),
    ((*BOX, "--name", "web."), ("web.", "at the end")),
    ((*BOX, "--hostname", "a_b c"), ("hostname",)),
    ((*BOX, "--hostname", "a.-b"), ("hostname", "beside a dot")),
    ((*BOX, "--network", "app", "--alias", "www-"), ("alias", "www-", "at the end")),
    ((*BOX, "--network", "app", "--alias", "a b\n10.0.0.1 bank"), ("alias", "allowed")),
    ((*BOX, "--network", "nothing"), ("nothing", "no network named")),
    ((*BOX, "--add-host", "bank:10.0.0.1\n10.0.0.2 shop"), (r"10.0.0.1\n",)),
    ((*BOX, "--dns", "10.0.0.1\nsearch evil"), ("10.0.0.1",)),
    ((*BOX, "--network", "app", "--network", "app"), ("app", "twice")),
    ((*BOX, "--network", "host", "--network", "app"), ("host", "other networks")),
    ((*BOX, "--network", "none", "--ip", "10.1.0.9"), ("none",)),
    ((*BOX, "--network", "container:web", "--network", "app"), ("web", "other networks")),
    ((*BOX, "--network", "container:web", "-p", "81:81"), ("web", "ports")),
    ((*BOX, "--network", "container:web", "--dns", "1.1.1.1"), ("web", "resolvers")),
    (("run", "--network", "container:web", "--dns-search", "zz", "--", "true"), ("web", "resolvers")),
    ((*BOX, "--network", "host", "-p", "81:81"), ("host", "ports")),
    ((*BOX, "--network", "none", "-p", "81:81"), ("none", "bridge network")),
    ((*BOX, "--label", "=value"), ("label",)),
    (("run", "--network", "app"), ("COMMAND",)),
    (("rename", "web", "db"), ("db", "already")),
    (("rm", "nobody"), ("nobody", "no container named")),
    (("exec", "nobody", "true"), ("nobody", "no container named")),
    (("logs", "nobody"), ("nobody", "no container named")),
    (("inspect", "nobody"), ("nobody",)),
    # ports
    ((*BOX, "-p", "8080:80"), ("port 8080/tcp is already allocated to web",)),
    ((*BOX, "-p", "80:"), ("80:",)),
    ((*BOX, "-p", "0:80:90:100"), ("0:80:90:100",)),
    ((*BOX, "-p", "99999:80"), ("99999", "65535")),
    ((*BOX, "-p", "8081:80/icmp"), ("icmp", "tcp")),
    ((*BOX, "-p", "8081-8083:80-81"), ("8081-8083", "80-81")),
    ((*BOX, "-p", "8083-8081:80-82"), ("8083-8081",)),
    ((*BOX, "-p", "8081:http"), ("http",)),
    ((*BOX, "-p", "203.0.113.1:8081:80"), ("203.0.113.1",)),
    ((*BOX, "-p", "[::1:8081:80"), ("::1",)),
    ((*BOX, "-p", "80;drop:80"), ("80;drop",)),
    ((*BOX, "-p", "8081:80", "-p", "8081:81"), ("8081",)),
]  # fmt: skip


@pytest.fixture
def town(host: Host, netrt: Netrt) -> Netrt:
    """Networks `app` (web and db on it), `empty`, and `full`, on a host with an outside."""
    host.outside()
    netrt(*CREATE, "--subnet", "10.1.0.0/24", "app")
    netrt(*CREATE, "--subnet", "10.2.0.0/24", "empty")
    netrt(*CREATE, "--subnet", "10.3.0.0/30", "full")
    netrt(*BOX, "--name", "web", "--network", "app", "-p", "8080:80")
    netrt(*BOX, "--name", "db", "--network", "app")
    netrt(*BOX, "--name", "last", "--network", "full")
    return netrt


def everything(host: Host) -> dict[str, Any]:
    """The host, and every row of the database."""
    with sqlite3.connect("file:/var/lib/netrt/netrt.db?mode=ro", uri=True) as database:
        return snapshot(host) | {"database": list(database.iterdump())}


def test_each_is_refused_and_changes_nothing(host: Host, town: Netrt) -> None:
    before = everything(host)
    wrong = []
    for words, parts in REFUSED:
        asked = " ".join(words)[:100]
        try:
            message = town.refused(*words)
        except AssertionError as error:
            wrong.append(f"{asked}: {error}")
            continue
        missing = [part for part in parts if part.lower() not in message.lower()]
        if missing:
            wrong.append(f"{asked}: {message!r} does not say {missing}")
        if len(message) > 500:
            wrong.append(f"{asked}: a message of {len(message)} characters")
    assert not wrong, "\n" + "\n".join(wrong)
    assert not differences(before, everything(host))


def test_a_dry_run_changes_nothing(host: Host, town: Netrt) -> None:
    before = everything(host)
    plans = {
        "network create": town(*CREATE, "--dry-run", "new"),
        "container create": town(*BOX, "--dry-run", "--network", "app", "-p", "9090:90"),
        "connect": town("network", "connect", "--dry-run", "empty", "web"),
        "disconnect": town("network", "disconnect", "--dry-run", "app", "web"),
        "rm": town("rm", "-f", "--dry-run", "web"),
        "network rm": town("network", "rm", "--dry-run", "empty"),
    }
    assert not [verb for verb, plan in plans.items() if not plan.strip()]
    assert "add bridge" in plans["network create"]
    assert "add veth" in plans["container create"]
    assert "9090" in plans["container create"]
    assert "delete link" in plans["rm"]
    assert not differences(before, everything(host))


def test_not_root(town: Netrt) -> None:
    """The daemon runs, but its socket is for root and the group netrt; where it does not run, it cannot be started."""
    for _ in range(2):
        done = subprocess.run([PROGRAM, "ps"], capture_output=True, text=True, check=False, user=65534, group=65534,
                              extra_groups=[], env={**os.environ, "HOME": "/"})  # fmt: skip
        assert done.returncode != 0
        assert len(done.stderr.strip().splitlines()) == 1
        assert "root" in done.stderr
        town("daemon", "stop")


def test_no_socket(host: Host, town: Netrt) -> None:
    done = host.run(PROGRAM, "--socket", "/run/nowhere.sock", "ps", check=False)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert "/run/nowhere.sock" in done.stderr


def test_two_daemons_on_one_state(host: Host, town: Netrt) -> None:
    before = everything(host)
    second = host.run(PROGRAM + "d", check=False)
    assert second.returncode != 0
    assert len(second.stderr.strip().splitlines()) == 1
    assert "already" in second.stderr or "another" in second.stderr
    assert not differences(before, everything(host))
    assert "web" in town("ps", "-a")


def test_a_full_pool(host: Host, netrt: Netrt) -> None:
    """All addresses of a network in use: the message says so, and an address that is given back can be had again."""
    netrt(*CREATE, "--subnet", "10.4.0.0/29", "--ip-range", "10.4.0.4/30", "small")
    for number in range(4, 7):
        assert netrt.box(f"c{number}", "--network", "small").ip4 == f"10.4.0.{number}"
    message = netrt.refused(*BOX, "--network", "small")
    assert "small" in message
    assert "10.4.0.4/30" in message
    netrt("rm", "c5")
    assert netrt.box("next", "--network", "small").ip4 == "10.4.0.5"


def test_names_do_not_reach_the_files_of_others(host: Host, netrt: Netrt) -> None:
    """What passes the checks is written whole on one line each; nothing of it becomes another line or option."""
    netrt("network", "create", "lan")
    netrt("run", "-d", "--name", "web", "--network", "lan", "--alias", "www-1.x_y", "--add-host", "bank:10.0.0.1",
          "--label", "evil=\n127.0.0.1 bank", "--", "sleep", "1000")  # fmt: skip
    wait_until(lambda: netrt("exec", "web", "cat", "/etc/hosts"), what="the container")
    hosts = netrt("exec", "web", "cat", "/etc/hosts").splitlines()
    assert [line for line in hosts if "bank" in line] == ["10.0.0.1\tbank"]
    resolver = netrt("exec", "web", "cat", "/etc/resolv.conf").splitlines()
    assert all(line.startswith(("nameserver ", "search ", "options ", "#")) for line in resolver)
