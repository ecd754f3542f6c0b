"""netrt's own files: `networks` and `containers`, in the words of the command line."""

from __future__ import annotations

from netrt.declare import fields
from netrt.declare.tree import Tree
from netrt.declare.wish import APPLIED, ContainerWish, EndpointWish, NetworkWish, Wish
from netrt.model.names import check_hostname, check_name
from netrt.model.network import DEFAULT_NETWORK, Subnet

TOP = ("name", "networks", "containers")
NETWORK = (
    "driver",
    "ipam_driver",
    "subnet",
    "subnets",
    "ipv4",
    "ipv6",
    "internal",
    "options",
    "labels",
    "dns",
    "external",
)
SUBNET = ("subnet", "gateway", "ip_range", "aux_addresses")
CONTAINER = (
    "networks",
    "network_mode",
    "ports",
    "hostname",
    "labels",
    "dns",
    "dns_search",
    "dns_options",
    "extra_hosts",
    "netns",
    "pid",
)
ENDPOINT = ("ip", "ip6", "mac", "aliases", "ifname", "gw_priority", "bandwidth")
MODES = ("none", "host")


def read_ours(tree: Tree, project: str, publish_address: str) -> Wish:
    """Raises Invalid, by file, line and field."""
    said = tree.fields(TOP)
    networks, containers = (said[key].entries() if key in said else {} for key in ("networks", "containers"))
    return Wish(
        project=project,
        networks={name: _network(name, each, project) for name, each in networks.items()},
        containers={name: _container(name, each, project, publish_address) for name, each in containers.items()},
    )


def _network(name: str, tree: Tree, project: str) -> NetworkWish:
    tree.checked(lambda: check_name("network name", name))
    said = tree.fields(NETWORK)
    external = said["external"].flag() if "external" in said else False
    if external and len(said) > 1:
        raise tree.refused("an external network is taken as it is", "say nothing else of it")
    kind = fields.driver(said.get("driver"))
    subnets = tuple(_subnet(each) for each in ([said["subnet"]] if "subnet" in said else []))
    subnets += tuple(_subnet(each) for each in (said["subnets"].items() if "subnets" in said else ()))
    return NetworkWish(
        name=name,
        driver=kind,
        ipam_driver=fields.ipam_driver(said.get("ipam_driver")),
        subnets=subnets,
        ipv4=said["ipv4"].flag() if "ipv4" in said else True,
        ipv6=(said["ipv6"].flag() if "ipv6" in said else False) or any(":" in s.cidr for s in subnets),
        internal=said["internal"].flag() if "internal" in said else False,
        options=fields.options(said.get("options"), kind),
        labels={} if external else {**(fields.labels(said["labels"]) if "labels" in said else {}), APPLIED: project},
        dns=fields.resolvers(said.get("dns")),
        external=external,
        place=tree.place,
    )


def _subnet(tree: Tree) -> Subnet:
    if isinstance(tree.value, str):
        return fields.subnet(tree, tree, None, None, None)
    said = tree.fields(SUBNET)
    if "subnet" not in said:
        raise tree.refused("subnet is missing", "it is the block of addresses, as in 10.1.0.0/24")
    return fields.subnet(tree, said["subnet"], said.get("gateway"), said.get("ip_range"), said.get("aux_addresses"))


def _container(name: str, tree: Tree, project: str, publish_address: str) -> ContainerWish:
    tree.checked(lambda: check_name("container name", name))
    said = tree.fields(CONTAINER)
    mode = _mode(said["network_mode"]) if "network_mode" in said else ""
    if mode and "networks" in said:
        raise said["networks"].refused(f"a container in mode {mode} has no networks of its own", "say one of both")
    if "netns" in said and "pid" in said:
        raise said["pid"].refused("netns and pid are two ways to name one namespace", "say one of both")
    netns = said["netns"].text() if "netns" in said else ""
    if netns and not netns.startswith("/"):
        raise said["netns"].refused(f"{netns[:60]!r} is not an absolute path")
    if "pid" in said:
        netns = f"/proc/{said['pid'].number()}/ns/net"
    if mode and "ports" in said and mode != "none":
        raise said["ports"].refused(f"ports cannot be published in mode {mode}")
    if netns and mode:
        raise tree.refused(f"a namespace of somebody else's cannot be in mode {mode}")
    return ContainerWish(
        name=name,
        mode=mode,
        networks={} if mode else _networks(said.get("networks")),
        ports=fields.ports(said.get("ports"), publish_address),
        hostname=said["hostname"].read(check_hostname) if "hostname" in said else "",
        labels={**(fields.labels(said["labels"]) if "labels" in said else {}), APPLIED: project},
        lookup=fields.lookup(
            dns=said.get("dns"),
            search=said.get("dns_search"),
            options=said.get("dns_options"),
            hosts=said.get("extra_hosts"),
        ),
        netns=netns,
        place=tree.place,
    )


def _mode(tree: Tree) -> str:
    text = tree.text()
    if text.startswith("container:"):
        tree.checked(lambda: check_name("container name", text.removeprefix("container:")))
    elif text not in MODES:
        raise tree.refused(f"unknown mode {text[:40]!r}", "none, host or container:NAME; networks go into networks")
    return text


def _networks(tree: Tree | None) -> dict[str, EndpointWish]:
    """In the order of the file. The default network where none is named."""
    if tree is None:
        return {DEFAULT_NETWORK: EndpointWish()}
    if isinstance(tree.value, tuple):
        return {network_named(each): EndpointWish() for each in tree.items()}
    return {network_named(each, name): _endpoint(each) for name, each in tree.entries().items()}


def network_named(tree: Tree, name: str = "") -> str:
    name = name or tree.text()
    if name in ("none", "host") or name.startswith("container:"):
        raise tree.refused(f"{name} is no network that containers can be on", "it is a network_mode")
    return DEFAULT_NETWORK if name == "default" else name


def _endpoint(tree: Tree) -> EndpointWish:
    said = tree.fields(ENDPOINT)
    return fields.endpoint(
        ip=said.get("ip"),
        ip6=said.get("ip6"),
        mac=said.get("mac"),
        names=fields.aliases(said.get("aliases")),
        ifname=said.get("ifname"),
        gw_priority=said.get("gw_priority"),
        bandwidth=said.get("bandwidth"),
    )
