"""What this host's kernel should hold because of a State: the sum of what each network and each container wants.

`MODES` is the whole list of modes: what a network of that mode wants, and what an attachment to it wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from netrt.compile import bridge, foreign, macvlan
from netrt.compile.facing import port_ends, publishing_attachment
from netrt.dataplane.facts import HostFacts
from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import Key, NamePort, Object, Pin, Route
from netrt.dns.zone import ADDRESS, PORT
from netrt.firewall.elements import crossing_elements, port_elements
from netrt.firewall.skeleton import skeleton
from netrt.model.address import host_of
from netrt.model.container import Attachment, Container
from netrt.model.decision import Touched
from netrt.model.network import Mode, Network, has_names
from netrt.model.state import State


@dataclass(frozen=True, slots=True)
class ModeRules:
    """How one mode of network is compiled."""

    network: Callable[[State, Network, HostFacts], Iterable[Object]]
    attachment: Callable[[State, Container, Network, Attachment, HostFacts], Iterable[Object]]


MODES: dict[Mode, ModeRules] = {
    Mode.BRIDGE: ModeRules(bridge.compile_network, bridge.compile_attachment),
    Mode.MACVLAN: ModeRules(macvlan.compile_network, macvlan.compile_attachment),
    Mode.IPVLAN: ModeRules(macvlan.compile_network, macvlan.compile_attachment),
    Mode.HOST: ModeRules(lambda *_: (), lambda *_: ()),
    Mode.NONE: ModeRules(lambda *_: (), lambda *_: ()),
    Mode.FOREIGN: ModeRules(foreign.compile_network, foreign.compile_attachment),
}


def compile_host(state: State, facts: HostFacts, touched: Touched | None = None) -> HostState:
    """All kernel objects, or those of the touched networks and containers that are still in `state`.

    The nftables skeleton is always among them while it is needed.
    """
    networks = state.networks if touched is None else sorted(filter(state.networks.__contains__, touched.networks))
    containers = (
        state.containers if touched is None else sorted(filter(state.containers.__contains__, touched.containers))
    )
    return HostState.of(
        _skeleton(state, facts),
        *(MODES[state.networks[n].mode].network(state, state.networks[n], facts) for n in networks),
        *(compile_container(state, state.containers[c], facts) for c in containers),
    )


def widened(touched: Touched, *states: State) -> Touched:
    """What is touched, and the networks of its containers that have something which belongs to all of theirs together."""
    shared = {
        attachment.network_id
        for state in states
        for container in touched.containers
        for attachment in state.attachments_of(container)
        if macvlan.has_shim(state.networks[attachment.network_id])
    }
    return Touched(networks=touched.networks | shared, containers=touched.containers) if shared else touched


def _skeleton(state: State, facts: HostFacts) -> Iterator[Object]:
    """Needed while there is a network that containers are on; and until the next boot where forwarding was turned on for one, for
    the guard in it keeps the host from being a router."""
    if facts.opened or any(network.mode in (Mode.BRIDGE, Mode.FOREIGN) for network in state.networks.values()):
        yield skeleton(facts.raised)


def compile_container(state: State, container: Container, facts: HostFacts) -> Iterator[Object]:
    """The sandbox of a container (if we made it and nobody else owns it), its way to names, its attachments and its
    published ports."""
    if container.sandbox.owned and not container.shares:
        yield Pin(path=container.sandbox.path)
    if any(has_names(state.networks[attachment.network_id]) for attachment in state.attachments_of(container.id)):
        yield NamePort(netns=container.sandbox.path, address=ADDRESS, port=PORT)
    yield from _first_routes(
        thing
        for attachment in state.attachments_of(container.id)
        for network in [state.networks[attachment.network_id]]
        for thing in MODES[network.mode].attachment(state, container, network, attachment, facts)
    )
    ends = {
        ifname: port_ends(state, container, ifname) for ifname in {mapping.ifname for mapping in container.held_ports}
    }
    for mapping in container.held_ports:
        yield from port_elements(mapping, *ends[mapping.ifname])
    if container.held_ports:
        yield from _crossed(state, container)


def _crossed(state: State, container: Container) -> Iterator[Object]:
    """Whoever asks a published port from a network that the container is on too would be answered around the host."""
    on = [a for a in state.attachments_of(container.id) if state.networks[a.network_id].mode is Mode.BRIDGE]
    for version in (4, 6) if len(on) > 1 else ():
        target = publishing_attachment(state, container.id, version)
        others = (state.networks[a.network_id] for a in on if target and a.network_id != target.network_id)
        if target:
            yield from crossing_elements(host_of(target.address(version)), map(bridge.bridge_link, others))


def _first_routes(things: Iterable[Object]) -> Iterator[Object]:
    """Where several attachments wish for a route to one destination, the first one has it."""
    led: set[Key] = set()
    for thing in things:
        if not isinstance(thing, Route):
            yield thing
        elif thing.key not in led:
            led.add(thing.key)
            yield thing
