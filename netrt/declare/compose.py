"""The network part of a compose file, as compose means it (compose-spec; `docker compose up` with all services).

A service is a namespace for its processes to live in, named as compose names its container. What is not about networks is passed
over; what is, and is not known here, is refused. `${NAME}` is what the caller's variables say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from netrt.declare import fields
from netrt.declare.tree import Tree
from netrt.declare.variables import filled
from netrt.declare.wish import APPLIED, ContainerWish, EndpointWish, NetworkWish, Wish
from netrt.model.names import check_hostname, check_name
from netrt.model.network import DEFAULT_NETWORK, Subnet

NETWORK = (
    "name",
    "driver",
    "driver_opts",
    "attachable",
    "enable_ipv4",
    "enable_ipv6",
    "external",
    "internal",
    "ipam",
    "labels",
)
IPAM, POOL = ("driver", "config", "options"), ("subnet", "ip_range", "gateway", "aux_addresses")
ENDPOINT = (
    "aliases",
    "ipv4_address",
    "ipv6_address",
    "link_local_ips",
    "mac_address",
    "driver_opts",
    "gw_priority",
    "interface_name",
    "priority",
)
READ = (
    "networks",
    "network_mode",
    "ports",
    "dns",
    "dns_search",
    "dns_opt",
    "extra_hosts",
    "hostname",
    "container_name",
    "mac_address",
    "labels",
    "scale",
    "deploy",
    "profiles",
    "links",
    "external_links",
    "extends",
)
"""What is looked at of a service."""

IFNAME, BANDWIDTH = "com.docker.network.endpoint.ifname", "netrt.bandwidth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a compose file means depends on: the project's name, variables, the profiles that are on, and the host's address of
    ports that name none."""

    project: str
    variables: Mapping[str, str]
    profiles: tuple[str, ...] = ()
    publish_address: str = ""


def read_compose(tree: Tree, here: Circumstances) -> Wish:
    """Raises Invalid, by file, line and field."""
    top = tree.entries()
    if "include" in top:
        raise top["include"].refused("include is not known", "give one file that has it all")
    networks = dict(_networks(top["networks"], here)) if "networks" in top else {}
    networks.setdefault("default", _default(tree, here))
    services = {
        name: read
        for name, each in (top["services"].entries() if "services" in top else {}).items()
        if _active(read := _service(name, each, here), here)
    }
    containers: dict[str, ContainerWish] = {}
    for name, said in services.items():
        for container in _containers(name, tree, said, services, networks, here):
            if container.name in containers:
                raise said["(itself)"].refused(f"another service has the container name {container.name}")
            containers[container.name] = container
    used = {network for container in containers.values() for network in container.networks}
    return Wish(
        project=here.project,
        networks={wish.name: wish for wish in networks.values() if wish.name in used},
        containers=containers,
    )


# networks


def _networks(tree: Tree, here: Circumstances) -> Iterator[tuple[str, NetworkWish]]:
    for key, each in tree.entries().items():
        yield key, _network(key, filled(each, here.variables), here)


def _default(tree: Tree, here: Circumstances) -> NetworkWish:
    nothing = Tree(value=None, file=tree.file, line=tree.line, field="networks.default")
    return _network("default", nothing, here)


