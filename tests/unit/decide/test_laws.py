"""What holds whatever people ask for, in whatever order."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from netrt.dataplane.facts import HostFacts
from netrt.decide.decide import decide
from netrt.decide.networks import initial_state
from netrt.errors import NetrtError
from netrt.model.address import host_of, network
from netrt.model.command import Command, Limit, PruneNetworks, Publish, Reclaim, UpdateNetwork
from netrt.model.decision import Decision
from netrt.model.network import Mode
from netrt.model.port import addresses_meet
from netrt.model.state import State, check_invariants, state_of
from tests.strategies import NOW, ROOMY, commands, histories, host_facts, rows, states

laws = settings(max_examples=60, deadline=None)


def steps(history: list[Command], facts: HostFacts = ROOMY) -> Iterator[tuple[State, Command, Decision]]:
    """The commands that were not refused, with the State before and the decision."""
    state = initial_state(NOW)
    for number, command in enumerate(history):
        try:
            decision = decide(state, command, facts, NOW + number)
        except NetrtError:
            continue
        yield state, command, decision
        state = decision.state


def answer(state: State, command: Command, facts: HostFacts) -> Decision | str:
    """The decision, or the words in which it was refused."""
    try:
        return decide(state, command, facts, NOW)
    except NetrtError as error:
        return str(error)


def picture(state: State) -> dict[str, Any]:
    """A deep copy of a State, order included, that no later mistake can change."""
    return {field: repr(getattr(state, field)) for field in State.__struct_fields__}


@laws
@given(histories, host_facts)
def test_every_state_keeps_the_invariants(history: list[Command], facts: HostFacts) -> None:
    for _, _, decision in steps(history, facts):
        check_invariants(decision.state)


@laws
@given(states(), commands, host_facts)
def test_a_state_is_never_changed_whether_refused_or_not(state: State, command: Command, facts: HostFacts) -> None:
    before = picture(state)
    first, second = answer(state, command, facts), answer(state, command, facts)
    assert first == second, "the same question has the same answer"
    assert not isinstance(first, str) or "\n" not in first
    assert picture(state) == before


@laws
@given(states())
def test_addresses_are_those_that_may_be_given(state: State) -> None:
    seen = set()
    for attachment in state.attachments.values():
        net = state.networks[attachment.network_id]
        for version in (4, 6):
            assert bool(attachment.address(version)) == bool(net.subnets_of(version))
        for interface in attachment.addresses:
            subnet, address = net.subnet_of(interface), ipaddress.ip_address(host_of(interface))
            assert interface == f"{address}/{network(subnet.cidr).prefixlen}"
            assert str(address) != subnet.gateway
            assert str(address) not in subnet.auxiliary.values()
            assert address != network(subnet.cidr).network_address
            assert address.version == 6 or address != network(subnet.cidr).broadcast_address
            if address.version not in attachment.fixed:
                assert address in network(subnet.ip_range or subnet.cidr)
            assert address not in seen
            seen.add(address)


@laws
@given(states())
def test_networks_have_gateways_and_do_not_overlap(state: State) -> None:
    bridges = [net for net in state.networks.values() if net.mode is Mode.BRIDGE]
    blocks = [network(subnet.cidr) for net in bridges for subnet in net.subnets]
    for number, block in enumerate(blocks):
        assert not any(block.version == other.version and block.overlaps(other) for other in blocks[number + 1 :])
    for net in bridges:
        assert net.ipv4 == bool(net.subnets_of(4))
        assert net.ipv6 == bool(net.subnets_of(6))
        assert all(subnet.gateway for subnet in net.subnets)


@laws
@given(histories, host_facts)
def test_what_a_container_has_stays_until_it_is_told_otherwise(history: list[Command], facts: HostFacts) -> None:
    for before, command, decision in steps(history, facts):
        if isinstance(command, Publish | Limit):
            continue
        if isinstance(command, UpdateNetwork):
            for key, attachment in before.attachments.items():
                grown = decision.state.attachments[key]
                assert set(attachment.hosts) <= set(grown.hosts)
                bare = {"address4": "", "address6": ""}
                assert msgspec.structs.replace(attachment, **bare) == msgspec.structs.replace(grown, **bare)
            continue
        for key in before.attachments.keys() & decision.state.attachments.keys():
            assert decision.state.attachments[key] == before.attachments[key]
        for container_id in before.containers.keys() & decision.state.containers.keys():
            assert decision.state.containers[container_id].ports == before.containers[container_id].ports
            assert decision.state.containers[container_id].sandbox == before.containers[container_id].sandbox


@laws
@given(histories, host_facts)
def test_no_port_is_taken_from_a_host_process(history: list[Command], facts: HostFacts) -> None:
    for _, _, decision in steps(history, facts):
        for container in decision.state.containers.values():
            for mapping in container.ports:
                for listener in facts.listeners:
                    ip = "" if listener.dual else listener.ip
                    meet = listener.protocol == mapping.protocol and addresses_meet(ip, mapping.host_ip)
                    assert not (meet and mapping.host_port <= listener.port <= mapping.host_last)


@laws
@given(histories)
def test_touched_names_all_that_changed(history: list[Command]) -> None:
    for before, command, decision in steps(history):
        after, touched = decision.state, decision.touched
        if isinstance(command, UpdateNetwork):
            grown = before.networks[decision.id].subnets != after.networks[decision.id].subnets
            assert touched.networks == (frozenset({decision.id}) if grown else frozenset())
            on = frozenset(key[0] for key in after.of_network.get(decision.id, ()))
            assert touched.containers == (on if grown else frozenset())
            continue
        assert touched.networks == before.networks.keys() ^ after.networks.keys()
        moved = {key[0] for key in before.attachments.keys() ^ after.attachments.keys()}
        assert moved <= touched.containers
        changed = before.containers.keys() ^ after.containers.keys()
        known = {**before.containers, **after.containers}
        own = {cid for cid in changed if not known[cid].shares and known[cid].sandbox.path}
        if isinstance(command, Publish | Limit):
            own = {decision.id}
        assert touched.containers == own | moved, command


@laws
@given(histories)
def test_events_tell_each_change_once(history: list[Command]) -> None:
    for before, _, decision in steps(history):
        after = decision.state
        told = [(event.action, event.id, event.attributes.get("container")) for event in decision.events]
        expected = [("create", i, None) for i in after.networks.keys() - before.networks.keys()]
        expected += [("destroy", i, None) for i in before.networks.keys() - after.networks.keys()]
        expected += [("create", i, None) for i in after.containers.keys() - before.containers.keys()]
        expected += [("destroy", i, None) for i in before.containers.keys() - after.containers.keys()]
        for action, one, other in (("connect", before, after), ("disconnect", after, before)):
            gone = [other.attachments[key] for key in other.attachments.keys() - one.attachments.keys()]
            expected += [(action, a.network_id, a.container_id) for a in gone]
        assert sorted(map(str, told)) == sorted(
            [*map(str, expected), *(str(t) for t in told if t[0] in ("start", "die", "rename", "update"))]
        )


@laws
@given(states(), st.sampled_from(({}, {"tier": "a"}, {"tier": ""})))
def test_prune_removes_only_what_nobody_uses(state: State, labels: dict[str, str]) -> None:
    decision = decide(state, PruneNetworks(labels=labels), ROOMY, NOW)
    used = {attachment.network_id for attachment in state.attachments.values()}
    gone = state.networks.keys() - decision.state.networks.keys()
    assert not gone & used
    assert sorted(decision.removed) == sorted(state.networks[i].name for i in gone)
    for net in state.networks.values():
        wanted = all(key in net.labels and value in ("", net.labels[key]) for key, value in labels.items())
        assert (net.id in gone) == (not net.predefined and net.id not in used and wanted)


@laws
@given(states())
def test_reclaiming_everything_leaves_nothing_held(state: State) -> None:
    bare = decide(state, Reclaim(containers=frozenset(state.containers)), ROOMY, NOW).state
    held = (bare.containers, bare.attachments, bare.addresses, bare.ports, bare.links, bare.macs, bare.sandboxes)
    assert not any(held)
    assert bare.networks == state.networks
    assert {(a.network_id, host_of(i)) for a in state.attachments.values() for i in a.addresses} <= bare.released.keys()


def in_any_order(state: State) -> State:
    """Without the order of mappings in a bucket, which means nothing."""
    ports: Any = {bucket: frozenset(holders) for bucket, holders in state.ports.items()}
    return replace(state, ports=ports)


@laws
@given(states())
def test_what_is_saved_comes_back(state: State) -> None:
    copies = [msgspec.json.decode(msgspec.json.encode(row), type=type(row)) for row in rows(state)]
    assert copies == rows(state)
    tables: dict[str, list[Any]] = {"Network": [], "Container": [], "Attachment": [], "Released": []}
    for row in reversed(copies):  # a store gives them in any order
        tables[type(row).__name__].append(row)
    loaded = state_of(*(tuple(tables[name]) for name in tables), state.order)
    assert in_any_order(loaded) == in_any_order(state)
    check_invariants(loaded)
