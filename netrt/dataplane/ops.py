"""One class for each kernel operation, as values: they can be printed, counted, sorted and replayed.

What an operation does to a host stands in `step`; how it is done stands in the kernel room; in which order, in `diff`. Those on
routes, rules and neighbours are in `wayops`, and are to be had here too."""

from __future__ import annotations

import msgspec

from netrt.dataplane import wayops
from netrt.dataplane.objects import (
    TICK,
    Address,
    Element,
    Link,
    NamePort,
    Pin,
    Redirect,
    Setting,
    Shaper,
    Skeleton,
    Sysctl,
)
from netrt.dataplane.wayops import inside

SetRoute = wayops.SetRoute
DelRoute = wayops.DelRoute
SetRule = wayops.SetRule
DelRule = wayops.DelRule
SetNeighbor = wayops.SetNeighbor
DelNeighbor = wayops.DelNeighbor


class PinNamespace(msgspec.Struct, frozen=True, gc=False):
    """Keep a network namespace by a bind mount: the one that was lost, or else a new one with its loopback up."""

    pin: Pin

    def describe(self) -> str:
        return f"make namespace {self.pin.path}"


class UnpinNamespace(msgspec.Struct, frozen=True, gc=False):
    """Remove the bind mount; the namespace ends with its last process."""

    pin: Pin

    def describe(self) -> str:
        return f"remove namespace {self.pin.path}"


class AddBridge(msgspec.Struct, frozen=True, gc=False):
    """Make a bridge with its MAC, MTU and mark, down."""

    link: Link

    def describe(self) -> str:
        return f"add bridge {self.link.name} mac {self.link.mac} mtu {self.link.mtu}"


class AddVeth(msgspec.Struct, frozen=True, gc=False):
    """Make a veth pair, both ends down, the inner one born in its sandbox under its final name; then the host's end with its
    mark, as a port of its bridge, without an IPv6 address of its own."""

    host: Link
    inner: Link

    def describe(self) -> str:
        port = f" on {self.host.master}" if self.host.master else ""
        inner = f"{self.inner.name} mac {self.inner.mac}{inside(self.inner.netns)}"
        return f"add veth {self.host.name}{port} with peer {inner} mtu {self.inner.mtu}"


class AddStacked(msgspec.Struct, frozen=True, gc=False):
    """Make a link that stands on another one of the host, with its mark, down, and born where it shall be."""

    link: Link

    def describe(self) -> str:
        link, mac = self.link, f" mac {self.link.mac}" if self.link.mac else ""
        where = f"on {link.lower}{mac} mtu {link.mtu}{inside(link.netns)}"
        return f"add {link.kind} {link.name} mode {link.flavour} {where}"


