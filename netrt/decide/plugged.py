"""What runtimes ask for by CNI: interfaces put into namespaces that they made, additions of chained plugins, and both taken back.

Rule 1: a container that came by CNI goes with its last attachment. Rule 2: to take back what is not there is fine; to add what is
there is an error that says so. Rule 3: nothing that people made is taken away on behalf of a runtime."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from msgspec.structs import replace

from netrt.dataplane.facts import HostFacts
from netrt.decide.defined import defined, everything_on, learned
from netrt.decide.endpoints import attach, check_bandwidth, leased_as, mac_of, resolved
from netrt.decide.events import attachment_event, container_event, rfc3339
from netrt.decide.lookup import find_network
from netrt.decide.ports import resolve_ports
from netrt.errors import Exists, Invalid, NotFound
from netrt.ipam.pools import Pools
from netrt.model.address import host_of
from netrt.model.command import Adjust, Attach, Collect, Detach, Lease
from netrt.model.container import Attachment, Container
from netrt.model.decision import Decision, Event, Touched
from netrt.model.names import is_name, short_id
from netrt.model.network import MADE, Ingress, Mode, Network
from netrt.model.plugged import Plugged
from netrt.model.port import PortMapping
from netrt.model.state import State

MAKERS = ("netrt", "bridge", "macvlan", "host-local")
"""The plugins that make an attachment; all others add to one."""


def attach_plugged(state: State, command: Attach, facts: HostFacts, now: int, pools: Pools) -> Decision:
    """Raises Invalid, NotFound, Exists, InUse, Conflict, Exhausted."""
    held = state.attachments.get((command.container, command.endpoint.ifname))
    if held is not None:
        raise Exists(
            f"{command.known_as} has {held.ifname} already, on network {state.networks[held.network_id].name}",
            hint="a second ADD of one container and interface needs a DEL before it",
        )
    return _attached(state, command, facts, now, pools)


def _attached(state: State, command: Attach, facts: HostFacts, now: int, pools: Pools) -> Decision:
    events: tuple[Event, ...] = ()
    touched = Touched()
    if command.definition is None:
        network = find_network(state, command.endpoint.network)
    else:
        state, network, events, touched = defined(state, command.definition, facts, now, pools)
    if network.mode not in (*MADE, Mode.FOREIGN):
        raise Invalid(f"a namespace that somebody else made cannot be put onto network {network.name}")
    more = Touched()
    if command.lease:
        state, network, more = learned(state, network, command.lease.subnets)
    state, container, created = _container(state, command, network, now)
    endpoint, leased = command.endpoint, command.lease.addresses if command.lease else ()
    if command.lease:
        endpoint = dataclasses.replace(endpoint, routes=command.lease.routes)
    state, attachment = attach(state, container, network, endpoint, facts, command.plugged, leased)
    if command.ports:
        state = _publish(state, attachment, command.ports, facts)
    return Decision(
        state=state,
        touched=_all(touched, more, Touched(containers=frozenset({container.id}))),
        events=(*events, *created, attachment_event("connect", state, attachment, now)),
        id=container.id,
    )


def _container(state: State, command: Attach, network: Network, now: int) -> tuple[State, Container, tuple[Event, ...]]:
    """The container of this id, made if it is not there. Raises Exists, Invalid."""
    container = state.containers.get(command.container)
    holder = state.sandbox_holder(command.sandbox)
    if holder not in (None, command.container):
        other = state.containers[holder].name if holder else ""
        raise Exists(f"namespace {command.sandbox.path} is already that of container {other}")
    if container is not None:
        if holder != container.id:
            raise Invalid(f"container {command.known_as} is in namespace {container.sandbox.path}")
        return state, container, ()
    container = Container(
        id=command.container,
        name=_name(state, command),
        created=rfc3339(now),
        sandbox=command.sandbox,
        network_mode=network.name,
        hostname=short_id(command.container),
        labels=dict(command.labels),
        plugged=command.known_as,
    )
    return state.with_container(container), container, (container_event("create", container, now),)


def _name(state: State, command: Attach) -> str:
    """What the runtime calls it, if that is a name and free; else the beginning of its id."""
    for name in (command.generated_name, command.known_as, short_id(command.container)):
        if is_name(name) and name not in state.container_names:
            return name
    return command.container[:63]


def _publish(state: State, attachment: Attachment, ports: Iterable[PortMapping], facts: HostFacts) -> State:
    """With these ports of the host led to this attachment. Raises InUse, Conflict, Invalid."""
    container = state.containers[attachment.container_id]
    tied = [replace(mapping, ifname=attachment.ifname) for mapping in ports]
    got = resolve_ports(state, tied, [state.networks[attachment.network_id]], facts)
    return state.with_container(replace(container, ports=(*container.ports, *got)))


def _all(*parts: Touched) -> Touched:
    return Touched(
        networks=frozenset().union(*(part.networks for part in parts)),
        containers=frozenset().union(*(part.containers for part in parts)),
    )


def adjust(state: State, command: Adjust, facts: HostFacts, now: int, pools: Pools) -> Decision:
    """Raises NotFound, Exists where this plugin did so already, InUse, Conflict, Invalid."""
    events: tuple[Event, ...] = ()
    touched = Touched()
    if (command.container, command.ifname) not in state.attachments:
        if command.missing is None:
            raise NotFound(f"no interface {command.ifname} of {command.container[:12]} is known here")
        made = _attached(state, command.missing, facts, now, pools)
        state, events, touched = made.state, made.events, made.touched
    elif command.missing is not None:
        state, touched = _told(state, command.missing, facts, now, pools)
    attachment = state.attachments[command.container, command.ifname]
    if attachment.plugged is None or attachment.plugged.network != command.network:
        raise Invalid(f"{command.ifname} of this container is not of network {command.network}")
    state, attachment, more = _leased(state, attachment, command.lease)
    check_bandwidth(state.networks[attachment.network_id], command.bandwidth)
    tuning = command.tuning
    if tuning and command.mac and state.networks[attachment.network_id].mode is Mode.FOREIGN:
        tuning = replace(tuning, mac=command.mac)
    attachment = replace(
        attachment,
        mac=_mac(state, attachment, command.mac, facts),
        bandwidth=attachment.bandwidth if command.bandwidth is None else command.bandwidth,
        tuning=attachment.tuning if tuning is None else tuning,
        plugged=_held(attachment, command),
    )
    state = state.with_attachment(attachment)
    if command.ports is not None:
        state = _publish(state, attachment, command.ports, facts)
    network = state.networks[attachment.network_id]
    state, fence = _fenced(state, network, command.ingress)
    touched = _all(touched, more, fence, Touched(containers=frozenset({command.container})))
    return Decision(state=state, touched=touched, events=events, id=command.container)


def _told(state: State, said: Attach, facts: HostFacts, now: int, pools: Pools) -> tuple[State, Touched]:
    """With what a chained plugin knows, and our IPAM did not: which links of the host somebody else made for the interface."""
    attachment = state.attachments[said.container, said.endpoint.ifname]
    network = state.networks[attachment.network_id]
    if attachment.plugged is None or network.mode is not Mode.FOREIGN or said.definition is None:
        return state, Touched()
    plugged = replace(attachment.plugged, host_link=said.plugged.host_link or attachment.plugged.host_link)
    state = state.with_attachment(replace(attachment, plugged=plugged))
    if network.name != said.definition.name:
        return state, Touched()
    state, _, _, touched = defined(state, said.definition, facts, now, pools)
    return state, touched


def _fenced(state: State, network: Network, ingress: Ingress | None) -> tuple[State, Touched]:
    """What people made is fenced already, and stays as they made it."""
    if ingress in (None, network.ingress):
        return state, Touched()
    if not network.plugin:
        if ingress is Ingress.ISOLATED:
            raise Invalid(
                f"ingressPolicy {ingress} cannot change network {network.name}, which people made",
                hint="make it with -o com.docker.network.bridge.enable_icc=false",
            )
        return state, Touched()
    changed = replace(network, ingress=ingress)
    return state.with_network(changed), everything_on(state, changed)


def _held(attachment: Attachment, command: Adjust) -> Plugged | None:
    plugged = attachment.plugged
    if plugged is None:
        return None
    if command.holder in plugged.holders and command.lease is None:
        raise Exists(
            f"{command.holder} was added to {attachment.ifname} already", hint="a second ADD needs a DEL before it"
        )
    return replace(
        plugged,
        holders=tuple(dict.fromkeys((*plugged.holders, command.holder))),
        masquerade=plugged.masquerade if command.masquerade is None else command.masquerade,
    )


def _leased(state: State, attachment: Attachment, lease: Lease | None) -> tuple[State, Attachment, Touched]:
    if lease is None:
        return state, attachment, Touched()
    state, network, touched = learned(state, state.networks[attachment.network_id], lease.subnets)
    address4, address6, *more = leased_as(lease.addresses)
    routes = resolved(network, lease.routes, (address4, address6))
    leased = replace(attachment, address4=address4, address6=address6, more=tuple(more), routes=routes)
    return state, leased, touched


def _mac(state: State, attachment: Attachment, wanted: str, facts: HostFacts) -> str:
    network = state.networks[attachment.network_id]
    if not wanted or wanted == attachment.mac:
        return attachment.mac
    return mac_of(state, network, wanted, host_of(attachment.address4 or attachment.address6), facts)


# taken back


def detach_plugged(state: State, command: Detach, now: int) -> Decision:
    """Never an error: what is not there, or not a runtime's, is let be."""
    attachment = state.attachments.get((command.container, command.ifname))
    if attachment is None or attachment.plugged is None or command.network not in ("", attachment.plugged.network):
        return Decision(state=state, id=command.container)
    left = tuple(holder for holder in attachment.plugged.holders if holder != command.holder)
    if not left or command.holder in ("", *MAKERS):
        return _gone(state, (attachment,), now)
    state = _without(state, attachment, command.holder, left)
    return Decision(state=state, touched=Touched(containers=frozenset({command.container})), id=command.container)


