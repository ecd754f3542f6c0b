"""How a container comes onto a network, and off it.

A container with a sandbox of its own may be on any number of networks, also one that was made with `--network none`: whoever
connects it says so explicitly. One that lives in the host's namespace or in another container's has no interfaces of its own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from msgspec.structs import replace

from netrt.dataplane.facts import HostFacts
from netrt.decide.events import attachment_event
from netrt.decide.guests import find_bridge
from netrt.decide.leases import check_place, check_wish, learned
from netrt.decide.lookup import find_container, find_network
from netrt.decide.networks import network_name, with_default_network
from netrt.decide.parents import check_room, find_parent, of_host
from netrt.errors import Conflict, Exhausted, Exists, InUse, Invalid, NotFound
from netrt.ipam.allocate import allocate, allocate_each
from netrt.ipam.pools import Pools
from netrt.model.address import check_mac, family, host_of, mac_for
from netrt.model.command import Connect, Disconnect, Endpoint
from netrt.model.container import HOST_SANDBOX, Attachment, Container
from netrt.model.decision import Decision, Event, Touched
from netrt.model.names import check_ifname, check_name, link_name
from netrt.model.network import DEFAULT_NETWORK, MADE, PARENTED, Mode, Network, parent_options
from netrt.model.parent import MacvlanMode
from netrt.model.plugged import GATEWAY, Bandwidth, Plugged, Way
from netrt.model.state import State

MOST_PRIORITY = 2**31 - 1
"""The largest gateway priority."""

BRIDGE_PORTS = 1023
"""The most that a Linux bridge takes (BR_MAX_PORTS)."""


def attach(
    state: State,
    container: Container,
    network: Network,
    endpoint: Endpoint,
    facts: HostFacts,
    plugged: Plugged | None = None,
    leased: tuple[str, ...] = (),
) -> tuple[State, Attachment]:
    """Put a container, which is in `state`, onto a network; `plugged` where a runtime asks, `leased` are addresses (with prefix
    length) that somebody else gave. Raises Invalid, Exists, InUse, Exhausted, Conflict."""
    _check_free_to_move(state, container)
    mine = state.attachments_of(container.id)
    if plugged is None:
        _check_may_join(container, network, mine)
    if network.mode is Mode.BRIDGE and len(state.of_network.get(network.id, ())) >= BRIDGE_PORTS:
        raise Exhausted(f"network {network.name} has {BRIDGE_PORTS} containers, the most that a bridge takes")
    if network.mode in PARENTED:
        find_parent(network, facts)
        check_room(state, network)
    if network.is_guest:
        find_bridge(network, facts)
    check_bandwidth(network, endpoint.bandwidth)
    lease = endpoint.dhcp if network.dhcp else None
    if network.dhcp:
        check_wish(network, endpoint)
        leased = (lease.address,) if lease else ("",)
    if lease:
        check_place(state, container.id, network, lease, facts)
        state = learned(state, network, lease)
        network = state.networks[network.id]
    address4, address6, *more = leased_as(leased) if leased else _addresses(state, network, container, endpoint, facts)
    ifname = _ifname(container, network, [attachment.ifname for attachment in mine], endpoint.ifname)
    link = _link(state, container, ifname)
    attachment = Attachment(
        container_id=container.id,
        network_id=network.id,
        ifname=ifname,
        link=link,
        mac=mac_of(
            state, network, endpoint.mac, link if network.dhcp else host_of(address4 or address6) or link, facts
        ),
        order=state.order,
        address4=address4,
        address6=address6,
        fixed=tuple(version for version, wanted in ((4, endpoint.address4), (6, endpoint.address6)) if wanted),
        aliases=tuple(dict.fromkeys(check_name("alias", alias) for alias in endpoint.aliases)),
        more=tuple(more),
        routes=resolved(network, endpoint.routes, (address4, address6)),
        down=endpoint.down,
        bandwidth=endpoint.bandwidth,
        plugged=plugged,
        gw_priority=_priority(endpoint.gw_priority),
        dhcp=lease,
    )
    return state.with_attachment(attachment), attachment


def _priority(wanted: int) -> int:
    if not -MOST_PRIORITY <= wanted <= MOST_PRIORITY:
        raise Invalid(f"gateway priority {wanted} is out of range", hint=f"{-MOST_PRIORITY} to {MOST_PRIORITY}")
    return wanted


def _check_may_join(container: Container, network: Network, mine: Sequence[Attachment]) -> None:
    """What people may ask for, and runtimes need not mind: several interfaces on one network, or on somebody else's."""
    if network.mode not in MADE:
        raise Invalid(f"container {container.name} cannot be connected to network {network.name}")
    if any(attachment.network_id == network.id for attachment in mine):
        raise Exists(f"container {container.name} is already on network {network.name}")


def check_bandwidth(network: Network, limits: Bandwidth | None) -> None:
    """Raises Invalid where limits are wished for that nothing could keep."""
    if limits and network.mode in PARENTED:
        raise Invalid(
            f"bandwidth cannot be limited on network {network.name}: its containers have no link on the host",
            hint="use a bridge network",
        )


