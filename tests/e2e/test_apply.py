"""`netrt apply` and `netrt export`, with packets: what a file asks for is there, a second time nothing changes, and what is
refused changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.asking import Asker
from tests.command import PROGRAM, Box, Netrt
from tests.e2e.conftest import HOST4, OUTSIDE4
from tests.e2e.test_bad_input import everything
from tests.e2e.test_live import conversation
from tests.host import Host
from tests.snapshot import differences, snapshot
from tests.traffic import BRIEF, Place, seen

pytestmark = pytest.mark.root

SITE = """\
networks:
  app: {subnets: [10.1.0.0/24], ipv6: true}
  back: {internal: true, labels: {tier: store}}
containers:
  web:
    networks:
      app: {ip: 10.1.0.9, aliases: [www]}
    ports: ["8080:80"]
    extra_hosts: ["bank:10.9.9.9"]
    dns: 192.0.2.2
  db: {networks: {back: {}, app: }}
  side: {network_mode: "container:web"}
  pod: {netns: /run/netns/pod, networks: [app]}
"""

MORE = SITE.replace('["8080:80"]', '["8081:80", "8443:443"]').replace("aliases: [www]}", "aliases: [www]}\n      mine:")
ROOM = ("[10.1.0.0/24]", "[10.1.0.0/22, 10.11.0.0/24]")
MORE = MORE.replace("db: {networks: {back: {}", "db: {networks: {back: {bandwidth: egress=9mbit}")

COMPOSE = """\
services:
  web:
    image: nginx
    networks: [front, back]
    ports: ["${PORT:-8080}:80"]
  db:
    image: postgres
    networks:
      back: {ipv4_address: 10.7.0.9, aliases: [store]}
  side: {network_mode: "service:web"}
  other: {}
networks:
  front: {}
  back: {internal: true, ipam: {config: [{subnet: 10.7.0.0/24}]}}
