"""The names of this moment, and answers kept ready that were made of them. No I/O.

Rule 1: a kept answer is the one that would be made now, but for the order of its addresses. Rule 2: sandboxes that see the same
share a shelf; a change takes from it what it spoils and nothing else. Rule 3: all shelves together hold at most so much."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from dns.rdatatype import AAAA, A

from netrt.dns.answer import Reply, answer, cache_key
from netrt.dns.difference import Change, Stale, apply, stale
from netrt.dns.forward import Forward
from netrt.dns.lookup import Entry
from netrt.dns.zone import Names, View, Zone

MOST_BYTES = 24 * 1024 * 1024
"""What all kept answers together may take, by estimate; some 30,000 of them."""

FOR_ANSWER, FOR_ENTRY = 250, 400
"""What keeping an answer takes beside its bytes, and what it takes to know what it was made of."""

_POINTER = b"\xc0\x0c"
_SIZES = {int(A): 16, int(AAAA): 28}
"""Bytes of an address record whose owner is a pointer to the question."""

_Seen = tuple[tuple[tuple[str, str, int, tuple[str, ...]], ...], bool]
"""What of zones and view answers depend on, beside the entries of the zones."""


class Turning:
    """An answer with several addresses, which begins with another one each time it is given."""

    __slots__ = ("_at", "_first", "_last", "_ring", "_shown", "_size", "_turns")

    def __init__(self, first: bytes, records: bytes, last: bytes, size: int, shown: int) -> None:
        self._first = first
        self._ring = records + records
        self._last = last
        self._size = size
        self._shown = shown * size
        self._turns = len(records) // size
        self._at = 0

    def body(self) -> bytes:
        """All of the message after its id."""
        begin = self._at * self._size
        self._at = (self._at + 1) % self._turns
        return self._first + self._ring[begin : begin + self._shown] + self._last

    def __len__(self) -> int:
        return len(self._first) + len(self._ring) + len(self._last)


Kept = bytes | Turning


class Shelf:
    """Ready answers by `cache_key`, for datagrams and for streams, without their ids. `size` is what they take."""

    def __init__(self, seen: _Seen, networks: tuple[str, ...]) -> None:
        self.seen = seen
        self.networks = networks
        self.users = 0
        self.size = 0
        self.datagrams: dict[bytes, Kept] = {}
        self.streams: dict[bytes, Kept] = {}
        self._made_of: defaultdict[Entry, set[bytes]] = defaultdict(set)

    def put(self, key: bytes, kept: Kept, entries: Iterable[Entry], *, tcp: bool) -> None:
        """Keep an answer until one of its entries changes."""
        (self.streams if tcp else self.datagrams)[key] = kept
        self.size += len(key) + len(kept) + FOR_ANSWER
        for entry in entries:
            keys = self._made_of[entry]
            if key not in keys:
                keys.add(key)
                self.size += FOR_ENTRY

    def spoil(self, entry: Entry) -> None:
        """Drop what was made of this."""
        for key in self._made_of.pop(entry, ()):
            self.size -= FOR_ENTRY
            for side in (self.datagrams, self.streams):
                kept = side.pop(key, None)
                if kept is not None:
                    self.size -= len(key) + len(kept) + FOR_ANSWER

    def clear(self) -> None:
        self.size = 0
        self.datagrams.clear()
        self.streams.clear()
        self._made_of.clear()


class Book:
    """Names, and shelves of ready answers for the views of whoever asks. `held` is what all shelves take together."""

    def __init__(self, names: Names, most: int = MOST_BYTES) -> None:
        self.names = names
        self.held = 0
        self._most = most
        self._spread = 0
        self._shelves: dict[_Seen, Shelf] = {}
        self._of_network: defaultdict[str, list[Shelf]] = defaultdict(list)

    def take(self, names: Names) -> None:
        """Other names altogether."""
        self.names = names
        for shelf in self._shelves.values():
            self._clear(shelf)

    def change(self, change: Change) -> Stale:
        """The names after a change. What it spoils of sandboxes is for the caller: these need another shelf.
        Raises Conflict where the change does not follow upon the present names."""
        after = apply(self.names, change)
        spoilt = stale(self.names, change)
        self.names = after
        for entry in spoilt.entries:
            for shelf in self._of_network.get(entry[0], ()):
                before = shelf.size
                shelf.spoil(entry)
                self.held += shelf.size - before
        return spoilt

    def borrow(self, view: View) -> Shelf:
        """The shelf of whoever sees what this view sees now. To be given back."""
        zones = [self.names.zones[network] for network in view.networks if network in self.names.zones]
        seen = tuple(_header(zone) for zone in zones), bool(view.upstreams)
        shelf = self._shelves.get(seen)
        if shelf is None:
            shelf = self._shelves[seen] = Shelf(seen, tuple(zone.network for zone in zones))
            for network in shelf.networks:
                self._of_network[network].append(shelf)
        shelf.users += 1
        return shelf

    def give_back(self, shelf: Shelf) -> None:
        """Nobody's shelf is gone with all that is on it."""
        shelf.users -= 1
        if shelf.users:
            return
        self._clear(shelf)
        del self._shelves[shelf.seen]
        for network in shelf.networks:
            self._of_network[network].remove(shelf)
            if not self._of_network[network]:
                del self._of_network[network]

    def answer(self, view: View, shelf: Shelf, message: bytes, *, tcp: bool) -> bytes | Forward | None:
        """What becomes of a message that no answer is ready for; it is kept if it can be."""
        self._spread += 1
        made = answer(self.names, view, message, tcp=tcp, spread=self._spread)
        if not isinstance(made, Reply):
            return made
        key = cache_key(message) if made.reusable else None
        kept = self._kept(view, message, made, tcp) if key else None
        if key and kept:
            before = shelf.size
            shelf.put(key, kept, made.entries, tcp=tcp)
            self.held += shelf.size - before
            while self.held > self._most:  # the fullest goes: that is who asks for so much
                self._clear(max(self._shelves.values(), key=_size))
        return made.wire

    def _clear(self, shelf: Shelf) -> None:
        self.held -= shelf.size
        shelf.clear()

    def _kept(self, view: View, message: bytes, made: Reply, tcp: bool) -> Kept | None:
        """An answer as it is kept. One that is cut off turns through all of its addresses, of which the stream has all; what
        turns and is no list of addresses is not kept."""
        if made.turns == 1:
            return made.wire[2:]
        whole = made if tcp else answer(self.names, view, message, tcp=True, spread=self._spread)
        return _turning(made.wire, whole.wire, made.turns) if isinstance(whole, Reply) else None


def _size(shelf: Shelf) -> int:
    return shelf.size


def _header(zone: Zone) -> tuple[str, str, int, tuple[str, ...]]:
    return zone.network, zone.domain, zone.ttl, zone.subnets


def _turning(shown: bytes, whole: bytes, turns: int) -> Turning | None:
    """Of the answer that is given, and the same with all of its addresses."""
    begin = whole.index(0, 12) + 5
    size = _SIZES.get(int.from_bytes(whole[begin - 4 : begin - 2], "big"), 0)
    count = int.from_bytes(shown[6:8], "big")
    if not size or not count or int.from_bytes(whole[6:8], "big") != turns:
        return None
    records = whole[begin : begin + turns * size]
    if any(records[at : at + 2] != _POINTER for at in range(0, len(records), size)):
        return None
    return Turning(shown[2:begin], records, shown[begin + count * size :], size, count)
