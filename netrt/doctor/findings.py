"""What is wrong with a host, by what was seen of it and what is asked for: each finding with its remedy.

Rule 1: an error is what stops traffic that netrt promised, now; a warning is what may. Rule 2: who is blamed is named: table,
chain and handle, route and interface, setting and value."""

from __future__ import annotations

import enum
import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from netrt.compile.bridge import bridge_link
from netrt.doctor.chains import Blame, Packet, Ruleset
from netrt.doctor.evidence import Evidence
from netrt.model.address import prefix_of
from netrt.model.network import Mode, Network, standing_on
from netrt.model.state import State

_OUTSIDE = {4: "203.0.113.1", 6: "2001:2::1"}
"""Somebody outside (RFC 5737, RFC 5180)."""

_FORWARDING = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
_BRIDGED = {4: "net/bridge/bridge-nf-call-iptables", 6: "net/bridge/bridge-nf-call-ip6tables"}
_FULL = 0.9


class Level(enum.StrEnum):
    """How bad it is."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`check` is the name of the test that found it; `networks` are the names of those concerned."""

    check: str
    level: Level
    text: str
    remedy: str
    networks: tuple[str, ...] = ()


def findings(state: State, seen: Evidence) -> tuple[Finding, ...]:
    """All that is wrong."""
    networks = [network for network in state.networks.values() if network.mode is Mode.BRIDGE]
    return (
        *_bridges(networks, seen),
        *_gateways(networks, seen),
        *_shared(state, seen),
        *_forwarding(networks, seen),
        *_chains(state, networks, seen),
        *_overlaps(networks, seen),
        *_filters(networks, seen),
        *_mtu(networks, seen),
        *_features(seen),
        *_tracking(seen),
        *_pins(state, seen),
    )


def _names(networks: Iterable[Network]) -> tuple[str, ...]:
    return tuple(sorted({network.name for network in networks}))


def _forwarding(networks: Sequence[Network], seen: Evidence) -> Iterator[Finding]:
    for version, name in _FORWARDING.items():
        concerned = [network for network in networks if network.leads_outside(version)]
        if concerned and not seen.setting(name):
            yield Finding(
                check="forwarding",
                level=Level.ERROR,
                text=f"{name.replace('/', '.')} is 0: nothing reaches containers from outside, or the outside from them",
                remedy=f"sysctl -w {name.replace('/', '.')}=1, and find out who turned it off (sysctl.d, another daemon)",
                networks=_names(concerned),
            )


def _bridges(networks: Sequence[Network], seen: Evidence) -> Iterator[Finding]:
    for network in networks:
        link = bridge_link(network)
        if network.is_guest and link not in seen.bridges:
            yield Finding(
                check="bridge",
                level=Level.ERROR,
                text=f"bridge {link} is gone, which somebody else made and network {network.name} stands on: its containers "
                "reach nobody",
                remedy=f"make it again (ip link add {link} type bridge, or whoever did): netrt then puts everything back; "
                f"or netrt network rm -f {network.name}",
                networks=(network.name,),
            )


def _gateways(networks: Sequence[Network], seen: Evidence) -> Iterator[Finding]:
    """Those that a bridge of somebody else had before us; what we put there ourselves is a difference."""
    for network in networks:
        link = bridge_link(network)
        for subnet in network.subnets if network.is_guest and link in seen.bridges else ():
            lost = subnet.gateway in network.theirs and subnet.gateway not in seen.addresses.get(link, ())
            if lost and network.leads_outside(6 if ":" in subnet.cidr else 4):
                yield Finding(
                    check="gateway",
                    level=Level.ERROR,
                    text=f"bridge {link} has address {subnet.gateway} no more, the gateway of network {network.name}, which "
                    "somebody else gave it: its containers reach nobody outside, and nobody their published ports",
                    remedy=f"ip addr add {subnet.gateway}/{prefix_of(subnet.cidr)} dev {link}, or have its owner do so",
                    networks=(network.name,),
                )


def _shared(state: State, seen: Evidence) -> Iterator[Finding]:
    """Addresses that the host got on a link of others after a container had them on it."""
    for network in state.networks.values():
        for link in sorted(standing_on([network])):
            for key in state.of_network.get(network.id, ()):
                name = state.containers[key[0]].name
                for address in sorted(seen.addresses.get(link, frozenset()).intersection(state.attachments[key].hosts)):
                    yield Finding(
                        check="address",
                        level=Level.ERROR,
                        text=f"address {address} is the host's ({link}) and container {name}'s (network {network.name}): who "
                        "asks for it meets one or the other",
                        remedy=f"take it off {link} (ip addr del), or give {name} another one (netrt network disconnect "
                        f"{network.name} {name}; netrt network connect {network.name} {name})",
                        networks=(network.name,),
                    )


