"""The laws of what is sent from one value of names to the next."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from netrt.dns.answer import Reply, answer
from netrt.dns.difference import Change, apply, chained, changes, seal, stale
from netrt.dns.zone import Names, Service, Upstream, View, Zone, plain
from netrt.errors import Conflict
from tests.unit.dns.asking import APP, NAMES, query

LABELS = ("web", "db", "www", "x")
ADDRESSES = ("10.1.0.2", "10.1.0.3", "fd00:1::2")
NETWORKS = ("n1", "n2", "n3")

labels = st.sampled_from(LABELS)
zones = st.builds(
    Zone,
    network=st.just(""),
    domain=st.sampled_from(("app", "back")),
    ttl=st.sampled_from((5, 5, 60)),
    subnets=st.sampled_from(((), ("10.1.0.0/24",))),
    hosts=st.dictionaries(
        labels, st.sets(st.sampled_from(ADDRESSES), min_size=1).map(lambda found: tuple(sorted(found)))
    ),
    pointers=st.dictionaries(st.sampled_from(ADDRESSES), labels),
    services=st.dictionaries(
        labels.map("_http._tcp.".__add__), st.builds(Service, st.sampled_from((80, 81)), labels).map(lambda one: (one,))
    ),
)
views = st.builds(
    View,
    sandbox=st.just(""),
    networks=st.lists(st.sampled_from(NETWORKS), min_size=1, unique=True).map(tuple),
    upstreams=st.sampled_from(((), (), (Upstream("192.0.2.53"),))),
    containers=st.sampled_from(((), ("c1",), ("c1", "c2"))),
)
names = st.builds(
    Names,
    zones=st.dictionaries(st.sampled_from(NETWORKS), zones).map(
        lambda table: {key: replace(zone, network=key) for key, zone in table.items()}
    ),
    views=st.dictionaries(st.sampled_from(("a", "b", "c")), views).map(
        lambda table: {key: replace(view, sandbox=key) for key, view in table.items()}
    ),
).map(seal)
QUESTIONS = tuple(
    query(name, rdtype, id=0).to_wire()
    for name, rdtype in (
        ("web", "A"),
        ("web", "AAAA"),
        ("www.app", "A"),
        ("web.app", "ANY"),
        ("app", "A"),
        ("2.0.1.10.in-addr.arpa", "PTR"),
        ("_http._tcp.web", "SRV"),
        ("_http._tcp.www.back", "SRV"),
        ("_tcp.web", "SRV"),
        ("_ssh._tcp.db", "SRV"),
    )
)


@given(names, names)
@settings(deadline=None)
def test_a_change_leads_from_one_to_the_other(before: Names, after: Names) -> None:
    change = changes(before, after)
    assert apply(before, change) == after
    assert bool(change) == ((before.zones, before.views) != (after.zones, after.views))
    assert msgspec.json.decode(msgspec.json.encode(change), type=Change) == change
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(change), type=Change) == change
    assert msgspec.json.decode(msgspec.json.encode(after, enc_hook=plain), type=Names) == after


@given(names, names)
@settings(deadline=None)
def test_equal_marks_are_equal_names(one: Names, other: Names) -> None:
    assert (one.mark == other.mark) == (one == other)


@given(names, names, names)
@settings(deadline=None)
def test_a_change_that_does_not_follow_is_refused(before: Names, after: Names, other: Names) -> None:
    assume(before != other)
    with pytest.raises(Conflict):
        apply(other, changes(before, after))


@given(names, names)
@settings(deadline=None, max_examples=300)
def test_what_is_not_said_to_be_stale_is_still_right(before: Names, after: Names) -> None:
    gone = stale(before, changes(before, after))
    for path, view in before.views.items():
        for question in QUESTIONS:
            ready = answer(before, view, question)
            if not isinstance(ready, Reply) or path in gone.sandboxes or not gone.entries.isdisjoint(ready.entries):
                continue
            assert answer(after, after.views[path], question) == ready


def test_one_name_more_is_little_to_send() -> None:
    crowd = {f"c{number}": (f"10.{number // 250}.0.{number % 250}",) for number in range(10_000)}
    before = seal(Names(zones={"n1": replace(APP, hosts=crowd)}, views=NAMES.views))
    after = seal(Names(zones={"n1": replace(APP, hosts={**crowd, "new": ("10.99.0.1",)})}, views=NAMES.views))
    change = changes(before, after)
    assert len(msgspec.json.encode(change)) < 500
    assert stale(before, change).sandboxes == frozenset()
    assert stale(before, change).entries == {("n1", "new")}


def test_marks_go_from_one_change_to_the_next() -> None:
    before, after = NAMES, replace(NAMES, zones={})
    one = chained(before, changes(before, after))
    assert one.since == before.mark
    assert apply(before, one).mark == one.mark != before.mark
    back = chained(apply(before, one), changes(after, before))
    assert apply(apply(before, one), back).mark not in (before.mark, one.mark)
    nothing = chained(before, Change())
    assert not nothing
    assert apply(before, nothing) == before
