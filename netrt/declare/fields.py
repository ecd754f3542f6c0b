"""What files of both kinds say in the same words: ports, labels, lookup, addresses, each checked where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from netrt.declare.tree import Tree
from netrt.declare.wish import EndpointWish
from netrt.launch.extrahosts import parse_extra_host
from netrt.launch.resolver import check_option, check_search
from netrt.model.address import check_mac, parse_ip, parse_network
from netrt.model.container import Lookup
from netrt.model.names import check_ifname, check_label, check_name
from netrt.model.network import MADE, Mode, Subnet, check_options
from netrt.model.port import PortMapping, parse_port
from netrt.model.rate import bandwidth_text, parse_bandwidth

IPAM_DRIVERS = ("default", "dhcp")
LONG_PORT = ("target", "published", "host_ip", "protocol", "mode", "name", "app_protocol")


def labels(tree: Tree) -> dict[str, str]:
    found = dict(tree.pairs())
    for key, value in found.items():
        tree.checked(lambda key=key, value=value: check_label(key, value))  # type: ignore[misc]
    return found


def driver(tree: Tree | None) -> str:
    name = tree.text() if tree else "bridge"
    if tree and name not in MADE:
        raise tree.refused(f"unknown network driver {name[:40]!r}", f"known: {', '.join(MADE)}")
    return name


def options(tree: Tree | None, kind: str) -> dict[str, str]:
    if tree is None:
        return {}
    found = dict(tree.pairs())
    tree.checked(lambda: check_options(Mode(kind), found))
    return found


def ipam_driver(tree: Tree | None) -> str:
    """Who gives the addresses; `default` where nothing is said."""
    text = tree.text() if tree else "default"
    if tree and text not in IPAM_DRIVERS:
        raise tree.refused(f"unknown IPAM driver {text[:40]!r}", f"known: {', '.join(IPAM_DRIVERS)}")
    return text


def resolvers(tree: Tree | None) -> tuple[str, ...]:
    """Addresses of DNS servers, or a single one."""
    return _each(tree, lambda text: str(parse_ip("resolver", text)))


def subnet(tree: Tree, cidr: Tree, gateway: Tree | None, ip_range: Tree | None, auxiliary: Tree | None) -> Subnet:
    """In canonical text. `tree` is what all of it stands in."""
    block = cidr.read(lambda text: str(parse_network("subnet", text)))
    way = gateway.read(lambda text: str(parse_ip("gateway", text))) if gateway else None
    part = ip_range.read(lambda text: str(parse_network("ip-range", text))) if ip_range else None
    others = {
        name: each.read(lambda text: str(parse_ip("aux-address", text)))
        for name, each in (auxiliary.entries() if auxiliary else {}).items()
    }
    return tree.checked(lambda: Subnet(cidr=block, gateway=way, ip_range=part, auxiliary=others))


def address(tree: Tree | None, version: int) -> str:
    """An address of this family, empty where none is asked for."""
    if tree is None:
        return ""
    found = tree.read(lambda text: parse_ip("address", text))
    if found.version != version:
        raise tree.refused(f"{found} is not an IPv{version} address")
    return str(found)


def aliases(tree: Tree | None) -> tuple[str, ...]:
    if tree is None:
        return ()
    return tuple(dict.fromkeys(each.read(lambda text: check_name("alias", text)) for each in tree.items()))


def endpoint(
    *,
    ip: Tree | None,
    ip6: Tree | None,
    mac: Tree | None,
    names: tuple[str, ...],
    ifname: Tree | None,
    gw_priority: Tree | None,
    bandwidth: Tree | None,
) -> EndpointWish:
    return EndpointWish(
        ip=address(ip, 4),
        ip6=address(ip6, 6),
        mac=mac.read(check_mac) if mac else "",
        aliases=names,
        ifname=ifname.read(check_ifname) if ifname else "",
        gw_priority=gw_priority.number() if gw_priority else 0,
        bandwidth=bandwidth.read(lambda text: bandwidth_text(parse_bandwidth(text))) if bandwidth else "",
    )


def ports(tree: Tree | None, publish_address: str) -> tuple[PortMapping, ...]:
    """Ports in short and in long form. `publish_address` is the host's address where none is said."""
    found = tuple(_port(each, publish_address) for each in (tree.items() if tree else ()))
    return tuple(dict.fromkeys(found))


def _port(tree: Tree, publish_address: str) -> PortMapping:
    if isinstance(tree.value, Mapping):
        return _long_port(tree, publish_address)
    text = tree.text()
    if text.count(":") > 2 and "[" not in text:  # compose writes IPv6 without brackets, too
        ip, outside, inside = text.rsplit(":", 2)
        text = f"[{ip}]:{outside}:{inside}"
    return _published(tree, text, publish_address)


def _long_port(tree: Tree, publish_address: str) -> PortMapping:
    said = tree.fields(LONG_PORT)
    if "target" not in said:
        raise tree.refused("target is missing", "it is the container's port")
    if "mode" in said and said["mode"].text() not in ("host", "ingress"):
        raise said["mode"].refused(
            f"unknown mode {said['mode'].text()[:40]!r}", "host or ingress, which are the same here"
        )
    ip, outside = (said[key].text() if key in said else "" for key in ("host_ip", "published"))
    protocol = said["protocol"].text() if "protocol" in said else "tcp"
    ip = f"[{ip}]" if ":" in ip else ip
    inside = f"{said['target'].text()}/{protocol}"
    text = f"{ip}:{outside}:{inside}" if ip else f"{outside}:{inside}" if outside else inside
    return _published(tree, text, publish_address)


def _published(tree: Tree, text: str, publish_address: str) -> PortMapping:
    made = tree.checked(lambda: parse_port(text))
    if made.host_ip or not publish_address:
        return made
    return PortMapping(
        protocol=made.protocol,
        container_port=made.container_port,
        host_port=made.host_port,
        host_ip=publish_address,
        count=made.count,
    )


def lookup(*, dns: Tree | None, search: Tree | None, options: Tree | None, hosts: Tree | None) -> Lookup:
    return Lookup(
        dns=resolvers(dns),
        dns_search=_each(search, check_search),
        dns_options=_each(options, check_option),
        extra_hosts=tuple(extra_hosts(hosts)),
    )


def _each(tree: Tree | None, reader: Callable[[str], str]) -> tuple[str, ...]:
    """What `reader` makes of texts in a row, or of one alone."""
    if tree is None:
        return ()
    return tuple(each.read(reader) for each in ((tree,) if isinstance(tree.value, str) else tree.items()))


def extra_hosts(tree: Tree | None) -> Iterable[str]:
    """`NAME:ADDRESS` of lines (`NAME:ADDRESS` or `NAME=ADDRESS`), or of names and addresses."""
    if tree is None:
        return
    said: list[tuple[Tree, str]] = []
    if isinstance(tree.value, Mapping):
        for name, value in tree.value.items():
            said += [(value, f"{name}:{text}") for text in value.texts()]
    else:
        for each in tree.items():
            name, separator, rest = each.text().partition("=")
            said.append((each, f"{name}:{rest}" if separator else each.text()))
    for each, text in said:
        name, where = each.checked(lambda text=text: parse_extra_host(text))  # type: ignore[misc]
        yield f"{name}:{where}"
