"""What can be asked of netrt, as values. Identifiers and names that need randomness are chosen at the edge and carried here,
so that deciding is pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netrt.model.container import ProcessSpec, ProcessState, Sandbox
from netrt.model.network import Mode, Subnet
from netrt.model.port import PortMapping


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateNetwork:
    """Make a network. Subnets that are not given are chosen: one IPv4 when `ipv4`, one ULA /64 when `ipv6`."""

    id: str
    name: str
    mode: Mode = Mode.BRIDGE
    subnets: tuple[Subnet, ...] = ()
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


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
    """How a container wishes to be on a network. Empty fields are chosen."""

    network: str
    address4: str = ""
    address6: str = ""
    mac: str = ""
    aliases: tuple[str, ...] = ()
    ifname: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateContainer:
    """Make a container: its sandbox and its attachments, in the order given.

    `endpoints` empty and `network_mode` "bridge" or "default" means the default network, made on first use. `network_mode` is
    "none", "host", "container:REF", or the name of the first network. `adopt` is a namespace that somebody else made.
    `name` empty: `generated_name` is used, with a digit added while it is taken.
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
class Rename:
    """Give a container another name."""

    container: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclaim:
    """Forget containers whose sandbox is proven gone (ids), and free what they held."""

    containers: frozenset[str]


Command = (
    CreateNetwork
    | RemoveNetwork
    | PruneNetworks
    | CreateContainer
    | RemoveContainer
    | Connect
    | Disconnect
    | NoteProcess
    | Rename
    | Reclaim
)
