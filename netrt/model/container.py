"""A container as people name it: a sandbox (network namespace), what runs in it if we started it, and its attachments.

Containers that share a sandbox (`--network container:NAME`) have equal `sandbox` values; only the one whose `shares` is empty
owns it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from netrt.model.address import family, host_of
from netrt.model.health import Health, HealthCheck
from netrt.model.lease import DhcpLease
from netrt.model.names import check_hostname, check_label, check_name
from netrt.model.plugged import Bandwidth, Plugged, Tuning, Way
from netrt.model.port import PortMapping

HOST_SANDBOX = ""
"""The `path` of a sandbox that is the host's own namespace (`--network host`)."""


BY_HOOK = "org.netrt.oci"
"""The label of a container that an OCI hook made; its value is the id by which the runtime knows it."""


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """A network namespace: the path that leads to it, and whether we made it (and so may delete it).

    `inode` identifies an adopted one (`st_ino` of the namespace file), so that a path that now leads elsewhere is noticed; it
    is 0 for one that we made.
    """

    path: str
    owned: bool
    inode: int = 0


class ProcessSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What `netrt run` starts. `env` are `KEY=VALUE`; `cwd` an absolute path; capabilities without their `CAP_` prefix."""

    command: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    read_only: bool = False
    auto_remove: bool = False
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    health: HealthCheck | None = None


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """How names are looked up in a container: resolvers, domains, options of resolv.conf, and lines of its hosts file."""

    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()


NO_LOOKUP = Lookup()
"""As everybody's."""


class ProcessState(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it. `pid` is the host's view of the container's process 1, 0 when it does not run; `start_ticks` (field 22
    of /proc/PID/stat) tells it from a later process of that number. Times are RFC 3339 in UTC, empty when not reached.
    `starting`: it does not run, and is about to be started; where the daemon ends before that, it is as it was before."""

    pid: int = 0
    start_ticks: int = 0
    started: str = ""
    finished: str = ""
    exit_code: int = 0
    error: str = ""
    health: Health = Health.UNKNOWN
    starting: bool = False

    @property
    def running(self) -> bool:
        return self.pid != 0


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """`network_mode` is what `--network` said first: a network's name, `none`, `host` or `container:ID`. `shares` is the id of
    the container whose sandbox this one uses, or empty. `plugged` is the id by which a runtime knows it, where it came by CNI: it
    goes with its last attachment. `lookup` is how names are looked up where no process says it. Raises Invalid when made."""

    id: str
    name: str
    created: str
    sandbox: Sandbox
    network_mode: str
    hostname: str = ""
    shares: str = ""
    labels: Mapping[str, str] = {}
    ports: tuple[PortMapping, ...] = ()
    process: ProcessSpec | None = None
    state: ProcessState = ProcessState()
    plugged: str = ""
    lookup: Lookup = NO_LOOKUP

    @property
    def names(self) -> Lookup | ProcessSpec:
        """How names are looked up in it: as its process asks, if it has one."""
        return self.process or self.lookup

    @property
    def ended(self) -> bool:
        """Whether it ran a process, and runs it no more."""
        state = self.state
        return self.process is not None and bool(state.finished) and not (state.running or state.starting)

    @property
    def holds_ports(self) -> bool:
        """Whether its published ports are its own now. As in Docker, they are while its process runs, or is about to; where none
        belongs to it, always."""
        return self.process is None or self.state.running or self.state.starting

    @property
    def held_ports(self) -> tuple[PortMapping, ...]:
        """The published ports that it holds now."""
        return self.ports if self.holds_ports else ()

    def only_ran_on(self, before: Container) -> bool:
        """Whether this is what became of `before` by its process alone. By identity, for edits share what they leave as it is."""
        return all(getattr(self, field) is getattr(before, field) for field in _LASTING)

    def __post_init__(self) -> None:
        check_name("container name", self.name)
        if self.hostname:
            check_hostname(self.hostname)
        for key, value in self.labels.items():
            check_label(key, value)


_LASTING = tuple(field for field in Container.__struct_fields__ if field != "state")


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """One interface of a container on one network.

    `address4` and `address6` are with prefix length (`10.1.0.2/24`) or empty, `more` are further ones; `fixed` are the families
    (4, 6) whose address the user chose; `link` is the host's end; `order` grows with every attach; the attachment of the highest
    `gw_priority`, and of equals that of the smallest order, leads outside. `routes` None: it carries the default route if it
    leads outside; `down`: the interface is left down. `dhcp` is where `address4` comes from on a network of which a DHCP server
    gives the addresses; None there: it waits for one.
    """

    container_id: str
    network_id: str
    ifname: str
    link: str
    mac: str
    order: int
    address4: str = ""
    address6: str = ""
    fixed: tuple[int, ...] = ()
    aliases: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    routes: tuple[Way, ...] | None = None
    down: bool = False
    bandwidth: Bandwidth | None = None
    tuning: Tuning | None = None
    plugged: Plugged | None = None
    gw_priority: int = 0
    dhcp: DhcpLease | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What identifies it: container id and interface name, as in CNI."""
        return self.container_id, self.ifname

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its addresses with prefix length, IPv4 first."""
        return tuple(a for a in (self.address4, self.address6, *self.more) if a)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The same without prefix length: of what size their subnets are makes no difference to them."""
        return tuple(map(host_of, self.addresses))

    def address(self, version: int) -> str:
        """Its address with prefix length of one family (4 or 6), or empty."""
        return self.address6 if version == 6 else self.address4


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """An address that was given back: by whom (a container's name), and when in the order of all such events."""

    network_id: str
    address: str
    owner: str
    order: int

    @property
    def version(self) -> int:
        return family(self.address)
