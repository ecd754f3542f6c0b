"""Kernel objects as values.

Rule 1: every object has a `key` that says which one it is; two objects with one key are two states of the same thing.
Rule 2: an attribute stands here only if the kernel room both sets and reads it, for what is not observed is not repaired.
Rule 3: `netns` is the path of a sandbox, or HOST for the host's own namespace.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import msgspec

HOST = ""
"""The `netns` of the host itself."""

MARK = "netrt:"
"""Every link of ours in the host's namespace has an ifalias that begins so."""

ROUTE_PROTOCOL = 78
"""The `proto` of every route of ours (rtm_protocol; /etc/iproute2/rt_protos leaves it free)."""

UNIVERSE, ON_LINK = 0, 253
"""Scopes of IPv4 routes (RT_SCOPE_): what a route has with a gateway, and without one. IPv6 knows none."""

PIN_DIRECTORY = "/run/netns"
PIN_PREFIX = "netrt-"

Key = tuple[str, ...]


class LinkKind(enum.StrEnum):
    """Kinds of links, by the kernel's IFLA_INFO_KIND. OTHER is only ever seen: somebody's link under a name that we want."""

    BRIDGE = "bridge"
    VETH = "veth"
    IFB = "ifb"
    MACVLAN = "macvlan"
    IPVLAN = "ipvlan"
    OTHER = "other"


STACKED = (LinkKind.MACVLAN, LinkKind.IPVLAN)
"""Kinds that stand on another link of the host. They bear our mark in sandboxes too: nothing on the host tells of them."""


