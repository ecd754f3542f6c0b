"""A State keeps its indexes in step with its tables, also where something is replaced."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from netrt.model.container import Sandbox
from netrt.model.port import parse_port
from netrt.model.state import PortHolder, State, check_invariants, state_of
from tests.strategies import states

quick = settings(max_examples=60, deadline=None)


@quick
@given(states())
def test_a_network_replaced_keeps_its_addresses(state: State) -> None:
    for network in state.networks.values():
        changed = state.with_network(replace(network, labels={"new": "1"}))
        check_invariants(changed)
        assert changed.ledgers == state.ledgers


def holders(state: State) -> dict[tuple[str, int], frozenset[PortHolder]]:
    """Who has which ports; the order within a bucket means nothing."""
    return {bucket: frozenset(held) for bucket, held in state.ports.items()}


@quick
@given(states(), st.sampled_from(("8080:80", "1-600:1-600/udp")))
def test_a_container_replaced_leaves_nothing_behind(state: State, publish: str) -> None:
    for container in state.containers.values():
        mapping = parse_port(publish)
        if container.shares or state.port_holder(mapping):
            continue
        moved = replace(
            container, name="elsewhere", sandbox=Sandbox(path="/run/x", owned=False, inode=7), ports=(mapping,)
        )
        changed = state.with_container(moved)
        held = mapping, container.id
        assert changed.port_holder(mapping) == (held if container.holds_ports else None)
        assert changed.port_holder(mapping, resting=True) is not None
        assert changed.sandbox_holder(Sandbox(path="/other", owned=False, inode=7)) == container.id
        assert container.name not in changed.container_names
        again = changed.with_container(container)
        assert (holders(again), again.sandboxes, again.container_names) == (
            holders(state),
            state.sandboxes,
            state.container_names,
        )


@quick
@given(states())
def test_taking_every_attachment_off_and_putting_it_back(state: State) -> None:
    bare = state
    for key in state.attachments:
        bare = bare.without_attachment(key)
        check_invariants(bare)
    assert not (bare.addresses)
    assert not (bare.macs)
    assert not (bare.of_network)
    assert not (bare.of_container)
    for attachment in sorted(state.attachments.values(), key=lambda made: made.order):
        bare = bare.with_attachment(attachment)
    check_invariants(bare)
    assert (bare.attachments, bare.addresses, bare.ledgers) == (state.attachments, state.addresses, state.ledgers)


def test_what_does_not_hold_is_named() -> None:
    with pytest.raises(AssertionError, match="index links is out of step"):
        check_invariants(State(links={"nrx": ("a", "b")}))
    assert state_of() == State()
