"""What people mean by a name: the name itself, an id, or the beginning of exactly one id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from netrt.errors import Invalid, NotFound
from netrt.model.container import Container
from netrt.model.network import MADE, Network
from netrt.model.state import State

T = TypeVar("T", Network, Container)

SHORTEST_PREFIX = 4
"""Shorter ones are too easily a mistyped name: `db` is the beginning of every 256th id."""

_PREFIX = re.compile(rf"[0-9a-f]{{{SHORTEST_PREFIX},64}}\Z")
_PLAIN = re.compile(r"[a-zA-Z0-9_.:/-]{1,64}\Z")
_LISTED = 10


def find_network(state: State, ref: str) -> Network:
    """The network of this name, id or id prefix (4 digits at least). Raises NotFound, Invalid for a prefix of several."""
    names = (network.name for network in state.networks.values() if network.mode in MADE)
    return _find("network", state.networks, state.network_names, ref, names)


def find_container(state: State, ref: str) -> Container:
    """The container of this name, id or id prefix (4 digits at least). Raises NotFound, Invalid for a prefix of several."""
    return _find("container", state.containers, state.container_names, ref, state.container_names)


def _find(what: str, table: Mapping[str, T], names: Mapping[str, str], ref: str, known: Iterable[str]) -> T:
    found = table.get(names.get(ref, ref))
    if found is not None:
        return found
    matches = [table[at] for at in table if at.startswith(ref)] if _PREFIX.match(ref) else []
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise Invalid(f"several {what}s have ids that begin with {ref}: {listed(m.name for m in matches)}")
    have = listed(sorted(known))
    raise NotFound(f"no {what} named {shown(ref)}", hint=f"have: {have}" if have else "there are none")


def listed(names: Iterable[str]) -> str:
    """Names with commas between; beyond ten, only how many more there are."""
    every = list(names)
    rest = len(every) - _LISTED
    return ", ".join(every[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def shown(ref: str) -> str:
    """What a person gave as a name, fit for a one-line message."""
    return ref if _PLAIN.match(ref) else repr(ref if len(ref) <= 40 else ref[:40] + "…")
