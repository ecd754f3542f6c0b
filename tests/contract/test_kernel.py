"""One list of scenarios for the fake kernel and the real one: after every operation both must hold the same, and what one refuses
the other must refuse with the same error number.

Deleting what is gone already is the one difference, and it is wanted: the fake refuses, because no plan should ask for it; the
real one does not, because a namespace may end between our look and our hand."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from netrt.dataplane import ops
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import (
    HOST,
    Address,
    Element,
    Link,
    LinkKind,
    NamePort,
    Neighbor,
    Object,
    Pin,
    Route,
    Sysctl,
)
from netrt.dataplane.scope import Scope
from netrt.errors import KernelRefused
from netrt.firewall.elements import port_elements
from netrt.firewall.skeleton import skeleton
from netrt.kernel.kernel import LinuxKernel
from netrt.model.port import parse_port
from netrt.paths import Paths
from tests.fakes import FakeKernel
from tests.host import Host
from tests.waiting import wait_until

pytestmark = pytest.mark.root

BRIDGE = Link(
    netns=HOST,
    name="nrbridge0001",
    kind=LinkKind.BRIDGE,
    mac="02:42:00:00:00:01",
    mtu=1400,
    alias="netrt:network:app",
)
GATEWAYS = (
    Address(netns=HOST, link=BRIDGE.name, address="10.1.0.1/24"),
    Address(netns=HOST, link=BRIDGE.name, address="fd00::1/64"),
)


class Box:
    """A sandbox and what an attachment puts into it."""

    def __init__(self, number: int, *, isolated: bool = False) -> None:
        self.pin = Pin(path=f"/run/netns/netrt-{number}")
        netns = self.pin.path
        self.host = Link(
            netns=HOST,
            name=f"nrport{number:06}",
            kind=LinkKind.VETH,
            mtu=1400,
            alias=f"netrt:attachment:{number}:eth0",
            master=BRIDGE.name,
            isolated=isolated,
            peer=(netns, "eth0"),
        )
        self.inner = Link(
            netns=netns,
            name="eth0",
            kind=LinkKind.VETH,
            mac=f"02:42:0a:01:00:{number + 1:02x}",
            mtu=1400,
            peer=(HOST, self.host.name),
        )
        self.address4 = Address(netns=netns, link="eth0", address=f"10.1.0.{number + 1}/24")
        self.address6 = Address(netns=netns, link="eth0", address=f"fd00::{number + 1}/64")
        self.default4 = Route(netns=netns, dst="0.0.0.0/0", via="10.1.0.1", link="eth0")
        self.default6 = Route(netns=netns, dst="::/0", via="fd00::1", link="eth0")
        self.low_ports = Sysctl(netns=netns, name="net/ipv4/ip_unprivileged_port_start", value="0")
        self.no_ra = Sysctl(netns=netns, name="net/ipv6/conf/eth0/accept_ra", value="0")

    def made(self) -> tuple[ops.Op, ...]:
        return ops.PinNamespace(self.pin), ops.AddVeth(self.host, self.inner)

    def attached(self) -> tuple[ops.Op, ...]:
        return (
            *self.made(),
            up(self.host),
            ops.SetSysctl(self.low_ports),
            ops.SetSysctl(self.no_ra),
            ops.AddAddress(self.address4),
            ops.AddAddress(self.address6),
            up(self.inner),
            ops.SetRoute(self.default4),
            ops.SetRoute(self.default6),
        )


def up(link: Link, *, to: bool = True) -> ops.SetLink:
    return ops.SetLink(netns=link.netns, name=link.name, up=to)


def change(link: Link, **changes: object) -> ops.SetLink:
    return replace(ops.SetLink(netns=link.netns, name=link.name), **changes)  # type: ignore[arg-type]


def no(op: ops.Op, number: int) -> tuple[ops.Op, int]:
    """An operation that is refused with this errno."""
    return op, number


ONE, TWO = Box(1), Box(2, isolated=True)
OTHER = replace(BRIDGE, name="nrbridge0002", mac="02:42:00:00:00:02", alias="netrt:network:db")
NETWORK = (ops.AddBridge(BRIDGE), *(ops.AddAddress(gateway) for gateway in GATEWAYS), up(BRIDGE))
NO_IPV6 = Sysctl(netns=ONE.pin.path, name="net/ipv6/conf/eth0/disable_ipv6", value="1")
NAMES = NamePort(netns=ONE.pin.path, address="127.0.0.11", port=20053)
GONE = "/run/netns/netrt-gone"
EARLIER = replace(ONE.default4, via="10.1.0.9")

RULES = skeleton(frozenset())
GUARDED = skeleton(frozenset({4, 6}))


def published(spec: str, address: str = "10.1.0.2") -> tuple[Element, ...]:
    return port_elements(parse_port(spec), address, "fd00::2", None)


WEB, RANGE, LOCAL = published("8080:80"), published("9000-9999:9000-9999/udp"), published("127.0.0.1:53:53/udp")
MARKS = tuple(Element(table=table, set="links", at=(ONE.host.name,)) for table in ("inet", "bridge"))

PARENT = Link(netns=HOST, name="nrparent0001", kind=LinkKind.BRIDGE, mac="02:42:00:00:00:07", alias="netrt:parent")
SHIM = Link(
    netns=HOST,
    name="nrshim000001",
    kind=LinkKind.MACVLAN,
    mac="02:42:00:00:00:08",
    alias="netrt:shim:lan",
    lower=PARENT.name,
    flavour="bridge",
)
ABOVE = replace(SHIM, netns=ONE.pin.path, name="eth0", mac=ONE.inner.mac, alias="netrt:attachment:1:eth0")
NEAR4, NEAR6 = (Neighbor(netns=HOST, link=SHIM.name, address=a, mac=ABOVE.mac) for a in ("10.1.0.2", "fd00::2"))
HOSTS = Neighbor(netns=ABOVE.netns, link="eth0", address="10.1.0.1", mac=SHIM.mac)
TO_ONE = Route(netns=HOST, dst="10.1.0.2/32", via="", link=SHIM.name, src="10.1.0.1")
ON_PARENT = Address(netns=HOST, link=PARENT.name, address="10.1.0.1/24")
STACK = (
    ops.AddBridge(PARENT),
    ops.AddAddress(ON_PARENT),
    up(PARENT),
    ops.AddStacked(SHIM),
    up(SHIM),
    ops.PinNamespace(ONE.pin),
    ops.AddStacked(ABOVE),
    ops.SetSysctl(ONE.no_ra),
    ops.AddAddress(ONE.address4),
    ops.AddAddress(ONE.address6),
    up(ABOVE),
    ops.SetRoute(ONE.default4),
    ops.SetNeighbor(HOSTS),
    ops.Announce(ONE.address4),
    ops.Announce(ONE.address6),
    ops.SetNeighbor(NEAR4),
    ops.SetNeighbor(NEAR6),
    ops.SetRoute(TO_ONE),
)

Step = ops.Op | tuple[ops.Op, int]
SCENARIOS: dict[str, tuple[Step, ...]] = {
    "a bridge": NETWORK,
    "two attachments": (*NETWORK, *ONE.attached(), *TWO.attached()),
    "attributes of a bridge": (
        ops.AddBridge(BRIDGE),
        change(BRIDGE, mac="02:42:00:00:00:09"),
        change(BRIDGE, mtu=9000),
        change(BRIDGE, alias="netrt:network:other"),
        change(BRIDGE, mac="02:42:00:00:00:01", mtu=1400, alias=BRIDGE.alias, up=True),
        up(BRIDGE, to=False),
    ),
    "attributes of a port": (
        *NETWORK,
        ops.AddBridge(OTHER),
        *ONE.attached(),
        change(ONE.host, isolated=True),
        change(ONE.host, hairpin=True),
        change(ONE.host, isolated=False),
        change(ONE.host, mtu=1300),
        change(ONE.inner, mtu=1300, mac="02:42:0a:01:00:99"),
        change(ONE.host, master=OTHER.name),
        change(ONE.host, master=BRIDGE.name, isolated=True, hairpin=True),
        change(ONE.host, master=""),
        change(ONE.host, alias="netrt:x"),
    ),
    "a link goes down and up": (
        *NETWORK,
        *ONE.attached(),
        up(ONE.inner, to=False),
        up(ONE.inner),
        ops.AddAddress(ONE.address6),
        ops.SetRoute(ONE.default4),
        ops.SetRoute(ONE.default6),
    ),
    "the host's end is deleted": (*NETWORK, *ONE.attached(), ops.DelLink(HOST, ONE.host.name)),
    "the inner end is deleted": (*NETWORK, *ONE.attached(), ops.DelLink(ONE.pin.path, "eth0")),
    "several links are deleted at once": (
        *NETWORK,
        *ONE.made(),
        *TWO.made(),
        ops.DelLink(HOST, ONE.host.name),
        ops.DelLink(HOST, TWO.host.name),
        ops.DelLink(HOST, BRIDGE.name),
    ),
    "a bridge is deleted under its ports": (*NETWORK, *TWO.attached(), ops.DelLink(HOST, BRIDGE.name)),
    "a namespace goes with its links": (*NETWORK, *ONE.attached(), ops.UnpinNamespace(ONE.pin)),
    "a namespace comes again": (*ONE.made()[:1], ops.UnpinNamespace(ONE.pin), *NETWORK, *ONE.attached()),
    "an address goes, and the routes that stood on it": (
        *NETWORK,
        *ONE.attached(),
        ops.DelAddress(ONE.address6),
        ops.DelAddress(ONE.address4),
    ),
    "a route is replaced": (
        *NETWORK,
        *ONE.attached(),
        ops.SetRoute(EARLIER),
        ops.DelRoute(EARLIER),
        ops.SetRoute(ONE.default4),
        ops.DelRoute(ONE.default6),
    ),
    "the way of names": (
        *ONE.made()[:1],
        ops.PutNamePort(NAMES),
        ops.PutNamePort(replace(NAMES, port=99)),
        ops.TakeNamePort(NAMES),
        ops.PutNamePort(NAMES),
        ops.UnpinNamespace(ONE.pin),
    ),
    "links that stand on another": (
        *STACK,
        change(ABOVE, mac="02:42:0a:01:00:77", mtu=1400),
        change(ABOVE, mtu=1500, alias="netrt:attachment:1:eth1"),
        ops.SetNeighbor(replace(NEAR4, mac="02:42:0a:01:00:77")),
        ops.DelNeighbor(NEAR6),
        ops.DelRoute(TO_ONE),
        ops.DelLink(ABOVE.netns, "eth0"),
        ops.AddStacked(replace(ABOVE, flavour="private")),
        up(SHIM, to=False),
        ops.DelLink(HOST, SHIM.name),
    ),
    "what stands on a link goes with it": (*STACK, ops.DelLink(HOST, PARENT.name)),
    "a namespace goes with what stands in it": (*STACK, ops.UnpinNamespace(ONE.pin)),
    "stacked links that cannot be": (
        no(ops.AddStacked(SHIM), errno.ENODEV),
        *STACK,
        no(ops.AddStacked(SHIM), errno.EEXIST),
        no(ops.AddStacked(ABOVE), errno.EEXIST),
        no(ops.AddStacked(replace(ABOVE, netns=GONE)), errno.ENOENT),
        no(ops.SetNeighbor(replace(NEAR4, link="nrnobody")), errno.ENODEV),
    ),
    "IPv6 is switched off": (
        *NETWORK,
        *ONE.attached(),
        ops.SetSysctl(NO_IPV6),
        no(ops.AddAddress(ONE.address6), errno.EACCES),
    ),
    "rules and elements": (
        ops.LoadRuleset(RULES, (*MARKS, *WEB)),
        ops.ChangeElements((), (*RANGE, *LOCAL)),
        ops.ChangeElements(WEB, published("8080:80", "10.1.0.3")),
        ops.ChangeElements((*RANGE, *MARKS), ()),
        ops.LoadRuleset(GUARDED, WEB),
        ops.LoadRuleset(RULES, ()),
        ops.DropRuleset(),
    ),
    "elements that are there, or not": (
        no(ops.ChangeElements((), WEB), errno.ENOENT),
        no(ops.DropRuleset(), errno.ENOENT),
        ops.LoadRuleset(RULES, WEB),
        no(ops.ChangeElements(RANGE, ()), errno.ENOENT),
        no(ops.ChangeElements((), published("8080:80", "10.1.0.3")), errno.EEXIST),
        ops.ChangeElements((), WEB),
        ops.DropRuleset(),
    ),
    "names that are taken": (
        *NETWORK,
        no(ops.AddBridge(BRIDGE), errno.EEXIST),
        *ONE.made(),
        no(ops.PinNamespace(ONE.pin), errno.EEXIST),
        no(ops.AddVeth(ONE.host, ONE.inner), errno.EEXIST),
        no(ops.AddAddress(GATEWAYS[0]), errno.EEXIST),
    ),
    "things that are missing": (
        ops.PinNamespace(ONE.pin),
        no(ops.AddVeth(ONE.host, ONE.inner), errno.ENODEV),
        no(ops.AddAddress(ONE.address4), errno.ENODEV),
        no(up(ONE.inner), errno.ENODEV),
        no(ops.SetRoute(ONE.default4), errno.ENODEV),
        no(ops.SetSysctl(ONE.no_ra), errno.ENOENT),
        *NETWORK,
        no(ops.AddVeth(ONE.host, replace(ONE.inner, netns=GONE)), errno.ENOENT),
        no(ops.PutNamePort(replace(NAMES, netns=GONE)), errno.ENOENT),
        *ONE.made()[1:],
        no(change(ONE.host, master="nrnobody"), errno.ENODEV),
        up(ONE.inner),
        no(ops.SetRoute(ONE.default4), errno.ENETUNREACH),
        no(ops.SetRoute(ONE.default6), errno.EHOSTUNREACH),
        ops.AddAddress(ONE.address4),
        ops.AddAddress(ONE.address6),
        up(ONE.inner, to=False),
        no(ops.SetRoute(ONE.default4), errno.ENETUNREACH),
        no(ops.SetRoute(ONE.default6), errno.EHOSTUNREACH),
    ),
}


def mentioned(steps: Iterable[Step]) -> Iterator[Object]:
    """The objects that these operations are about."""
    for step in steps:
        match step[0] if isinstance(step, tuple) else step:
            case ops.PinNamespace(thing) | ops.AddBridge(thing) | ops.AddAddress(thing) | ops.SetRoute(thing):
                yield thing
            case ops.SetSysctl(thing) | ops.PutNamePort(thing):
                yield thing
            case ops.AddStacked(thing) | ops.SetNeighbor(thing):
                yield thing
            case ops.AddVeth(host, inner):
                yield from (host, inner)
            case ops.LoadRuleset(rules, elements):
                yield from (rules, *elements)
            case ops.ChangeElements(_, added):
                yield from added


def scope_of(name: str, *, everything: bool = False) -> Scope:
    return Scope.around(list(mentioned(SCENARIOS[name])), everything=everything)


def shown(
    kernel: FakeKernel | LinuxKernel, scope: Scope, sysctls: set[tuple[str, ...]]
) -> dict[tuple[str, ...], Object]:
    """What a kernel shows, without the settings that nobody made: a real one has all of them from the start."""
    return {key: thing for key, thing in kernel.observe(scope).objects.items() if key[0] != "sysctl" or key in sysctls}


@pytest.mark.parametrize("everything", [False, True], ids=["scoped", "everything"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_both_hold_the_same(host: Host, name: str, everything: bool) -> None:
    fake = FakeKernel()
    scope = scope_of(name, everything=everything)
    with closing(LinuxKernel(Paths())) as real:
        for step in SCENARIOS[name]:
            if isinstance(step, tuple):
                for kernel in (fake, real):
                    with pytest.raises(KernelRefused) as refusal:
                        kernel.apply([step[0]])
                    assert refusal.value.errno == step[1], f"{type(kernel).__name__}: {refusal.value}"
            else:
                fake.apply([step])
                real.apply([step])
            made = {thing.key for thing in fake.host.all(Sysctl)}
            expected = shown(fake, scope, made)
            if isinstance(step, ops.UnpinNamespace):
                wait_until(lambda: shown(real, scope, made) == expected, what="the end of a namespace's links")  # noqa: B023
            assert shown(real, scope, made) == expected, f"after: {step}"


@pytest.mark.parametrize("name", SCENARIOS)
def test_one_row_is_as_good_as_one_after_another(host: Host, name: str) -> None:
    row = [step for step in SCENARIOS[name] if not isinstance(step, tuple)]
    fake = FakeKernel()
    fake.apply(row)
    made = {thing.key for thing in fake.host.all(Sysctl)}
    scope = scope_of(name)
    with closing(LinuxKernel(Paths())) as real:
        real.apply(row)
        wait_until(lambda: shown(real, scope, made) == shown(fake, scope, made), what="the same on both kernels")


def test_the_fake_refuses_once_where_it_is_told() -> None:
    fake = FakeKernel(fail_at=1)
    with pytest.raises(KernelRefused, match="refused by the test"):
        fake.apply(NETWORK)
    assert fake.done == list(NETWORK[:1])
    fake.apply(NETWORK[1:])
    assert fake.host == HostState.of([BRIDGE, *GATEWAYS])
