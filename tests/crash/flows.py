"""Flows: what people ask of the daemon, as requests, and what is there before."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from netrt import Client
from netrt.cli.apply import seen
from netrt.cli.steps import performed, rehearse
from netrt.cli.wishfile import as_yaml, read_tree
from netrt.declare.conflicts import check
from netrt.declare.export import exported
from netrt.declare.ours import read_ours
from netrt.declare.plan import plan
from netrt.declare.steps import Step
from netrt.errors import Unavailable
from tests.dhcpserver import Manner, Server
from tests.host import Host
from tests.traffic import Place

Work = Callable[[Client], object]


@dataclass(frozen=True, kw_only=True)
class Flow:
    """`given` leads to the state before; `then` is what dies on its way. `anew`, the last step to the state before, is what no
    database brings back: a process. Where `then` gives an iterator, it is several requests, each of which is whole: dying in
    between leaves what some of them made. Doing it again then must lead to the end: to what `told` says there."""

    given: tuple[Work, ...] = ()
    anew: Work | None = None
    then: Work
    told: Callable[[Client], str] | None = None


def _network(name: str, **wishes: Any) -> Work:
    return lambda client: client.create_network(name, **wishes)


def _container(name: str, *networks: str, **wishes: Any) -> Work:
    wishes["networks"] = wishes.get("on") or list(networks)
    wishes.pop("on", None)
    return lambda client: client.create_container(name, **wishes)


def _ran(name: str) -> Work:
    """Start it, and see its end."""

    def work(client: Client) -> None:
        client.start(name)
        client.kill(name)

    return work


def _cni(verb: str, ifname: str = "eth0", **more: Any) -> Work:
    """One execution of the plugin `netrt`, for the namespace `pod`."""
    config = {"cniVersion": "1.1.0", "name": "pods", "type": "netrt", "mode": "bridge", "subnet": "10.9.0.0/24", **more}
    given = {"COMMAND": verb, "CONTAINERID": "pod", "NETNS": "/run/netns/pod", "IFNAME": ifname, "PATH": "/nowhere"}
    head = "\0".join(("netrt", *(f"CNI_{key}={value}" for key, value in given.items()))).encode()
    body = head + b"\0\0" + json.dumps(config).encode()

    def work(client: Client) -> None:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect("/run/netrt/netrt.sock")
            peer.sendall(b"POST /netrt/cni HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            said = b"".join(iter(lambda: peer.recv(65536), b""))
        if not said:
            raise Unavailable("no answer")
        assert said[9:12] == b"200", said

    return work


def _apply(document: object, *, prune: bool = False) -> Work:
    """`netrt apply`, step by step."""
    wish = read_ours(read_tree(json.dumps(document), "site.yaml"), "site", "")

    def work(client: Client) -> Iterator[Step]:
        there = seen(client)
        made = plan(there, wish, prune=prune)
        check(there, wish, made)
        rehearse(client, made)
        return performed(client, made)

    return work


def _applied(document: object) -> Work:
    """The same, to its end."""
    work = _apply(document)
    return lambda client: [*work(client)]  # type: ignore[call-overload]


def _exported(client: Client) -> str:
    return as_yaml(exported(seen(client)))


SITE: dict[str, Any] = {
    "networks": {"app": {"subnet": "10.1.0.0/24"}, "back": {"subnet": "10.2.0.0/24", "internal": True}},
    "containers": {
        "web": {"networks": {"app": {"aliases": ["www"]}}, "ports": ["8080:80"]},
        "db": {"networks": ["back"], "dns": "192.0.2.53"},
    },
}
LATER: dict[str, Any] = {
    "networks": {"back": {"subnet": "10.3.0.0/24"}},
    "containers": {"db": {"networks": {"back": {"aliases": ["store"]}}, "ports": ["8081:80"], "dns": "192.0.2.53"}},
}


def _lan(_: Client) -> None:
    """A LAN beyond a link `card` of the host, with a DHCP server that always gives the same."""
    for words in (
        "netns add outside",
        "link add card up type veth peer name far netns outside",
        "-n outside link set far up",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    gives = Manner(gives=["10.77.0.10"] * 10_000, says=[("router", "10.77.0.1"), ("lease_time", 3600)])
    Server(Place(Host(), "/run/netns/outside"), "far", gives)


def _bridge(_: Client) -> None:
    """A bridge of people's, with an address."""
    for words in (
        "link add br0 up address 02:00:00:00:08:01 type bridge",
        "addr add 10.8.0.1/24 dev br0",
        "addr add fd00:8::1/64 dev br0 nodad",
    ):
        subprocess.run(["ip", *words.split()], check=True)


app, back = _network("app", ipv6=True), _network("back", internal=True)
small = _network("app", subnets=["10.1.0.0/24", "fd00:1::/112"], ipv6=True)
web = _container("web", "app", ports=["8080:80", "5000-5009:6000-6009/udp"])
plain = _container("plain", "app")
both = _container("both", on={"app": {}, "back": {"aliases": ["store"]}})
card = {"driver": "macvlan", "options": {"parent": "card"}}
near = {"driver": "macvlan", "options": {"parent": "card", "host_access": "true"}}
lan = _network("lan", subnets=["10.7.0.0/24", "fd00:7::/64"], **card)
open_lan = _network("lan", subnets=["10.7.0.0/24", "fd00:7::/64"], **near)
dhcp_lan = _network("lan", ipam_driver="dhcp", **near)
there = _container("there", "lan")
named = {"com.docker.network.bridge.name": "br0"}
yard = _network("yard", ipv6=True, options=named)
lent = _network("yard", subnets=[{"Subnet": "10.9.0.0/24", "Gateway": "10.9.0.1"}], options=named)
guest = _container("guest", "yard", ports=["8080:80"])
job = _container("job", "app", command=["sleep", "600"], ports=["8081:80"])

