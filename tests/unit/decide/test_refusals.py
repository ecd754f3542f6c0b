"""Whatever is refused is refused in one line that says what is wrong and what is allowed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netrt.dataplane.facts import HostFacts, Listener
from netrt.decide.decide import decide
from netrt.errors import Conflict, Exhausted, Exists, InUse, Invalid, NetrtError, NotFound
from netrt.model.command import CreateContainer, CreateNetwork, Endpoint, PruneNetworks, Rename
from netrt.model.container import Lookup, ProcessSpec, Sandbox
from netrt.model.network import Mode, Subnet
from tests.strategies import NOW, identifier
from tests.unit.decide.asking import Asked

FACTS = HostFacts(
    addresses=("192.0.2.1",),
    routes=("192.0.2.0/24", "10.64.0.0/10", "0.0.0.0/1", "128.0.0.0/1"),
    listeners=(
        Listener(protocol="tcp", ip="0.0.0.0", port=8089, owner="nginx (pid 812)"),
        Listener(protocol="udp", ip="::", port=5353, dual=True),
    ),
)


@pytest.fixture(scope="module")
def busy() -> Asked:
    """app: web, db, side in web's namespace. backend (internal): db. six: IPv6 only. alone: none; hosty: host."""
    host = Asked(FACTS)
    host.network("app", "10.1.0.0/24")
    host.network("backend", "10.2.0.0/29", internal=True)
    host.network("six", "fd00:6::/64", ipv4=False)
    host.network("named", "10.3.0.0/24", options={"com.docker.network.bridge.name": "br0"})
    host.run("web", "app", publish=["8080:80", "9000-9009:90-99/udp"])
    host.run("db", "app", endpoints=(Endpoint(network="app"), Endpoint(network="backend", address4="10.2.0.3")))
    host.run("side", "container:web")
    host.run("alone", "none")
    host.run("hosty", "host")
    host.run("given", "none", adopt=Sandbox(path="/run/netns/given", owned=False, inode=42))
    host.note("db", pid=7, start_ticks=1)
    return host


def network(name: str = "new", *subnets: Subnet, **more: object) -> Callable[[Asked], object]:
    command = CreateNetwork(id=identifier(900), name=name, subnets=subnets, **more)  # type: ignore[arg-type]
    return lambda host: host.ask(command)


def container(mode: str = "app", *publish: str, name: str = "new", **more: object) -> Callable[[Asked], object]:
    return lambda host: host.run(name, mode, publish=publish, **more)


NOBODY = "nobody gets a network or broadcast address, a gateway, an aux-address"

