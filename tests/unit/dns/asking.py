"""A small world of names, and questions to it as clients send them."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
from dns.message import Message

from netrt.dns.answer import Reply, answer
from netrt.dns.forward import Forward
from netrt.dns.zone import Names, Service, Upstream, View, Zone

MANY = tuple(f"10.9.{number // 200}.{number % 200 + 2}" for number in range(150))

APP = Zone(
    network="n1",
    domain="app",
    ttl=5,
    subnets=("10.1.0.0/24", "fd00:1::/64"),
    hosts={
        "web": ("10.1.0.2", "fd00:1::2"),
        "db": ("10.1.0.3",),
        "www": ("10.1.0.2", "10.1.0.3", "10.1.0.4", "fd00:1::2"),
        "my_app.v2": ("10.1.0.5",),
        "crowd": MANY,
    },
    pointers={"10.1.0.2": "web", "fd00:1::2": "web", "10.1.0.3": "db", "10.1.0.5": "my_app.v2"},
    services={
        "_http._tcp.web": (Service(80, "web"),),
        "_http._tcp.www": (Service(80, "db"), Service(80, "web")),
        "_ssh._tcp.gone": (Service(22, "gone"),),
    },
)
BACK = Zone(
    network="n2",
    domain="back.lan",
    ttl=9,
    subnets=("10.2.0.0/24",),
    hosts={"web": ("10.2.0.2",), "store": ("10.2.0.3",)},
    pointers={"10.2.0.2": "web", "10.2.0.3": "store"},
)
UPSTREAMS = (Upstream("192.0.2.53"), Upstream("127.0.0.1", from_host=True))
APP_ONLY = View(sandbox="a", networks=("n1",), upstreams=UPSTREAMS)
INSIDE = View(sandbox="i", networks=("n1",))
BOTH = View(sandbox="b", networks=("n1", "n2"), upstreams=UPSTREAMS)
NAMES = Names(zones={"n1": APP, "n2": BACK}, views={view.sandbox: view for view in (APP_ONLY, INSIDE, BOTH)})


def query(name: str, rdtype: str = "A", *, size: int | None = None, **more: object) -> Message:
    """As a client makes it: with recursion desired, and with EDNS if it says what size it takes."""
    edns: dict[str, object] = {} if size is None else {"use_edns": 0, "payload": size}
    return dns.message.make_query(name, rdtype, **edns, **more)  # type: ignore[arg-type]


def outcome(
    asked: Message | bytes, view: View = APP_ONLY, *, tcp: bool = False, spread: int = 0
) -> Reply | Forward | None:
    wire = asked if isinstance(asked, bytes) else asked.to_wire()
    return answer(NAMES, view, wire, tcp=tcp, spread=spread)


def reply(asked: Message | bytes, view: View = APP_ONLY, *, tcp: bool = False, spread: int = 0) -> Message:
    """The answer, read back by the library; it is one to what was asked, and not longer than the client takes."""
    found = outcome(asked, view, tcp=tcp, spread=spread)
    assert isinstance(found, Reply), found
    message = dns.message.from_wire(found.wire)
    if isinstance(asked, Message):
        assert asked.is_response(message)
        assert len(found.wire) <= (65535 if tcp else max(512, asked.payload))
    return message


def ask(name: str, rdtype: str = "A", view: View = APP_ONLY, **more: object) -> list[str]:
    """The data of the answer as text, `NXDOMAIN` or `REFUSED` where it is one, or `forwarded`."""
    found = outcome(query(name, rdtype), view, **more)  # type: ignore[arg-type]
    if isinstance(found, Forward):
        return ["forwarded"]
    message = reply(query(name, rdtype), view, **more)  # type: ignore[arg-type]
    if message.rcode():
        return [dns.rcode.to_text(message.rcode())]
    return [str(record) for rrset in message.answer for record in rrset]
