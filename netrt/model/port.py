"""Published ports, and the text that people write them in (`docker run -p`)."""

from __future__ import annotations

import re

import msgspec

from netrt.errors import Invalid
from netrt.model.address import parse_ip

PROTOCOLS = ("tcp", "udp", "sctp")

_FORMS = "use [HOST_IP:]HOST_PORT[-LAST]:PORT[-LAST][/tcp|udp|sctp], or PORT alone for a free host port"
_SPEC = re.compile(
    r"(?:(?P<ip>\[[^\]]*\]|[^:\[\]]*):)?(?:(?P<host>[0-9-]*):)?(?P<port>[0-9-]+)(?:/(?P<protocol>[a-z]+))?\Z"
)


class PortMapping(msgspec.Struct, frozen=True, kw_only=True):
    """`count` consecutive ports of the host, from `host_port`, that lead to as many of a container, from `container_port`.

    `host_ip` is an address of the host, `0.0.0.0` or `::` for all of one family, or empty for all of both. `host_port` 0
    asks for a free one; in a stored container it is never 0. `ifname` ties it to one interface; empty means whichever leads
    outside. Raises Invalid when made.
    """

    protocol: str
    container_port: int
    host_port: int = 0
    host_ip: str = ""
    count: int = 1
    ifname: str = ""

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise Invalid(f"invalid protocol {self.protocol[:20]!r}", hint="use tcp, udp or sctp")
        if not (self.container_port >= 1 and self.count >= 1 and self.container_port + self.count <= 65536):
            raise Invalid(f"invalid container port {self.container_port}", hint="ports are 1 to 65535")
        if self.host_port and not (self.host_port >= 1 and self.host_port + self.count <= 65536):
            raise Invalid(f"invalid host port {self.host_port}", hint="ports are 1 to 65535")
        if self.host_ip:
            parse_ip("host address", self.host_ip)

    @property
    def host_last(self) -> int:
        """The last host port."""
        return self.host_port + self.count - 1

    def host_text(self) -> str:
        """`127.0.0.1:8080/tcp` or `8080-8090/udp`, for messages."""
        ports = f"{self.host_port}" if self.count == 1 else f"{self.host_port}-{self.host_last}"
        ip = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        return f"{ip}:{ports}/{self.protocol}" if ip else f"{ports}/{self.protocol}"

    def overlaps(self, other: PortMapping) -> bool:
        """Whether both want one host port: same protocol, ports in common, and addresses in common."""
        return (
            self.protocol == other.protocol
            and self.host_port <= other.host_last
            and other.host_port <= self.host_last
            and addresses_meet(self.host_ip, other.host_ip)
        )


def addresses_meet(one: str, other: str) -> bool:
    """Whether two host addresses of mappings have an address in common (empty: all; `0.0.0.0`, `::`: all of a family)."""
    if not one or not other or one == other:
        return True
    if (":" in one) != (":" in other):
        return False
    return one in ("0.0.0.0", "::") or other in ("0.0.0.0", "::")


def _ports(text: str, spec: str) -> tuple[int, int]:
    """First port and how many, of `80` or `80-90`."""
    match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", text)
    if not match:
        raise Invalid(f"malformed port {spec[:60]!r}", hint=_FORMS)
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last <= 65535:
        raise Invalid(
            f"malformed port {spec[:60]!r}: {text} is not a port or range", hint="ports are 1 to 65535, in order"
        )
    return first, last - first + 1


def parse_port(spec: str) -> PortMapping:
    """Read one `-p` argument: `8080:80`, `127.0.0.1:8080:80`, `[::1]:8080:80`, `8080:80/udp`, `8080-8090:80-90`, `80`,
    `127.0.0.1::80`. Raises Invalid."""
    match = _SPEC.match(spec)
    if not match:
        raise Invalid(f"malformed port {spec[:60]!r}", hint=_FORMS)
    ip, host = match["ip"], match["host"]
    if host is None and ip is not None and not ip.startswith("["):
        ip, host = None, ip  # `8080:80`: what stands before the only colon is the host's port
    container_port, count = _ports(match["port"], spec)
    host_port = 0
    if host:
        host_port, host_count = _ports(host, spec)
        if host_count != count:
            raise Invalid(
                f"malformed port {spec[:60]!r}: {host_count} host ports for {count} container ports",
                hint="both ranges must have the same length",
            )
    elif host is not None and ip is None:
        raise Invalid(f"malformed port {spec[:60]!r}", hint=_FORMS)
    host_ip = str(parse_ip("host address", ip.strip("[]"))) if ip else ""
    return PortMapping(
        protocol=match["protocol"] or "tcp",
        container_port=container_port,
        host_port=host_port,
        host_ip=host_ip,
        count=count,
    )
