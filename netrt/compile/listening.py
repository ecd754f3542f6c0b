"""Where the packets of a container, or of a network, are heard."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from netrt.compile.bridge import bridge_link
from netrt.dataplane.objects import HOST
from netrt.model.container import HOST_SANDBOX, Container
from netrt.model.network import Mode, Network
from netrt.model.state import State


class Ear(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A link in a namespace (the path, empty: the host; `inode` is the number of one that we did not make), the name by which a
    capture calls it, and whether what is not for the link itself is heard there only when it is asked for (`promiscuous`)."""

    netns: str
    inode: int = 0
    link: str
    name: str
    promiscuous: bool = False


def ears(state: State, *, container: Container | None = None, network: Network | None = None) -> tuple[Ear, ...]:
    """Of a container all interfaces, of a network the one place where all of it passes, or else each of its containers."""
    if container is not None:
        return tuple(_of_container(state, container))
    return tuple(_of_network(state, network)) if network is not None else ()


def _of_container(state: State, container: Container) -> Iterator[Ear]:
    for attachment in state.attachments_of(container.shares or container.id):
        if container.sandbox.path != HOST_SANDBOX:
            place = container.sandbox
            yield Ear(netns=place.path, inode=place.inode, link=attachment.ifname, name=attachment.ifname)


def _of_network(state: State, network: Network) -> Iterator[Ear]:
    if network.mode is Mode.BRIDGE:
        link = bridge_link(network)
        yield Ear(netns=HOST, link=link, name=link, promiscuous=True)
        return
    for key in sorted(state.of_network.get(network.id, ())):
        owner, ifname = state.containers[key[0]], state.attachments[key].ifname
        place = owner.sandbox
        yield Ear(netns=place.path, inode=place.inode, link=ifname, name=f"{owner.name}/{ifname}")
