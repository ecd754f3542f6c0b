"""Containers: making, removing, renaming, and what becomes of their processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from msgspec.structs import replace

from netrt.dataplane.facts import HostFacts
from netrt.dataplane.objects import PIN_DIRECTORY, PIN_PREFIX
from netrt.decide.endpoints import attach
from netrt.decide.events import attachment_event, container_event, process_events, rfc3339
from netrt.decide.lookup import find_container, find_network, listed, shown
from netrt.decide.networks import network_name, with_default_network
from netrt.decide.ports import check_free, resolve_ports
from netrt.errors import Conflict, Exists, InUse, Invalid
from netrt.ipam.pools import Pools
from netrt.model.command import CreateContainer, Endpoint, NoteHealth, NoteProcess, Reclaim, RemoveContainer, Rename
from netrt.model.container import HOST_SANDBOX, Container, ProcessState, Sandbox
from netrt.model.decision import Decision, Event, Touched
from netrt.model.health import Health
from netrt.model.names import check_name, short_id
from netrt.model.network import DEFAULT_NETWORK, MADE, Network
from netrt.model.port import PortMapping
from netrt.model.state import State

_SHARE = "container:"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a container lives: in the host's namespace, in that of `owner`, or in its own, on the networks of `endpoints`."""

    mode: str
    endpoints: tuple[Endpoint, ...] = ()
    owner: Container | None = None


def create_container(state: State, command: CreateContainer, facts: HostFacts, now: int, pools: Pools) -> Decision:
    """Raises Invalid, NotFound, Exists, InUse, Conflict, Exhausted."""
    name = _name(state, command)
    place = _place(state, command)
    made: tuple[Event, ...] = ()
    touched = Touched()
    if any(endpoint.network == DEFAULT_NETWORK for endpoint in place.endpoints):
        state, made, touched = with_default_network(state, facts, now, pools)
    networks = [find_network(state, endpoint.network) for endpoint in place.endpoints]
    container = Container(
        id=command.id,
        name=name,
        created=rfc3339(now),
        sandbox=_sandbox(state, command, place, name),
        network_mode=networks[0].name if networks else place.mode,
        hostname=command.hostname or _hostname(command, place),
        shares=place.owner.id if place.owner else "",
        labels=dict(command.labels),
        ports=_ports(state, command, place, networks, facts),
        process=command.process,
        lookup=command.lookup,
    )
    state = state.with_container(container)
    events = [*made, container_event("create", container, now)]
    for network, endpoint in zip(networks, place.endpoints, strict=True):
        state, attachment = attach(state, container, network, endpoint, facts)
        events.append(attachment_event("connect", state, attachment, now))
    _check_tied_ports(state, container)
    return Decision(
        state=state,
        touched=Touched(networks=touched.networks, containers=_with_objects(container)),
        events=tuple(events),
        id=container.id,
    )


def _with_objects(container: Container) -> frozenset[str]:
    """The container, if anything in the kernel is its own: not where it lives in the namespace of another or of the host."""
    return frozenset() if container.shares or container.sandbox.path == HOST_SANDBOX else frozenset({container.id})


def _name(state: State, command: CreateContainer) -> str:
    if command.id in state.containers:
        raise Exists(f"container with id {command.id} already exists")
    if command.name:
        return _free_name(state, command.name)
    generated = check_name("container name", command.generated_name or short_id(command.id))
    candidates = (generated if number == 0 else f"{generated}{number}" for number in count())
    return next(name for name in candidates if name not in state.container_names)


def _free_name(state: State, wanted: str) -> str:
    name = check_name("container name", wanted)
    if name in state.container_names:
        holder = short_id(state.container_names[name])
        raise Exists(f"container name {name} is already in use by {holder}", hint="remove or rename that one first")
    return name


def _place(state: State, command: CreateContainer) -> _Place:
    """What `network_mode` and `endpoints` mean together. The network of `network_mode`, if it is one, comes first."""
    mode = command.network_mode or "default"
    if mode.startswith(_SHARE):
        return _shared(state, command, mode.removeprefix(_SHARE))
    name = network_name(state, mode)
    asked = [dataclasses.replace(e, network=network_name(state, e.network)) for e in command.endpoints]
    first = [endpoint for endpoint in asked if endpoint.network == name]
    others = [endpoint for endpoint in asked if endpoint.network != name]
    if name == DEFAULT_NETWORK:
        return _Place(name, tuple(asked) or (Endpoint(network=name),))
    if find_network(state, name).mode in MADE:
        return _Place(name, (*(first or [Endpoint(network=name)]), *others))
    if others:
        raise Invalid(f"a container in mode {name} cannot be on other networks: {listed(e.network for e in others)}")
    return _Place(name)


def _shared(state: State, command: CreateContainer, ref: str) -> _Place:
    owner = find_container(state, ref)
    if owner.shares:
        other = state.containers[owner.shares].name
        raise Invalid(f"{owner.name} itself shares the namespace of {other}", hint=f"use --network {_SHARE}{other}")
    others = [e.network for e in command.endpoints if not e.network.startswith(_SHARE)]
    if others:
        raise Invalid(
            f"a container that shares the namespace of {owner.name} cannot be on networks of its own: {listed(others)}",
            hint=f"connect {owner.name}",
        )
    asked = command.process or command.lookup
    if asked.dns or asked.dns_search or asked.dns_options:
        raise Invalid(
            f"a container that shares the namespace of {owner.name} cannot have resolvers of its own",
            hint=f"it has those of {owner.name}",
        )
    return _Place(_SHARE + owner.id, owner=owner)


