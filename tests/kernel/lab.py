"""A host with bridges and containers made by hand, by `ip` alone, under the ruleset that our own functions render.

So the firewall is tested with packets before, and apart from, everything that makes networks in earnest."""

from __future__ import annotations

import select
import socket
from dataclasses import dataclass
from pathlib import Path

from netrt.dataplane.objects import Element
from netrt.firewall.elements import attachment_elements, network_elements, port_elements
from netrt.firewall.render import render_change, render_whole
from netrt.firewall.skeleton import TABLES, skeleton
from netrt.model.address import mac_for
from netrt.model.container import Attachment
from netrt.model.network import Mode, Network, Subnet
from netrt.model.port import parse_port
from tests.host import Host
from tests.traffic import BRIEF, Place
from tests.waiting import wait_until

HOST4, HOST6 = "192.0.2.1", "2001:db8::1"
OUTSIDE4, OUTSIDE6 = "192.0.2.2", "2001:db8::2"


@dataclass(frozen=True, kw_only=True)
class Lan:
    """A bridge network that stands."""

    number: int
    network: Network
    bridge: str

    @property
    def gateway4(self) -> str:
        return f"10.{self.number}.0.1"

    @property
    def gateway6(self) -> str:
        return f"fd00:{self.number}::1"


class Box(Place):
    """A container: a namespace with `eth0` on one network."""

    def __init__(self, host: Host, path: str, lan: Lan, attachment: Attachment) -> None:
        super().__init__(host, path)
        self.lan = lan
        self.attachment = attachment
        self.name = path.rpartition("/")[2]
        self.ip4 = attachment.address4.partition("/")[0]
        self.ip6 = attachment.address6.partition("/")[0]
        self.mac = attachment.mac