def _addresses(
    state: State, network: Network, container: Container, endpoint: Endpoint, facts: HostFacts
) -> tuple[str, ...]:
    """An IPv4 and an IPv6 address, empty where the network has none, and further ones."""
    name, host = container.name, of_host(network, facts)
    if endpoint.pools is not None:
        return leased_as(allocate_each(state, network, name, endpoint.pools, endpoint.wanted, host))
    return tuple(
        allocate(state, network, version, name, wanted, host) if wanted or network.subnets_of(version) else ""
        for version, wanted in ((4, endpoint.address4), (6, endpoint.address6))
    )


def resolved(network: Network, wished: tuple[Way, ...] | None, addresses: Sequence[str]) -> tuple[Way, ...] | None:
    """With the gateways of the addresses put in; without an address of its family a route is on the link itself."""
    if wished is None:
        return None
    gateways = {family(a): network.subnet_of(a).gateway or "" for a in addresses if a}
    return tuple(replace(way, via=gateways.get(family(way.dst), "")) if way.via == GATEWAY else way for way in wished)


def leased_as(addresses: Sequence[str]) -> tuple[str, ...]:
    """The first one of each family (empty where there is none), and the rest."""
    given = [address for address in addresses if address]
    first4, first6 = (next((a for a in given if family(a) == version), "") for version in (4, 6))
    return first4, first6, *(a for a in given if a not in (first4, first6))


def _check_free_to_move(state: State, container: Container) -> None:
    """Raises Invalid for a container whose interfaces are not its own."""
    if container.shares:
        owner = state.containers[container.shares].name
        raise Invalid(
            f"container {container.name} shares the namespace of {owner} and cannot be connected or disconnected",
            hint=f"connect or disconnect {owner}",
        )
    if container.sandbox.path == HOST_SANDBOX:
        raise Invalid(
            "container cannot be disconnected from host network or connected to host network",
            hint=f"{container.name} was made with --network host",
        )


def _ifname(container: Container, network: Network, taken: list[str], wanted: str) -> str:
    if not wanted:
        return next(name for name in (f"{network.iface_prefix}{number}" for number in count()) if name not in taken)
    if check_ifname(wanted) == "lo":
        raise Invalid("interface name lo is the loopback's")
    if wanted in taken:
        raise InUse(f"container {container.name} already has an interface {wanted}")
    return wanted


def _link(state: State, container: Container, ifname: str) -> str:
    link = link_name(container.id, ifname)
    if link in state.links:
        holder = state.containers[state.links[link][0]].name
        raise Conflict(f"the link of {container.name} would have the name of a link of {holder}", retry=True)
    return link


def mac_of(state: State, network: Network, wanted: str, address: str, facts: HostFacts) -> str:
    """The wanted MAC if it is free on the network, else one made from the address, or from what stands for it; empty where all
    have the parent's. Raises InUse, Invalid."""
    if network.mode in PARENTED:
        options = parent_options(network)
        shared = network.mode is Mode.IPVLAN
        if shared or options.flavour == MacvlanMode.PASSTHRU:
            if wanted:
                raise Invalid(f"MAC address {wanted} cannot be had: on network {network.name} it is that of its parent")
            return "" if shared else facts.parents[options.parent].mac
    bridge = mac_for("network", network.id)
    if wanted:
        mac = check_mac(wanted)
        holder = state.macs.get((network.id, mac))
        if holder is not None:
            raise InUse(f"MAC address {mac} is held by {state.containers[holder[0]].name} on {network.name}")
        if mac == bridge:
            raise InUse(f"MAC address {mac} is held by the host's side of {network.name}")
        return mac
    made = (mac_for(address, *(str(number) for number in range(more))) for more in count())
    return next(mac for mac in made if mac != bridge and (network.id, mac) not in state.macs)


def connect(state: State, command: Connect, facts: HostFacts, now: int, pools: Pools) -> Decision:
    """Raises NotFound, Invalid, Exists, InUse, Exhausted, Conflict."""
    container, name = find_container(state, command.container), network_name(state, command.endpoint.network)
    made: tuple[Event, ...] = ()
    touched = Touched()
    if name == DEFAULT_NETWORK:
        state, made, touched = with_default_network(state, facts, now, pools)
    network = find_network(state, name)
    state, attachment = attach(state, container, network, command.endpoint, facts)
    return Decision(
        state=state,
        touched=Touched(networks=touched.networks, containers=frozenset({container.id})),
        events=(*made, attachment_event("connect", state, attachment, now)),
        id=network.id,
    )


def disconnect(state: State, command: Disconnect, now: int) -> Decision:
    """Take a container off a network; its published ports stay with it.

    Raises NotFound, also for a container that is not on the network unless `force`; Invalid where it has no interfaces.
    """
    network, container = find_network(state, command.network), find_container(state, command.container)
    _check_free_to_move(state, container)
    gone = next((a for a in state.attachments_of(container.id) if a.network_id == network.id), None)
    if gone is None:
        if command.force or (network.mode is Mode.NONE and not state.attachments_of(container.id)):
            return Decision(state=state, id=network.id)
        raise NotFound(f"container {container.name} is not connected to network {network.name}")
    return Decision(
        state=state.without_attachment(gone.key),
        touched=Touched(containers=frozenset({container.id})),
        events=(attachment_event("disconnect", state, gone, now),),
        id=network.id,
    )
