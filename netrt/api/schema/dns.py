"""Names as JSON: the zone of a network, and an answer with the reason for it (`/netrt/dns/…`)."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from netrt.compile.names import Resolving, names_on
from netrt.decide.lookup import shown
from netrt.dns.answer import answer
from netrt.dns.forward import Forward
from netrt.dns.lookup import Found, look_up
from netrt.dns.query import plain
from netrt.dns.zone import Names, View, Zone
from netrt.errors import Invalid
from netrt.model.container import Container
from netrt.model.network import Network, has_names
from netrt.model.state import State

Json = dict[str, Any]
Question = dns.message.QueryMessage


def question(name: str, rdtype: str) -> Question:
    """What is asked. An address stands for its pointer. Raises Invalid."""
    with contextlib.suppress(ValueError):
        name, rdtype = ipaddress.ip_address(name).reverse_pointer, rdtype or "PTR"
    try:
        kind = dns.rdatatype.from_text(rdtype or "A")
    except (dns.exception.DNSException, ValueError):
        raise Invalid(f"unknown type {rdtype[:20]!r}", hint="use A, AAAA, PTR, SRV or another type of DNS") from None
    try:
        asked = dns.message.make_query(name, kind, id=0) if name else None
    except (dns.exception.DNSException, ValueError):
        raise Invalid(f"{shown(name)} is not a name", hint="a part has 1 to 63 characters, a name 253") from None
    if asked is None:
        raise Invalid("no name is asked for")
    return asked


# an answer, and why


def query_json(state: State, names: Names, resolving: Resolving, asked: Question, container: Container | None) -> Json:
    """GET /netrt/dns/query. Without a container, what one would be answered that is on every network."""
    name, kind = asked.question[0].name, dns.rdatatype.to_text(asked.question[0].rdtype)
    said = {"Name": name.to_text(), "Type": kind, "From": container.name if container else ""}
    view = _view(names, resolving, container)
    if view is None:
        return said | _said("elsewhere", "it is on no network with names, and asks the resolvers of its resolv.conf")
    outcome = answer(names, view, asked.to_wire(), tcp=True)
    if isinstance(outcome, Forward):
        upstreams = [{"Address": upstream.address, "FromHost": upstream.from_host} for upstream in outcome.upstreams]
        return said | _said("forwarded", "no network that it sees has such a name", Upstreams=upstreams)
    assert outcome is not None, "a question is answered"
    reply, found = dns.message.from_wire(outcome.wire), look_up(names, view, plain(name))
    entries: dict[str, list[str]] = {}
    for network, entry in dict.fromkeys(found.entries):
        entries.setdefault(network, []).append(entry)
    because = [record for network, keys in entries.items() for record in _zone_records(state, names, network, keys)]
    return said | _said(
        "refused" if reply.rcode() == dns.rcode.REFUSED else "answered",
        _why(reply, found),
        Status=dns.rcode.to_text(reply.rcode()),
        Records=[record for rrset in reply.answer for record in _answer_records(rrset)],
        Because=[record for record in because if record["Type"] == kind],
    )


def _said(outcome: str, why: str, **more: Any) -> Json:
    return {"Outcome": outcome, "Status": "", "Why": why, "Records": [], "Because": [], "Upstreams": []} | more


def _view(names: Names, resolving: Resolving, container: Container | None) -> View | None:
    if container is None:
        return View(sandbox="", networks=tuple(names.zones), upstreams=resolving.upstreams)
    return names.views.get(container.sandbox.path)


def _answer_records(rrset: dns.rrset.RRset) -> Iterator[Json]:
    name, kind = rrset.name.to_text(), dns.rdatatype.to_text(rrset.rdtype)
    yield from ({"Name": name, "Type": kind, "TTL": rrset.ttl, "Data": data.to_text()} for data in rrset)


def _why(reply: dns.message.Message, found: Found) -> str:
    if reply.answer:
        return "a network that it sees has this name"
    if reply.rcode() == dns.rcode.REFUSED:
        nobody = "no network that it sees has such a name, and it may ask nobody else"
        return "such questions are never answered" if found.ours else nobody
    if found.exists:
        return "there is such a name, without anything of this type"
    if found.domain:
        return f"nothing on network {found.domain} has this name, and nobody else is asked for names that end so"
    return "nothing on a network that it sees has this"


# a zone


def zone_json(state: State, names: Names, network: Network) -> Json:
    """GET /netrt/dns/zones/{network}. Raises Invalid for a network without names."""
    if not has_names(network):
        raise Invalid(f"network {network.name} has no names", hint="only networks that people create have")
    zone = names.zones[network.id]
    keys = (*sorted(zone.hosts), *sorted(zone.services), *sorted(zone.pointers, key=_in_order))
    return {
        "Network": network.name,
        "Id": network.id,
        "Domain": zone.domain,
        "TTL": zone.ttl,
        "Records": list(_zone_records(state, names, network.id, keys)),
    }


def _in_order(address: str) -> tuple[int, int]:
    number = ipaddress.ip_address(address)
    return number.version, int(number)


def _zone_records(state: State, names: Names, network: str, keys: Iterable[str]) -> Iterator[Json]:
    """What a zone has under these names (and addresses, for their pointers), whose it is, and as what."""
    zone = names.zones[network]
    for key in keys:
        place = {"Network": state.networks[network].name, "Name": key}
        for address in sorted(zone.hosts.get(key, ()), key=_in_order):
            record = place | {"Type": "AAAA" if ":" in address else "A", "Data": address}
            yield from (record | whose for whose in _holders(state, names, zone, key, address))
        for service in zone.services.get(key, ()):
            data = f"0 0 {service.port} {service.target}.{zone.domain}."
            yield place | {"Type": "SRV", "Data": data, "Container": service.target, "As": "port"}
        if key in zone.pointers:
            name = zone.pointers[key]
            record = place | {"Type": "PTR", "Data": f"{name}.{zone.domain}."}
            yield from (record | whose for whose in _holders(state, names, zone, name, key))


def _holders(state: State, names: Names, zone: Zone, name: str, address: str) -> Iterator[Json]:
    """The containers that are at an address by a name, and what the name is: several may share a sandbox."""
    attachment = state.attachments[state.addresses[zone.network, address]]
    view = names.views[state.containers[attachment.container_id].sandbox.path]
    for container in (state.containers[member] for member in view.containers):
        kind = names_on(container, attachment).get(name)
        if kind and not container.ended:
            yield {"Container": container.name, "As": kind}