def _network(key: str, tree: Tree, here: Circumstances) -> NetworkWish:
    said = tree.fields(NETWORK)
    external = _external(said["external"]) if "external" in said else ""
    name = said["name"].text() if "name" in said else key if external else f"{here.project}_{key}"
    name = external if external not in ("", "yes") else name
    tree.checked(lambda: check_name("network name", name))
    if external:
        others = [other for other in said if other not in ("external", "name")]
        if others:
            raise said[others[0]].refused("an external network is taken as it is", "say nothing but its name")
        return NetworkWish(name=name, external=True, place=tree.place)
    kind = fields.driver(said.get("driver"))
    ipam = said["ipam"].fields(IPAM) if "ipam" in said else {}
    pools = tuple(_pools(ipam))
    labels = fields.labels(said["labels"]) if "labels" in said else {}
    ours = {APPLIED: here.project, "com.docker.compose.project": here.project, "com.docker.compose.network": key}
    return NetworkWish(
        name=name,
        driver=kind,
        ipam_driver=fields.ipam_driver(ipam.get("driver")),
        subnets=pools,
        ipv4=said["enable_ipv4"].flag() if "enable_ipv4" in said else True,
        ipv6=(said["enable_ipv6"].flag() if "enable_ipv6" in said else False) or any(":" in p.cidr for p in pools),
        internal=said["internal"].flag() if "internal" in said else False,
        options=fields.options(said.get("driver_opts"), kind),
        labels={**labels, **ours},
        place=tree.place,
    )


def _external(tree: Tree) -> str:
    """`yes`, a name (in the older form), or empty."""
    if isinstance(tree.value, Mapping):
        said = tree.fields(("name",))
        return said["name"].text() if "name" in said else "yes"
    return "yes" if tree.flag() else ""


def _pools(said: Mapping[str, Tree]) -> Iterator[Subnet]:
    if "options" in said and said["options"].entries():
        raise said["options"].refused("options of an IPAM driver are not known")
    for each in said["config"].items() if "config" in said else ():
        pool = each.fields(POOL)
        if "subnet" not in pool:
            raise each.refused("subnet is missing", "it is the block of addresses, as in 10.1.0.0/24")
        yield fields.subnet(each, pool["subnet"], pool.get("gateway"), pool.get("ip_range"), pool.get("aux_addresses"))


# services


def _service(name: str, tree: Tree, here: Circumstances) -> dict[str, Tree]:
    """What is looked at of a service, with variables put in; under `(itself)` all of it."""
    tree.checked(lambda: check_name("service name", name))
    said = {key: filled(each, here.variables) for key, each in tree.entries().items() if key in READ}
    if "extends" in said:
        raise said["extends"].refused("extends is not known", "say of each service what it has")
    if "external_links" in said:
        raise said["external_links"].refused("external_links are not known", "put both on one network")
    for each in said["links"].items() if "links" in said else ():
        service, _, alias = each.text().partition(":")
        if alias not in ("", service):
            raise each.refused(
                f"link {each.text()[:40]!r} has a name of its own", f"give {service} an alias on a network"
            )
    return {**said, "(itself)": tree}


def _active(said: Mapping[str, Tree], here: Circumstances) -> bool:
    profiles = said["profiles"].texts() if "profiles" in said else ()
    return not profiles or "*" in here.profiles or bool(set(profiles) & set(here.profiles))


def _count(said: Mapping[str, Tree]) -> int:
    deploy = said["deploy"].entries() if "deploy" in said else {}
    tree = said.get("scale") or deploy.get("replicas")
    return tree.number() if tree else 1


def container_name(name: str, said: Mapping[str, Tree], number: int, here: Circumstances) -> str:
    tree = said.get("container_name")
    return tree.text() if tree else f"{here.project}-{name}-{number}"


