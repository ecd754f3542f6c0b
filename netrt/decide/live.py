"""What is changed of a container while it runs: its published ports, and the limits of its bandwidth.

Rule 1: only what is spoken of changes; connections by everything else go on. Rule 2: what is taken away must be there."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from netrt.dataplane.facts import HostFacts
from netrt.decide.endpoints import check_bandwidth
from netrt.decide.events import container_event
from netrt.decide.lookup import find_container, find_network, listed
from netrt.decide.ports import resolve_ports
from netrt.errors import Invalid, NotFound
from netrt.model.command import Limit, Publish
from netrt.model.container import HOST_SANDBOX, Container
from netrt.model.decision import Decision, Touched
from netrt.model.port import PortMapping
from netrt.model.rate import parse_bandwidth
from netrt.model.state import State


def publish(state: State, command: Publish, facts: HostFacts, now: int) -> Decision:
    """What does not run has its new ports when it starts. Raises NotFound, Invalid, InUse (a container has the port), Conflict (a
    process of the host has it), Exhausted."""
    before = find_container(state, command.container)
    _check_own_namespace(state, before, "publish ports")
    kept = _without(before, command.remove)
    bare = state.with_container(replace(before, ports=kept))
    networks = [state.networks[attachment.network_id] for attachment in state.attachments_of(before.id)]
    doubled = [mapping for mapping in command.add if mapping.host_port and mapping in kept]
    if doubled:
        raise Invalid(f"{before.name} publishes {doubled[0].host_text()} already")
    held = before.holds_ports
    more = resolve_ports(bare, command.add, networks, facts, held=held, kept=() if held else kept)
    after = replace(before, ports=(*kept, *more))
    return Decision(
        state=bare.with_container(after),
        touched=Touched(containers=frozenset({after.id})),
        events=(container_event("update", after, now),),
        id=after.id,
    )


def _check_own_namespace(state: State, container: Container, what: str) -> None:
    if container.shares:
        owner = state.containers[container.shares].name
        raise Invalid(f"{container.name} shares the namespace of {owner} and cannot {what}", hint=f"ask {owner}")
    if container.sandbox.path == HOST_SANDBOX:
        raise Invalid(f"{container.name} is in mode host and cannot {what}")


def _without(container: Container, gone: Sequence[PortMapping]) -> tuple[PortMapping, ...]:
    """Its ports but for those that are meant: without a host port, all of that port of the container's."""
    left = list(container.ports)
    for wanted in gone:
        meant = [mapping for mapping in left if _is_meant(mapping, wanted)]
        if not meant:
            spec = (
                f"{wanted.host_text()} to {wanted.container_port}" if wanted.host_port else f"{wanted.container_port}"
            )
            have = listed(f"{m.host_text()} to {m.container_port}" for m in container.ports)
            raise NotFound(f"{container.name} does not publish {spec}", hint=f"has: {have}" if have else "it has none")
        left = [mapping for mapping in left if mapping not in meant]
    return tuple(left)


def _is_meant(mapping: PortMapping, wanted: PortMapping) -> bool:
    return (
        (mapping.protocol, mapping.container_port, mapping.count)
        == (wanted.protocol, wanted.container_port, wanted.count)
        and wanted.host_port in (0, mapping.host_port)
        and wanted.host_ip in ("", mapping.host_ip)
    )


def limit(state: State, command: Limit, now: int) -> Decision:
    """Raises NotFound, Invalid."""
    container = find_container(state, command.container)
    _check_own_namespace(state, container, "be limited")
    only = find_network(state, command.network).id if command.network else ""
    mine = [a for a in state.attachments_of(container.id) if only in ("", a.network_id)]
    if not mine:
        where = f"not on network {command.network}" if only else "on no network"
        raise Invalid(f"the bandwidth of {container.name} cannot be limited: it is {where}")
    for attachment in mine:
        limits = parse_bandwidth(command.bandwidth, attachment.bandwidth)
        check_bandwidth(state.networks[attachment.network_id], limits)
        state = state.with_attachment(replace(attachment, bandwidth=limits or None))
    return Decision(
        state=state,
        touched=Touched(containers=frozenset({container.id})),
        events=(container_event("update", container, now),),
        id=container.id,
    )
