"""Ready answers are the ones that would be made now, whatever happened to the names since they were made."""

from __future__ import annotations

import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from netrt.dns.answer import Reply, answer, cache_key
from netrt.dns.difference import changes, seal
from netrt.dns.forward import Forward
from netrt.dns.zone import Names, View, Zone
from netrt.resolver.book import FOR_ANSWER, FOR_ENTRY, Book, Shelf
from tests.unit.dns.asking import APP, APP_ONLY, BOTH, NAMES, query
from tests.unit.dns.test_difference import QUESTIONS, names


class Desk:
    """A book, and for each view the shelf that its sandbox has; what a server does with them, without sockets."""

    def __init__(self, first: Names, most: int = 1_000_000) -> None:
        self.book = Book(Names(), most)
        self.shelves: dict[str, Shelf] = {}
        self.take(first)

    def take(self, after: Names) -> None:
        self.book.take(after)
        self._settle(self.shelves.keys() | after.views.keys())

    def change(self, after: Names) -> None:
        self._settle(self.book.change(changes(self.book.names, after)).sandboxes)

    def _settle(self, paths: set[str] | frozenset[str]) -> None:
        for path in paths:
            shelf = self.shelves.pop(path, None)
            if path in self.book.names.views:
                self.shelves[path] = self.book.borrow(self.book.names.views[path])
            if shelf:
                self.book.give_back(shelf)

    def ready(self, path: str, message: bytes, *, tcp: bool = False) -> bytes | None:
        shelf = self.shelves[path]
        key = cache_key(message)
        assert key
        kept = (shelf.streams if tcp else shelf.datagrams).get(key)
        return kept if kept is None or isinstance(kept, bytes) else kept.body()

    def ask(self, path: str, message: bytes, *, tcp: bool = False) -> bytes | Forward | None:
        body = self.ready(path, message, tcp=tcp)
        if body is not None:
            return message[:2] + body
        return self.book.answer(self.book.names.views[path], self.shelves[path], message, tcp=tcp)


def same(one: bytes, other: bytes) -> bool:
    """But for the order of addresses."""
    return dns.message.from_wire(one) == dns.message.from_wire(other) and len(one) == len(other)


@given(st.lists(names, min_size=2, max_size=4), st.booleans())
@settings(deadline=None)
def test_what_is_ready_is_right(moments: list[Names], at_once: bool) -> None:
    desk = Desk(moments[0])
    for moment in moments:
        (desk.take if at_once else desk.change)(moment)
        for path, view in moment.views.items():
            for question in QUESTIONS * 2:
                for tcp in (False, True):
                    fresh = answer(moment, view, question, tcp=tcp)
                    given = desk.ask(path, question, tcp=tcp)
                    if isinstance(fresh, Reply):
                        assert isinstance(given, bytes)
                        assert same(given, fresh.wire)
                    else:
                        assert given == fresh
        shelves = {id(shelf): shelf for shelf in desk.shelves.values()}.values()
        assert desk.book.held == sum(shelf.size for shelf in shelves) == sum(map(weighed, shelves))


def weighed(shelf: Shelf) -> int:
    """What is on a shelf, added up anew."""
    sides = (*shelf.datagrams.items(), *shelf.streams.items())
    made_of = sum(map(len, shelf._made_of.values()))
    return sum(len(key) + len(kept) + FOR_ANSWER for key, kept in sides) + made_of * FOR_ENTRY


def test_sandboxes_that_see_the_same_share_answers() -> None:
    twins = {path: replace(APP_ONLY, sandbox=path) for path in ("a", "b")}
    desk = Desk(seal(replace(NAMES, views=twins)))
    message = query("web").to_wire()
    assert desk.ready("b", message) is None
    desk.ask("a", message)
    assert desk.ready("b", message) is not None


def test_a_change_leaves_other_answers_ready() -> None:
    desk = Desk(NAMES)
    web, db = query("web").to_wire(), query("db").to_wire()
    desk.ask("a", web)
    desk.ask("a", db)
    moved = replace(APP, hosts={**APP.hosts, "web": ("10.1.0.99",)})
    desk.change(replace(NAMES, zones={**NAMES.zones, "n1": moved}, mark="next"))
    assert desk.ready("a", web) is None
    assert desk.ready("a", db) is not None


def addresses(wire: bytes | Forward | None) -> list[str]:
    assert isinstance(wire, bytes)
    return [str(record) for rrset in dns.message.from_wire(wire).answer for record in rrset]


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("name", ["www", "crowd"])
def test_every_address_is_the_first_one_in_its_turn(name: str, tcp: bool) -> None:
    """Also where a datagram has room for some of them only."""
    desk = Desk(NAMES)
    everything = {address for address in APP.hosts[name] if ":" not in address}
    message = query(name, size=1232).to_wire()
    answers = [addresses(desk.ask("a", message, tcp=tcp)) for _ in range(1 + 2 * len(everything))][1:]
    assert {first for first, *_ in answers} == everything
    firsts = [first for first, *_ in answers]
    assert all(firsts.count(address) == 2 for address in everything)
    assert all(len(set(found)) == len(found) for found in answers)


def test_what_is_kept_is_bounded() -> None:
    desk = Desk(NAMES, most=200_000)
    for number in range(5_000):
        desk.ask("i", query(f"unknown-{number}.example").to_wire())
        desk.ask("b", query(f"unknown-{number}.app").to_wire())
    sizes = [shelf.size for shelf in desk.shelves.values()]
    assert 0 < sum(sizes) <= 200_000
    desk.take(NAMES)
    assert not any(shelf.size for shelf in desk.shelves.values())


def test_what_is_kept_is_bounded_whatever_is_asked_between() -> None:
    desk = Desk(NAMES, most=200_000)
    for number in range(2_000):
        assert isinstance(desk.ask("b", query(f"unknown-{number}.app").to_wire()), bytes)
        assert isinstance(desk.ask("b", query(f"host-{number}.example").to_wire()), Forward), "it is not kept"
        assert desk.shelves["b"].size <= 200_000


def test_sizes_are_given_back() -> None:
    desk = Desk(NAMES)
    for name in ("web", "db", "www", "crowd", "web.app"):
        for tcp in (False, True):
            desk.ask("b", query(name).to_wire(), tcp=tcp)
    assert desk.shelves["b"].size > 0
    nobody = Zone(network="n1", domain=APP.domain, ttl=APP.ttl, subnets=APP.subnets)
    desk.change(replace(NAMES, zones={**NAMES.zones, "n1": nobody}, mark="next"))
    assert not desk.shelves["b"].datagrams
    assert not desk.shelves["b"].streams
    left = desk.shelves["b"].size
    desk.ask("b", query("web").to_wire())
    desk.change(replace(NAMES, mark="last"))
    assert desk.shelves["b"].size <= left


def test_a_shelf_that_nobody_has_is_gone() -> None:
    desk = Desk(NAMES)
    desk.ask("b", query("web").to_wire())
    shelf = desk.shelves["b"]
    views = {path: view for path, view in NAMES.views.items() if view is not BOTH}
    desk.change(replace(NAMES, views=views, mark="next"))
    assert shelf.users == 0
    assert desk.book.held == 0
    assert desk.book.borrow(View(sandbox="b", networks=BOTH.networks, upstreams=BOTH.upstreams)) is not shelf
