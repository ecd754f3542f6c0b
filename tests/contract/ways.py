"""Scenarios of links that stand on another link, and of routing rules and neighbours."""

from __future__ import annotations

import errno

from msgspec.structs import replace

from netrt.dataplane import ops
from netrt.dataplane.objects import HOST, Address, Link, LinkKind, Neighbor, Route, Rule
from tests.contract.boxes import GONE, NETWORK, ONE, Step, change, no, up

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

RULED = (
    Rule(netns=ONE.pin.path, priority=7800, src="0.0.0.0/0", suppress=True),
    Rule(netns=ONE.pin.path, priority=7801, src="10.1.0.2/32", table=7801),
    Rule(netns=ONE.pin.path, priority=7800, src="::/0", suppress=True),
    Rule(netns=ONE.pin.path, priority=7801, src="fd00::2/128", table=70000),
    Rule(netns=ONE.pin.path, priority=7799, src="10.1.0.2/32", dst="192.0.2.0/24", table=7801),
    Rule(netns=ONE.pin.path, priority=7799, src="fd00::2/128", dst="2001:db8::/64", table=70000),
)

WAYS: dict[str, tuple[Step, ...]] = {
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
    "rules": (
        *NETWORK,
        *ONE.attached(),
        *(ops.SetRule(rule) for rule in RULED),
        ops.SetRoute(replace(ONE.default4, table=7801)),
        no(ops.SetRule(RULED[0]), errno.EEXIST),
        *(ops.DelRule(rule) for rule in RULED[::2]),
        ops.UnpinNamespace(ONE.pin),
        no(ops.SetRule(replace(RULED[0], netns=GONE)), errno.ENOENT),
    ),
}
