"""A host with netrt-dns on it, told names by the test as netrtd tells it, and sandboxes that ask: at the port where it listens,
without the redirection that leads there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec.structs import replace

from netrt.dns.difference import apply, chained, changes, seal
from netrt.dns.zone import PORT, Names, Upstream, View, Zone
from netrt.paths import Paths
from netrt.resolver.client import Resolver
from netrt.resolver.messages import Taken
from tests.asking import Asker
from tests.host import Host

PROGRAM = str(Path(sys.executable).with_name("netrt-dns"))

APP = Zone(
    network="n1",
    domain="app",
    ttl=5,
    subnets=("10.1.0.0/24",),
    hosts={
        "web": ("10.1.0.2", "fd00:1::2"),
        "db": ("10.1.0.3",),
        "crowd": tuple(f"10.1.0.{n}" for n in range(10, 150)),
    },
    pointers={"10.1.0.2": "web", "10.1.0.3": "db"},
)
BACK = Zone(network="n2", domain="back", ttl=5, hosts={"store": ("10.2.0.2",)})


class Box(Asker):
    """A sandbox that asks where the server really listens."""

    port = PORT


class Lab:
    """The host, the server, and what it was told."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.paths = Paths()
        self.client = Resolver(self.paths.resolver_socket)
        self.names = Names()
        self.server: subprocess.Popen[bytes]
        self.start()

    def start(self, *prefix: str) -> None:
        """Start the server, below another command if so wanted, and wait until it serves."""
        hear, say = os.pipe()
        with open(hear, "rb") as pipe:
            self.server = subprocess.Popen([*prefix, PROGRAM, "--ready-fd", str(say)], pass_fds=[say])
            os.close(say)
            assert pipe.read() == b"READY\n"

    def kill(self) -> None:
        """As nothing can prevent."""
        self.server.send_signal(signal.SIGKILL)
        self.server.wait()

    def close(self) -> None:
        self.client.close()
        self.kill()

    def box(self, name: str, zones: Iterable[Zone] = (APP,), upstreams: Iterable[Upstream] = ()) -> Box:
        """A sandbox that is served, and sees these zones."""
        path = self.host.namespace(name)
        self.show(path, zones, upstreams)
        return Box(self.host, path)

    def show(
        self, path: str, zones: Iterable[Zone] = (APP,), upstreams: Iterable[Upstream] = (), inode: int = 0
    ) -> Taken:
        """Let the sandbox at a path see these zones."""
        networks = tuple(zone.network for zone in zones)
        view = View(sandbox=path, inode=inode, networks=networks, upstreams=tuple(upstreams))
        return self.tell(
            zones={**self.names.zones, **{zone.network: zone for zone in zones}},
            views={**self.names.views, path: view},
        )

    def withdraw(self, path: str) -> Taken:
        return self.tell(views={key: view for key, view in self.names.views.items() if key != path})

    def host_names(self, zone: Zone, **hosts: tuple[str, ...]) -> Taken:
        """Other addresses for hosts of a zone; none is the end of a name."""
        before = self.names.zones[zone.network]
        kept = {name: addresses for name, addresses in {**before.hosts, **hosts}.items() if addresses}
        return self.tell(zones={**self.names.zones, zone.network: replace(before, hosts=kept)})

    def tell(self, zones: Mapping[str, Zone] | None = None, views: Mapping[str, View] | None = None) -> Taken:
        """Tell the difference, as netrtd does after a commit."""
        after = replace(self.names, zones=zones or self.names.zones, views=self.names.views if views is None else views)
        change = chained(self.names, changes(self.names, after))
        taken = self.client.change(change)
        self.names = apply(self.names, change)
        assert taken.mark == self.names.mark
        return taken

    def tell_all(self) -> Taken:
        """Tell everything, as netrtd does after a restart."""
        self.names = seal(self.names)
        return self.client.take(self.names)

    def memory(self) -> int:
        """Of the server, resident, in MB."""
        lines = Path(f"/proc/{self.server.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) // 1024