NETWORKS = [
    (network("app"), Exists, "network with name app already exists"),
    (network("bridge"), Invalid, "network bridge is predefined and cannot be created (choose another name)"),
    (network("default"), Invalid, "network default is predefined and cannot be created (choose another name)"),
    (
        network("host", mode=Mode.HOST),
        Invalid,
        "network host is predefined and cannot be created (choose another name)",
    ),
    (network(mode=Mode.HOST), Invalid, "only one network of driver host is allowed (it is there already; use bridge)"),
    (network(mode=Mode.NONE), Invalid, "only one network of driver null is allowed (it is there already; use bridge)"),
    (network("new", Subnet(cidr="10.1.0.0/16")), InUse, "subnet 10.1.0.0/16 overlaps network app (10.1.0.0/24)"),
    (network("new", Subnet(cidr="10.2.0.4/30")), InUse, "subnet 10.2.0.4/30 overlaps network backend (10.2.0.0/29)"),
    (
        network("new", Subnet(cidr="10.65.0.0/24")),
        Conflict,
        "subnet 10.65.0.0/24 overlaps the host's route 10.64.0.0/10",
    ),
    *(
        (network("new", subnet), Invalid, f"{where} has no address for containers ({NOBODY})")
        for subnet, where in (
            (Subnet(cidr="10.9.3.0/24", ip_range="10.9.3.0/32"), "ip-range 10.9.3.0/32 of subnet 10.9.3.0/24"),
            (Subnet(cidr="10.9.3.0/24", ip_range="10.9.3.0/31"), "ip-range 10.9.3.0/31 of subnet 10.9.3.0/24"),
            (Subnet(cidr="10.9.3.0/24", ip_range="10.9.3.255/32"), "ip-range 10.9.3.255/32 of subnet 10.9.3.0/24"),
            (
                Subnet(cidr="10.9.3.0/24", gateway="10.9.3.9", ip_range="10.9.3.9/32"),
                "ip-range 10.9.3.9/32 of subnet 10.9.3.0/24",
            ),
            (Subnet(cidr="fd00:9::/64", ip_range="fd00:9::/127"), "ip-range fd00:9::/127 of subnet fd00:9::/64"),
            (Subnet(cidr="10.9.3.0/30", auxiliary={"dns": "10.9.3.2"}), "subnet 10.9.3.0/30"),
        )
    ),
    (
        network("new", Subnet(cidr="10.9.0.0/24"), Subnet(cidr="10.9.0.128/25")),
        Invalid,
        "subnets 10.9.0.0/24 and 10.9.0.128/25 of one network overlap",
    ),
    (
        network("new", Subnet(cidr="10.9.0.0/24", gateway="10.9.0.5", auxiliary={"router": "10.9.0.5"})),
        Invalid,
        "gateway 10.9.0.5 of 10.9.0.0/24 is also its aux-address router",
    ),
    (
        network("new", Subnet(cidr="10.9.0.0/30", auxiliary={"a": "10.9.0.1", "b": "10.9.0.2"})),
        Invalid,
        "subnet 10.9.0.0/30 has no address left for a gateway",
    ),
    (network(ipv4=False), Invalid, "a network needs IPv4 or IPv6"),
    (
        network("new", Subnet(cidr="10.9.0.0/24"), ipv4=False, ipv6=True),
        Invalid,
        "subnet 10.9.0.0/24 is IPv4, but IPv4 is turned off for the network",
    ),
    (
        network(options={"com.docker.network.bridge.name": "br0"}),
        Exists,
        "bridge name br0 is in use by network named",
    ),
    (
        lambda host: host.remove_network("app"),
        InUse,
        "network app has active containers: web, db (disconnect them first, or use -f)",
    ),
    (lambda host: host.remove_network("x"), NotFound, "no network named x (have: app, backend, named, six)"),
    (lambda host: host.remove_network("a\nb"), NotFound, "no network named 'a\\nb' (have: app, backend, named, six)"),
    (lambda host: host.remove_network("none"), Invalid, "network none is predefined and cannot be removed"),
    (lambda host: host.remove_network("bridge"), Invalid, "network bridge is predefined and cannot be removed"),
    (
        lambda host: host.remove_network(host.state.network_names["host"][:12], force=True),
        Invalid,
        "network host is predefined and cannot be removed",
    ),
    (
        lambda host: host.ask(PruneNetworks(until="yesterday")),
        Invalid,
        "invalid time yesterday (RFC 3339 such as 2026-01-31T12:00:00Z is expected)",
    ),
]

CONNECTIONS = [
    (
        lambda host: host.connect("web", "app"),
        Exists,
        "container web is already on network app",
    ),
    (
        lambda host: host.connect("hosty", "app"),
        Invalid,
        "container cannot be disconnected from host network or connected to host network "
        "(hosty was made with --network host)",
    ),
    (
        lambda host: host.connect("side", "backend"),
        Invalid,
        "container side shares the namespace of web and cannot be connected or disconnected (connect or disconnect web)",
    ),
    (lambda host: host.connect("web", "host"), Invalid, "container web cannot be connected to network host"),
    (lambda host: host.connect("web", "none"), Invalid, "container web cannot be connected to network none"),
    (
        lambda host: host.connect("web", "backend", address4="10.2.0.3"),
        InUse,
        "10.2.0.3 is held by db on backend",
    ),
    (
        lambda host: host.connect("web", "backend", address6="fd00::1"),
        Invalid,
        "fd00::1 cannot be had: network backend has no IPv6 (10.2.0.0/29)",
    ),
    (
        lambda host: host.connect("web", "six", address4="10.6.0.2"),
        Invalid,
        "10.6.0.2 cannot be had: network six has no IPv4 (fd00:6::/64)",
    ),
    (
        lambda host: host.connect("web", "backend", mac="02:42:0a:02:00:03"),
        InUse,
        "MAC address 02:42:0a:02:00:03 is held by db on backend",
    ),
    (
        lambda host: host.connect("web", "backend", mac="01:00:5e:00:00:01"),
        Invalid,
        "invalid MAC address '01:00:5e:00:00:01' (a unicast address such as 02:42:0a:01:00:02 is expected)",
    ),
    (lambda host: host.connect("web", "backend", ifname="eth0"), InUse, "container web already has an interface eth0"),
    (lambda host: host.connect("web", "backend", ifname="lo"), Invalid, "interface name lo is the loopback's"),
    (
        lambda host: host.connect("wob", "app"),
        NotFound,
        "no container named wob (have: alone, db, given, hosty, side, web)",
    ),
    (
        lambda host: host.disconnect("web", "backend"),
        NotFound,
        "container web is not connected to network backend",
    ),
    (
        lambda host: host.disconnect("hosty", "host"),
        Invalid,
        "container cannot be disconnected from host network or connected to host network "
        "(hosty was made with --network host)",
    ),
]

