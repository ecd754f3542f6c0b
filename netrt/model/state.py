"""Everything that people asked for, as one value.

Rule 1: a State is never changed; `with_…` and `without_…` give a new one. Rule 2: the indexes below are derived from the four
tables and kept in step by these edits alone; `check_invariants` says what must hold between them. Rule 3: an edit costs a copy
of the dictionaries that it touches (5 ns an entry), never a pass over the entries in Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from netrt.model.address import host_of
from netrt.model.container import Attachment, Container, Released
from netrt.model.network import Network
from netrt.model.port import PortMapping

PORT_BUCKET = 256
"""Published ports are indexed by (protocol, host port // PORT_BUCKET)."""

AttachmentKey = tuple[str, str]
PortHolder = tuple[PortMapping, str]
Ports = tuple[PortMapping, ...]


def _buckets(mapping: PortMapping) -> list[tuple[str, int]]:
    first, last = mapping.host_port // PORT_BUCKET, mapping.host_last // PORT_BUCKET
    return [(mapping.protocol, number) for number in range(first, last + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Networks by id, containers by id, attachments by key, released addresses by (network id, address); and the indexes.

    `order` is the number that the next ordered event gets.
    """

    networks: Mapping[str, Network] = field(default_factory=dict)
    containers: Mapping[str, Container] = field(default_factory=dict)
    attachments: Mapping[AttachmentKey, Attachment] = field(default_factory=dict)
    released: Mapping[tuple[str, str], Released] = field(default_factory=dict)
    order: int = 1

    network_names: Mapping[str, str] = field(default_factory=dict)
    container_names: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[tuple[str, str], AttachmentKey] = field(default_factory=dict)
    of_container: Mapping[str, tuple[AttachmentKey, ...]] = field(default_factory=dict)
    of_network: Mapping[str, frozenset[AttachmentKey]] = field(default_factory=dict)
    ports: Mapping[tuple[str, int], tuple[PortHolder, ...]] = field(default_factory=dict)
    links: Mapping[str, AttachmentKey] = field(default_factory=dict)

    # networks

    def with_network(self, network: Network) -> State:
        """Add or replace a network. The caller has checked that its name is free."""
        names = dict(self.network_names)
        before = self.networks.get(network.id)
        if before is not None:
            del names[before.name]
        return replace(
            self,
            networks={**self.networks, network.id: network},
            network_names={**names, network.name: network.id},
        )

    def without_network(self, network_id: str) -> State:
        """Remove a network that has no attachments, and the memory of its addresses."""
        assert not self.of_network.get(network_id), "a network in use is never removed"
        networks, names = dict(self.networks), dict(self.network_names)
        del names[networks.pop(network_id).name]
        released = {key: value for key, value in self.released.items() if key[0] != network_id}
        return replace(self, networks=networks, network_names=names, released=released)

    # containers

    def with_container(self, container: Container) -> State:
        """Add or replace a container, its published ports included."""
        before = self.containers.get(container.id)
        names = self.container_names
        if before is None or before.name != container.name:
            names = {name: at for name, at in names.items() if at != container.id} | {container.name: container.id}
        old: Ports = before.ports if before else ()
        ports = self.ports if old == container.ports else self._with_ports(container.id, old, container.ports)
        containers = {**self.containers, container.id: container}
        return replace(self, containers=containers, container_names=names, ports=ports)

    def without_container(self, container_id: str) -> State:
        """Remove a container that has no attachments any more."""
        assert not self.of_container.get(container_id), "attachments go first"
        containers, names = dict(self.containers), dict(self.container_names)
        container = containers.pop(container_id)
        del names[container.name]
        ports = self._with_ports(container_id, container.ports, ()) if container.ports else self.ports
        return replace(self, containers=containers, container_names=names, ports=ports)

    def _with_ports(
        self, container_id: str, old: Ports, new: Ports
    ) -> Mapping[tuple[str, int], tuple[PortHolder, ...]]:
        ports = dict(self.ports)
        for mapping in old:
            for bucket in _buckets(mapping):
                left = tuple(held for held in ports.get(bucket, ()) if held != (mapping, container_id))
                if left:
                    ports[bucket] = left
                else:
                    ports.pop(bucket, None)
        for mapping in new:
            for bucket in _buckets(mapping):
                ports[bucket] = (*ports.get(bucket, ()), (mapping, container_id))
        return ports

    def port_holder(self, wanted: PortMapping) -> PortHolder | None:
        """The mapping that already holds one of the wanted host ports, and its container's id."""
        for bucket in _buckets(wanted):
            for held in self.ports.get(bucket, ()):
                if held[0].overlaps(wanted):
                    return held
        return None

    # attachments

    def with_attachment(self, attachment: Attachment) -> State:
        """Add an attachment (its container and network exist), or replace one without change of its addresses."""
        key, mine = attachment.key, self.of_container.get(attachment.container_id, ())
        addresses = dict(self.addresses)
        released = dict(self.released)
        for interface in attachment.addresses:
            place = attachment.network_id, host_of(interface)
            addresses[place] = key
            released.pop(place, None)
        return replace(
            self,
            attachments={**self.attachments, key: attachment},
            addresses=addresses,
            released=released,
            links={**self.links, attachment.link: key},
            of_container={**self.of_container, attachment.container_id: mine if key in mine else (*mine, key)},
            of_network={
                **self.of_network,
                attachment.network_id: self.of_network.get(attachment.network_id, frozenset()) | {key},
            },
            order=max(self.order, attachment.order + 1),
        )

    def without_attachment(self, key: AttachmentKey) -> State:
        """Remove an attachment and remember who had its addresses."""
        attachments, addresses, links = dict(self.attachments), dict(self.addresses), dict(self.links)
        released, order = dict(self.released), self.order
        gone = attachments.pop(key)
        del links[gone.link]
        owner = self.containers[gone.container_id].name
        for interface in gone.addresses:
            address = host_of(interface)
            del addresses[gone.network_id, address]
            released[gone.network_id, address] = Released(
                network_id=gone.network_id, address=address, owner=owner, order=order
            )
            order += 1
        of_container, of_network = dict(self.of_container), dict(self.of_network)
        of_container[gone.container_id] = tuple(k for k in of_container[gone.container_id] if k != key)
        of_network[gone.network_id] = of_network[gone.network_id] - {key}
        if not of_container[gone.container_id]:
            del of_container[gone.container_id]
        if not of_network[gone.network_id]:
            del of_network[gone.network_id]
        return replace(
            self,
            attachments=attachments,
            addresses=addresses,
            links=links,
            released=released,
            of_container=of_container,
            of_network=of_network,
            order=order,
        )

    # reading

    def attachments_of(self, container_id: str) -> tuple[Attachment, ...]:
        """The attachments of a container, in the order in which they were made."""
        return tuple(self.attachments[key] for key in self.of_container.get(container_id, ()))

    def members_of(self, container_id: str) -> tuple[Container, ...]:
        """The containers that share the sandbox of this one."""
        return tuple(c for c in self.containers.values() if c.shares == container_id)


def state_of(
    networks: tuple[Network, ...] = (),
    containers: tuple[Container, ...] = (),
    attachments: tuple[Attachment, ...] = (),
    released: tuple[Released, ...] = (),
    order: int = 1,
) -> State:
    """A State with its indexes, from the rows of a store. Attachments are put in their order."""
    state = State()
    for network in networks:
        state = state.with_network(network)
    for container in containers:
        state = state.with_container(container)
    for attachment in sorted(attachments, key=lambda a: a.order):
        state = state.with_attachment(attachment)
    table = {(r.network_id, r.address): r for r in released}
    return replace(state, released=table, order=max([order, state.order, *(r.order + 1 for r in released)]))


def check_invariants(state: State) -> None:
    """What holds for every State; AssertionError names what does not. For tests, and after loading from a store."""
    rebuilt = state_of(
        tuple(state.networks.values()),
        tuple(state.containers.values()),
        tuple(state.attachments.values()),
        tuple(state.released.values()),
        state.order,
    )
    for index in ("network_names", "container_names", "addresses", "of_container", "of_network", "links"):
        assert getattr(state, index) == getattr(rebuilt, index), f"index {index} is out of step"
    assert {b: frozenset(h) for b, h in state.ports.items()} == {b: frozenset(h) for b, h in rebuilt.ports.items()}
    assert len(state.network_names) == len(state.networks), "two networks of one name"
    assert len(state.container_names) == len(state.containers), "two containers of one name"
    assert len(state.links) == len(state.attachments), "two attachments of one link"
    assert sum(len(a.addresses) for a in state.attachments.values()) == len(state.addresses), "an address twice"
    assert not set(state.released) & set(state.addresses), "an address both in use and released"
    for attachment in state.attachments.values():
        assert attachment.network_id in state.networks, "an attachment to no network"
        assert attachment.container_id in state.containers, "an attachment of no container"
    for container in state.containers.values():
        assert not container.shares or container.shares in state.containers, "a shared sandbox without its owner"
    for holders in state.ports.values():
        for number, (mapping, _) in enumerate(holders):
            assert mapping.host_port, "a stored mapping without a host port"
            assert not any(mapping.overlaps(other) for other, _ in holders[number + 1 :]), "a host port twice"
