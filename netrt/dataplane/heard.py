"""What was heard of a host that may concern what is ours. Nothing here says that something is wrong, only where to look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netrt.dataplane.objects import Link

ALL = "*"
"""In place of a link's name: all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Names are those of links of the host. `changed`: links that came, went or changed, nobody said to what. `outer`: others
    as they are now. `robbed`: links from which, or from the sandbox behind which, an address, a route, a queue or a filter was
    taken. `inner`: the ends in sandboxes of links, as they are now. `closed`: links that do not forward any more, ALL for the
    host. `unpinned`: paths of sandboxes whose pin was taken away. `rules`: somebody else changed our tables, or may have.
    `foreign`: somebody changed other tables. `way`: the way to the outside, or a link of others, has changed, perhaps what it
    takes. `lost`: there was more than could be heard."""

    changed: frozenset[str] = frozenset()
    outer: Mapping[str, Link] = field(default_factory=dict)
    robbed: frozenset[str] = frozenset()
    inner: Mapping[str, Link] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    unpinned: frozenset[str] = frozenset()
    rules: bool = False
    foreign: bool = False
    way: bool = False
    lost: bool = False
