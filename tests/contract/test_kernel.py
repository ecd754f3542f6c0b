"""One list of scenarios for the fake kernel and the real one: after every operation both must hold the same, and what one refuses
the other must refuse with the same error number.

Deleting what is gone already is the one difference, and it is wanted: the fake refuses, because no plan should ask for it; the
real one does not, because a namespace may end between our look and our hand."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import closing

import pytest
from msgspec.structs import replace

from netrt.dataplane import ops
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import (
    HOST,
    Element,
    NamePort,
    Object,
    Sysctl,
)
from netrt.dataplane.scope import Scope
from netrt.errors import KernelRefused
from netrt.firewall.elements import port_elements
from netrt.firewall.skeleton import skeleton
from netrt.kernel.kernel import LinuxKernel
from netrt.model.port import parse_port
from netrt.paths import Paths
from tests.contract.boxes import BRIDGE, GATEWAYS, GONE, NETWORK, ONE, TWO, Step, change, no, up
from tests.contract.ways import WAYS
from tests.fakes import FakeKernel
from tests.host import Host
from tests.waiting import wait_until

pytestmark = pytest.mark.root

OTHER = replace(BRIDGE, name="nrbridge0002", mac="02:42:00:00:00:02", alias="netrt:network:db")
NO_IPV6 = Sysctl(netns=ONE.pin.path, name="net/ipv6/conf/eth0/disable_ipv6", value="1")
NAMES = NamePort(netns=ONE.pin.path, address="127.0.0.11", port=20053)
EARLIER = replace(ONE.default4, via="10.1.0.9")

RULES = skeleton(frozenset())
GUARDED = skeleton(frozenset({4, 6}))


def published(spec: str, address: str = "10.1.0.2") -> tuple[Element, ...]:
    return port_elements(parse_port(spec), address, "fd00::2", None)


WEB, RANGE, LOCAL = published("8080:80"), published("9000-9999:9000-9999/udp"), published("127.0.0.1:53:53/udp")
MARKS = tuple(Element(table=table, set="links", at=(ONE.host.name,)) for table in ("inet", "bridge"))

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
    "addresses get another prefix length, and routes stay": (
        *NETWORK,
        *ONE.attached(),
        ops.ResizeAddress(replace(GATEWAYS[0], address="10.1.0.1/22"), GATEWAYS[0].address),
        ops.ResizeAddress(replace(ONE.address4, address="10.1.0.2/22"), ONE.address4.address),
        ops.ResizeAddress(replace(ONE.address6, address="fd00::2/60"), ONE.address6.address),
        no(ops.ResizeAddress(replace(ONE.address4, address="10.1.0.2/22"), "10.1.0.2/22"), errno.EEXIST),
        no(ops.ResizeAddress(replace(ONE.address4, link="nobody"), ONE.address4.address), errno.ENODEV),
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
    **WAYS,
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
            case ops.SetSysctl(thing) | ops.PutNamePort(thing) | ops.ResizeAddress(thing):
                yield thing
            case ops.AddStacked(thing) | ops.SetNeighbor(thing) | ops.SetRule(thing):
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
