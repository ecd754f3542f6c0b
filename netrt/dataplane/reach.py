"""What cannot be reached is left as it is: namespaces in which somebody lives while their path leads nowhere, or elsewhere (`ip
netns delete` under a running container)."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import HOST, Key, Link, Object


def apart(seen: HostState, wanted: HostState, hidden: Collection[str]) -> tuple[HostState, HostState]:
    """Both without what is in these namespaces. Of pairs that lead there the ends on the host stay, whatever is at their other
    end; one that is missing cannot be made, and what stands on it waits."""
    if not hidden:
        return seen, wanted
    leading = [
        link for link in wanted.all(Link) if link.netns == HOST and link.peer is not None and link.peer[0] in hidden
    ]
    missing = {link.name for link in leading if link.key not in seen.objects}
    ends: dict[Key, Object] = {link.key: replace(link, peer=None) for link in leading}

    def stays(thing: Object) -> bool:
        place = getattr(thing, "netns", HOST)
        on = thing.name if isinstance(thing, Link) else getattr(thing, "link", "")
        return place not in hidden and not (place == HOST and on in missing)

    return (
        HostState({key: thing for key, thing in seen.objects.items() if stays(thing)}),
        HostState({key: ends.get(key, thing) for key, thing in wanted.objects.items() if stays(thing)}),
    )
