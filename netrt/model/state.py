"""Everything that people asked for, as one value.

Rule 1: a State is never changed; `with_…` and `without_…` give a new one. Rule 2: the indexes below are derived from the four
tables and kept in step by these edits alone; `check_invariants` says what must hold between them. Rule 3: an edit costs the
same whatever is in it, for tables and indexes share with those before what it does not touch; only changing a network, and
removing one, look at all of its entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from immutables import Map
from msgspec import Struct, field
from msgspec.structs import replace

from netrt.model.address import family, host_of
from netrt.model.container import HOST_SANDBOX, Attachment, Container, Released, Sandbox
from netrt.model.ledger import EverUsed, Ledger, ledger_of
from netrt.model.network import Network
from netrt.model.port import PortMapping
from netrt.model.table import Table

K = TypeVar("K")
V = TypeVar("V")

PORT_BUCKET = 16
"""Published ports are indexed by (protocol, host port // PORT_BUCKET)."""

AttachmentKey = tuple[str, str]
LedgerKey = tuple[str, int]
PortHolder = tuple[PortMapping, str]
Ports = tuple[PortMapping, ...]


def port_buckets(mapping: PortMapping) -> list[tuple[str, int]]:
    """Where a mapping is found in the index of ports."""
    first, last = mapping.host_port // PORT_BUCKET, mapping.host_last // PORT_BUCKET
    return [(mapping.protocol, number) for number in range(first, last + 1)]


def _places(container: Container) -> list[str]:
    """What a container's sandbox is indexed by: its path, and for an adopted one also its inode. Only its owner has it."""
    sandbox = container.sandbox
    if container.shares or sandbox.path == HOST_SANDBOX:
        return []
    return [sandbox.path, _inode(sandbox)] if sandbox.inode else [sandbox.path]


def _ever(network_id: str, *tables: Mapping[tuple[str, str], object]) -> EverUsed:
    return lambda address: any((network_id, address) in table for table in tables)


def _inode(sandbox: Sandbox) -> str:
    return f"inode {sandbox.inode}"


def _without(index: Map[K, V], *keys: K) -> Map[K, V]:
    for key in keys:
        index = index.delete(key) if key in index else index
    return index


def _put(index: Map[K, V], key: K, value: V) -> Map[K, V]:
    """What is empty is left out."""
    return index.set(key, value) if value else index.delete(key)


def _leaving(sharing: Map[str, tuple[str, ...]], container: Container) -> Map[str, tuple[str, ...]]:
    """Who shares a sandbox, without this one."""
    if not container.shares:
        return sharing
    return _put(sharing, container.shares, tuple(m for m in sharing[container.shares] if m != container.id))


NOBODY: Map[AttachmentKey, None] = Map()


class State(Struct, frozen=True, kw_only=True):
    """Networks by id, containers by id, attachments by key, released addresses by (network id, address), the longest ago first.

    `order` is the number that the next ordered event gets. The other fields are indexes: `addresses` and `macs` by network id
    and address, `ledgers` by network id and family, `sandboxes` by path and, where adopted, by inode; `sharing` says who shares
    the sandbox of a container.
    """

    networks: Table[str, Network] = field(default_factory=Table)
    containers: Table[str, Container] = field(default_factory=Table)
    attachments: Table[AttachmentKey, Attachment] = field(default_factory=Table)
    released: Table[tuple[str, str], Released] = field(default_factory=Table)
    order: int = 1

    network_names: Map[str, str] = field(default_factory=Map)
    container_names: Map[str, str] = field(default_factory=Map)
    addresses: Map[tuple[str, str], AttachmentKey] = field(default_factory=Map)
    of_container: Map[str, tuple[AttachmentKey, ...]] = field(default_factory=Map)
    of_network: Map[str, Map[AttachmentKey, None]] = field(default_factory=Map)
    ports: Map[tuple[str, int], tuple[PortHolder, ...]] = field(default_factory=Map)
    links: Map[str, AttachmentKey] = field(default_factory=Map)
    macs: Map[tuple[str, str], AttachmentKey] = field(default_factory=Map)
    sandboxes: Map[str, str] = field(default_factory=Map)
    sharing: Map[str, tuple[str, ...]] = field(default_factory=Map)
    ledgers: Map[LedgerKey, Ledger] = field(default_factory=Map)

    # networks

    def with_network(self, network: Network) -> State:
        """Add or replace a network. The caller has checked that its name is free, and that the addresses in use are in its
        subnets; released ones that are not are forgotten."""
        names, ledgers, table = self.network_names, self.ledgers, self.released
        before = self.networks.get(network.id)
        released: list[Released] = []
        if before is not None:
            names = names.delete(before.name)
            for at, gone in self.released.items():
                if at[0] == network.id and not network.holds(gone.address):
                    table = table.delete(at)
            released = [gone for gone in table.values() if gone.network_id == network.id]
        for version in (4, 6):
            ledger = ledger_of(
                network,
                version,
                _ever(network.id, self.addresses, table),
                [gone for gone in released if gone.version == version],
            )
            ledgers = ledgers.set((network.id, version), ledger)
        return replace(
            self,
            networks=self.networks.set(network.id, network),
            network_names=names.set(network.name, network.id),
            released=table,
            ledgers=ledgers,
        )

    def without_network(self, network_id: str) -> State:
        """Remove a network that has no attachments, and the memory of its addresses."""
        assert not self.of_network.get(network_id), "a network in use is never removed"
        names, released = self.network_names.delete(self.networks[network_id].name), self.released
        for at in self.released:
            if at[0] == network_id:
                released = released.delete(at)
        ledgers = self.ledgers.delete((network_id, 4)).delete((network_id, 6))
        networks = self.networks.delete(network_id)
        return replace(self, networks=networks, network_names=names, released=released, ledgers=ledgers)

    # containers

    def with_container(self, container: Container) -> State:
        """Add or replace a container, its published ports included."""
        before = self.containers.get(container.id)
        names, sandboxes, ports = self.container_names, self.sandboxes, self.ports
        if before is None or before.name != container.name:
            names = names.set(container.name, container.id)
            if before is not None:
                names = names.delete(before.name)
        if before is None or before.sandbox != container.sandbox:
            sandboxes = _without(sandboxes, *_places(before)) if before else sandboxes
            sandboxes = sandboxes.update(dict.fromkeys(_places(container), container.id))
        sharing = self.sharing
        if before is None or before.shares != container.shares:
            sharing = _leaving(sharing, before) if before else sharing
            if container.shares:
                sharing = sharing.set(container.shares, (*sharing.get(container.shares, ()), container.id))
        old: Ports = before.ports if before else ()
        if old != container.ports:
            ports = self._with_ports(container.id, old, container.ports)
        containers = self.containers.set(container.id, container)
        return replace(
            self, containers=containers, container_names=names, sandboxes=sandboxes, sharing=sharing, ports=ports
        )

    def without_container(self, container_id: str) -> State:
        """Remove a container that has no attachments any more."""
        assert not self.of_container.get(container_id), "attachments go first"
        container = self.containers[container_id]
        names = self.container_names.delete(container.name)
        ports = self._with_ports(container_id, container.ports, ()) if container.ports else self.ports
        sandboxes = _without(self.sandboxes, *_places(container))
        return replace(
            self,
            containers=self.containers.delete(container_id),
            container_names=names,
            sandboxes=sandboxes,
            sharing=_leaving(self.sharing, container),
            ports=ports,
        )

    def sandbox_holder(self, sandbox: Sandbox) -> str | None:
        """The id of the container that already has this namespace, by its path or by its inode."""
        found = self.sandboxes.get(sandbox.path)
        return found or (self.sandboxes.get(_inode(sandbox)) if sandbox.inode else None)

    def _with_ports(self, container_id: str, old: Ports, new: Ports) -> Map[tuple[str, int], tuple[PortHolder, ...]]:
        ports = self.ports.mutate()
        for mapping in old:
            for bucket in port_buckets(mapping):
                left = tuple(held for held in ports.get(bucket, ()) if held != (mapping, container_id))
                if left:
                    ports[bucket] = left
                else:
                    ports.pop(bucket, None)
        for mapping in new:
            for bucket in port_buckets(mapping):
                ports[bucket] = (*ports.get(bucket, ()), (mapping, container_id))
        return ports.finish()

    def port_holder(self, wanted: PortMapping, *, resting: bool = False) -> PortHolder | None:
        """The mapping that already holds one of the wanted host ports, and its container's id; with `resting` also one that
        would hold it if its container ran."""
        for bucket in port_buckets(wanted):
            for mapping, container_id in self.ports.get(bucket, ()):
                if mapping.overlaps(wanted) and (resting or self.containers[container_id].holds_ports):
                    return mapping, container_id
        return None

    # attachments

    def with_attachment(self, attachment: Attachment) -> State:
        """Add an attachment (its container and network exist), or replace one on the same network."""
        key, mine = attachment.key, self.of_container.get(attachment.container_id, ())
        before = self.attachments.get(key)
        if before is not None and (before.hosts, before.mac) != (attachment.hosts, attachment.mac):
            moved = self.without_attachment(key).with_attachment(attachment)
            return replace(moved, of_container=self.of_container)  # its place among the others stays
        ledgers, released = self.ledgers, self.released
        network = self.networks[attachment.network_id]
        addresses = self.addresses.update({(network.id, host): key for host in attachment.hosts})
        ever = _ever(network.id, addresses, self.released)
        for interface in attachment.addresses:
            address = host_of(interface)
            place, book = (network.id, address), (network.id, family(address))
            ledgers = ledgers.set(book, ledgers[book].taken(interface, network, ever))
            if place in released:
                released = released.delete(place)
        return replace(
            self,
            attachments=self.attachments.set(key, attachment),
            addresses=addresses,
            released=released,
            ledgers=ledgers,
            links=self.links.set(attachment.link, key),
            macs=self.macs.set((network.id, attachment.mac), key) if attachment.mac else self.macs,
            of_container=self.of_container.set(attachment.container_id, mine if key in mine else (*mine, key)),
            of_network=self.of_network.set(network.id, self.of_network.get(network.id, NOBODY).set(key, None)),
            order=max(self.order, attachment.order + 1),
        )

    def without_attachment(self, key: AttachmentKey) -> State:
        """Remove an attachment and remember who had its addresses."""
        released, order = self.released, self.order
        addresses, ledgers, gone = self.addresses, self.ledgers, self.attachments[key]
        owner, network = self.containers[gone.container_id].name, self.networks[gone.network_id]
        for interface in gone.addresses:
            address = host_of(interface)
            book = gone.network_id, family(address)
            addresses = addresses.delete((gone.network_id, address))
            if network.subnet_of(interface).learned:
                continue
            ledgers = ledgers.set(book, ledgers[book].rested(interface, owner, network))
            rests = Released(network_id=gone.network_id, address=address, owner=owner, order=order)
            released = released.set((gone.network_id, address), rests)
            order += 1
        of_container = tuple(k for k in self.of_container[gone.container_id] if k != key)
        of_network = self.of_network[gone.network_id].delete(key)
        return replace(
            self,
            attachments=self.attachments.delete(key),
            addresses=addresses,
            links=self.links.delete(gone.link),
            macs=_without(self.macs, (gone.network_id, gone.mac)),
            ledgers=ledgers,
            released=released,
            of_container=_put(self.of_container, gone.container_id, of_container),
            of_network=_put(self.of_network, gone.network_id, of_network),
            order=order,
        )

    # reading

    def attachments_of(self, container_id: str) -> tuple[Attachment, ...]:
        """The attachments of a container, in the order in which they were made."""
        return tuple(self.attachments[key] for key in self.of_container.get(container_id, ()))

    def members_of(self, container_id: str) -> tuple[Container, ...]:
        """The containers that share the sandbox of this one."""
        return tuple(self.containers[member] for member in self.sharing.get(container_id, ()))


def state_of(
    networks: tuple[Network, ...] = (),
    containers: tuple[Container, ...] = (),
    attachments: tuple[Attachment, ...] = (),
    released: tuple[Released, ...] = (),
    order: int = 1,
) -> State:
    """A State with its indexes, from the rows of a store. Attachments and released addresses are put in their order."""
    state = State()
    for network in networks:
        state = state.with_network(network)
    for container in containers:
        state = state.with_container(container)
    for attachment in sorted(attachments, key=lambda a: a.order):
        state = state.with_attachment(attachment)
    table = Table(((r.network_id, r.address), r) for r in sorted(released, key=lambda r: r.order))
    state = replace(state, released=table, order=max([order, state.order, *(r.order + 1 for r in released)]))
    by_book: dict[LedgerKey, list[Released]] = {}
    for gone in table.values():
        by_book.setdefault((gone.network_id, gone.version), []).append(gone)
    ledgers = {
        (network_id, version): ledger_of(
            state.networks[network_id],
            version,
            _ever(network_id, state.addresses, state.released),
            by_book.get((network_id, version), ()),
        )
        for network_id, version in state.ledgers
    }
    return replace(state, ledgers=Map(ledgers))


def check_invariants(state: State) -> None:
    """What holds for every State, its indexes included; AssertionError names what does not. For tests."""
    rebuilt = state_of(
        tuple(state.networks.values()),
        tuple(state.containers.values()),
        tuple(state.attachments.values()),
        tuple(state.released.values()),
        state.order,
    )
    indexes = ("network_names", "container_names", "addresses", "of_container", "of_network", "links")
    for index in (*indexes, "macs", "sandboxes", "sharing", "ledgers"):
        assert getattr(state, index) == getattr(rebuilt, index), f"index {index} is out of step"
    for book, ledger in state.ledgers.items():
        assert list(ledger.resting) == list(rebuilt.ledgers[book].resting), f"the order of {book} is out of step"
    assert {b: frozenset(h) for b, h in state.ports.items()} == {b: frozenset(h) for b, h in rebuilt.ports.items()}
    check_rows(state)


def check_rows(state: State) -> None:
    """What holds for the networks, containers and attachments of every State, its indexes being right; AssertionError names what
    does not. For what was loaded."""
    assert len(state.network_names) == len(state.networks), "two networks of one name"
    assert len(state.container_names) == len(state.containers), "two containers of one name"
    assert len(state.links) == len(state.attachments), "two attachments of one link"
    with_mac = [attachment for attachment in state.attachments.values() if attachment.mac]
    assert len(state.macs) == len(with_mac), "two attachments of one network with one MAC"
    assert sum(len(a.addresses) for a in state.attachments.values()) == len(state.addresses), "an address twice"
    assert not set(state.released) & set(state.addresses), "an address both in use and released"
    for attachment in state.attachments.values():
        assert attachment.network_id in state.networks, "an attachment to no network"
        assert attachment.container_id in state.containers, "an attachment of no container"
    for container in state.containers.values():
        assert not container.shares or container.shares in state.containers, "a shared sandbox without its owner"
    for published in state.ports.values():
        assert all(mapping.host_port for mapping, _ in published), "a stored mapping without a host port"
        held = [mapping for mapping, container_id in published if state.containers[container_id].holds_ports]
        for number, mapping in enumerate(held):
            assert not any(mapping.overlaps(other) for other in held[number + 1 :]), "a host port twice"
