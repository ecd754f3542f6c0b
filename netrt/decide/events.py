"""What happened, in Docker's words: what listeners of `/events` get."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from netrt.model.container import Attachment, Container, ProcessState
from netrt.model.decision import Event
from netrt.model.network import Network
from netrt.model.state import State


def rfc3339(now: int) -> str:
    """Nanoseconds since the epoch as people write it, in UTC: `2026-01-31T12:00:00.000000001Z`."""
    seconds, nanoseconds = divmod(now, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def network_event(action: str, network: Network, now: int, container_id: str = "") -> Event:
    """`create` or `destroy` of a network; `connect` or `disconnect` with the container."""
    attributes = {"name": network.name, "type": str(network.mode)}
    if container_id:
        attributes["container"] = container_id
    return Event(type="network", action=action, id=network.id, time=now, attributes=attributes)


def container_event(action: str, container: Container, now: int, **more: str) -> Event:
    """`create`, `destroy`, `start`, `die` (with `exitCode`), `health_status: …` or `rename` (with `oldName`) of a
    container, with its labels."""
    attributes = {**container.labels, "name": container.name, **more}
    return Event(type="container", action=action, id=container.id, time=now, attributes=attributes)


def attachment_event(action: str, state: State, attachment: Attachment, now: int) -> Event:
    """`connect` or `disconnect`; the network is still in `state`."""
    return network_event(action, state.networks[attachment.network_id], now, attachment.container_id)


def process_events(before: ProcessState, container: Container, now: int) -> Iterator[Event]:
    """What the step from one process state to that of `container` means. One that ended before it was seen to run only died."""
    after = container.state
    if after.running and (after.pid, after.start_ticks) != (before.pid, before.start_ticks):
        yield container_event("start", container, now)
    if after.finished and not after.running and (before.running or after.finished != before.finished):
        yield container_event("die", container, now, exitCode=str(after.exit_code))
