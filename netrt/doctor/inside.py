"""What is seen of one sandbox, as values: its links, ways, neighbours and servers, what was tried from inside, and what our rules
dropped. The kernel room gathers them; their names are those of the API's JSON."""

from __future__ import annotations

import enum

import msgspec

REFUSED = "refused: nobody listens there"
"""What is said of a connection that was answered, and not accepted."""


class Seen(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What the values here have in common: how they are written."""


class Traffic(Seen, frozen=True, kw_only=True):
    """What a link counted in one direction, since it was made."""

    packets: int = 0
    octets: int = 0
    errors: int = 0
    dropped: int = 0


class Interface(Seen, frozen=True, kw_only=True):
    """A link in the sandbox; `network` and `host_link` are empty where it is on none of ours, or has no end on the host."""

    name: str
    kind: str = ""
    mac: str = ""
    mtu: int = 0
    up: bool = True
    carrier: bool = True
    addresses: tuple[str, ...] = ()
    received: Traffic = Traffic()
    sent: Traffic = Traffic()
    network: str = ""
    host_link: str = ""


class Way(Seen, frozen=True, kw_only=True):
    """A route; `table` is a number (254 is the main one)."""

    destination: str
    via: str = ""
    interface: str = ""
    table: int = 254
    metric: int = 0
    source: str = ""


class Neighbour(Seen, frozen=True, kw_only=True):
    """What the sandbox knows of who is on its link. `state` is the kernel's, as `ip neighbour` writes it."""

    address: str
    mac: str = ""
    interface: str = ""
    state: str = ""


class Server(Seen, frozen=True, kw_only=True):
    """A socket in the sandbox that waits for others, at an address and port."""

    protocol: str
    address: str
    port: int


class How(enum.StrEnum):
    """How something is tried: an echo request (which needs the neighbour's MAC first, by ARP or neighbour discovery), a TCP
    connection, or a question to a DNS server, of the sandbox or (ASK_HOST) of the host."""

    ECHO = "echo"
    CONNECT = "connect"
    ASK = "ask"
    ASK_HOST = "ask from the host"


class About(enum.StrEnum):
    """What is learned by trying."""

    GATEWAY = "gateway"
    PEER = "peer"
    PORT = "port"
    NAMES = "names"
    FORWARDER = "forwarder"


class Probe(Seen, frozen=True, kw_only=True):
    """Something to try: `what` is who or what is at the address, in words; `question` is asked of a DNS server; `interface` is
    by which it must leave, and empty where the routes decide."""

    about: About
    how: How
    what: str
    address: str
    port: int = 0
    question: str = ""
    interface: str = ""


class Outcome(Seen, frozen=True, kw_only=True):
    """What came of it, `said` in words; `milliseconds` until the answer."""

    probe: Probe
    works: bool
    milliseconds: float = 0.0
    said: str = ""


class Dropped(Seen, frozen=True, kw_only=True):
    """What our rules dropped of a container; `why` in words, `at` a link or an address of its."""

    reason: str
    why: str
    at: str
    packets: int
    octets: int


class Inside(Seen, frozen=True, kw_only=True):
    """A sandbox as it was seen."""

    interfaces: tuple[Interface, ...] = ()
    ways: tuple[Way, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    servers: tuple[Server, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