def _containers(
    name: str,
    top: Tree,
    said: Mapping[str, Tree],
    services: Mapping[str, Mapping[str, Tree]],
    networks: Mapping[str, NetworkWish],
    here: Circumstances,
) -> Iterator[ContainerWish]:
    itself, count = said["(itself)"], _count(said)
    if count > 1 and "container_name" in said:
        raise said["container_name"].refused(f"{count} containers cannot have one name", "leave it out, or have one")
    mode = _mode(said["network_mode"], services, here) if "network_mode" in said else ""
    on_default = mode == DEFAULT_NETWORK
    mode = "" if on_default else mode
    if (mode or on_default) and "networks" in said:
        raise said["networks"].refused("networks and network_mode exclude each other", "say one of both")
    ports = fields.ports(said.get("ports"), here.publish_address)
    if ports and mode and mode != "none":
        raise said["ports"].refused(f"ports cannot be published in mode {mode}")
    on = {DEFAULT_NETWORK: EndpointWish()} if on_default else {} if mode else _endpoints(name, said, networks)
    labels = fields.labels(said["labels"]) if "labels" in said else {}
    for number in range(1, count + 1):
        wish = ContainerWish(
            name=container_name(name, said, number, here),
            mode=mode,
            networks=on,
            ports=ports,
            hostname=said["hostname"].read(check_hostname) if "hostname" in said else "",
            labels={**labels, **_labels(name, number, here)},
            lookup=fields.lookup(
                dns=said.get("dns"),
                search=said.get("dns_search"),
                options=said.get("dns_opt"),
                hosts=said.get("extra_hosts"),
            ),
            place=itself.place,
        )
        itself.checked(lambda wish=wish: check_name("container name", wish.name))  # type: ignore[misc]
        yield wish


def _labels(name: str, number: int, here: Circumstances) -> dict[str, str]:
    return {
        APPLIED: here.project,
        "com.docker.compose.project": here.project,
        "com.docker.compose.service": name,
        "com.docker.compose.container-number": str(number),
    }


def _mode(tree: Tree, services: Mapping[str, Mapping[str, Tree]], here: Circumstances) -> str:
    text = tree.text()
    if text in ("none", "host"):
        return text
    if text in ("bridge", "default"):
        return DEFAULT_NETWORK
    kind, _, name = text.partition(":")
    if kind == "service":
        if name not in services:
            raise tree.refused(f"there is no service {name[:40]!r}", f"known: {', '.join(services)}")
        return f"container:{container_name(name, services[name], 1, here)}"
    if kind == "container" and name:
        return text
    raise tree.refused(f"unknown network_mode {text[:40]!r}", "none, host, bridge, service:NAME or container:NAME")


def _endpoints(name: str, said: Mapping[str, Tree], networks: Mapping[str, NetworkWish]) -> dict[str, EndpointWish]:
    """In compose's order: the highest priority first, of equals by name. Each has the service's name as an alias."""
    tree = said.get("networks")
    if tree is None or not tree.value:
        asked: dict[str, Tree | None] = {"default": None}
    elif isinstance(tree.value, tuple):
        asked = {each.text(): None for each in tree.items()}
    else:
        asked = dict(tree.entries())
    for key in asked:
        if key not in networks and tree is not None:
            raise (asked[key] or tree).refused(f"there is no network {key[:40]!r}", f"known: {', '.join(networks)}")
    ranked = sorted(asked, key=lambda key: (-_priority(asked[key]), key))
    found = {networks[key].name: _endpoint(name, asked[key]) for key in ranked}
    if "mac_address" in said and found:
        first = next(iter(found))
        mac = fields.endpoint(
            ip=None, ip6=None, mac=said["mac_address"], names=(), ifname=None, gw_priority=None, bandwidth=None
        ).mac
        found[first] = replace(found[first], mac=found[first].mac or mac)
    return found


def _priority(tree: Tree | None) -> int:
    said = tree.fields(ENDPOINT) if tree else {}
    return said["priority"].number() if "priority" in said else 0


def _endpoint(service: str, tree: Tree | None) -> EndpointWish:
    said = tree.fields(ENDPOINT) if tree else {}
    if "link_local_ips" in said and said["link_local_ips"].items():
        raise said["link_local_ips"].refused("link_local_ips are not known")
    extra = said["driver_opts"].fields((IFNAME, BANDWIDTH)) if "driver_opts" in said else {}
    return fields.endpoint(
        ip=said.get("ipv4_address"),
        ip6=said.get("ipv6_address"),
        mac=said.get("mac_address"),
        names=tuple(dict.fromkeys((service, *fields.aliases(said.get("aliases"))))),
        ifname=said.get("interface_name") or extra.get(IFNAME),
        gw_priority=said.get("gw_priority"),
        bandwidth=extra.get(BANDWIDTH),
    )
