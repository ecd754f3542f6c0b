"""What the links of the host are like that containers may stand on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from netrt.dataplane.facts import Parent
from netrt.dataplane.objects import MARK, STACKED
from netrt.kernel import links, routes
from netrt.kernel.links import SeenLink
from netrt.kernel.netlink import Netlink

_ETHER, _LOOPBACK = 1, 772  # ARPHRD_
_DEVICES, _MACHINE = Path("/sys/class/net"), Path("/sys/class/dmi/id")
_UNKNOWN_KIND = 95  # EOPNOTSUPP

_CLOUDS = {
    "amazon": "Amazon EC2",
    "google": "Google Cloud",
    "digitalocean": "DigitalOcean",
    "hetzner": "Hetzner Cloud",
    "alibaba": "Alibaba Cloud",
    "oraclecloud": "Oracle Cloud",
    "openstack": "OpenStack",
    "scaleway": "Scaleway",
    "linode": "Linode",
    "vultr": "Vultr",
}
"""What the vendor, or the asset tag, of a virtual machine begins with there."""

_AZURE = "7783-7084-3265-9085-8269-3286-77"
"""Azure's asset tag; Hyper-V machines elsewhere have the same vendor."""


def lacking(netlink: Netlink) -> frozenset[str]:
    """The kinds of links that stand on others which this kernel does not have, and cannot load. Raises OSError."""
    answers = netlink.ask([links.probe(kind) for kind in STACKED])
    return frozenset(str(kind) for kind, a in zip(STACKED, answers, strict=True) if a.errno == _UNKNOWN_KIND)


def parents(netlink: Netlink, names: Iterable[str]) -> Iterator[tuple[str, Parent]]:
    """Those of these links that are there. Raises OSError."""
    asked = list(names)
    for name, answer in zip(asked, netlink.ask([links.get_link(name) for name in asked]), strict=True):
        if answer.message is not None:
            yield name, _parent(netlink, links.read_link(answer.message))


def _parent(netlink: Netlink, link: SeenLink) -> Parent:
    (above,) = netlink.ask([links.get_link_at(link.master)]) if link.master else (None,)
    held = [routes.read_address(message) for message in netlink.dump(routes.get_addresses(link.index))]
    return Parent(
        mtu=link.mtu,
        mac=link.mac,
        kind=link.kind,
        master=links.read_link(above.message).name if above and above.message else "",
        loopback=link.type == _LOOPBACK,
        ethernet=link.type == _ETHER,
        wireless=any((_DEVICES / link.name / sign).exists() for sign in ("phy80211", "wireless")),
        cloud=_cloud() if (_DEVICES / link.name / "device").exists() else "",
        ours=link.alias.startswith(MARK),
        addresses=tuple(address.address for address in held if not address.link_local),
    )


def _cloud() -> str:
    """Whose virtual machine this is, or empty."""
    vendor, tag = (_read(_MACHINE / name) for name in ("sys_vendor", "chassis_asset_tag"))
    if tag == _AZURE:
        return "Azure"
    said = (vendor.lower(), tag.lower())
    return next((name for begin, name in _CLOUDS.items() if any(text.startswith(begin) for text in said)), "")


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