ATTACH: Mapping[str, Flow] = {
    "attach": Flow(given=(app, plain), then=_container("more", "app")),
    "attach, the first": Flow(given=(app,), then=plain),
    "detach": Flow(given=(app, plain, web), then=lambda client: client.remove_container("plain")),
    "publish": Flow(given=(app, plain), then=web),
    "publish anew": Flow(given=(app, job, _ran("job")), then=lambda client: client.start("job")),
}
"""Those whose every point is in the suite."""

FLOWS: Mapping[str, Flow] = {
    "network create, the first": Flow(then=app),
    "network create": Flow(given=(app,), then=back),
    "network create, the default one": Flow(then=_container("any")),
    "network remove": Flow(given=(app, back), then=lambda client: client.remove_network("back")),
    "network remove, the last": Flow(given=(app,), then=lambda client: client.remove_network("app")),
    "network remove, by force": Flow(
        given=(app, back, both), then=lambda client: client.remove_network("back", force=True)
    ),
    "network update": Flow(
        given=(small, plain, web),
        then=lambda client: client.update_network(
            "app",
            grow=["10.1.0.0/22", "fd00:1::/64"],
            add_subnets=["10.2.0.0/24"],
            labels={"a": "b"},
            dns=["192.0.2.53"],
        ),
    ),
    "network prune": Flow(given=(app, back, plain), then=lambda client: client.prune_networks()),
    **ATTACH,
    "attach to two": Flow(given=(app, back, web), then=both),
    "attach, sharing a namespace": Flow(given=(app, web), then=_container("beside", "container:web")),
    "detach, the last": Flow(given=(app, plain), then=lambda client: client.remove_container("plain")),
    "connect": Flow(given=(app, back, plain), then=lambda client: client.connect("back", "plain", aliases=["db"])),
    "disconnect": Flow(given=(app, back, both), then=lambda client: client.disconnect("back", "both")),
    "disconnect what is published": Flow(given=(app, web), then=lambda client: client.disconnect("app", "web")),
    "withdraw": Flow(given=(app, plain, web), then=lambda client: client.remove_container("web")),
    "withdraw at the end of a process": Flow(
        given=(app, job), anew=lambda client: client.start("job"), then=lambda client: client.kill("job")
    ),
    "run: create": Flow(given=(app,), then=job),
    "run: start": Flow(given=(app, job), then=lambda client: client.start("job")),
    "macvlan: attach": Flow(given=(_lan, lan, there), then=_container("more", "lan")),
    "macvlan: attach, the first, with host access": Flow(given=(_lan, open_lan), then=there),
    "macvlan: detach, the last, with host access": Flow(
        given=(_lan, open_lan, there), then=lambda client: client.remove_container("there")
    ),
    "macvlan: connect": Flow(
        given=(_lan, app, plain, lan), then=lambda client: client.connect("lan", "plain", gw_priority=1)
    ),
    "macvlan: disconnect": Flow(
        given=(_lan, app, lan, _container("two", on={"app": {}, "lan": {"gw_priority": 1}})),
        then=lambda client: client.disconnect("lan", "two"),
    ),
    "macvlan: attach by DHCP": Flow(given=(_lan, dhcp_lan), then=there),
    "macvlan: connect by DHCP": Flow(given=(_lan, app, plain, dhcp_lan), then=lambda c: c.connect("lan", "plain")),
    "macvlan: detach by DHCP": Flow(given=(_lan, dhcp_lan, there), then=lambda c: c.remove_container("there")),
    "guests: network create": Flow(given=(_bridge,), then=yard),
    "guests: network create, with an address of ours": Flow(given=(_bridge,), then=lent),
    "guests: network remove, with an address of ours": Flow(
        given=(_bridge, lent), then=lambda client: client.remove_network("yard")
    ),
    "guests: attach": Flow(given=(_bridge, yard), then=guest),
    "guests: connect": Flow(given=(_bridge, app, plain, yard), then=lambda client: client.connect("yard", "plain")),
    "guests: detach": Flow(given=(_bridge, yard, guest), then=lambda client: client.remove_container("guest")),
    "a name changes": Flow(given=(app, plain), then=lambda client: client.rename("plain", "fancy")),
    "a name comes": Flow(given=(app, plain, web), then=_container("namesake", on={"app": {"aliases": ["www"]}})),
    "apply": Flow(then=_apply(SITE), told=_exported),
    "apply, changed and pruned": Flow(given=(_applied(SITE),), then=_apply(LATER, prune=True), told=_exported),
    "CNI ADD": Flow(given=(app,), then=_cni("ADD")),
    "CNI ADD, one more": Flow(given=(app, _cni("ADD")), then=_cni("ADD", "eth1", name="more", subnet="10.10.0.0/24")),
    "CNI DEL": Flow(given=(app, _cni("ADD")), then=_cni("DEL")),
}