# chains of others


_WAYS = {
    "out": "what containers send out",
    "in": "what comes to published ports",
    "within": "what containers send each other",
}


def _packets(state: State, network: Network, seen: Evidence) -> Iterator[tuple[str, Packet]]:
    """One for each way that packets take, and each family and uplink."""
    link = bridge_link(network)
    publishes = any(
        state.containers[a.container_id].held_ports for a in state.attachments.values() if a.network_id == network.id
    )
    for subnet in network.subnets:
        version = 6 if ":" in subnet.cidr else 4
        inside, outside = str(ipaddress.ip_network(subnet.cidr)[2]), _OUTSIDE[version]
        for uplink in seen.uplinks or ("",):
            if network.leads_outside(version):
                yield "out", Packet(iif=link, oif=uplink, source=inside, target=outside)
            if network.leads_outside(version) and publishes:
                yield "in", Packet(iif=uplink, oif=link, source=outside, target=inside, translated=True)
        if seen.setting(_BRIDGED[version]):
            yield "within", Packet(iif=link, oif=link, source=inside, target=inside)


def _chains(state: State, networks: Sequence[Network], seen: Evidence) -> Iterator[Finding]:
    ruleset, concerned = Ruleset(seen.ruleset), defaultdict[Blame, list[tuple[str, Network]]](list)
    for network in networks:
        for way, packet in _packets(state, network, seen):
            for blame in ruleset.drops(packet):
                concerned[blame].append((way, network))
    for blame, hit in concerned.items():
        ways = " and ".join(_WAYS[way] for way in dict.fromkeys(way for way, _ in hit))
        what = "drops by its policy" if blame.by_policy else f"has a rule (handle {blame.handle}) that drops"
        handle = f" (handle {blame.handle})" if blame.by_policy else ""
        perhaps = "" if blame.sure else ", unless a rule that cannot be read here lets it through"
        bridges = sorted({bridge_link(network) for _, network in hit})
        yield Finding(
            check="foreign chains",
            level=Level.ERROR if blame.sure else Level.WARNING,
            text=f"chain {blame.family} {blame.table} {blame.chain}{handle} {what} {ways}{perhaps}",
            remedy=_remedy(blame, bridges),
            networks=_names(network for _, network in hit),
        )
    yield from _legacy(networks, seen)


def _remedy(blame: Blame, bridges: Sequence[str]) -> str:
    """Commands that let through what comes from and goes to each of these."""
    if blame.chain.startswith("ufw"):
        return "; ".join(f"ufw route allow {way} on {bridge}" for bridge in bridges for way in ("in", "out"))
    if blame.table == "firewalld":
        trusted = [f"firewall-cmd --permanent --zone=trusted --add-interface={bridge}" for bridge in bridges]
        return "; ".join((*trusted, "firewall-cmd --reload"))
    if blame.table == "filter" and blame.family in ("ip", "ip6"):
        tool = "iptables" if blame.family == "ip" else "ip6tables"
        return "; ".join(
            f"{tool} -I {blame.chain} {way} {bridge} -j ACCEPT" for bridge in bridges for way in ("-i", "-o")
        )
    quoted = ", ".join(f'"{bridge}"' for bridge in bridges)
    meant = f"{{ {quoted} }}" if len(bridges) > 1 else quoted
    chain = f"{blame.family} {blame.table} {blame.chain}"
    return "; ".join(f"nft insert rule {chain} {end} {meant} accept" for end in ("oifname", "iifname"))


def _legacy(networks: Sequence[Network], seen: Evidence) -> Iterator[Finding]:
    if networks and seen.legacy & {"ip filter", "ip6 filter"}:
        yield Finding(
            check="foreign chains",
            level=Level.WARNING,
            text="rules of iptables-legacy are in force, which are not seen here",
            remedy="look at iptables-legacy -L FORWARD (ip6tables-legacy); move them to iptables-nft",
            networks=_names(networks),
        )


# addresses


def _overlaps(networks: Sequence[Network], seen: Evidence) -> Iterator[Finding]:
    for network in networks:
        for subnet in network.subnets:
            ours = ipaddress.ip_network(subnet.cidr)
            for dst, link in seen.routes:
                theirs = ipaddress.ip_network(dst)
                if theirs.version != ours.version or not ours.overlaps(theirs):
                    continue
                hidden = theirs.prefixlen >= ours.prefixlen
                yield Finding(
                    check="overlap",
                    level=Level.ERROR if hidden else Level.WARNING,
                    text=f"network {network.name} ({subnet.cidr}) overlaps with route {dst} by {link or 'no interface'}: "
                    + ("containers there cannot be reached" if hidden else "hosts of it cannot be reached"),
                    remedy=f"make {network.name} anew with a subnet that nobody else uses, or change the route",
                    networks=(network.name,),
                )


