"""Files of both kinds: what they mean, and what is wrong with them, by file, line and field."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netrt.cli.wishfile import read_tree, read_wish
from netrt.declare.compose import Circumstances, read_compose
from netrt.declare.ours import read_ours
from netrt.declare.variables import interpolated, read_variables
from netrt.declare.wish import APPLIED, Wish, port_text
from netrt.errors import Invalid


def ours(text: str) -> Wish:
    return read_ours(read_tree(text, "f.yaml"), "p", "")


def compose(text: str, profiles: tuple[str, ...] = (), publish_address: str = "", **variables: str) -> Wish:
    here = Circumstances(project="p", variables=variables, profiles=profiles, publish_address=publish_address)
    return read_compose(read_tree(text, "compose.yaml"), here)


def ports(wish: Wish, container: str) -> list[str]:
    return [port_text(port) for port in wish.containers[container].ports]


def test_ours() -> None:
    wish = ours("""
networks:
  app: {subnets: [10.1.0.0/24, {subnet: 'fd00:1::/64', gateway: 'fd00:1::9'}], internal: yes, labels: [a=b]}
  lan:
    driver: macvlan
    options: {parent: eth0}
  given: {external: true}
x-note: whatever
containers:
  web: {networks: {app: {ip: 10.1.0.9, aliases: [www], bandwidth: ingress=1mbit}, lan: }, ports: [22:22, 53:53/udp]}
  old: {netns: /run/netns/old}
  by: {pid: 12, networks: [app], dns: [192.0.2.1], dns_search: corp, extra_hosts: {db: 10.1.0.3}}
  alone: {network_mode: none}
""")
    app, web = wish.networks["app"], wish.containers["web"]
    assert ([s.cidr for s in app.subnets], app.ipv6, app.internal) == (["10.1.0.0/24", "fd00:1::/64"], True, True)
    assert app.labels == {"a": "b", APPLIED: "p"}
    assert wish.networks["lan"].options == {"parent": "eth0"}
    assert wish.networks["given"].external
    assert [*web.networks] == ["app", "lan"]
    assert web.networks["app"].bandwidth == "ingress=1000000"
    assert ports(wish, "web") == ["22:22", "53:53/udp"]
    assert [*wish.containers["old"].networks] == ["bridge"]
    assert wish.containers["by"].netns == "/proc/12/ns/net"
    assert wish.containers["by"].lookup.extra_hosts == ("db:10.1.0.3",)
    assert (wish.containers["alone"].mode, wish.containers["alone"].networks) == ("none", {})


SHOP = """\
name: whatever
services:
  web:
    image: nginx
    build: {unknown: key}
    ports:
      - "3000"
      - "${PORT:-8080}:80"
      - 127.0.0.1:5000-5001:5000-5001/udp
      - ::1:6000:6000
      - {target: 53, published: "5353", host_ip: 192.0.2.1, protocol: udp, mode: host, app_protocol: dns}
    networks:
      front: {ipv4_address: 10.1.0.9, aliases: [www, web], gw_priority: 3}
      back: {priority: 10, interface_name: db0, mac_address: "02:00:00:00:00:01"}
      corp: {priority: 10}
    hostname: shop
    dns: 192.0.2.53
    dns_search: [a.example, b.example]
    dns_opt: [rotate]
    extra_hosts: ["one=10.9.0.1", "two:10.9.0.2", "up:host-gateway"]
    labels: {tier: front}
  db: {}
  side: {network_mode: "service:db", depends_on: [db]}
  named: {network_mode: "service:web", container_name: beside}
  hosted: {network_mode: host}
  lone: {network_mode: none}
  plain: {network_mode: bridge, links: [db]}
  many: {deploy: {replicas: 2}, networks: [back]}
  debug: {profiles: [debug]}
networks:
  front: {ipam: {driver: default, config: [{subnet: 10.1.0.0/24, gateway: 10.1.0.1, ip_range: 10.1.0.128/25}]}}
  back: {internal: true, driver: bridge, driver_opts: {com.docker.network.driver.mtu: 1400}, name: "${NAME}", labels: {a: b}}
  corp: {external: true, name: office}
  unused: {}
