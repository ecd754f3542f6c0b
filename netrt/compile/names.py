"""Which names there are because of a State: a zone for each network that people made, a view for each sandbox on one.

What follows a commit is computed for the containers that it changed: whoever lives in one sandbox is one group, no two groups
share an address, and so a name that several have (an alias) is what others have of it and what the group has."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from netrt.compile.services import published_services
from netrt.dns.difference import Change, ZoneChange, apply, chained, empty, seal
from netrt.dns.zone import Names, Service, Upstream, View, Zone
from netrt.model.address import family, host_of
from netrt.model.container import HOST_SANDBOX, Attachment, Container
from netrt.model.difference import difference
from netrt.model.health import Health
from netrt.model.names import short_id
from netrt.model.network import Network, has_names
from netrt.model.state import State

V = TypeVar("V", str, Service)


class Resolving(msgspec.Struct, frozen=True, kw_only=True):
    """What names depend on beside the State: how long answers may be kept (seconds), and the resolvers of the host."""

    ttl: int = 5
    upstreams: tuple[Upstream, ...] = ()


def host_upstreams(servers: Iterable[str]) -> tuple[Upstream, ...]:
    """The host's resolvers as upstreams. One on its loopback, or on a link of its own (`fe80::1%eth0`), is asked from there."""
    found = []
    for server in dict.fromkeys(servers):
        address = ipaddress.ip_address(server)
        scoped = bool(getattr(address, "scope_id", None))
        found.append(Upstream(address=server, from_host=address.is_loopback or address.is_unspecified or scoped))
    return tuple(found)


def answers_for_aliases(container: Container) -> bool:
    """Whether it takes its share of what it does together with others."""
    return container.state.health in (Health.UNKNOWN, Health.HEALTHY)


@dataclass(slots=True)
class _Entries:
    """What one group, or all of them, has in one network."""

    hosts: dict[str, set[str]] = field(default_factory=dict)
    pointers: dict[str, str] = field(default_factory=dict)
    services: dict[str, set[Service]] = field(default_factory=dict)

    def add(self, name: str, addresses: Sequence[str], container: Container) -> None:
        """One name of a container, and of what it publishes."""
        self.hosts.setdefault(name, set()).update(addresses)
        for service, port in published_services(container.ports):
            self.services.setdefault(f"{service}.{name}", set()).add(Service(port, container.name.lower()))


class _Networks(defaultdict[str, _Entries]):
    """By network id."""

    def __init__(self) -> None:
        super().__init__(_Entries)


def compile_names(state: State, resolving: Resolving) -> Names:
    """All names of a State."""
    members: dict[str, list[str]] = {}
    for container in state.containers.values():
        if container.shares:
            members.setdefault(container.shares, []).append(container.id)
    views, entries = {}, _Networks()
    for owner in state.containers.values():
        view = None if owner.shares else _view(state, owner, members.get(owner.id, ()), resolving)
        if view:
            views[view.sandbox] = view
            _add_group(entries, state, view.containers)
    zones = {
        network.id: replace(
            _zone(network, resolving),
            hosts=_sorted(entries[network.id].hosts),
            pointers=entries[network.id].pointers,
            services=_sorted(entries[network.id].services),
        )
        for network in state.networks.values()
        if has_names(network)
    }
    return seal(Names(zones=zones, views=views))


def _zone(network: Network, resolving: Resolving) -> Zone:
    """A network's zone, without names."""
    subnets = tuple(subnet.cidr for subnet in network.subnets)
    return Zone(network=network.id, domain=network.name.lower(), ttl=resolving.ttl, subnets=subnets)


def _sorted(table: Mapping[str, set[V]]) -> dict[str, tuple[V, ...]]:
    return {name: tuple(sorted(values)) for name, values in table.items()}


def _add_group(entries: _Networks, state: State, group: Sequence[str]) -> None:
    """What the containers of one sandbox, the owner first, are called on its networks."""
    for attachment in state.attachments_of(group[0]):
        if has_names(state.networks[attachment.network_id]):
            _add(entries[attachment.network_id], state, group, attachment)


def _add(entries: _Entries, state: State, group: Sequence[str], attachment: Attachment) -> None:
    addresses = [host_of(interface) for interface in attachment.addresses]
    for container in (state.containers[member] for member in reversed(group)):
        if container.ended or not addresses:
            continue
        for name in names_on(container, attachment):
            entries.add(name, addresses, container)
        entries.pointers.update(dict.fromkeys(addresses, container.name.lower()))


def names_on(container: Container, attachment: Attachment) -> dict[str, str]:
    """What a container that lives in the sandbox of an attachment is called on its network, and what each name is. The first is
    the one that its addresses lead back to."""
    found = {container.name.lower(): "name", short_id(container.id): "id"}
    if container.hostname:
        found.setdefault(container.hostname.lower(), "hostname")
    if container.id == attachment.container_id and answers_for_aliases(container):
        found |= {alias.lower(): "alias" for alias in attachment.aliases if alias.lower() not in found}
    return found


def _view(state: State, owner: Container, members: Iterable[str], resolving: Resolving) -> View | None:
    """What a sandbox sees; nothing where it is on no network with names. `members` (ids) share it with its owner."""
    attachments = state.attachments_of(owner.id)
    networks = [state.networks[attachment.network_id] for attachment in attachments]
    named = tuple(dict.fromkeys(network.id for network in networks if has_names(network)))
    if not named or owner.sandbox.path == HOST_SANDBOX:
        return None
    own = [server for network in networks for server in network.dns]
    said = [server for a in attachments if a.dhcp for server in a.dhcp.dns]
    asked = owner.names.dns or own or said
    upstreams = tuple(Upstream(address) for address in dict.fromkeys(asked)) or resolving.upstreams
    return View(
        sandbox=owner.sandbox.path,
        inode=owner.sandbox.inode,
        networks=named,
        upstreams=tuple(upstream for upstream in upstreams if _may_ask(networks, upstream)),
        containers=(owner.id, *sorted(members)),
    )