class Pin(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A network namespace that we made, kept by a bind mount at `path`, with its loopback up. `lost`: it is there, but not at its
    path."""

    path: str
    lost: bool = False

    @property
    def key(self) -> Key:
        return "pin", self.path


class Link(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A network interface.

    `mac` is empty where nothing depends on it (the host's end of a veth pair), or it is that of the link below; `alias` is our
    mark, empty inside a sandbox but for STACKED ones, whose `lower` is the link of the host that they stand on, and `flavour` the
    mode in which they do;
    `master` is a bridge in the same namespace; `isolated` and `hairpin` are flags of a bridge's port: isolated ones do not
    reach each other; through a hairpin port frames may leave that came in by it (with bridge netfilter, a container's way to its
    own published port);
    `peer` is the other end of a veth pair as (netns, name).
    """

    netns: str
    name: str
    kind: LinkKind
    mac: str = ""
    mtu: int = 1500
    up: bool = True
    alias: str = ""
    master: str = ""
    isolated: bool = False
    hairpin: bool = False
    peer: tuple[str, str] | None = None
    lower: str = ""
    flavour: str = ""

    @property
    def key(self) -> Key:
        return "link", self.netns, self.name


class Address(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An address with its prefix length on a link (`10.1.0.1/24`), usable at once (IPv6: without duplicate detection). `routed`:
    the routes that the kernel makes of it (to itself and to its subnet) are there; it is looked for only by a close look."""

    netns: str
    link: str
    address: str
    routed: bool = True

    @property
    def key(self) -> Key:
        return "address", self.netns, self.link, self.address


class Route(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A unicast route of protocol ROUTE_PROTOCOL. `dst` is CIDR (`0.0.0.0/0`, `::/0` for the default); `via` empty: on the link
    itself; `table` 0 is the main one; a `metric`, `mtu` or `advmss` of 0 and a `scope` of -1 are what the kernel takes when
    nothing is said; `src` is the address that who is asked by it sees, empty: the kernel's choice; `congctl` is the congestion
    control of TCP on this way, empty: that of the namespace. With one, it stands before the kernel's own route to a subnet."""

    netns: str
    dst: str
    via: str
    link: str
    metric: int = 0
    table: int = 0
    mtu: int = 0
    advmss: int = 0
    scope: int = -1
    src: str = ""
    congctl: str = ""

    @property
    def key(self) -> Key:
        usual = not (self.metric or self.table)
        return ("route", self.netns, self.dst, *(() if usual else (str(self.metric), str(self.table))))


class Rule(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A routing rule of protocol ROUTE_PROTOCOL: what comes from `src` (CIDR, `0.0.0.0/0` or `::/0` for everything) and goes to
    `dst` (CIDR, empty for everywhere) is looked up in `table` (0: main); with `suppress` what only its default routes would lead
    is looked up further."""

    netns: str
    priority: int
    src: str
    dst: str = ""
    table: int = 0
    suppress: bool = False

    @property
    def key(self) -> Key:
        return "rule", self.netns, str(self.priority), self.src, self.dst, str(self.table), str(int(self.suppress))


class Neighbor(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A permanent entry of a link's neighbour table: at which MAC an address (without prefix length) is. `proxy`: an IPv6 address
    that is elsewhere, for which the host answers on this link; such an entry has no MAC, and is ours by ROUTE_PROTOCOL."""

    netns: str
    link: str
    address: str
    mac: str = ""
    proxy: bool = False

    @property
    def key(self) -> Key:
        return "neighbor", self.netns, self.link, self.address, *(("proxy",) if self.proxy else ())


class Sysctl(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A value below /proc/sys in the view of one namespace. `name` is a path (`net/ipv4/conf/eth0/route_localnet`), for
    interface names may hold dots. Per-link ones die with their link; others are only ever raised, never lowered."""

    netns: str
    name: str
    value: str

    @property
    def key(self) -> Key:
        return "sysctl", self.netns, self.name


class Foreign(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A link that somebody else makes, and that things of ours stand on. It is only ever looked for: while it is not there, they
    wait."""

    netns: str
    name: str

    @property
    def key(self) -> Key:
        return "foreign", self.netns, self.name


class Setting(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A property of a link that is set and never taken back: it dies with the link. `name` is `promisc` or `allmulti` (`0`, `1`),
    `queue` (packets), and `mac` or `mtu` of a link that somebody else made."""

    netns: str
    link: str
    name: str
    value: str

    @property
    def key(self) -> Key:
        return "setting", self.netns, self.link, self.name


TICK = 64
"""Nanoseconds in the unit in which the kernel counts a bucket (PSCHED_SHIFT)."""


class Shaper(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A token bucket at the way out of a link of the host (`tbf` at its root): `rate` bytes a second, a full bucket that lasts
    `credit` ticks at that rate, and at most `limit` bytes that wait."""

    link: str
    rate: int
    credit: int
    limit: int

    @property
    def key(self) -> Key:
        return "shaper", self.link


class Redirect(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What comes in by a link of the host goes the way out of another one first, and then on. `to` is empty where one is seen
    that leads nowhere."""

    link: str
    to: str

    @property
    def key(self) -> Key:
        return "redirect", self.link


class NamePort(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """In a sandbox, what goes to port 53 of `address`, by datagram or connection, comes to `port` of it, where a server for names
    listens that leaves port 53 to the container. One is seen without an address where its rules are not whole."""

    netns: str
    address: str
    port: int

    @property
    def key(self) -> Key:
        return "nameport", self.netns


PUBLISHING_SETS = frozenset({"ports4", "ports6", "ports4_at", "ports6_at", "ranges4", "ranges6"})
"""The maps that lead the outside to a container. They are emptied before anything else is taken down."""


class Element(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An element of a set (`value` empty) or map in our table of family `table` (`inet` or `bridge`).

    `at` and `value` are the parts of a concatenation in nft's own canonical text: `("tcp", "8080")`, `("10.1.0.2", "80")`,
    an interval as `8080-8090` or `10.1.0.0/24`, interface names without quotes.
    """

    table: str
    set: str
    at: tuple[str, ...]
    value: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return "element", self.table, self.set, *self.at

    @property
    def text(self) -> str:
        """As nft writes it, behind the name of its set."""
        return f"{self.set} {{ {' . '.join(self.at)}{' : ' + ' . '.join(self.value) if self.value else ''} }}"

    @property
    def publishes(self) -> bool:
        return self.set in PUBLISHING_SETS


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """Our nftables tables without their elements. `seal` is a hash of `text`; it sits in the comment of table `inet netrt`, so
    that a new process knows what is loaded. The text of a seen one is empty: seals are compared."""

    seal: str
    text: str = field(default="", compare=False, repr=False)

    @property
    def key(self) -> Key:
        return ("skeleton",)


Object = (
    Pin
    | Link
    | Address
    | Route
    | Rule
    | Neighbor
    | Sysctl
    | Foreign
    | Setting
    | Shaper
    | Redirect
    | NamePort
    | Element
    | Skeleton
)