"""


def test_addresses_by_a_dhcp_server() -> None:
    text = "networks: {lan: {driver: macvlan, driver_opts: {parent: eth0}, ipam: {driver: dhcp}}}"
    (lan,) = compose(f"services: {{a: {{networks: [lan]}}}}\n{text}").networks.values()
    assert (lan.ipam_driver, lan.words) == ("dhcp", "macvlan, addresses by dhcp")
    (own,) = ours("networks: {lan: {driver: macvlan, options: {parent: eth0}, ipam_driver: dhcp}}").networks.values()
    assert own.ipam_driver == "dhcp"


def test_compose_means_what_compose_means_by_it() -> None:
    wish = compose(SHOP, NAME="deep")
    assert sorted(wish.networks) == ["deep", "office", "p_default", "p_front"]
    front, back = wish.networks["p_front"], wish.networks["deep"]
    assert (front.subnets[0].gateway, front.subnets[0].ip_range) == ("10.1.0.1", "10.1.0.128/25")
    assert (back.internal, back.options) == (True, {"com.docker.network.driver.mtu": "1400"})
    expected = {"a": "b", APPLIED: "p", "com.docker.compose.project": "p", "com.docker.compose.network": "back"}
    assert back.labels == expected
    assert wish.networks["office"].external
    web = wish.containers["p-web-1"]
    assert [*web.networks] == ["deep", "office", "p_front"], "by priority, of equals by name"
    assert web.networks["p_front"].aliases == ("web", "www")
    assert (web.networks["p_front"].ip, web.networks["p_front"].gw_priority) == ("10.1.0.9", 3)
    assert (web.networks["deep"].ifname, web.networks["deep"].mac) == ("db0", "02:00:00:00:00:01")
    assert ports(wish, "p-web-1") == [
        "3000", "8080:80", "127.0.0.1:5000-5001:5000-5001/udp", "[::1]:6000:6000", "192.0.2.1:5353:53/udp",
    ]  # fmt: skip
    assert (web.hostname, web.lookup.dns, web.lookup.dns_options) == ("shop", ("192.0.2.53",), ("rotate",))
    assert web.lookup.dns_search == ("a.example", "b.example")
    assert web.lookup.extra_hosts == ("one:10.9.0.1", "two:10.9.0.2", "up:host-gateway")
    assert web.labels["tier"] == "front"
    assert web.labels["com.docker.compose.service"] == "web"
    assert {name: c.mode for name, c in wish.containers.items() if c.mode} == {
        "p-side-1": "container:p-db-1",
        "beside": "container:p-web-1",
        "p-hosted-1": "host",
        "p-lone-1": "none",
    }
    assert [*wish.containers["p-db-1"].networks] == ["p_default"]
    assert [*wish.containers["p-plain-1"].networks] == ["bridge"]
    assert {"p-many-1", "p-many-2"} <= wish.containers.keys()
    assert "p-debug-1" not in wish.containers


def test_profiles_and_where_ports_are_published() -> None:
    text = "services: {a: {profiles: [x], ports: ['80:80']}, b: {profiles: [y]}}"
    assert [*compose(text, ("x",), "127.0.0.1").containers] == ["p-a-1"]
    assert ports(compose(text, ("x",), "127.0.0.1"), "p-a-1") == ["127.0.0.1:80:80"]
    assert [*compose(text, ("*",)).containers] == ["p-a-1", "p-b-1"]


def test_what_the_default_network_is_like_may_be_said() -> None:
    wish = compose("services: {a: , b: {networks: [default]}}\nnetworks: {default: {internal: true}}")
    assert wish.networks["p_default"].internal
    assert [*wish.networks] == ["p_default"]


def test_anchors_and_merge_keys() -> None:
    wish = compose("x-a: &a {ports: ['80:80'], dns: 192.0.2.1}\nservices: {web: {<<: *a, ports: ['81:80']}}")
    assert ports(wish, "p-web-1") == ["81:80"]
    assert wish.containers["p-web-1"].lookup.dns == ("192.0.2.1",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A-${A}-$$A", "x-x-$A"),
        ("${A:-y}${E:-y}${N:-y}", "xyy"),
        ("${A-y}${E-y}${N-y}", "xy"),
        ("${A:+y}${E:+y}${E+y}", "yy"),
        ("${N}", ""),
    ],
)
def test_variables(text: str, expected: str) -> None:
    assert interpolated(text, {"A": "x", "E": ""}) == expected


def test_a_file_of_variables() -> None:
    text = "# A=1\nB=2 # two\nexport C='3 # three'\n\nno line\nD=\n"
    assert read_variables(text) == {"B": "2", "C": "3 # three", "D": ""}


def test_the_project_is_named_by_file_directory_or_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMPOSE_PROJECT_NAME", raising=False)
    (tmp_path / "My.Shop").mkdir()
    own, made = tmp_path / "My.Shop" / "Site.yaml", tmp_path / "My.Shop" / "compose.yaml"
    own.write_text("containers: {web: {}}")
    made.write_text("services: {web: {ports: ['$PORT:80']}}")
    (tmp_path / "My.Shop" / ".env").write_text("PORT=8080\n")

    def read(path: Path, project: str = "") -> Wish:
        return read_wish(str(path), project=project, profiles=(), publish_address="")

    assert [read(path).project for path in (own, made)] == ["site", "myshop"]
    assert ports(read(made), "myshop-web-1") == ["8080:80"]
    assert read(own, "other").project == "other"
    monkeypatch.setenv("PORT", "9090")
    assert ports(read(made), "myshop-web-1") == ["9090:80"]
    own.write_text("name: named\nnetworks: {}")
    assert read(own).project == "named"
    with pytest.raises(Invalid, match="invalid name of a project 'No Good'"):
        read(own, "No Good")


OURS = [
    ("networks: [a]", "f.yaml:1: networks: names and values are expected, not a list"),
    ("network: {}", "f.yaml:1: network: unknown key (known: name, networks, containers)"),
    ("networks:\n  app:\n    subnt: 10.1.0.0/24", "f.yaml:3: networks.app.subnt: unknown key"),
    ("networks:\n  app:\n    subnet: 10.1.0.1/24", "f.yaml:3: networks.app.subnet: "),
    ("networks:\n  app:\n    subnets:\n    - 10.1.0.0/24\n    - no", "f.yaml:5: networks.app.subnets[1]: "),
    ("networks: {app: {subnets: [{gateway: 10.1.0.1}]}}", "networks.app.subnets[0]: subnet is missing"),
    ("networks: {app: {subnets: [{subnet: 10.1.0.0/24, gateway: 10.2.0.1}]}}", "gateway 10.2.0.1 is outside of subnet"),
    ("networks: {app: {driver: teleport}}", "networks.app.driver: unknown network driver 'teleport' (known: bridge"),
    ("networks: {app: {options: {colour: red}}}", "networks.app.options: unknown"),
    ("networks: {app: {internal: 2}}", "networks.app.internal: '2' is neither true nor false"),
    ("networks: {a/b: {}}", "networks.a/b: invalid network name 'a/b'"),
    ("networks: {app: {external: true, internal: true}}", "networks.app: an external network is taken as it is"),
    ("containers: {web: {prots: []}}", "containers.web.prots: unknown key"),
    ("containers:\n  web:\n    ports:\n    - 80:80\n    - http", "f.yaml:5: containers.web.ports[1]: malformed port 'http'"),
    ("containers: {web: {ports: [{published: 80}]}}", "containers.web.ports[0]: target is missing"),
    ("containers: {web: {networks: {app: {ip: fd00::1}}}}", "containers.web.networks.app.ip: fd00::1 is not an IPv4"),
    ("containers: {web: {networks: {app: {mac: x}}}}", "containers.web.networks.app.mac: "),
    ("containers: {web: {networks: {app: {aliases: www}}}}", "containers.web.networks.app.aliases: a list is expected"),
    ("containers: {web: {networks: {app: {bandwidth: fast}}}}", "networks.app.bandwidth: invalid bandwidth 'fast'"),
    ("containers: {web: {networks: [host]}}", "containers.web.networks[0]: host is no network that containers can be on"),
    ("containers: {web: {network_mode: app}}", "containers.web.network_mode: unknown mode 'app'"),
    ("containers: {web: {network_mode: none, networks: [a]}}", "containers.web.networks: a container in mode none"),
    ("containers: {web: {network_mode: host, ports: ['80']}}", "containers.web.ports: ports cannot be published in mode"),
    ("containers: {web: {netns: here}}", "containers.web.netns: 'here' is not an absolute path"),
    ("containers: {web: {netns: /a, pid: 1}}", "containers.web.pid: netns and pid are two ways"),
    ("containers: {web: {dns: nowhere}}", "containers.web.dns: invalid resolver 'nowhere'"),
    ("containers: {web: {extra_hosts: [db]}}", "containers.web.extra_hosts[0]: invalid extra host 'db'"),
    ("containers: {web: {labels: {'': x}}}", "containers.web.labels: invalid label ''"),
    ("networks: {a: {}}\nnetworks: {b: {}}", "f.yaml:2: the top: 'networks' is said twice"),
    ("networks: {a: {}\n", "f.yaml:2: not YAML: "),
    ("networks: @", "f.yaml:1: not YAML: "),
    ("networks: *nobody", "f.yaml:1: not YAML: found undefined alias"),
    ("a: &a [*a]", "f.yaml"),
    ("- a\n- b", "f.yaml:1: names and values are expected, not a list"),
    ("networks: {[a]: {}}", "f.yaml:1: networks: a name must be text"),
    ("--- a\n--- b", "f.yaml:2: not YAML: but found another document"),
    ("a: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n" + "".join(
        f"{chr(99 + n)}: &{chr(99 + n)} [{', '.join([f'*{chr(98 + n)}'] * 9)}]\n" for n in range(8)), "too many values"),
    ("[" * 3000, "f.yaml"),
    ("networks: {a: \0}", "f.yaml: not YAML: "),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), OURS, ids=[str(n) for n in range(len(OURS))])
def test_what_is_wrong_with_a_file_of_ours(text: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        ours(text)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


COMPOSE = [
    ("networks: {a: {subnet: 10.1.0.0/24}}", "compose.yaml:1: networks.a.subnet: unknown key (known: name, driver,"),
    ("networks: {a: {ipam: {config: [{subnets: x}]}}}", "networks.a.ipam.config[0].subnets: unknown key"),
    ("networks: {a: {ipam: {driver: radius}}}", "networks.a.ipam.driver: unknown IPAM driver 'radius'"),
    ("networks: {a: {external: true, driver: bridge}}", "networks.a.driver: an external network is taken as it is"),
    ("services: {web: {networks: [a]}}", "services.web.networks: there is no network 'a' (known: default)"),
    ("services: {web: {networks: {default: {alias: [x]}}}}", "services.web.networks.default.alias: unknown key"),
    ("services: {web: {network_mode: service:x}}", "services.web.network_mode: there is no service 'x' (known: web)"),
    ("services: {web: {network_mode: x}}", "services.web.network_mode: unknown network_mode 'x'"),
    ("services: {web: {network_mode: none, networks: [default]}}", "services.web.networks: networks and network_mode"),
    (
        "services: {web: {network_mode: host, ports: ['80']}}",
        "services.web.ports: ports cannot be published in mode host",
    ),
    (
        "services:\n  web:\n    ports:\n      - {target: 80, port: 1}",
        "compose.yaml:4: services.web.ports[0].port: unknown",
    ),
    ("services: {web: {ports: [{target: 80, mode: x}]}}", "services.web.ports[0].mode: unknown mode 'x'"),
    ("services: {web: {ports: ['${P:?say P}:80']}}", "services.web.ports[0]: variable P is not set: say P"),
    ("services: {web: {ports: ['$/:80']}}", "services.web.ports[0]: invalid use of $"),
    ("services: {web: {links: ['db:database']}}", "services.web.links[0]: link 'db:database' has a name of its own"),
    ("services: {web: {external_links: [x]}}", "services.web.external_links: external_links are not known"),
    ("services: {web: {extends: {service: x}}}", "services.web.extends: extends is not known"),
    ("include: [x.yaml]", "include: include is not known"),
    (
        "services: {web: {scale: 2, container_name: x}}",
        "services.web.container_name: 2 containers cannot have one name",
    ),
    (
        "services: {a: {container_name: x}, b: {container_name: x}}",
        "services.b: another service has the container name x",
    ),
    ("services: {web: {scale: two}}", "services.web.scale: 'two' is not a number"),
    ("services: {'a b': {}}", "services.a b: invalid service name 'a b'"),
    ("services: {web: {networks: {default: {link_local_ips: [169.254.1.1]}}}}", "link_local_ips are not known"),
]


@pytest.mark.parametrize(("text", "said"), COMPOSE, ids=[str(n) for n in range(len(COMPOSE))])
def test_what_is_wrong_with_a_compose_file(text: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        compose(text)
    assert said in str(refused.value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3) | (
    st.dictionaries(st.sampled_from(("networks", "services", "containers", "ports", "ipam", "config", "a")), inner)
), max_leaves=12))  # fmt: skip
def test_whatever_stands_in_a_file_is_read_or_refused(document: object) -> None:
    text = json.dumps(document)
    for read in (ours, compose):
        with contextlib.suppress(Invalid):
            read(text)