CONTAINERS = [
    (
        container(name="web"),
        Exists,
        "container name web is already in use by ef2d127de37b (remove or rename that one first)",
    ),
    (container("container:nobody"), NotFound, "no container named nobody (have: alone, db, given, hosty, side, web)"),
    (container("container:side"), Invalid, "side itself shares the namespace of web (use --network container:web)"),
    (container("app9"), NotFound, "no network named app9 (have: app, backend, named, six)"),
    (
        container("container:web", endpoints=(Endpoint(network="app"),)),
        Invalid,
        "a container that shares the namespace of web cannot be on networks of its own: app (connect web)",
    ),
    *(
        (
            container("container:web", **asked),
            Invalid,
            "a container that shares the namespace of web cannot have resolvers of its own (it has those of web)",
        )
        for asked in (
            {"process": ProcessSpec(command=("true",), dns=("1.1.1.1",))},
            {"process": ProcessSpec(command=("true",), dns_options=("ndots:2",))},
            {"lookup": Lookup(dns_search=("zz",))},
        )
    ),
    (
        container("none", endpoints=(Endpoint(network="app"),)),
        Invalid,
        "a container in mode none cannot be on other networks: app",
    ),
    (
        container("app", endpoints=(Endpoint(network="host"),)),
        Invalid,
        "container new cannot be connected to network host",
    ),
    (
        container("app", endpoints=(Endpoint(network="app"), Endpoint(network="app"))),
        Exists,
        "container new is already on network app",
    ),
    (
        container("none", adopt=Sandbox(path="/proc/9/ns/net", owned=False, inode=42)),
        Exists,
        "namespace /proc/9/ns/net is already that of container given",
    ),
    (
        container("none", adopt=Sandbox(path="/run/netns/netrt-web", owned=False, inode=43)),
        Exists,
        "namespace /run/netns/netrt-web is already that of container web",
    ),
    (
        container("host", adopt=Sandbox(path="/run/netns/x", owned=False, inode=44)),
        Invalid,
        "a namespace that was made by somebody else cannot be combined with mode host or container",
    ),
    (
        lambda host: host.remove("web", force=True),
        InUse,
        "web shares its namespace with: side (remove these first)",
    ),
    (lambda host: host.remove("db"), InUse, "container db is running; stop it first or use -f"),
    (
        lambda host: host.ask(Rename(container="web", name="db")),
        Exists,
        "container name db is already in use by e7f6c011776e (remove or rename that one first)",
    ),
    (lambda host: host.ask(Rename(container="web", name="web")), Invalid, "container web has that name already"),
]

PORTS = [
    (container("app", "8080:80"), InUse, "port 8080/tcp is already allocated to web"),
    (container("app", "8000-8100:8000-8100"), InUse, "port 8080/tcp is already allocated to web"),
    (container("app", "127.0.0.1:8080:80"), InUse, "port 127.0.0.1:8080/tcp is already allocated to web"),
    (container("app", "9005:80/udp"), InUse, "port 9005/udp is already allocated to web"),
    (container("app", "8089:80"), Conflict, "port 8089/tcp is already allocated to nginx (pid 812)"),
    (container("app", "8085-8095:80-90"), Conflict, "port 8089/tcp is already allocated to nginx (pid 812)"),
    (container("app", "5353:53/udp"), Conflict, "port 5353/udp is already allocated to a process of the host"),
    (
        container("app", "8081:80", "8080-8082:80-82/udp", "8081:81"),
        Invalid,
        "port 8081/tcp is already allocated to the same container",
    ),
    (container("app", "203.0.113.9:80:80"), Invalid, "host address 203.0.113.9 is not an address of this host"),
    (
        container("app", "[::1]:80:80"),
        Invalid,
        "port 80/tcp cannot be published on ::1: no network of the container leads outside by IPv6",
    ),
    (
        container("six", "127.0.0.1:80:80"),
        Invalid,
        "port 80/tcp cannot be published on 127.0.0.1: no network of the container leads outside by IPv4",
    ),
    (
        container("backend", "80"),
        Invalid,
        "port 80/tcp cannot be published: it needs a network that leads outside (internal or isolated: backend)",
    ),
    (
        container("none", "80"),
        Invalid,
        "port 80/tcp cannot be published: it needs a network that leads outside (the container is on no network)",
    ),
    (
        container("host", "80:80"),
        Invalid,
        "ports cannot be published in mode host (the container uses the ports of the host itself)",
    ),
    (
        container("container:db", "80:80"),
        Invalid,
        "ports cannot be published by a container that shares the namespace of db (publish them on db)",
    ),
    (
        container("app", "1-30000:1-30000/sctp", "30001-60000:1-30000/sctp", "40000-65000/sctp"),
        Exhausted,
        "no free sctp 25001 consecutive ports of the host from 32768 to 60999",
    ),
]


