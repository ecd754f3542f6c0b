"""What can be asked of netrt, as values. Identifiers and names that need randomness are chosen at the edge and carried here,
so that deciding is pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netrt.model.container import NO_LOOKUP, Lookup, ProcessSpec, ProcessState, Sandbox
from netrt.model.health import Health
from netrt.model.lease import DhcpLease
from netrt.model.network import Ingress, Mode, Subnet
from netrt.model.plugged import Bandwidth, Plugged, Tuning, Way
from netrt.model.port import PortMapping


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateNetwork:
    """Make a network. Subnets that are not given are chosen: one IPv4 when `ipv4`, one ULA /64 when `ipv6`; of a `dhcp` one none
    are, for its server says them."""

    id: str
    name: str
    mode: Mode = Mode.BRIDGE
    subnets: tuple[Subnet, ...] = ()
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    dhcp: bool = False
    dns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateNetwork:
    """Change a network while it is used. `grow` are larger blocks (CIDR), each in the place of the subnet that it contains; `add`
    further subnets, also of a family that the network has not where `ipv6` is wished for; `labels` are set, `unlabel` taken away;
    `dns` are its resolvers, none of its own where empty, and None leaves them as they are."""

    network: str
    grow: tuple[str, ...] = ()
    add: tuple[Subnet, ...] = ()
    ipv6: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    unlabel: tuple[str, ...] = ()
    dns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveNetwork:
    """Remove a network (name, id or unambiguous id prefix). `force` disconnects the containers in it first."""

    network: str
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneNetworks:
    """Remove every network that people made and no container is on, and that carries all of `labels` (an empty value: any),
    and was created before `until` (RFC 3339, empty: any time)."""

    labels: Mapping[str, str] = field(default_factory=dict)
    until: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """How a container wishes to be on a network. Empty fields are chosen.

    `pools` None: one address of each family of the network; else one address out of each pool, the `wanted` ones if they are in
    it. `routes` None: the default route, if it leads outside by this network. `dhcp` is what a DHCP server gave for it, which was
    asked for `address4`.
    """

    network: str
    address4: str = ""
    address6: str = ""
    mac: str = ""
    aliases: tuple[str, ...] = ()
    ifname: str = ""
    pools: tuple[tuple[Subnet, ...], ...] | None = None
    wanted: tuple[str, ...] = ()
    routes: tuple[Way, ...] | None = None
    down: bool = False
    bandwidth: Bandwidth | None = None
    gw_priority: int = 0
    dhcp: DhcpLease | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateContainer:
    """Make a container: its sandbox and its attachments, in the order given.

    `endpoints` empty and `network_mode` "bridge" or "default" means the default network, made on first use. `network_mode` is
    "none", "host", "container:REF", or the name of the first network. `adopt` is a namespace that somebody else made.
    `name` empty: `generated_name` is used, with a digit added while it is taken. `lookup` is for one without a process.
    """

    id: str
    name: str = ""
    generated_name: str = ""
    hostname: str = ""
    network_mode: str = "default"
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PortMapping, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    process: ProcessSpec | None = None
    adopt: Sandbox | None = None
    lookup: Lookup = NO_LOOKUP


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveContainer:
    """Remove a container with its attachments and, if we made it, its sandbox. Whether its process still runs is checked by
    who sends this (`force` has ended it before); decide refuses a running one without `force`."""

    container: str
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """Attach a container to one more network."""

    container: str
    endpoint: Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """Detach a container from a network. `force` makes an attachment that is not there no error."""

    network: str
    container: str
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteProcess:
    """Record what became of a container's process."""

    container: str
    state: ProcessState


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteHealth:
    """Record what checks say of a container, whose process is `pid`."""

    container: str
    pid: int
    health: Health


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteLease:
    """Record what a DHCP server says of an attachment now; None: it has no address any more. One that has gone meanwhile is
    fine."""

    container: str
    ifname: str
    lease: DhcpLease | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """Give a container another name."""

    container: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Take published ports from a container, and give it others. One to be removed that names no host port means every one of
    that port of the container."""

    container: str
    add: tuple[PortMapping, ...] = ()
    remove: tuple[PortMapping, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Limit the bandwidth of a container, on one of its networks or on all (`network` empty). `bandwidth` is text, for what it
    does not speak of stays as it is."""

    container: str
    bandwidth: str
    network: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclaim:
    """Forget containers whose sandbox is proven gone (ids), and free what they held."""

    containers: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A network as a CNI plugin's configuration has it: made when the first container comes, and changed when it changes.

    `choose` are the families (4, 6) for which a subnet is chosen. `shared`: one that people made under this name serves as well.
    """

    id: str
    name: str
    plugin: str
    mode: Mode = Mode.BRIDGE
    subnets: tuple[Subnet, ...] = ()
    choose: frozenset[int] = frozenset()
    internal: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    shared: bool = False
    dhcp: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The addresses that somebody else's IPAM gave an attachment, with prefix length; the gateways that lie beside them, where
    there are any; and the routes."""

    addresses: tuple[str, ...]
    subnets: tuple[Subnet, ...]
    routes: tuple[Way, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    """Put an interface into a namespace that a runtime made (CNI ADD), and make what is not there yet: the network, where it is
    defined, and the container. `container` is its id, `known_as` the runtime's. `lease` where somebody else gave the addresses.
    """

    container: str
    known_as: str
    generated_name: str
    sandbox: Sandbox
    endpoint: Endpoint
    plugged: Plugged
    definition: Definition | None = None
    lease: Lease | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[PortMapping, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjust:
    """Add to an attachment what a chained plugin was asked for; None leaves a thing as it is. `network` is the name in the
    runtime's configuration; `missing` makes the attachment where a plugin of somebody else made the interface."""

    container: str
    ifname: str
    network: str
    holder: str
    missing: Attach | None = None
    lease: Lease | None = None
    ports: tuple[PortMapping, ...] | None = None
    masquerade: bool | None = None
    bandwidth: Bandwidth | None = None
    tuning: Tuning | None = None
    mac: str = ""
    ingress: Ingress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Detach:
    """Take back what a plugin did (CNI DEL): all of it, or what `holder` did where others still hold it. `network`, the name in
    the runtime's configuration, is empty where that is not known. What is not there is fine."""

    container: str
    ifname: str
    network: str = ""
    holder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """Take off a network of a runtime's configuration what the runtime does not know any more (CNI GC); `valid` are the
    container ids and interface names that it knows."""

    network: str
    valid: frozenset[tuple[str, str]]


Command = (
    CreateNetwork
    | UpdateNetwork
    | RemoveNetwork
    | PruneNetworks
    | CreateContainer
    | RemoveContainer
    | Connect
    | Disconnect
    | NoteProcess
    | NoteHealth
    | NoteLease
    | Rename
    | Publish
    | Limit
    | Reclaim
    | Attach
    | Adjust
    | Detach
    | Collect
)
