"""Which tracked connections must be forgotten when objects come and go. Connection tracking entries are nobody's wanted state and
cannot be planned by looking, so these operations are derived from the change itself, and are harmless when done again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from netrt.dataplane.objects import HOST, Address, Element, Object
from netrt.dataplane.ops import ForgetAddress, ForgetPort, Op
from netrt.model.address import host_of

Publication = tuple[str, str, str, int, int]
"""Protocol, host address (empty: all), container address, first port, last port."""


def forget(gone: Iterable[Object], come: Iterable[Object]) -> tuple[Op, ...]:
    """What to forget after `gone` was taken away and `come` was put in place.

    A container's address that went: its connections. A published port that went: those that it led. A UDP port that came: those
    that reached the host's port before, for a client that keeps sending would keep such an entry alive for ever.
    """
    left, made = tuple(gone), tuple(come)
    lost = {_place(a) for a in left if isinstance(a, Address) and a.netns != HOST}
    addresses = {host for _, host in lost - {_place(a) for a in made if isinstance(a, Address)}}
    ended = _ranges(_publication(e) for e in left if isinstance(e, Element) and e.publishes)
    begun = _ranges(_publication(e) for e in made if isinstance(e, Element) and e.publishes)
    return (
        *(ForgetAddress(address) for address in sorted(addresses)),
        *(ForgetPort(proto, ip, first, last, to) for proto, ip, to, first, last in ended if to not in addresses),
        *(ForgetPort(proto, ip, first, last, "") for proto, ip, _, first, last in begun if proto == "udp"),
    )


def _place(address: Address) -> tuple[str, str]:
    """Where an address is, of whatever prefix length."""
    return address.netns, host_of(address.address)


def _publication(element: Element) -> Publication:
    *ip, protocol, port = element.at
    first, _, last = port.partition("-")
    host_ip = ip[0] if ip and "/" not in ip[0] else ""
    return protocol, host_ip, element.value[0], int(first), int(last or first)


def _ranges(publications: Iterable[Publication]) -> Iterator[Publication]:
    """The same, neighbouring ports joined: a shifted range is one element a port."""
    for (protocol, ip, to), group in groupby(sorted(publications), key=lambda p: p[:3]):
        first = last = -1
        for *_, start, end in group:
            if start == last + 1:
                last = end
                continue
            if first >= 0:
                yield protocol, ip, to, first, last
            first, last = start, end
        yield protocol, ip, to, first, last