@pytest.mark.parametrize(
    ("request_", "error", "says"),
    [*NETWORKS, *CONNECTIONS, *CONTAINERS, *PORTS],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_refused(busy: Asked, request_: Callable[[Asked], object], error: type[NetrtError], says: str) -> None:
    before = busy.state
    with pytest.raises(NetrtError) as refusal:
        request_(busy)
    assert str(refusal.value) == says
    assert type(refusal.value) is error
    assert busy.state is before


BAD = ["a/b", "a'b", 'a"b', "a\nb", "x" * 300]
NAMED: dict[str, Callable[[str], object]] = {
    "network": lambda bad: CreateNetwork(id=identifier(900), name=bad),
    "container": lambda bad: CreateContainer(id=identifier(900), name=bad),
    "generated": lambda bad: CreateContainer(id=identifier(900), generated_name=bad),
    "hostname": lambda bad: CreateContainer(id=identifier(900), name="new", hostname=bad),
    "new name": lambda bad: Rename(container="web", name=bad),
    "alias": lambda bad: CreateContainer(
        id=identifier(900), name="new", endpoints=(Endpoint(network="app", aliases=("ok", bad)),)
    ),
    "interface": lambda bad: CreateContainer(
        id=identifier(900), name="new", endpoints=(Endpoint(network="app", ifname=bad),)
    ),
    "bridge": lambda bad: CreateNetwork(
        id=identifier(900), name="new", options={"com.docker.network.bridge.name": bad}
    ),
    "option": lambda bad: CreateNetwork(id=identifier(900), name="new", options={bad: "1"}),
    "aux-address": lambda bad: CreateNetwork(
        id=identifier(900), name="new", subnets=(Subnet(cidr="10.9.0.0/24", auxiliary={bad: "10.9.0.7"}),)
    ),
}


@pytest.mark.parametrize("bad", BAD, ids=["slash", "quote", "double quote", "newline", "long"])
@pytest.mark.parametrize("kind", NAMED)
def test_no_bad_name_gets_in(busy: Asked, kind: str, bad: str) -> None:
    with pytest.raises(Invalid) as refusal:
        decide(busy.state, NAMED[kind](bad), FACTS, NOW)  # type: ignore[arg-type]
    assert "\n" not in str(refusal.value)
    assert bad not in str(refusal.value) or len(bad) < 10


def test_long_lists_are_cut() -> None:
    host = Asked()
    host.network("app", "10.1.0.0/24")
    for number in range(30):
        host.run(f"c{number:02}", "app")
    with pytest.raises(InUse, match=r"containers: c00, c01, .*, c09 and 20 more \("):
        host.remove_network("app")
    with pytest.raises(NotFound, match=r"^no container named x \(have: c00, .* and 20 more\)$"):
        host.remove("x")


def test_a_bridge_takes_1023_containers() -> None:
    host = Asked()
    host.network("app", "10.1.0.0/16")
    state = host.state
    for number in range(1023):
        command = CreateContainer(id=identifier(5000 + number), name=f"c{number}", network_mode="app")
        state = decide(state, command, FACTS, NOW).state
    with pytest.raises(Exhausted, match=r"^network app has 1023 containers, the most that a bridge takes$"):
        decide(state, CreateContainer(id=identifier(1), name="more", network_mode="app"), FACTS, NOW)
