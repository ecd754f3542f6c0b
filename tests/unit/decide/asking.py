"""A host to ask things of, for tests that read like a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netrt.dataplane.facts import HostFacts
from netrt.decide.decide import decide
from netrt.decide.networks import initial_state
from netrt.model.command import (
    Command,
    Connect,
    CreateContainer,
    CreateNetwork,
    Disconnect,
    Endpoint,
    NoteProcess,
    RemoveContainer,
    RemoveNetwork,
)
from netrt.model.container import Attachment, Container, ProcessState
from netrt.model.decision import Decision, Event
from netrt.model.network import Network, Subnet
from netrt.model.port import parse_port
from netrt.model.state import check_invariants
from tests.strategies import NOW, ROOMY, identifier


class Asked:
    """A State that changes by what is asked; `last` is the last decision."""

    def __init__(self, facts: HostFacts = ROOMY) -> None:
        self.state = initial_state(NOW)
        self.facts = facts
        self.count = 0
        self.last = Decision(state=self.state)

    def ask(self, command: Command) -> Decision:
        self.last = decide(self.state, command, self.facts, NOW + self.count)
        check_invariants(self.last.state)
        self.state = self.last.state
        return self.last

    def id(self) -> str:
        self.count += 1
        return identifier(self.count)

    def network(self, name: str, *cidrs: str, **more: Any) -> Network:
        subnets = tuple(Subnet(cidr=cidr) for cidr in cidrs)
        decision = self.ask(CreateNetwork(id=self.id(), name=name, subnets=subnets, **more))
        return decision.state.networks[decision.id]

    def run(self, name: str, mode: str = "default", *, publish: Sequence[str] = (), **more: Any) -> Container:
        ports = tuple(parse_port(text) for text in publish)
        decision = self.ask(CreateContainer(id=self.id(), name=name, network_mode=mode, ports=ports, **more))
        return decision.state.containers[decision.id]

    def connect(self, container: str, network: str, **more: Any) -> Attachment:
        self.ask(Connect(container=container, endpoint=Endpoint(network=network, **more)))
        return self.on(container)[-1]

    def disconnect(self, container: str, network: str, *, force: bool = False) -> Decision:
        return self.ask(Disconnect(network=network, container=container, force=force))

    def remove(self, container: str, *, force: bool = False) -> Decision:
        return self.ask(RemoveContainer(container=container, force=force))

    def remove_network(self, network: str, *, force: bool = False) -> Decision:
        return self.ask(RemoveNetwork(network=network, force=force))

    def note(self, container: str, **state: Any) -> tuple[Event, ...]:
        return self.ask(NoteProcess(container=container, state=ProcessState(**state))).events

    def on(self, container: str) -> tuple[Attachment, ...]:
        """A container's attachments."""
        return self.state.attachments_of(self.state.container_names[container])

    def published(self, container: str) -> list[str]:
        """A container's published ports, as text."""
        held = self.state.containers[self.state.container_names[container]]
        return [mapping.host_text() for mapping in held.ports]


def told(decision: Decision) -> list[tuple[str, str, str]]:
    """What a decision's events say, in short."""
    return [(event.type, event.action, event.attributes["name"]) for event in decision.events]