def _without(state: State, attachment: Attachment, holder: str, left: tuple[str, ...]) -> State:
    """Without what one chained plugin added."""
    plugged = attachment.plugged
    assert plugged is not None, "only what a runtime made is taken back"
    mapped = holder == "portmap"
    kept = replace(
        attachment,
        bandwidth=None if holder == "bandwidth" else attachment.bandwidth,
        tuning=None if holder == "tuning" else attachment.tuning,
        plugged=replace(plugged, holders=left, masquerade=plugged.masquerade and not mapped),
    )
    state = state.with_attachment(kept)
    return _without_ports(state, attachment) if mapped else state


def _without_ports(state: State, attachment: Attachment) -> State:
    container = state.containers[attachment.container_id]
    ports = tuple(mapping for mapping in container.ports if mapping.ifname != attachment.ifname)
    return state if ports == container.ports else state.with_container(replace(container, ports=ports))


def collect(state: State, command: Collect, now: int) -> Decision:
    """Attachments of the network in the runtime's words that are not valid any more. `removed` are their containers' names."""

    def stale(attachment: Attachment) -> bool:
        known = state.containers[attachment.container_id].plugged, attachment.ifname
        plugged = attachment.plugged
        return plugged is not None and plugged.network == command.network and known not in command.valid

    return _gone(state, tuple(filter(stale, state.attachments.values())), now)


def _gone(state: State, attachments: tuple[Attachment, ...], now: int) -> Decision:
    events: list[Event] = []
    removed: list[str] = []
    for attachment in attachments:
        container = state.containers[attachment.container_id]
        events.append(attachment_event("disconnect", state, attachment, now))
        state = _without_ports(state, attachment).without_attachment(attachment.key)
        removed.append(container.name)
        if container.plugged and not state.attachments_of(container.id) and not state.members_of(container.id):
            state = state.without_container(container.id)
            events.append(container_event("destroy", container, now))
    return Decision(
        state=state,
        touched=Touched(containers=frozenset(attachment.container_id for attachment in attachments)),
        events=tuple(events),
        id=attachments[0].container_id if attachments else "",
        removed=tuple(removed),
    )