class SetLink(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Change attributes of a link; None leaves one as it is."""

    netns: str
    name: str
    mac: str | None = None
    mtu: int | None = None
    up: bool | None = None
    alias: str | None = None
    master: str | None = None
    isolated: bool | None = None
    hairpin: bool | None = None

    def describe(self) -> str:
        parts = []
        if self.mac is not None:
            parts.append(f"mac {self.mac}")
        if self.mtu is not None:
            parts.append(f"mtu {self.mtu}")
        if self.alias is not None:
            parts.append(f"alias {self.alias}")
        if self.master is not None:
            parts.append(f"master {self.master}" if self.master else "no master")
        if self.isolated is not None:
            parts.append("isolated" if self.isolated else "not isolated")
        if self.hairpin is not None:
            parts.append("hairpin" if self.hairpin else "no hairpin")
        if self.up is not None:
            parts.append("up" if self.up else "down")
        return f"set link {self.name} {' '.join(parts)}{inside(self.netns)}"


class DelLink(msgspec.Struct, frozen=True, gc=False):
    """Delete a link; its addresses, routes and veth peer go with it."""

    netns: str
    name: str

    def describe(self) -> str:
        return f"delete link {self.name}{inside(self.netns)}"


class AddAddress(msgspec.Struct, frozen=True, gc=False):
    """Add an address to a link."""

    address: Address

    def describe(self) -> str:
        return f"add address {self.address.address} to {self.address.link}{inside(self.address.netns)}"


class DelAddress(msgspec.Struct, frozen=True, gc=False):
    """Remove an address from a link; the routes that stand on it go with it."""

    address: Address

    def describe(self) -> str:
        return f"delete address {self.address.address} of {self.address.link}{inside(self.address.netns)}"


class ResizeAddress(msgspec.Struct, frozen=True, gc=False):
    """Give an address of a link another prefix length. It is there all the time (IPv4), or but for a moment in the kernel (IPv6,
    which takes no address twice), and routes that do not stand on its subnet stay."""

    address: Address
    before: str

    def describe(self) -> str:
        where = f"{self.address.link}{inside(self.address.netns)}"
        return f"set address {self.address.address} in the place of {self.before} on {where}"


class Announce(msgspec.Struct, frozen=True, gc=False):
    """Tell the neighbours of a link that is up at which MAC an address of it is (gratuitous ARP, RFC 5227 section 3; unsolicited
    neighbour advertisement, RFC 4861 section 7.2.6). Not observable; harmless twice."""

    address: Address

    def describe(self) -> str:
        return f"announce {self.address.address} by {self.address.link}{inside(self.address.netns)}"


class SetSysctl(msgspec.Struct, frozen=True, gc=False):
    """Write a sysctl."""

    sysctl: Sysctl

    def describe(self) -> str:
        return f"set {self.sysctl.name} = {self.sysctl.value}{inside(self.sysctl.netns)}"


class ChangeSetting(msgspec.Struct, frozen=True, gc=False):
    """Set a property of a link."""

    setting: Setting

    def describe(self) -> str:
        return f"set {self.setting.name} {self.setting.value} of {self.setting.link}{inside(self.setting.netns)}"


class AddIfb(msgspec.Struct, frozen=True, gc=False):
    """Make a link that only shapes what is redirected through it, down."""

    link: Link

    def describe(self) -> str:
        return f"add ifb {self.link.name} mtu {self.link.mtu}"


class SetShaper(msgspec.Struct, frozen=True, gc=False):
    """Put a token bucket at the way out of a link, in the place of what is there."""

    shaper: Shaper

    def describe(self) -> str:
        burst = self.shaper.credit * TICK * self.shaper.rate // 10**9
        return f"limit {self.shaper.link} to {self.shaper.rate * 8} bit/s, burst {burst} bytes"


class DelShaper(msgspec.Struct, frozen=True, gc=False):
    """Take the token bucket away."""

    shaper: Shaper

    def describe(self) -> str:
        return f"no limit for {self.shaper.link}"


class SetRedirect(msgspec.Struct, frozen=True, gc=False):
    """Redirect what comes in by a link, which redirects nothing yet."""

    redirect: Redirect

    def describe(self) -> str:
        return f"redirect what comes in by {self.redirect.link} through {self.redirect.to}"


class DelRedirect(msgspec.Struct, frozen=True, gc=False):
    """Redirect nothing any more."""

    redirect: Redirect

    def describe(self) -> str:
        return f"redirect nothing of {self.redirect.link}"


class PutNamePort(msgspec.Struct, frozen=True, gc=False):
    """Lead questions for names to where they are answered, in the place of what leads them elsewhere."""

    port: NamePort

    def describe(self) -> str:
        return f"lead port 53 of {self.port.address} to port {self.port.port}{inside(self.port.netns)}"


class TakeNamePort(msgspec.Struct, frozen=True, gc=False):
    """Lead questions for names nowhere any more."""

    port: NamePort

    def describe(self) -> str:
        return f"lead port 53 of {self.port.address} nowhere{inside(self.port.netns)}"


class LoadRuleset(msgspec.Struct, frozen=True, gc=False):
    """Replace our nftables tables by this skeleton with these elements, in one transaction."""

    skeleton: Skeleton
    elements: tuple[Element, ...]

    def describe(self) -> str:
        return f"load nftables table netrt with {len(self.elements)} elements"


class DropRuleset(msgspec.Struct, frozen=True, gc=False):
    """Delete our nftables tables."""

    def describe(self) -> str:
        return "delete nftables table netrt"


class ChangeElements(msgspec.Struct, frozen=True, gc=False):
    """Remove and add elements, in one transaction, removals first."""

    removed: tuple[Element, ...]
    added: tuple[Element, ...]

    def describe(self) -> str:
        taken = [f"delete element {element.text}" for element in self.removed]
        return "; ".join([*taken, *(f"add element {element.text}" for element in self.added)])


class ForgetAddress(msgspec.Struct, frozen=True, gc=False):
    """Remove the connection tracking entries from or to a container's address. Not observable; harmless twice."""

    address: str

    def describe(self) -> str:
        return f"forget connections of {self.address}"


class ForgetUntranslated(msgspec.Struct, frozen=True, gc=False):
    """Remove the entries from or to these addresses of containers that were translated at neither end. Harmless as above."""

    addresses: frozenset[str]

    def describe(self) -> str:
        return f"forget connections of {len(self.addresses)} addresses that were not translated"


class ForgetPort(msgspec.Struct, frozen=True, gc=False):
    """Remove the connection tracking entries whose original destination is this port (to `last`) of the host and that were led
    to `address`; with `address` empty, those that were led nowhere (made before the port was published, or while it was not).
    `host_ip` empty, `0.0.0.0` or `::` means all addresses of the host. Not observable; harmless twice."""

    protocol: str
    host_ip: str
    port: int
    last: int
    address: str

    def describe(self) -> str:
        ports = f"{self.port}" if self.port == self.last else f"{self.port}-{self.last}"
        return f"forget connections to {self.host_ip or '*'}:{ports}/{self.protocol} led to {self.address or 'nobody'}"


Op = (
    PinNamespace
    | UnpinNamespace
    | AddBridge
    | AddVeth
    | AddStacked
    | SetLink
    | DelLink
    | AddAddress
    | DelAddress
    | ResizeAddress
    | SetRoute
    | DelRoute
    | SetNeighbor
    | DelNeighbor
    | SetRule
    | DelRule
    | Announce
    | SetSysctl
    | ChangeSetting
    | AddIfb
    | SetShaper
    | DelShaper
    | SetRedirect
    | DelRedirect
    | PutNamePort
    | TakeNamePort
    | LoadRuleset
    | DropRuleset
    | ChangeElements
    | ForgetAddress
    | ForgetUntranslated
    | ForgetPort
)
