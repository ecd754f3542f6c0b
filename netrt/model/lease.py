"""What a DHCP server of the LAN gave to an attachment, and until when (RFC 2131)."""

from __future__ import annotations

import msgspec

from netrt.model.plugged import Way


class DhcpLease(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`client` is the identifier by which the server knows the attachment, in hexadecimal; `address` with prefix length. `server`
    and the MAC behind which it is, `server_mac`, are who is asked to renew. `router` is empty where there is none, `routes` are
    others than the default one, `mtu` is 0 where nothing was said. From `renew` on the server is asked again, from `rebind` on
    anybody, at `expires` it is over: nanoseconds since the epoch, and 0 is never."""

    client: str
    address: str
    server: str
    server_mac: str
    router: str = ""
    routes: tuple[Way, ...] = ()
    dns: tuple[str, ...] = ()
    mtu: int = 0
    renew: int = 0
    rebind: int = 0
    expires: int = 0

    def expired(self, now: int) -> bool:
        """Whether it is over at this time."""
        return 0 < self.expires <= now
