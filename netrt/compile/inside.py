"""What an attachment has inside its sandbox whatever the mode of its network: settings, addresses, routes."""

from __future__ import annotations

from collections.abc import Iterator

from netrt.compile.facing import gateway_attachment
from netrt.compile.tuning import compile_tuning
from netrt.dataplane.objects import ON_LINK, UNIVERSE, Address, Object, Route, Sysctl
from netrt.model.address import family
from netrt.model.container import Attachment
from netrt.model.network import Network
from netrt.model.plugged import Tuning, Way
from netrt.model.state import State


def compile_inside(
    state: State, network: Network, attachment: Attachment, netns: str, *, free: bool = False
) -> Iterator[Object]:
    """`free`: the container may send what it likes."""
    yield from _sysctls(netns, attachment, free)
    yield from compile_tuning(netns, attachment.ifname, attachment.tuning or Tuning())
    for interface in attachment.addresses:
        yield Address(netns=netns, link=attachment.ifname, address=interface)
    if attachment.routes is None:
        yield from _default_routes(state, network, attachment, netns)
    else:
        yield from (_chosen(way, attachment, netns) for way in attachment.routes)


def _sysctls(netns: str, attachment: Attachment, free: bool) -> Iterator[Sysctl]:
    """Without an IPv6 address there is no IPv6, unless the container may send what it likes, and so may make itself one."""
    values = {"disable_ipv6": "0", "accept_ra": "0", "accept_dad": "0"}
    if not any(family(interface) == 6 for interface in attachment.addresses):
        values = {} if free else {"disable_ipv6": "1"}
    chosen = attachment.tuning.sysctls if attachment.tuning else {}
    for key, value in values.items():
        name = f"net/ipv6/conf/{attachment.ifname}/{key}"
        if name not in chosen:
            yield Sysctl(netns=netns, name=name, value=value)


def _chosen(way: Way, attachment: Attachment, netns: str) -> Route:
    usual = UNIVERSE if way.via else ON_LINK
    return Route(
        netns=netns,
        dst=way.dst,
        via=way.via,
        link=attachment.ifname,
        metric=way.priority,
        table=way.table,
        mtu=way.mtu,
        advmss=way.advmss,
        scope=-1 if ":" in way.dst or way.scope == usual else way.scope,
    )


def _default_routes(state: State, network: Network, attachment: Attachment, netns: str) -> Iterator[Route]:
    for version, everywhere in ((4, "0.0.0.0/0"), (6, "::/0")):
        if gateway_attachment(state, attachment.container_id, version) == attachment:
            gateway = network.subnet_of(attachment.address(version)).gateway
            assert gateway is not None, "a network that leads outside has a gateway"
            yield Route(netns=netns, dst=everywhere, via=gateway, link=attachment.ifname)
