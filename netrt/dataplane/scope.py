"""What a plan may look at. Attach and detach look at the few things that they touch; start-up and repair look at everything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from netrt.dataplane.objects import HOST, Address, Key, Link, Object, Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """`keys`: objects looked up one by one. `links`: (netns, name) of links whose addresses are read too. `sandboxes`: paths in
    which routes of ours are read. `everything`: also whatever else on the host bears our mark (links by alias or name, pins by
    name, our whole tables), or in these sandboxes (links by alias). `rules`: all that our tables hold. `closely`: also whether
    the kernel's own routes are there, which nobody but a vandal takes away."""

    keys: frozenset[Key]
    links: frozenset[tuple[str, str]]
    sandboxes: frozenset[str]
    everything: bool = False
    rules: bool = False
    closely: bool = False

    @staticmethod
    def around(
        things: Iterable[Object], *, everything: bool = False, closely: bool = False, places: Iterable[str] = ()
    ) -> Scope:
        """The scope of these objects, and of these sandboxes."""
        keys: set[Key] = set()
        links: set[tuple[str, str]] = set()
        sandboxes: set[str] = set(places)
        for thing in things:
            keys.add(thing.key)
            if isinstance(thing, Link):
                links.add((thing.netns, thing.name))
            elif isinstance(thing, Address):
                links.add((thing.netns, thing.link))
            if isinstance(thing, Link | Address | Route) and thing.netns != HOST:
                sandboxes.add(thing.netns)
        return Scope(
            keys=frozenset(keys),
            links=frozenset(links),
            sandboxes=frozenset(sandboxes),
            everything=everything,
            closely=closely,
        )
