"""What State says of an attachment, as the result of ADD."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from netrt.cni.result import Dns, Interface, Ip, Result, RouteTo
from netrt.compile.bridge import bridge_link
from netrt.compile.facing import gateway_attachment
from netrt.model.container import Attachment
from netrt.model.network import Mode, Network
from netrt.model.state import State


class Seen(Protocol):
    """A link as the kernel has it."""

    @property
    def mac(self) -> str: ...

    @property
    def mtu(self) -> int: ...


class SeenInside(Seen, Protocol):
    """One in a sandbox."""

    @property
    def up(self) -> bool: ...


def host_links(state: State, attachment: Attachment) -> tuple[str, ...]:
    """The links of the host that belong to an attachment: the bridge, and the host's end of the pair."""
    network = state.networks[attachment.network_id]
    return (bridge_link(network), attachment.link) if network.mode is Mode.BRIDGE else ()


def attached(
    state: State,
    attachment: Attachment,
    sandbox: str,
    seen: Mapping[str, Seen],
    routes: Iterable[RouteTo],
    dns: Dns | None,
) -> Result:
    """`sandbox` is the path by which the runtime knows the namespace, `seen` are the `host_links`."""
    network, links = state.networks[attachment.network_id], host_links(state, attachment)
    there = {name: seen[name] for name in links if name in seen}
    mtu = there[attachment.link].mtu if attachment.link in there else 0
    return Result(
        interfaces=(
            *(
                Interface(name=name, mac=there[name].mac, mtu=there[name].mtu)
                if name in there
                else Interface(name=name)
                for name in links
            ),
            Interface(name=attachment.ifname, mac=attachment.mac, mtu=mtu, sandbox=sandbox),
        ),
        ips=tuple(
            Ip(address=interface, gateway=network.subnet_of(interface).gateway or "", interface=len(links))
            for interface in attachment.addresses
        ),
        routes=tuple(routes),
        dns=dns,
    )


def default_routes(state: State, attachment: Attachment, network: Network) -> tuple[RouteTo, ...]:
    """Those that an attachment carries which chose none."""
    return tuple(
        RouteTo(dst=everywhere, gw=network.subnet_of(attachment.address(version)).gateway)
        for version, everywhere in ((4, "0.0.0.0/0"), (6, "::/0"))
        if gateway_attachment(state, attachment.container_id, version) == attachment
    )
