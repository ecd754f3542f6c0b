"""What runtimes ask for by CNI beyond what people ask for: chosen routes, limits of bandwidth, settings inside the sandbox, and
by which names they know an attachment."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from netrt.errors import Invalid

SLOWEST, FASTEST = 8_000, 400_000_000_000
"""Bits per second. Below, one packet takes seconds; above, nothing is faster."""

LARGEST_BURST = (1 << 32) - 2
"""Bits. Runtimes that have no burst to say, say this or more; then it is as if none was said."""


GATEWAY = "gateway"
"""As `via` of a wished route: by the gateway that goes with the address which the attachment gets."""


class Way(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A route inside a sandbox. `via` empty: what is there is on the link itself. 0 is what the kernel takes when nothing is
    said; `scope` -1 likewise."""

    dst: str
    via: str = ""
    mtu: int = 0
    advmss: int = 0
    priority: int = 0
    table: int = 0
    scope: int = -1


class Bandwidth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Limits of what comes into a container (ingress) and goes out of it (egress): bits per second, and bits at once. A rate of 0
    is no limit, a burst of 0 a sensible one. Raises Invalid when made."""

    ingress_rate: int = 0
    ingress_burst: int = 0
    egress_rate: int = 0
    egress_burst: int = 0

    def __post_init__(self) -> None:
        for name, rate, burst in (
            ("ingress", self.ingress_rate, self.ingress_burst),
            ("egress", self.egress_rate, self.egress_burst),
        ):
            if rate and not SLOWEST <= rate <= FASTEST:
                raise Invalid(f"{name}Rate {rate} is out of range", hint=f"bits per second, {SLOWEST} to {FASTEST}")
            if burst < 0:
                raise Invalid(f"{name}Burst {burst} is out of range", hint="bits")
            if burst and not rate:
                raise Invalid(f"{name}Burst is set, but {name}Rate is not", hint="set both, or only the rate")

    def __bool__(self) -> bool:
        return bool(self.ingress_rate or self.egress_rate)


class Tuning(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Settings of a sandbox and of one interface in it. `sysctls` by path (`net/core/somaxconn`); empty, 0 and None leave a thing
    as it is. `mac` only where somebody else made the interface: else it is the attachment's."""

    sysctls: Mapping[str, str] = {}
    mac: str = ""
    mtu: int = 0
    promisc: bool | None = None
    allmulti: bool | None = None
    queue: int | None = None


class Plugged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An attachment that a runtime made by CNI. `network` is the name in the runtime's configuration; `holders` are the plugins
    that were added and not deleted yet; `host_link` is the host's end where somebody else made it; `lease` is the configuration
    with which a third party's IPAM plugin gave its addresses, to be given back with; `masquerade` hides all who ask its published
    ports."""

    network: str
    holders: tuple[str, ...] = ()
    host_link: str = ""
    lease: str = ""
    masquerade: bool = False
