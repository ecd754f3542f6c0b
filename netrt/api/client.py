"""The Python API: networks and containers of this host, by the verbs of the command line.

    with netrt.Client() as client:
        client.create_network("app", labels={"tier": "front"})
        client.create_container("web", ["python3", "-m", "http.server", "80"], networks=["app"], ports=["8080:80"])
        client.start("web")
        print(client.container("web")["NetworkSettings"]["Networks"]["app"]["IPAddress"])

What is shown (`network`, `container`, lists, events) has the shape of Docker's JSON. Networks and containers are named by name,
id or unambiguous beginning of an id. Every verb that changes something takes `dry_run`: then nothing is changed, and it returns
the plan instead, a line for each operation. All methods raise `netrt.errors.NetrtError`: Invalid, NotFound, Exists, InUse,
Exhausted, Conflict, KernelRefused, and Unavailable where no daemon can be reached."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypedDict

from netrt.api.connection import NOTHING, Transport, list_of, segment

Json = dict[str, Any]


class Endpoint(TypedDict, total=False):
    """How to be on a network: fixed addresses, a MAC, more names, the name of the interface inside, and the
    priority with which it is the way out."""

    ip: str
    ip6: str
    mac: str
    aliases: Sequence[str]
    ifname: str
    gw_priority: int
    bandwidth: str


class Client:
    """A connection to the daemon of this host. Not for several threads at once; make one in each.

    `root` is netrt's directory if not the standard one (also NETRT_ROOT); the daemon is started if nobody serves it, which needs
    root's rights. `socket` names a socket instead; nothing is started then.
    """

    def __init__(self, socket: str | None = None, root: str | None = None) -> None:
        self._transport = Transport(socket, root)

    def trace(self, tell: Callable[[str, float, list[Any]], None] | None) -> None:
        """From now on, tell of each request where its time went: method and path, the milliseconds that it took from here, and
        what the daemon did, in the order in which it began: name, depth, and begin and length in microseconds."""
        self._transport.traced = tell

    def meanwhile(self, work: Callable[[], object]) -> None:
        """Do this once, while the daemon works on the next request."""
        self._transport.meanwhile = work

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. The daemon and all that it made stay."""
        self._transport.close()

    # networks

    def create_network(
        self,
        name: str,
        *,
        subnets: Sequence[str | Mapping[str, Any]] = (),
        driver: str = "bridge",
        ipv4: bool = True,
        ipv6: bool = False,
        internal: bool = False,
        options: Mapping[str, str] = NOTHING,
        labels: Mapping[str, str] = NOTHING,
        dns: Sequence[str] = (),
        ipam_driver: str = "default",
        dry_run: bool = False,
    ) -> str:
        """Make a network and return its id. A subnet is CIDR, or Docker's `{"Subnet", "Gateway", "IPRange",
        "AuxiliaryAddresses"}`; those not given are chosen. With `ipam_driver` "dhcp" a server of the LAN gives the addresses.
        `dns` are resolvers for its containers, if not the host's."""
        body: Json = {
            "Name": name,
            "Driver": driver,
            "EnableIPv4": ipv4,
            "EnableIPv6": ipv6,
            "Internal": internal,
            "Options": dict(options),
            "Labels": dict(labels),
            "IPAM": {"Driver": ipam_driver, "Config": [_block(subnet) for subnet in list_of("subnets", subnets)]},
        }
        if dns:
            body["Netrt"] = {"Dns": list_of("dns", dns)}
        return self._change("POST", "/networks/create", body=body, dry_run=dry_run)

    def update_network(
        self,
        name: str,
        *,
        grow: Sequence[str] = (),
        add_subnets: Sequence[str | Mapping[str, Any]] = (),
        ipv6: bool = False,
        labels: Mapping[str, str] = NOTHING,
        remove_labels: Sequence[str] = (),
        dns: Sequence[str] | None = None,
        dry_run: bool = False,
    ) -> str:
        """Change a network while it is used. `grow` are larger blocks (CIDR), each for the subnet that it contains; subnets of a
        family that the network has not need `ipv6`; `dns` are its resolvers from now on, none (empty): the host's."""
        added = [_block(subnet) for subnet in list_of("add_subnets", add_subnets)]
        body: Json = {"Grow": list_of("grow", grow), "AddSubnets": added, "Labels": dict(labels)}
        body |= {"RemoveLabels": list_of("remove_labels", remove_labels), "EnableIPv6": ipv6 or None}
        body["Dns"] = None if dns is None else list_of("dns", dns)
        return self._change("POST", _path("netrt", "networks", name, "update"), body=body, dry_run=dry_run)

    def networks(self, filters: Mapping[str, Sequence[str]] | None = None) -> list[Json]:
        """All networks, or those that the filters let through (`{"label": ["tier=front"]}`; name, id, driver, type, dangling)."""
        return self._list("/networks", _filters(filters))

    def network(self, name: str) -> Json:
        """One network with the containers on it."""
        return self._object(_path("networks", name))

    def connect(
        self,
        network: str,
        container: str,
        *,
        ip: str = "",
        ip6: str = "",
        mac: str = "",
        aliases: Sequence[str] = (),
        ifname: str = "",
        gw_priority: int = 0,
        bandwidth: str = "",
        dry_run: bool = False,
    ) -> str:
        """Attach a container to one more network, with these addresses and names if given. The default route is that of the
        network with the highest `gw_priority`."""
        wish: Endpoint = {"ip": ip, "ip6": ip6, "mac": mac, "aliases": aliases, "ifname": ifname}
        wish |= {"gw_priority": gw_priority, "bandwidth": bandwidth}
        body = {"Container": container, "EndpointConfig": _endpoint(wish)}
        return self._change("POST", _path("networks", network, "connect"), body=body, dry_run=dry_run)

    def disconnect(self, network: str, container: str, *, force: bool = False, dry_run: bool = False) -> str:
        """Detach a container; with `force` it is no error if it was not attached."""
        body = {"Container": container, "Force": force}
        return self._change("POST", _path("networks", network, "disconnect"), body=body, dry_run=dry_run)

    def remove_network(self, name: str, *, force: bool = False, dry_run: bool = False) -> str:
        """Remove a network; with `force` its containers are disconnected first."""
        return self._change("DELETE", _path("networks", name), _flags(force=force), dry_run=dry_run)

    def prune_networks(self, filters: Mapping[str, Sequence[str]] | None = None, *, dry_run: bool = False) -> list[str]:
        """Remove the networks that no container is on (`label`, `until` as filters) and return their names."""
        query = {**_filters(filters), **_flags(dry_run=dry_run)}
        said = self.request("POST", "/networks/prune", query=query)
        return list(said["Plan"] if dry_run else said["NetworksDeleted"] or ())

    # names

    def query(self, name: str, rdtype: str = "", *, sandbox: str = "") -> Json:
        """What the container `sandbox` would be answered that asks for a name, and why; without one, a container on every
        network. An address stands for its pointer."""
        asked = {"name": name, "type": rdtype, "from": sandbox}
        return self._object("/netrt/dns/query", {key: value for key, value in asked.items() if value})

    def zone(self, network: str) -> Json:
        """All names on a network."""
        return self._object(_path("netrt/dns/zones", network))

    # containers

    def create_container(
        self,
        name: str = "",
        command: Sequence[str] = (),
        *,
        networks: Sequence[str] | Mapping[str, Endpoint] = (),
        ports: Sequence[str] = (),
        hostname: str = "",
        labels: Mapping[str, str] = NOTHING,
        env: Mapping[str, str] = NOTHING,
        cwd: str = "",
        cap_add: Sequence[str] = (),
        cap_drop: Sequence[str] = (),
        read_only: bool = False,
        auto_remove: bool = False,
        dns: Sequence[str] = (),
        dns_search: Sequence[str] = (),
        dns_options: Sequence[str] = (),
        extra_hosts: Sequence[str] = (),
        health: Mapping[str, Any] = NOTHING,
        netns: str = "",
        pid: int = 0,
        dry_run: bool = False,
    ) -> str:
        """Make a container without starting it, and return its id.

        `networks` are attached in their order; none means the default network; "none", "host" and "container:NAME" are known.
        `health` is how it is checked, as Docker's `Healthcheck`: `{"Test": ["CMD-SHELL", "true"], "Interval": 1_000_000_000}`.
        `ports` are as for `-p` ("127.0.0.1:8080:80/udp"). Without a `command` it is a network namespace for others to use, and
        `netns` (a path) or `pid` adopt one that is there.
        """
        wishes = networks if isinstance(networks, Mapping) else {n: Endpoint() for n in list_of("networks", networks)}
        first = next(iter(wishes), "default")
        alone = first in ("none", "host") or first.startswith("container:")
        body = {
            "Hostname": hostname,
            "Cmd": list_of("command", command),
            "Env": [f"{key}={value}" for key, value in env.items()],
            "Labels": dict(labels),
            "WorkingDir": cwd,
            "Healthcheck": dict(health) or None,
            "HostConfig": {
                "NetworkMode": first,
                "AutoRemove": auto_remove,
                "CapAdd": list_of("cap_add", cap_add),
                "CapDrop": list_of("cap_drop", cap_drop),
                "ReadonlyRootfs": read_only,
                "Dns": list_of("dns", dns),
                "DnsSearch": list_of("dns_search", dns_search),
                "DnsOptions": list_of("dns_options", dns_options),
                "ExtraHosts": list_of("extra_hosts", extra_hosts),
            },
            "NetworkingConfig": {"EndpointsConfig": {} if alone else {n: _endpoint(w) for n, w in wishes.items()}},
            "Netrt": {"Ports": list_of("ports", ports), "NetnsPath": netns, "Pid": pid},
        }
        return self._change("POST", "/containers/create", {"name": name} if name else {}, body, dry_run=dry_run)

    def containers(self, filters: Mapping[str, Sequence[str]] | None = None, *, every: bool = False) -> list[Json]:
        """The containers that run, or with `every` all; filters: name, id, label, status, network, health."""
        return self._list("/containers/json", {**_filters(filters), **_flags(all=every)})

    def container(self, name: str) -> Json:
        """One container."""
        return self._object(_path("containers", name, "json"))

    def remove_container(self, name: str, *, force: bool = False, dry_run: bool = False) -> str:
        """Remove a container; with `force` its process is ended first."""
        return self._change("DELETE", _path("containers", name), _flags(force=force), dry_run=dry_run)

    def rename(self, container: str, name: str, *, dry_run: bool = False) -> str:
        """Give a container another name."""
        return self._change("POST", _path("containers", container, "rename"), {"name": name}, dry_run=dry_run)

    def publish(
        self, container: str, add: Sequence[str] = (), remove: Sequence[str] = (), *, dry_run: bool = False
    ) -> str:
        """Take published ports (`8080:80`) from a container and give it others, while it runs."""
        body = {"Add": list_of("add", add), "Remove": list_of("remove", remove)}
        return self._change("POST", _path("netrt", "containers", container, "ports"), body=body, dry_run=dry_run)

    def limit(self, container: str, bandwidth: str, *, network: str = "", dry_run: bool = False) -> str:
        """Limit the bandwidth of a container (`ingress=10mbit,egress=1mbit`), on one network or on all of its."""
        body = {"Bandwidth": bandwidth, "Network": network}
        return self._change("POST", _path("netrt", "containers", container, "limits"), body=body, dry_run=dry_run)

    def start(self, container: str, *, dry_run: bool = False) -> str:
        """Start its command in the background. Raises NotStarted, with the exit status, if the command cannot be run."""
        return self._change("POST", _path("containers", container, "start"), dry_run=dry_run)

    def stop(self, container: str, *, timeout: int = 10, dry_run: bool = False) -> str:
        """End its process: SIGTERM, and SIGKILL after `timeout` seconds (-1: never)."""
        return self._change("POST", _path("containers", container, "stop"), {"t": str(timeout)}, dry_run=dry_run)

    def kill(self, container: str, signal: str = "KILL", *, dry_run: bool = False) -> str:
        """Send a signal to its process."""
        return self._change("POST", _path("containers", container, "kill"), {"signal": signal}, dry_run=dry_run)

    def wait(self, container: str) -> int:
        """Wait until it does not run, and return its exit status."""
        return int(self.request("POST", _path("containers", container, "wait"))["StatusCode"])

    def logs(
        self,
        container: str,
        *,
        stdout: bool = True,
        stderr: bool = True,
        follow: bool = False,
        tail: int | None = None,
        timestamps: bool = False,
    ) -> Iterator[tuple[str, bytes]]:
        """What it printed in the background: ("stdout" or "stderr", a line), the last `tail` ones or all. With `follow` it goes
        on until the container ends."""
        query = _flags(stdout=stdout, stderr=stderr, follow=follow, timestamps=timestamps)
        if tail is not None:
            query["tail"] = str(tail)
        buffer = b""
        for chunk in self._transport.stream(_path("containers", container, "logs"), query):
            buffer += chunk
            while len(buffer) >= 8 and len(buffer) >= (end := 8 + int.from_bytes(buffer[4:8], "big")):
                yield ("stderr" if buffer[0] == 2 else "stdout"), buffer[8:end]
                buffer = buffer[end:]

    def events(
        self, filters: Mapping[str, Sequence[str]] | None = None, *, since: str = "", until: str = ""
    ) -> Iterator[Json]:
        """What happens, as it happens. `since` and `until` are RFC 3339, Unix seconds, or a time back such as `10m`."""
        moments = {name: value for name, value in (("since", since), ("until", until)) if value}
        yield from self.stream("/events", query={**_filters(filters), **moments})

    # upkeep

    def difference(self) -> Json:
        """What differs between what is asked for and what the kernel holds: lines in `Lacking` and `Stray`."""
        return self._object("/netrt/diff")

    def garbage(self) -> list[Json]:
        """What lies about that nobody needs: `What`, the `Proof`, and what it `Holds`."""
        return self._list("/netrt/gc", NOTHING)

    def collect(self) -> list[Json]:
        """Take garbage away, and return what it was."""
        return list(self.request("POST", "/netrt/gc"))

    def findings(self) -> list[Json]:
        """What is wrong with the host: `Check`, `Level` (error or warning), `Text`, `Remedy`, names of `Networks`."""
        return self._list("/netrt/doctor", NOTHING)

    def debug(self, container: str) -> Json:
        """A container seen from inside: `Interfaces`, `Ways`, `Neighbours`, `Servers`, what was tried (`Outcomes`), what our
        rules `Dropped`, and the `Findings`. Takes up to some two seconds, where somebody does not answer."""
        return self._object(_path("netrt/debug", container))

    def captures(self, name: str) -> list[Json]:
        """Where packets of a container or a network are heard: `Netns` (a path, empty: the host), `Link`, `Name`."""
        return self._list(_path("netrt/captures", name), NOTHING)

    # what these are made of

    def request(self, method: str, path: str, *, query: Mapping[str, str] = NOTHING, body: Any = None) -> Any:
        """Any request of the API; `path` is quoted already. Returns the decoded answer, None if it has no body."""
        return self._transport.request(method, path, query, body)

    def stream(self, path: str, *, query: Mapping[str, str] = NOTHING) -> Iterator[Json]:
        """The JSON lines of an answer, as they come."""
        rest = b""
        for chunk in self._transport.stream(path, query):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (json.loads(line) for line in lines if line)

    def _change(
        self, method: str, path: str, query: Mapping[str, str] = NOTHING, body: Any = None, *, dry_run: bool
    ) -> str:
        said = self.request(method, path, query={**query, **_flags(dry_run=dry_run)} if dry_run else query, body=body)
        if dry_run:
            return "\n".join(said["Plan"])
        return str(said["Id"]) if said else ""

    def _list(self, path: str, query: Mapping[str, str]) -> list[Json]:
        found = self.request("GET", path, query=query)
        assert isinstance(found, list)
        return found

    def _object(self, path: str, query: Mapping[str, str] = NOTHING) -> Json:
        found = self.request("GET", path, query=query)
        assert isinstance(found, dict)
        return found


def _path(kind: str, name: str, *tail: str) -> str:
    return "/".join(("", kind, segment(name), *tail))


def _filters(asked: Mapping[str, Sequence[str]] | None) -> dict[str, str]:
    return {"filters": json.dumps({key: list_of(key, values) for key, values in asked.items()})} if asked else {}


def _flags(**flags: bool) -> dict[str, str]:
    return {name.replace("_", "-"): "1" for name, on in flags.items() if on}


def _block(subnet: str | Mapping[str, Any]) -> Json:
    return {"Subnet": subnet} if isinstance(subnet, str) else dict(subnet)


def _endpoint(wish: Endpoint) -> Json:
    addresses = {"IPv4Address": wish.get("ip", ""), "IPv6Address": wish.get("ip6", "")}
    options = {
        "com.docker.network.endpoint.ifname": wish.get("ifname", ""),
        "netrt.bandwidth": wish.get("bandwidth", ""),
    }
    return {
        "IPAMConfig": {key: value for key, value in addresses.items() if value},
        "MacAddress": wish.get("mac", ""),
        "Aliases": list_of("aliases", wish.get("aliases", ())),
        "DriverOpts": {key: value for key, value in options.items() if value},
        "GwPriority": wish.get("gw_priority", 0),
    }