def _sandbox(state: State, command: CreateContainer, place: _Place, name: str) -> Sandbox:
    adopted = command.adopt
    if adopted and (place.owner or place.mode == "host"):
        raise Invalid("a namespace that was made by somebody else cannot be combined with mode host or container")
    if place.owner:
        return place.owner.sandbox
    if place.mode == "host":
        return Sandbox(path=HOST_SANDBOX, owned=False)
    if adopted:
        holder = state.sandbox_holder(adopted)
        if holder is not None:
            raise Exists(f"namespace {adopted.path} is already that of container {state.containers[holder].name}")
        return adopted
    paths = (f"{PIN_DIRECTORY}/{PIN_PREFIX}{stem}" for stem in (name, f"{name}-{short_id(command.id)}", command.id))
    return Sandbox(path=next(path for path in paths if path not in state.sandboxes), owned=True)


def _hostname(command: CreateContainer, place: _Place) -> str:
    """As Docker has it: that of the owner of the namespace; the host's own (empty) in the host's; else the short id."""
    if place.owner:
        return place.owner.hostname
    return "" if place.mode == "host" else short_id(command.id)


def _ports(
    state: State, command: CreateContainer, place: _Place, networks: Sequence[Network], facts: HostFacts
) -> tuple[PortMapping, ...]:
    if not command.ports:
        return ()
    if place.owner:
        raise Invalid(
            f"ports cannot be published by a container that shares the namespace of {place.owner.name}",
            hint=f"publish them on {place.owner.name}",
        )
    if place.mode == "host":
        raise Invalid("ports cannot be published in mode host", hint="the container uses the ports of the host itself")
    return resolve_ports(state, command.ports, networks, facts, held=command.process is None)


def _check_tied_ports(state: State, container: Container) -> None:
    ifnames = [attachment.ifname for attachment in state.attachments_of(container.id)]
    for mapping in container.ports:
        if mapping.ifname and mapping.ifname not in ifnames:
            raise Invalid(
                f"port {mapping.host_text()} is tied to interface {shown(mapping.ifname)}, which {container.name} has not",
                hint=f"have: {', '.join(ifnames)}",
            )


def remove_container(state: State, command: RemoveContainer, now: int) -> Decision:
    """Raises NotFound; InUse where its namespace is shared, or where it runs and `force` is not given."""
    container = find_container(state, command.container)
    members = state.members_of(container.id)
    if members:
        names = listed(member.name for member in members)
        raise InUse(f"{container.name} shares its namespace with: {names}", hint="remove these first")
    if container.state.running and not command.force:
        raise InUse(f"container {container.name} is running; stop it first or use -f")
    return _removed(state, (container,), now, container.id)


def reclaim(state: State, command: Reclaim, now: int) -> Decision:
    """Forget containers and who shares their namespaces. Ids of containers that are not there are fine."""
    gone = [c for c in state.containers.values() if c.id in command.containers or c.shares in command.containers]
    return _removed(state, gone, now)


def _removed(state: State, containers: Iterable[Container], now: int, subject: str = "") -> Decision:
    events: list[Event] = []
    touched: set[str] = set()
    for container in containers:
        for attachment in state.attachments_of(container.id):
            events.append(attachment_event("disconnect", state, attachment, now))
            state = state.without_attachment(attachment.key)
        state = state.without_container(container.id)
        events.append(container_event("destroy", container, now))
        touched |= _with_objects(container)
    return Decision(state=state, touched=Touched(containers=frozenset(touched)), events=tuple(events), id=subject)


def note_process(state: State, command: NoteProcess, facts: HostFacts, now: int) -> Decision:
    """Its end frees its published ports; that it is about to be started again takes them back. A start that is told again, as by
    whoever had no answer, changes nothing.

    Raises NotFound; InUse where it runs already; Conflict where it runs, and the end is that of a process before; InUse or
    Conflict where a port was given to another meanwhile.
    """
    before = find_container(state, command.container)
    if before.state.running:
        if (command.state.pid, command.state.start_ticks) == (before.state.pid, before.state.start_ticks):
            return Decision(state=state, id=before.id)
        _check_end(before, command.state)
    checked = command.state.running and before.process is not None and before.process.health is not None
    noted = replace(command.state, health=Health.STARTING) if checked else command.state
    after = replace(before, state=noted)
    moved = before.held_ports != after.held_ports
    if moved:
        check_free(state, after, facts)
    return Decision(
        state=state.with_container(after),
        touched=Touched(containers=frozenset({after.id}) if moved else frozenset()),
        events=tuple(process_events(before.state, after, now)),
        id=after.id,
    )


def _check_end(container: Container, noted: ProcessState) -> None:
    """Whether what is noted of a container that runs is the end of the process that runs."""
    running = container.state
    if noted.running or noted.starting:
        raise InUse(f"container {container.name} is running already (pid {running.pid})")
    if noted.started != running.started:
        raise Conflict(f"process {running.pid} of container {container.name} still runs")


def note_health(state: State, command: NoteHealth, now: int) -> Decision:
    """What is known of a process that has ended meanwhile, or is known already, changes nothing. Raises NotFound."""
    before = find_container(state, command.container)
    if before.state.pid != command.pid or before.state.health is command.health:
        return Decision(state=state, id=before.id)
    after = replace(before, state=replace(before.state, health=command.health))
    event = container_event(f"health_status: {command.health}", after, now)
    return Decision(state=state.with_container(after), events=(event,), id=after.id)


def rename(state: State, command: Rename, now: int) -> Decision:
    """Nothing in the kernel has a container's name but the path of its pin, and that stays. Raises NotFound, Invalid, Exists."""
    before = find_container(state, command.container)
    if command.name == before.name:
        raise Invalid(f"container {before.name} has that name already")
    after = replace(before, name=_free_name(state, command.name))
    event = container_event("rename", after, now, oldName=before.name)
    return Decision(state=state.with_container(after), events=(event,), id=after.id)