class Lab:
    """The host, its outside, and what is built on it."""

    def __init__(self, host: Host, guarded: frozenset[int] = frozenset(), *, bridge_netfilter: bool = True) -> None:
        self.host = host
        for family in ("iptables", "ip6tables"):
            self.sysctl(f"net/bridge/bridge-nf-call-{family}", str(int(bridge_netfilter)))
        self.here = Place(host)
        self.outside = Place(host, host.outside())
        self.skeleton = skeleton(guarded)
        self.elements: list[Element] = []
        self._boxes = 1
        self.sysctl("net/ipv4/ip_forward", "1")
        self.sysctl("net/ipv6/conf/all/forwarding", "1")
        self.nft("".join(f"add table {family} netrt\n" for family in TABLES) + render_whole(self.skeleton, ()))

    def nft(self, text: str) -> None:
        self.host.run("nft", "-f", "-", input=text)

    def sysctl(self, name: str, value: str) -> None:
        Path("/proc/sys", name).write_text(value)

    def add(self, *elements: Element) -> None:
        """Put elements in, and remember them."""
        self.nft(render_change((), elements))
        self.elements += elements

    def remove(self, *elements: Element) -> None:
        self.nft(render_change(elements, ()))
        self.elements = [e for e in self.elements if e not in elements]

    def lan(self, number: int, *, internal: bool = False, ipv6: bool = True, **options: str) -> Lan:
        """A network 10.N.0.0/24, fd00:N::/64 on bridge `lanN`. `options` are driver options, the last word of their names."""
        names = {
            "icc": "com.docker.network.bridge.enable_icc",
            "masq": "com.docker.network.bridge.enable_ip_masquerade",
        }
        names |= {f"mode{v}": f"com.docker.network.bridge.gateway_mode_ipv{v}" for v in (4, 6)}
        subnets = [Subnet(cidr=f"10.{number}.0.0/24", gateway=f"10.{number}.0.1")]
        subnets += [Subnet(cidr=f"fd00:{number}::/64", gateway=f"fd00:{number}::1")] if ipv6 else []
        network = Network(
            id=f"{number:064x}",
            name=f"lan{number}",
            mode=Mode.BRIDGE,
            created="",
            subnets=tuple(subnets),
            ipv6=ipv6,
            internal=internal,
            options={names.get(key, key): value for key, value in options.items()},
        )
        bridge = f"lan{number}"
        self.add(*network_elements(network, bridge))
        lines = [f"link add {bridge} address {mac_for(bridge)} type bridge"]
        for version, subnet in ((4, 24), (6, 64)):
            if network.leads_outside(version):
                gateway = f"{network.subnets_of(version)[0].gateway}/{subnet}"
                lines.append(f"addr add {gateway} dev {bridge} {_nodad(gateway)}")
        self._ip(*lines)
        if network.leads_outside(4):
            self.sysctl(f"net/ipv4/conf/{bridge}/route_localnet", "1")
        self.sysctl(f"net/ipv6/conf/{bridge}/accept_dad", "0")
        if not network.leads_outside(6):
            self.sysctl(f"net/ipv6/conf/{bridge}/disable_ipv6", "1")
        self.host.run("ip", "link", "set", bridge, "up")
        return Lan(number=number, network=network, bridge=bridge)

    def box(self, lan: Lan) -> Box:
        """A container on that network, with default routes where it leads outside."""
        self._boxes += 1
        name = f"box{self._boxes}"
        box = Box(self.host, self.host.namespace(name), lan, self._attachment(lan, "eth0"))
        self._attach(name, lan, box.attachment)
        for version, gateway in ((4, lan.gateway4), (6, lan.gateway6)):
            if lan.network.leads_outside(version):
                self.host.run("ip", "-n", name, "route", "add", "default", "via", gateway)
        return box

    def join(self, box: Box, lan: Lan) -> Attachment:
        """Put a container on one more network."""
        attachment = self._attachment(lan, f"eth{lan.number}", box.name)
        self._attach(box.name, lan, attachment)
        return attachment

    def _attachment(self, lan: Lan, ifname: str, name: str = "") -> Attachment:
        number = int(name.removeprefix("box")) if name else self._boxes
        return Attachment(
            container_id=f"{number:064x}",
            network_id=lan.network.id,
            ifname=ifname,
            link=f"nrbox{number}-{ifname}",
            mac=mac_for(f"10.{lan.number}.0.{number}"),
            order=number,
            address4=f"10.{lan.number}.0.{number}/24",
            address6=f"fd00:{lan.number}::{number}/64" if lan.network.ipv6 else "",
        )

    def _attach(self, name: str, lan: Lan, attachment: Attachment) -> None:
        link, inside = attachment.link, f"name {attachment.ifname} address {attachment.mac} netns {name}"
        isolated = "off" if lan.network.bridge.icc else "on"
        self.add(*attachment_elements(lan.network, attachment))
        self._ip(
            f"link add {link} type veth peer {inside}",
            f"link set {link} master {lan.bridge} addrgenmode none",
            f"link set {link} type bridge_slave isolated {isolated} hairpin on",
            f"link set {link} up",
        )
        place = Place(self.host, f"/run/netns/{name}")
        place.call(self.sysctl, f"net/ipv6/conf/{attachment.ifname}/accept_dad", "0")
        addresses = [
            f"addr add {address} dev {attachment.ifname} {_nodad(address)}" for address in attachment.addresses
        ]
        self._ip(*addresses, f"link set {attachment.ifname} up", netns=name)
        wait_until(lambda: "LOWER_UP" in self.host.run("ip", "link", "show", link).stdout, what=f"carrier of {link}")

    def _ip(self, *lines: str, netns: str = "") -> None:
        self.host.run("ip", *(["-n", netns] if netns else []), "-batch", "-", input="\n".join([*lines, ""]))

    def publish(self, box: Box, *specs: str, host_binding: str | None = None) -> tuple[Element, ...]:
        """Publish ports (`-p` texts) of a container; what was put in is returned."""
        made = tuple(
            element for spec in specs for element in port_elements(parse_port(spec), box.ip4, box.ip6, host_binding)
        )
        self.add(*made)
        return made


def _nodad(address: str) -> str:
    return "nodad" if ":" in address else ""


Attempt = tuple[Place, str, int, socket.socket]


def nothing_arrives(*attempts: Attempt) -> None:
    """None of these places reaches that address and port, where that socket would hear it. All try at once."""
    asking = []
    for place, address, port, server in attempts:
        client = place.open(socket.AF_INET6 if ":" in address else socket.AF_INET, server.type)
        asking.append(client)
        client.setblocking(False)
        refused = client.connect_ex((address, port))
        if server.type == socket.SOCK_DGRAM and not refused:
            client.send(b"?")
    heard, _, _ = select.select([server for *_, server in attempts], [], [], BRIEF)
    for client in asking:
        client.close()
    assert not heard, f"one of these arrived: {[a[:3] for a in attempts if a[3] in heard]}"


def answering(*pinged: tuple[Place, str]) -> set[str]:
    """Which of these addresses answer to a ping from there."""
    started = []
    for place, address in pinged:
        inside = ["ip", "netns", "exec", place.path.rpartition("/")[2]] if place.path else []
        started.append((address, place.host.spawn(*inside, "ping", "-nqc1", "-W1", address)))
    return {address for address, child in started if child.wait() == 0}
