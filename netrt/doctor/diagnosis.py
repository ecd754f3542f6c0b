"""What is wrong with one container, by what was seen of its sandbox: each finding with its remedy.

Rule 1: as everywhere here, an error is what stops traffic that netrt promised; what a container itself must do (a server that
does not run), and what was dropped as it should be, is a warning."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from netrt.doctor.findings import Finding, Level
from netrt.doctor.inside import REFUSED, About, Dropped, Inside, Interface, Outcome, Server
from netrt.firewall.drops import Drop, Reason
from netrt.model.container import Attachment, Container
from netrt.model.port import PortMapping
from netrt.model.state import State

WHY = {
    Reason.FRAME: "frames of another protocol than IP and ARP, or with a VLAN tag",
    Reason.SOURCE: "sent from a MAC or an address that is not the container's own",
    Reason.SERVICE: "answers of a DHCP server, router advertisements or redirects, which no container may send",
    Reason.INTERNAL: "sent to the outside from a network that is internal",
    Reason.APART: "sent to a network that this one is kept apart from",
    Reason.HOST: "sent to the host itself, which answers containers to ping and published ports only",
    Reason.INVALID: "belonging to no connection, or to one that is over, and so not translated",
    Reason.OUTSIDE: "coming from outside for a port that is not published, or a connection that is not known",
}

_REMEDIES = {
    Reason.FRAME: "turn off what sends them in the container; only networks with -o antispoof=off pass them",
    Reason.SOURCE: "let the container keep the MAC and the addresses that it was given, or use a network with -o antispoof=mac",
    Reason.SERVICE: "turn off that server in the container; only networks with -o antispoof=off pass them",
    Reason.INTERNAL: "connect the container to a network that is not --internal, if it is to reach the outside",
    Reason.APART: "connect both containers to one network (netrt network connect), or publish the port",
    Reason.HOST: "publish the port of a container instead, or make the network with -o host_access=true",
    Reason.INVALID: "usually nothing: late packets of closed connections; many of them mean that answers come by another way",
    Reason.OUTSIDE: "publish the port (netrt publish add), or make the network with gateway_mode_ipv4=routed",
}


def explained(drops: Iterable[Drop]) -> Iterator[Dropped]:
    """Counts in words."""
    for drop in drops:
        yield Dropped(reason=drop.reason, why=WHY[drop.reason], at=drop.key, packets=drop.packets, octets=drop.octets)


def findings(
    state: State, container: Container, seen: Inside, drops: Sequence[Drop], unlike: Sequence[str]
) -> tuple[Finding, ...]:
    """All that is wrong. `unlike` is what of the container is not as it should be, in words."""
    found = (
        *_difference(unlike),
        *_links(state, container, seen),
        *_ways(seen.outcomes),
        *_servers(container, seen),
        *_dropped(drops),
    )
    return tuple(sorted(found, key=lambda finding: finding.level != Level.ERROR))


def named(state: State, attachments: Iterable[Attachment], seen: Inside) -> tuple[Interface, ...]:
    """The links of a sandbox with the networks that they are on, and their ends on the host."""
    known = {attachment.ifname: attachment for attachment in attachments}
    return tuple(_placed(state, known.get(link.name), link) for link in seen.interfaces)


def _placed(state: State, attachment: Attachment | None, link: Interface) -> Interface:
    if attachment is None:
        return link
    host_link = attachment.link if link.kind == "veth" else ""
    return replace(link, network=state.networks[attachment.network_id].name, host_link=host_link)


def _difference(unlike: Sequence[str]) -> Iterator[Finding]:
    if unlike:
        yield Finding(
            check="difference",
            level=Level.ERROR,
            text=f"not all is as it should be: {'; '.join(unlike[:3])}" + ("; and more" if unlike[3:] else ""),
            remedy="it is mended within a second; if it stays, netrt diff and the log of netrtd say why",
        )


def _links(state: State, container: Container, seen: Inside) -> Iterator[Finding]:
    held = {link.name: link for link in seen.interfaces}
    for attachment in state.attachments_of(container.shares or container.id):
        link, network = held.get(attachment.ifname), state.networks[attachment.network_id]
        if link is not None and link.up and not link.carrier:
            end = f"{attachment.link} on the host" if link.kind == "veth" else "its parent"
            yield Finding(
                check="interface",
                level=Level.ERROR,
                text=f"{link.name} has no carrier: {end} is down",
                remedy=f"ip link set {attachment.link if link.kind == 'veth' else 'PARENT'} up, and find out who took it down",
                networks=(network.name,),
            )


_UNANSWERED = {
    About.GATEWAY: (
        Level.ERROR,
        "netrt doctor: rules of others may drop what is for the host; netrt diff: is the address there",
    ),
    About.PEER: (
        Level.WARNING,
        "netrt debug PEER: is its interface up; does a firewall in it drop pings; does somebody's rule stand between "
        "(netrt doctor)",
    ),
    About.NAMES: (Level.ERROR, "see the log of netrt-dns; netrtd starts it again; netrt doctor says more"),
    About.FORWARDER: (
        Level.WARNING,
        "names outside of netrt's networks are not found by it: choose another with --dns, or in the host's /etc/resolv.conf",
    ),
}


def _ways(outcomes: Sequence[Outcome]) -> Iterator[Finding]:
    for outcome in outcomes:
        probe = outcome.probe
        if not outcome.works and probe.about in _UNANSWERED:
            level, remedy = _UNANSWERED[probe.about]
            yield Finding(
                check=probe.about,
                level=level,
                text=f"{probe.what} ({probe.address}) does not answer: {outcome.said}",
                remedy=remedy.replace("PEER", probe.what.partition(" ")[0]),
            )


def _servers(container: Container, seen: Inside) -> Iterator[Finding]:
    """Published ports: who is led there finds a server, and the way is open."""
    for mapping in container.held_ports:
        text, port = mapping.host_text(), mapping.container_port
        there = [s for s in seen.servers if s.protocol == mapping.protocol and s.port == port]
        if not there:
            ready = _listening(seen.servers, mapping) or "none is listening"
            yield _port(
                f"published port {text} leads to port {port}, and nobody listens there",
                f"start the server in the container, or publish the port that it has ({ready})",
            )
        elif all(_only_within(server) for server in there):
            yield _port(
                f"published port {text}: the server at port {port} listens at {there[0].address} only",
                "let it listen at 0.0.0.0 or ::",
            )
        else:
            yield from (_unreached(text, outcome) for outcome in seen.outcomes if _is_of(outcome, mapping))


def _is_of(outcome: Outcome, mapping: PortMapping) -> bool:
    """Whether this is a published port of these that cannot be reached."""
    probe = outcome.probe
    return not outcome.works and probe.about is About.PORT and probe.what.endswith(f" {mapping.host_text()}")


def _unreached(text: str, outcome: Outcome) -> Finding:
    at = outcome.probe.address
    if outcome.said == REFUSED:
        family = "IPv6" if ":" in at else "IPv4"
        return _port(f"published port {text}: nobody listens for {family}", "let the server listen at 0.0.0.0 and ::")
    return _port(
        f"published port {text} is not reached at {at}: {outcome.said}",
        "netrt doctor: rules of others may drop it; a firewall in the container may, too",
        Level.ERROR,
    )


def _port(text: str, remedy: str, level: Level = Level.WARNING) -> Finding:
    return Finding(check="port", level=level, text=text, remedy=remedy)


def _listening(servers: Sequence[Server], mapping: PortMapping) -> str:
    ports = sorted({s.port for s in servers if s.protocol == mapping.protocol and not _only_within(s)})
    return ", ".join(f"{port}/{mapping.protocol}" for port in ports[:5])


def _only_within(server: Server) -> bool:
    return ipaddress.ip_address(server.address.partition("%")[0]).is_loopback


def _dropped(drops: Sequence[Drop]) -> Iterator[Finding]:
    for drop in drops:
        yield Finding(
            check="dropped",
            level=Level.WARNING,
            text=f"{drop.packets} packet{'s' * (drop.packets != 1)} of {drop.key} dropped: {WHY[drop.reason]}",
            remedy=_REMEDIES[drop.reason],
        )
