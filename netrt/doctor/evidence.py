"""What a doctor looks at, as values: the kernel room gathers them, and who serves names and files tells the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SETTINGS = (
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/ipv4/conf/all/rp_filter",
    "net/bridge/bridge-nf-call-iptables",
    "net/bridge/bridge-nf-call-ip6tables",
    "net/netfilter/nf_conntrack_count",
    "net/netfilter/nf_conntrack_max",
)
"""The settings of the host that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`settings`: values below /proc/sys, of those names that exist; `ruleset`: others' tables, chains and rules as libnftables
    lists them (libnftables-json(5)); `legacy`: tables of iptables-legacy that are in use; `routes`: destination and interface of
    each route and address that is not ours; `uplinks`: interfaces that default routes lead to, and `mtu` the smallest of theirs;
    `lacking`: parts of the kernel that are missing, each with its error; `husks`: files of pins without a namespace; `bridges`:
    the names of all that there are; `addresses`: those of each link of the host, without prefix length; `locked`: whether nobody
    else can change our tables."""

    settings: Mapping[str, str] = field(default_factory=dict)
    ruleset: Sequence[Mapping[str, Any]] = ()
    legacy: frozenset[str] = frozenset()
    routes: tuple[tuple[str, str], ...] = ()
    uplinks: tuple[str, ...] = ()
    mtu: int = 1500
    lacking: tuple[tuple[str, str], ...] = ()
    husks: tuple[str, ...] = ()
    bridges: frozenset[str] = frozenset()
    addresses: Mapping[str, frozenset[str]] = field(default_factory=dict)
    locked: bool = True

    def setting(self, name: str) -> int:
        """A setting that is a number; 0 where it does not exist."""
        return int(self.settings.get(name, "0") or "0")
