"""What the scenarios of the kernel's contract are about: a bridge, sandboxes with attachments, and how operations are written."""

from __future__ import annotations

from msgspec.structs import replace

from netrt.dataplane import ops
from netrt.dataplane.objects import HOST, Address, Link, LinkKind, Pin, Route, Sysctl

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
NETWORK = (ops.AddBridge(BRIDGE), *(ops.AddAddress(gateway) for gateway in GATEWAYS), up(BRIDGE))
GONE = "/run/netns/netrt-gone"

Step = ops.Op | tuple[ops.Op, int]