def _may_ask(networks: Sequence[Network], upstream: Upstream) -> bool:
    """Whether a sandbox on these networks may ask a resolver, and can: without a way outside it asks nobody, not even by way of
    the host, nor where the way is one of the other family only."""
    ways = {version for network in networks for version in (4, 6) if network.leads_outside(version)}
    if upstream.from_host or not ways:
        return bool(ways)
    return family(upstream.address) in ways or any(network.holds(upstream.address) for network in networks)


def next_names(names: Names, before: State, after: State, resolving: Resolving) -> Names:
    """The names of `after`, given those of `before`: what `compile_names(after, resolving)` gives, but for the mark."""
    return apply(names, names_change(names, before, after, resolving))


def names_change(names: Names, before: State, after: State, resolving: Resolving) -> Change:
    """What leads from the names of `before` to those of `after`, where nothing but the State changed."""
    old_views: dict[str, View] = {}
    new_views: dict[str, View] = {}
    old_entries, new_entries = _Networks(), _Networks()
    for owner, joined in _touched(before, after).items():
        old = _view_of(names, before, owner)
        if old:
            old_views[old.sandbox] = old
            _add_group(old_entries, before, old.containers)
        if owner in after.containers:
            members = _members(before, after, owner, old, joined)
            new = _view(after, after.containers[owner], members, resolving)
            if new:
                new_views[new.sandbox] = new
                _add_group(new_entries, after, new.containers)
    zones = _changed_zones(names, before, after, old_entries, new_entries, resolving)
    change = Change(
        zones=tuple(zones),
        gone_zones=tuple(
            network for network in difference(before.networks, after.networks)[0] if network in names.zones
        ),
        views=tuple(view for path, view in new_views.items() if names.views.get(path) != view),
        gone_views=tuple(path for path in old_views if path not in new_views),
    )
    return chained(names, change)


def _touched(before: State, after: State) -> dict[str, set[str]]:
    """The owners of the sandboxes whose names or views may differ, each with those who came to share theirs."""
    owners: dict[str, set[str]] = {}
    gone, put = difference(before.containers, after.containers)
    told = (item for key, item in put if not _called_as(before.containers.get(key), item))
    for container in (*(before.containers[key] for key in gone), *told):
        joined = owners.setdefault(container.shares or container.id, set())
        if container.shares and container.id in after.containers:
            joined.add(container.id)
    gone_keys, put_keys = difference(before.attachments, after.attachments)
    for key in (*gone_keys, *(key for key, _ in put_keys)):
        owners.setdefault(key[0], set())
    for network_id, _ in difference(before.networks, after.networks)[1]:
        for key in after.of_network.get(network_id, ()) if network_id in before.networks else ():
            owners.setdefault(key[0], set())
    return owners


def _called_as(before: Container | None, after: Container) -> bool:
    """Whether a container has the names that it had, as far as it alone tells."""
    if before is None or not after.only_ran_on(before):
        return False
    return before.ended == after.ended and answers_for_aliases(before) == answers_for_aliases(after)


def _view_of(names: Names, state: State, owner: str) -> View | None:
    container = state.containers.get(owner)
    view = names.views.get(container.sandbox.path) if container else None
    return view if view and view.containers[0] == owner else None


def _members(before: State, after: State, owner: str, old: View | None, joined: set[str]) -> Iterable[str]:
    """Who shares a sandbox now: who did, if still there, and who joined. All are asked only where nobody kept count."""
    if old:
        return joined | {member for member in old.containers[1:] if member in after.containers}
    if owner in before.containers:
        return [member.id for member in after.members_of(owner)]
    return joined


def _changed_zones(
    names: Names, before: State, after: State, old: _Networks, new: _Networks, resolving: Resolving
) -> Iterator[ZoneChange]:
    put = {key for key, network in difference(before.networks, after.networks)[1] if has_names(network)}
    for network_id in sorted(put | old.keys() | new.keys()):
        if network_id not in after.networks:
            continue
        bare = _zone(after.networks[network_id], resolving)
        zone = names.zones.get(network_id)
        known, gone, come = zone or bare, old[network_id], new[network_id]
        change = ZoneChange(
            network=network_id,
            domain=bare.domain,
            ttl=bare.ttl,
            subnets=bare.subnets,
            hosts=_moved(known.hosts, gone.hosts, come.hosts),
            pointers={
                address: come.pointers.get(address, "")
                for address in gone.pointers.keys() | come.pointers.keys()
                if come.pointers.get(address) != known.pointers.get(address)
            },
            services=_moved(known.services, gone.services, come.services),
        )
        if zone is None or change.hosts or change.pointers or change.services or bare != empty(zone):
            yield change


def _moved(
    table: Mapping[str, tuple[V, ...]], gone: Mapping[str, set[V]], come: Mapping[str, set[V]]
) -> dict[str, tuple[V, ...]]:
    """What a table has of the names of some groups, after what they had is gone and what they have has come."""
    put = {}
    for name in gone.keys() | come.keys():
        left = set(table.get(name, ())) - gone.get(name, set()) | come.get(name, set())
        value = tuple(sorted(left))
        if value != table.get(name, ()):
            put[name] = value
    return put
