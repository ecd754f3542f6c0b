"""Addresses that stay where they are and get another prefix length: what is on their link grows, and connections go on."""

from __future__ import annotations

from collections.abc import Mapping

from netrt.dataplane.hoststate import HostState
from netrt.dataplane.objects import Address, Key
from netrt.model.address import host_of

Place = tuple[str, str, str]


def resized(seen: HostState, wanted: HostState, gone: frozenset[tuple[str, str]]) -> Mapping[Key, Address]:
    """By the key of the wanted one: the address on the same link that was seen with another prefix length. `gone` are links
    (netns, name) that are about to be deleted."""
    if not seen.all(Address):  # as before each attach
        return {}
    missing = {_place(a): a.key for a in wanted.all(Address) if a.key not in seen.objects}
    if not missing:
        return {}
    found = {}
    for address in seen.all(Address):
        key = missing.get(_place(address))
        if key and address.key not in wanted.objects and (address.netns, address.link) not in gone:
            found[key] = address
    return found


def _place(address: Address) -> Place:
    return address.netns, address.link, host_of(address.address)
