"""Limits of bandwidth, on the host's side, where a container cannot undo them: a token bucket at the host's end of its pair for
what goes in, and another one on a link of its own, through which what comes out is redirected."""

from __future__ import annotations

from collections.abc import Iterator

from netrt.dataplane.objects import HOST, MARK, TICK, Link, LinkKind, Object, Redirect, Shaper
from netrt.model.container import Attachment
from netrt.model.names import link_name

_SECOND = 10**9
_USUAL_BURST = 20
"""What may come at once where nobody says it: a twentieth of a second's worth, between two packets and LARGEST_BURST."""

LARGEST_BURST = 1 << 20
_PATIENCE = 20
"""What waits is sent within a twentieth of a second; the rest is dropped."""

_FRAME = 32
"""More than the bytes of a packet that do not count to the MTU."""


def shaping_link(attachment: Attachment) -> str:
    """The link of the host through which goes what comes out of a container that is limited."""
    return link_name("ifb", *attachment.key)


def compile_shaping(attachment: Attachment, host_link: str, mtu: int) -> Iterator[Object]:
    """`host_link` is the host's end of the attachment's pair."""
    limits = attachment.bandwidth
    if limits is None:
        return
    if limits.ingress_rate:
        yield bucket(host_link, limits.ingress_rate, limits.ingress_burst, mtu)
    if limits.egress_rate:
        name = shaping_link(attachment)
        alias = f"{MARK}shaping:{attachment.container_id}:{attachment.ifname}"
        yield Link(netns=HOST, name=name, kind=LinkKind.IFB, mtu=mtu, alias=alias)
        yield bucket(name, limits.egress_rate, limits.egress_burst, mtu)
        yield Redirect(link=host_link, to=name)


def bucket(link: str, rate_bits: int, burst_bits: int, mtu: int) -> Shaper:
    """Rate and burst as CNI says them (bits a second, and bits; 0: a usual burst)."""
    rate, smallest = rate_bits // 8, 2 * (mtu + _FRAME)
    burst = max(burst_bits // 8, smallest) if burst_bits else max(smallest, min(rate // _USUAL_BURST, LARGEST_BURST))
    credit = min(-(-burst * _SECOND // (rate * TICK)), 0xFFFFFFFF)
    return Shaper(link=link, rate=rate, credit=credit, limit=min(burst + max(rate // _PATIENCE, smallest), 0xFFFFFFFF))
