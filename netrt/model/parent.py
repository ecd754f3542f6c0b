"""Networks whose containers stand on a link of the host, their parent, and so are neighbours of whoever is beyond it: macvlan and
ipvlan. Options are Docker's, and `host_access` and `any_parent` ours."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netrt.errors import Invalid
from netrt.model import option


class MacvlanMode(enum.StrEnum):
    """Who reaches whom on one parent: all each other; nobody; by way of a switch that sends back; or one alone has the parent."""

    BRIDGE = "bridge"
    PRIVATE = "private"
    VEPA = "vepa"
    PASSTHRU = "passthru"


class IpvlanMode(enum.StrEnum):
    """At which layer the parent passes packets on; in l3s with connection tracking."""

    L2 = "l2"
    L3 = "l3"
    L3S = "l3s"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentOptions:
    """The options of a macvlan or ipvlan network, typed. `flavour` is its MacvlanMode or IpvlanMode; `mtu` None means: that of
    the parent. `host_access`: host and containers reach each other. `any_parent`: the parent is taken though it is in a cloud,
    where what has other MACs than its own is mostly dropped."""

    parent: str
    flavour: str
    mtu: int | None = None
    iface_prefix: str = "eth"
    host_access: bool = False
    any_parent: bool = False


_COMMON: dict[str, tuple[str, option.Reader]] = {
    "parent": ("parent", option.ifname),
    option.MTU: ("mtu", option.mtu),
    option.IFACE_PREFIX: ("iface_prefix", option.iface_prefix),
}
MACVLAN_OPTIONS = _COMMON | {
    "macvlan_mode": ("flavour", option.one_of(MacvlanMode)),
    "host_access": ("host_access", option.boolean),
    "any_parent": ("any_parent", option.boolean),
}
IPVLAN_OPTIONS = _COMMON | {"ipvlan_mode": ("flavour", option.one_of(IpvlanMode))}


def macvlan_options(options: Mapping[str, str]) -> ParentOptions:
    """Read the options of a macvlan network. Raises Invalid."""
    known = _read("macvlan", MACVLAN_OPTIONS, options, MacvlanMode.BRIDGE)
    if known.host_access and known.flavour != MacvlanMode.BRIDGE:
        raise Invalid(f"option host_access needs macvlan_mode=bridge, not {known.flavour}")
    return known


def ipvlan_options(options: Mapping[str, str]) -> ParentOptions:
    """Read the options of an ipvlan network. Raises Invalid."""
    return _read("ipvlan", IPVLAN_OPTIONS, options, IpvlanMode.L2)


def _read(
    what: str, table: Mapping[str, tuple[str, option.Reader]], options: Mapping[str, str], usual: enum.StrEnum
) -> ParentOptions:
    known: dict[str, Any] = {"flavour": usual} | option.read_options(what, table, options)
    if "parent" not in known:
        article = "an" if what[0] in "aeiou" else "a"
        raise Invalid(f"{article} {what} network needs a parent, an interface of the host", hint="as in -o parent=eth0")
    return ParentOptions(**known)
