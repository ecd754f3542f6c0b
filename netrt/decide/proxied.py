"""Networks whose containers share an IPv6 subnet with a link of the host, which answers there for them (NDP proxy, by one
entry for each address).

Rule 1: a network has a part of that subnet, so that the longest prefix says who is where. Rule 2: the host is in no such part."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from netrt.dataplane.facts import HostFacts
from netrt.errors import Conflict, Invalid, NotFound
from netrt.model.address import family, ip, network
from netrt.model.network import Mode, Network


def beside(wanted: Network, facts: HostFacts) -> HostFacts:
    """The facts without the routes of the subnets that such a network lies in on purpose. Raises NotFound where the link is not
    there."""
    name = _link(wanted)
    if name and name not in facts.parents:
        raise NotFound(f"there is no interface {name} on this host for network {wanted.name}", hint="-o ndp_proxy=eth0")
    shared = _shared(name, facts)
    return replace(facts, routes=tuple(route for route in facts.routes if route not in shared)) if shared else facts


def check_proxied(wanted: Network, facts: HostFacts) -> None:
    """Raises Invalid, Conflict where a network cannot have its part."""
    name = _link(wanted)
    if not name:
        return
    if wanted.internal or facts.parents[name].ours:
        what = "is of no use to an internal network" if wanted.internal else "is netrt's own interface"
        raise Invalid(f"option ndp_proxy: {name} {what}")
    shared = _shared(name, facts)
    if not shared:
        raise Invalid(f"option ndp_proxy: {name} has no IPv6 subnet")
    if not wanted.subnets_of(6):
        raise Invalid(f"option ndp_proxy needs a part of {', '.join(shared)}", hint="give it as --subnet")
    for subnet in wanted.subnets_of(6):
        block = network(subnet.cidr)
        if not any(str(block) != cidr and block.subnet_of(network(cidr)) for cidr in shared):  # type: ignore[arg-type]
            raise Invalid(
                f"subnet {subnet.cidr} is no part of {', '.join(shared)}, which {name} has", hint="take a smaller one"
            )
        for address in facts.addresses:
            if family(address) == 6 and ip(address) in block:
                raise Conflict(
                    f"subnet {subnet.cidr} contains the host's own address {address}", hint="take another part"
                )


def _link(wanted: Network) -> str:
    """The link on which the host answers for the containers of this network; of most networks, none."""
    return wanted.bridge.ndp_proxy or "" if wanted.mode is Mode.BRIDGE else ""


def _shared(name: str, facts: HostFacts) -> tuple[str, ...]:
    """The IPv6 subnets of this link."""
    held = (ipaddress.ip_interface(address).network for address in facts.parents[name].addresses) if name else ()
    return tuple(str(block) for block in held if block.version == 6)