# settings, features, the rest


def _filters(networks: Sequence[Network], seen: Evidence) -> Iterator[Finding]:
    if networks and seen.setting("net/ipv4/conf/all/rp_filter") == 1 and len(seen.uplinks) > 1:
        yield Finding(
            check="rp_filter",
            level=Level.WARNING,
            text="net.ipv4.conf.all.rp_filter is 1 and default routes lead to "
            f"{' and '.join(seen.uplinks)}: what comes by one and would be answered by another is dropped",
            remedy="sysctl -w net.ipv4.conf.all.rp_filter=2",
        )
    closed = [network for network in networks if not network.bridge.icc]
    if closed and any(map(seen.setting, _BRIDGED.values())):
        yield Finding(
            check="br_netfilter",
            level=Level.WARNING,
            text="bridge-nf-call-iptables is 1: containers of networks with enable_icc=false do not reach each other's "
            "published ports",
            remedy="sysctl -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0",
            networks=_names(closed),
        )


def _mtu(networks: Sequence[Network], seen: Evidence) -> Iterator[Finding]:
    for network in networks:
        mtu = network.bridge.mtu
        if mtu and mtu > seen.mtu and any(map(network.leads_outside, (4, 6))):
            yield Finding(
                check="mtu",
                level=Level.WARNING,
                text=f"network {network.name} has an MTU of {mtu}, the way outside one of {seen.mtu}: large packets are lost "
                "where ICMP is",
                remedy=f"make {network.name} anew without com.docker.network.driver.mtu, or with at most {seen.mtu}",
                networks=(network.name,),
            )


def _features(seen: Evidence) -> Iterator[Finding]:
    for feature, error in seen.lacking:
        yield Finding(
            check="kernel",
            level=Level.ERROR,
            text=f"this kernel lacks {feature}: {error}",
            remedy="load its module (modprobe), or boot a kernel that has it",
        )
    if not seen.locked:
        yield Finding(
            check="kernel",
            level=Level.WARNING,
            text="other programs can change the nftables tables of netrt (nft flush ruleset); that is mended, with a gap",
            remedy="Linux 6.9 or newer, and lock_rules = true (the default) in netrt.toml",
        )


def _tracking(seen: Evidence) -> Iterator[Finding]:
    count, most = seen.setting("net/netfilter/nf_conntrack_count"), seen.setting("net/netfilter/nf_conntrack_max")
    if most and count > _FULL * most:
        yield Finding(
            check="conntrack",
            level=Level.WARNING,
            text=f"the connection tracking table is nearly full: {count} of {most}; then new connections are dropped",
            remedy=f"sysctl -w net.netfilter.nf_conntrack_max={2 * most}",
        )


def _pins(state: State, seen: Evidence) -> Iterator[Finding]:
    stale = [path for path in seen.husks if path not in state.sandboxes]
    if stale:
        yield Finding(
            check="stale pins",
            level=Level.WARNING,
            text=f"no namespace is mounted at {', '.join(stale[:3])}"
            + (f" and {len(stale) - 3} more" if stale[3:] else ""),
            remedy="netrt gc --apply",
        )


def name_findings(resolvers: Sequence[str], *, serving: bool | None) -> tuple[Finding, ...]:
    """What is wrong with names: `serving` is whether netrt-dns answers, None where nobody needs it."""
    found = []
    if serving is False:
        found.append(
            Finding(
                check="dns",
                level=Level.ERROR,
                text="netrt-dns does not answer: containers find no names",
                remedy="see its log; the daemon starts it again",
            )
        )
    if not resolvers:
        found.append(
            Finding(
                check="dns",
                level=Level.WARNING,
                text="/etc/resolv.conf of this host names no resolver: containers find each other, and nobody outside",
                remedy="add a nameserver line to it, or use --dns",
            )
        )
    return tuple(found)


def difference_findings(lacking: Sequence[str], stray: Sequence[str]) -> tuple[Finding, ...]:
    """What differs between what is asked for and what the kernel holds."""
    if not lacking and not stray:
        return ()
    return (
        Finding(
            check="difference",
            level=Level.ERROR if lacking else Level.WARNING,
            text=f"the kernel is not as it should be: {'; '.join([*lacking, *stray][:3])}",
            remedy="netrt diff shows all of it; netrt gc --apply puts it right",
        ),
    )