"""


class Files:
    """`netrt apply` of texts."""

    def __init__(self, netrt: Netrt, directory: Path) -> None:
        self.netrt = netrt
        self.directory = directory

    def path(self, text: str, name: str = "site.yaml") -> str:
        (self.directory / name).write_text(text)
        return str(self.directory / name)

    def apply(self, text: str, *words: str, name: str = "site.yaml") -> list[str]:
        """The lines that it prints."""
        return self.netrt("apply", "-f", self.path(text, name), *words).splitlines()

    def refused(self, text: str, *words: str) -> str:
        return self.netrt.refused("apply", "-f", self.path(text), *words)

    def box(self, name: str) -> Box:
        return Box(self.netrt.host, self.netrt.inspect(name))


@pytest.fixture
def files(netrt: Netrt, tmp_path: Path) -> Files:
    return Files(netrt, tmp_path)


def test_a_site_comes_changes_and_goes(host: Host, netrt: Netrt, files: Files) -> None:
    outside = Place(host, host.outside())
    host.namespace("pod")
    netrt("network", "create", "--subnet", "10.8.0.0/24", "--ipv6", "mine")
    empty = everything(host)
    told = files.apply(SITE, "--dry-run")
    assert [line[0] for line in told[:-1]] == ["+"] * 6
    assert not differences(empty, everything(host))
    assert files.apply(SITE)[-1] == "6 added, 0 changed, 0 removed"
    web, db, pod = files.box("web"), files.box("db"), files.box("pod")
    assert pod.path == "/run/netns/pod"
    with web.tcp(80) as server:
        assert seen(db, web.ip4, 80, server) == db.on("app")["IPAddress"]
        assert seen(pod, web.ip6, 80, server) == pod.ip6
        assert seen(outside, HOST4, 8080, server) == OUTSIDE4
        assert Asker(host, db.path).looked_up("www") == ["10.1.0.9"]
        assert "10.9.9.9\tbank" in netrt("exec", "side", "cat", "/etc/hosts")
        assert netrt("exec", "web", "cat", "/etc/resolv.conf") == netrt("exec", "side", "cat", "/etc/resolv.conf")
        made = everything(host)
        assert files.apply(SITE) == ["0 added, 0 changed, 0 removed"]
        assert not differences(made, everything(host))

        # a port, a network and a limit more are no reason to lose a connection
        with conversation(db, web.ip4, 90, web, 90):
            assert files.apply(MORE)[-1] == "0 added, 2 changed, 0 removed"
            said = files.apply(MORE.replace(*ROOM))
            assert said == [
                "~ network app: room: grows to 10.1.0.0/22, + 10.11.0.0/24",
                "0 added, 1 changed, 0 removed",
            ]
            assert files.apply(MORE.replace(*ROOM)) == ["0 added, 0 changed, 0 removed"]
        assert files.box("web").on("app")["IPPrefixLen"] == 22
        assert [*files.box("web").networks] == ["app", "mine"]
        assert seen(outside, HOST4, 8081, server) == OUTSIDE4
        assert not seen(outside, HOST4, 8080, server, patience=BRIEF)

    # without --prune nothing goes; with it only what an apply made
    less = SITE[: SITE.index("  back:")] + SITE[SITE.index("containers:") : SITE.index("  db:")]
    less = less.replace(*ROOM)
    assert "= container db: not in the file any more; --prune removes it" in files.apply(less)
    assert "db" in netrt.names()
    assert files.apply(less, "--prune")[-1].endswith("4 removed")
    assert files.apply("networks: {}", "--prune")[-1] == "0 added, 0 changed, 2 removed"
    assert not differences(empty, everything(host) | {"database": empty["database"]})


def test_the_network_part_of_a_compose_file(host: Host, netrt: Netrt, files: Files) -> None:
    outside = Place(host, host.outside())
    (files.directory / ".env").write_text("PORT=8081\n")
    assert files.apply(COMPOSE, "-p", "shop", name="compose.yaml")[-1] == "7 added, 0 changed, 0 removed"
    web, db, side = (files.box(f"shop-{name}-1") for name in ("web", "db", "side"))
    other = files.box("shop-other-1")
    assert [*web.networks] == ["shop_back", "shop_front"]
    assert side.path == web.path
    with web.tcp(80) as server, other.tcp(80) as lone:
        assert seen(db, web.on("shop_back")["IPAddress"], 80, server) == "10.7.0.9"
        assert seen(outside, HOST4, 8081, server) == OUTSIDE4
        assert not seen(db, other.ip4, 80, lone, patience=BRIEF), "another network"
        assert Asker(host, web.path).looked_up("store") == ["10.7.0.9"]
        assert Asker(host, db.path).looked_up("web") == [web.on("shop_back")["IPAddress"]]
    assert files.apply(COMPOSE, "-p", "shop", name="compose.yaml") == ["0 added, 0 changed, 0 removed"]

    # what cannot be changed in place is made anew, and everybody is back on it
    moved = COMPOSE.replace("10.7.0", "10.6.0")
    assert files.apply(moved, "-p", "shop", name="compose.yaml")[-1] == "0 added, 3 changed, 0 removed"
    web, db = files.box("shop-web-1"), files.box("shop-db-1")
    with web.tcp(80) as server:
        assert seen(db, web.on("shop_back")["IPAddress"], 80, server) == "10.6.0.9"
        assert seen(outside, HOST4, 8081, server) == OUTSIDE4
    assert files.apply("services: {}", "-p", "shop", "--prune", name="compose.yaml")[-1].endswith("7 removed")
    assert netrt("diff") == ""


def test_what_is_exported_makes_the_same_on_an_empty_host(host: Host, netrt: Netrt, files: Files) -> None:
    """In the kernel, too: addresses, MACs, names of interfaces, routes."""
    host.namespace("pod")
    netrt("network", "create", "--ipv6", "--label", "a=b", "app")
    netrt("network", "create", "--internal", "-o", "com.docker.network.driver.mtu=1400", "back")
    netrt("container", "create", "--name", "gone", "--network", "app")
    wishes = "--network name=app,alias=www --network back -p 8080:80 -p 5000-5009:6000-6009/udp"
    netrt("container", "create", "--name", "web", *wishes.split(), "--hostname", "desk", "--add-host", "a:10.0.0.1")
    limits = ("--mac", "02:00:00:00:00:01", "--bandwidth", "egress=1mbit")
    netrt("container", "create", "--name", "slow", "--network", "app", *limits)
    netrt("container", "create", "--name", "pod", "--network", "name=back,ifname=lan0", "--netns", "/run/netns/pod")
    netrt("container", "create", "--name", "beside", "--network", "container:web")
    netrt("run", "-d", "--name", "job", "--network", "none", "sleep", "600")
    netrt("rm", "gone")
    text = netrt("export")
    before = snapshot(host)
    assert "job" not in text
    assert "job is left out: it runs a command" in host.run(PROGRAM, "export").stderr
    assert files.apply(text) == ["0 added, 0 changed, 0 removed"], "it is there"
    netrt("rm", "-f", "beside", "web", "slow", "pod", "job")
    netrt("network", "prune", "-f")
    assert "10.1.0" not in netrt("export")
    assert files.apply(text)[-1] == "6 added, 0 changed, 0 removed"
    assert netrt("export") == text
    left = differences(insides(before), insides(snapshot(host)))
    assert not left, left


def insides(taken: dict[str, Any]) -> dict[str, Any]:
    """Links, addresses and routes inside of sandboxes; the names of what is outside come from ids."""
    return {key: value for key, value in taken.items() if key.endswith((" netrt-web", " netrt-slow", " pod"))}


REFUSED = [
    ("networks: {new: {subnet: 10.9.0.0/33}}", ("site.yaml:1: networks.new.subnet", "10.9.0.0/33")),
    ("networks: {}\ncontainers:\n  new:\n    ports: [80:http]", ("site.yaml:4: containers.new.ports[0]", "80:http")),
    ("networks: {new: {subnet: 192.0.2.0/25}}", ("site.yaml:1: networks.new", "192.0.2.0/25", "route")),
    ("networks: {new: {driver: macvlan, options: {parent: eth9}}}", ("site.yaml:1: networks.new", "eth9")),
    ("containers: {new: {networks: [app], netns: /etc/passwd}}", ("site.yaml:1: containers.new", "/etc/passwd")),
    ("containers: {new: {networks: [app], ports: ['8080:81']}}", ("site.yaml:1: containers.new", "8080/tcp", "web")),
    ("containers: {new: {networks: {app: {ip: 10.1.0.2}}}}", ("site.yaml:1: containers.new", "10.1.0.2", "web")),
    ("networks: {new: {}}\ncontainers: {new: {networks: [new, old]}}", ("site.yaml:2: containers.new", "old")),
    ("networks: {app: {internal: true}}", ("site.yaml:1: networks.app", "was not made by an apply", "internal")),
    ("networks: {a: {}\n", ("site.yaml:2: not YAML",)),
    ("services: {a: {network_mode: 'service:b'}}", ("site.yaml:1: services.a.network_mode", "'b'")),
]  # fmt: skip


def test_what_is_wrong_is_refused_and_changes_nothing(host: Host, netrt: Netrt, files: Files) -> None:
    host.outside()
    netrt("network", "create", "--subnet", "10.1.0.0/24", "app")
    netrt("container", "create", "--name", "web", "--network", "app", "-p", "8080:80")
    before = everything(host)
    wrong = []
    for text, parts in REFUSED:
        message = files.refused(text)
        wrong += [f"{text}: {message!r} does not say {part!r}" for part in parts if part not in message]
    assert not wrong, "\n" + "\n".join(wrong)
    assert "/nowhere" in netrt.refused("apply", "-f", "/nowhere")
    assert "--file" in netrt.refused("apply")
    assert not differences(before, everything(host))
