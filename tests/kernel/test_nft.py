"""Our tables loaded, changed and read back, also while others change theirs, or ours."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import netrt.kernel.nftjournal
from netrt.dataplane.objects import Element, Skeleton
from netrt.errors import KernelRefused
from netrt.firewall.elements import port_elements
from netrt.firewall.sets import SETS, Part
from netrt.firewall.skeleton import skeleton
from netrt.kernel.nft import Nft
from netrt.model.port import PROTOCOLS, parse_port
from tests.host import Host

pytestmark = pytest.mark.root

PLAIN = skeleton(frozenset())


@pytest.fixture(params=[False, True], ids=["open", "locked"])
def nft(host: Host, request: pytest.FixtureRequest) -> Iterator[Nft]:
    made = Nft(lock=request.param)
    yield made
    made.close()


@pytest.fixture
def unlocked(host: Host) -> Iterator[Nft]:
    """As on a kernel before 6.9, where others can change our tables."""
    made = Nft()
    yield made
    made.close()


def port(number: int, to: str = "10.1.0.2") -> Element:
    return Element(table="inet", set="ports4", at=("tcp", str(number)), value=(to, "80"))


def bridge(name: str) -> Element:
    return Element(table="inet", set="bridges", at=(name,))


def listed() -> set[Element | Skeleton]:
    """What a process sees that knows nothing, whoever owns the tables."""
    stranger = Nft()
    stranger._owning = True
    try:
        return set(stranger.seen(None))
    finally:
        stranger.close()


octets = st.integers(0, 255)
ip4 = st.tuples(st.integers(1, 223), octets, octets, octets).map(lambda parts: ".".join(map(str, parts)))
ip6 = st.ip_addresses(v=6).filter(lambda a: a.ipv4_mapped is None).map(str) | st.sampled_from(("::", "::1", "::1:2"))
names = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}", fullmatch=True)
PARTS: dict[Part, st.SearchStrategy[str]] = {
    Part.LINK: names | st.sampled_from(("lo", "1", "0x10", "ip", "tcp", "br-0.1")),
    Part.MAC: st.lists(octets, min_size=6, max_size=6).map(lambda raw: bytes(raw).hex(":")),
    Part.IPV4: ip4,
    Part.IPV6: ip6,
    Part.TARGET: ip6,
    Part.PROTOCOL: st.sampled_from(PROTOCOLS),
    Part.PORT: st.integers(1, 65535).map(str),
}
edges = st.integers(1, 65535) | st.sampled_from((1, 255, 256, 511, 512, 1023, 8192, 16383, 65535))
ranges = st.tuples(edges, edges).filter(lambda ends: ends[0] < ends[1]).map(lambda ends: f"{ends[0]}-{ends[1]}")
anywhere = {Part.IPV4: st.just("0.0.0.0/0"), Part.IPV6: st.just("::/0")}


@st.composite
def elements(draw: st.DrawFn) -> Element:
    kind = SETS[draw(st.sampled_from(sorted(SETS)))]

    def at(part: Part) -> str:
        if kind.interval and part is Part.PORT:
            return draw(ranges)
        return draw(PARTS[part] | anywhere[part] if kind.interval and part in anywhere else PARTS[part])

    return Element(
        table=kind.table,
        set=kind.name,
        at=tuple(at(part) for part in kind.key),
        value=tuple(draw(PARTS[part]) for part in kind.value),
    )


def one_range_a_map(made: Iterable[Element]) -> list[Element]:
    """Ranges of one map may not overlap, and no key may come twice."""
    kept: dict[tuple[str, ...], Element] = {}
    for element in made:
        kind = SETS[element.table, element.set]
        kept.setdefault(("range", element.set) if kind.interval else element.key, element)
    return list(kept.values())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(elements(), max_size=30).map(one_range_a_map))
def test_what_is_put_in_is_what_is_listed(nft: Nft, made: list[Element]) -> None:
    nft.load(PLAIN, ())
    nft.change((), made)
    assert set(nft.seen(None)) == listed() == {PLAIN, *made}
    nft.change(made, ())
    assert set(nft.seen(None)) == listed() == {PLAIN}
    nft.load(PLAIN, made)
    assert set(nft.seen(None)) == listed() == {PLAIN, *made}


@pytest.mark.parametrize("guarded", [(), (4,), (6,), (4, 6)])
def test_a_stranger_knows_a_whole_skeleton(nft: Nft, guarded: tuple[int, ...]) -> None:
    """By its seal; a process that was started anew finds nothing to do."""
    wanted = skeleton(frozenset(guarded))
    nft.load(wanted, [port(80)])
    assert listed() == {wanted, port(80)}
    other = skeleton(frozenset({4, 6}) - frozenset(guarded))
    nft.load(other, [])
    assert listed() == {other}


def test_only_what_is_asked_for(nft: Nft) -> None:
    nft.load(PLAIN, [port(80), port(81)])
    assert set(nft.seen([port(80).key, port(99).key])) == {port(80)}
    assert set(nft.seen([PLAIN.key])) == {PLAIN}


def test_nothing_there(nft: Nft) -> None:
    assert not list(nft.seen(None))
    with pytest.raises(KernelRefused) as refused:
        nft.drop()
    assert refused.value.errno == errno.ENOENT
    with pytest.raises(KernelRefused) as refused:
        nft.change([], [port(80)])
    assert refused.value.errno == errno.ENOENT


def test_dropped(nft: Nft, host: Host) -> None:
    nft.load(PLAIN, [port(80)])
    nft.drop()
    assert not list(nft.seen(None))
    assert host.run("nft", "list", "ruleset").stdout == ""


REFUSED: dict[str, tuple[list[Element], list[Element], int, str]] = {
    "an element that is not there": ([port(80), port(99)], [port(81)], errno.ENOENT, "ports4 { tcp . 99 }"),
    "one that leads elsewhere": ([], [port(81), port(80, "10.1.0.3")], errno.EEXIST, "ports4 { tcp . 80 }"),
    "a bridge that is not there": ([bridge("gone")], [port(81)], errno.ENOENT, "bridges { gone }"),
    "an overlapping range": (
        [],
        [*port_elements(parse_port("100-200:100-200"), "10.1.0.3", "", None), bridge("more")],
        errno.EEXIST,
        "ranges4 { 0.0.0.0/0 . tcp . 100-200 }",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_names_the_element_and_changes_nothing(nft: Nft, case: str) -> None:
    removed, added, number, named = REFUSED[case]
    there = {PLAIN, port(80), *port_elements(parse_port("150-250:150-250"), "10.1.0.2", "", None)}
    nft.load(PLAIN, [e for e in there if isinstance(e, Element)])
    with pytest.raises(KernelRefused) as refused:
        nft.change(removed, added)
    assert refused.value.errno == number
    assert named in refused.value.message
    assert "\n" not in str(refused.value)
    assert set(nft.seen(None)) == listed() == there


def test_a_key_changes_its_value_in_one_transaction(nft: Nft) -> None:
    wide = [port_elements(parse_port("100-200:100-200"), to, "", None)[0] for to in ("10.1.0.2", "10.1.0.3")]
    nft.load(PLAIN, [port(80), wide[0]])
    nft.change([port(80), wide[0]], [port(80, "10.1.0.3"), wide[1]])
    assert set(nft.seen(None)) == listed() == {PLAIN, port(80, "10.1.0.3"), wide[1]}


VANDALISM = [
    "flush chain inet netrt forward",
    "insert rule inet netrt forward accept",
    "delete table bridge netrt",
    "delete table inet netrt",
    "delete table ip6 netrt",
    "flush ruleset",
    "chain inet netrt input { policy drop; }",
    "insert rule bridge netrt from_container accept; flush chain ip6 netrt over_lo",
    "add set inet netrt more { type ipv4_addr; }",
    "flush table bridge netrt; delete set bridge netrt targets6",
    "add chain inet netrt more",
    "table inet netrt { flags dormant; }",
]


@pytest.mark.parametrize("what", VANDALISM)
def test_changed_rules_are_seen_and_repaired(unlocked: Nft, host: Host, what: str) -> None:
    unlocked.load(PLAIN, [port(80)])
    host.run("nft", "-f", "-", input=f"{what}\n")
    assert PLAIN not in set(unlocked.seen(None))
    unlocked.load(PLAIN, [port(80)])
    assert set(unlocked.seen(None)) == listed() == {PLAIN, port(80)}
    host.run("nft", "-f", "-", input=f"{what}\n")
    if list(unlocked.seen(None)):
        unlocked.drop()
    assert not list(unlocked.seen(None))


@pytest.mark.parametrize("what", VANDALISM)
def test_nobody_else_changes_locked_tables(host: Host, what: str) -> None:
    nft = Nft(lock=True)
    nft.load(PLAIN, [port(80)])
    done = host.run("nft", "-f", "-", input=f"{what}\n", check=False)
    assert "Operation not permitted" in done.stderr or what == "flush ruleset"
    assert set(nft.seen(None)) == listed() == {PLAIN, port(80)}
    nft.change([port(80)], [port(81)])
    assert listed() == {PLAIN, port(81)}
    nft.close()


def test_locked_tables_outlive_their_owner_and_get_another(host: Host) -> None:
    first = Nft(lock=True)
    first.load(PLAIN, [port(80)])
    first.close()
    assert listed() == {PLAIN, port(80)}
    second = Nft(lock=True)
    assert set(second.seen(None)) == {PLAIN, port(80)}, "there is nothing to do"
    host.run("nft", "flush", "ruleset")
    assert listed() == {PLAIN, port(80)}
    second.change([], [port(81)])
    second.close()
    host.run("nft", "flush", "ruleset")
    assert not listed(), "they belong to nobody now"


def test_what_others_do_to_tables_without_an_owner_is_mended(host: Host) -> None:
    first = Nft(lock=True)
    first.load(PLAIN, [port(80)])
    first.close()
    host.run("nft", "flush", "chain", "inet", "netrt", "input_from_bridge")
    second = Nft(lock=True)
    assert PLAIN not in set(second.seen(None))
    second.load(PLAIN, [port(80)])
    assert set(second.seen(None)) == listed() == {PLAIN, port(80)}
    second.close()


@pytest.mark.parametrize("lock", [False, True])
def test_locked_from_the_next_load_on(host: Host, lock: bool) -> None:
    """Tables that were made open become locked, and the other way round."""
    first, second = Nft(lock=not lock), Nft(lock=lock)
    first.load(PLAIN, [port(80)])
    first.close()
    if lock:
        assert PLAIN not in set(second.seen(None)), "they are yet to be locked"
    second.load(PLAIN, [port(80)])
    host.run("nft", "flush", "ruleset")
    assert listed() == ({PLAIN, port(80)} if lock else set())
    second.close()


def test_two_owners_cannot_be(host: Host) -> None:
    first, second = Nft(lock=True), Nft(lock=True)
    first.load(PLAIN, [])
    assert not list(second.seen(None))
    with pytest.raises(KernelRefused, match="another process owns the tables netrt"):
        second.load(PLAIN, [])
    second.close()
    first.close()


def test_a_rule_in_another_place_is_seen(unlocked: Nft, host: Host) -> None:
    """As many rules as before, but not the same."""
    unlocked.load(PLAIN, [])
    host.run("nft", "-f", "-", input="flush chain ip6 netrt over_lo\nadd rule ip6 netrt over_lo accept\n"
             "add rule ip6 netrt over_lo accept\n")  # fmt: skip
    assert PLAIN not in set(unlocked.seen(None))


def test_a_stranger_notices_a_missing_rule(unlocked: Nft, host: Host) -> None:
    unlocked.load(PLAIN, [])
    host.run("nft", "flush", "chain", "inet", "netrt", "input_from_bridge")
    assert PLAIN not in listed()


def test_others_keep_their_tables(nft: Nft, host: Host) -> None:
    foreign = "table inet foreign {\n\tset s {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.1 }\n\t}\n}\n"
    host.run("nft", "-f", "-", input=foreign)
    nft.load(PLAIN, [port(80)])
    nft.change([port(80)], [port(81)])
    nft.drop()
    assert host.run("nft", "list", "ruleset").stdout == foreign


def test_racing_with_others(unlocked: Nft) -> None:
    """Somebody else adds and deletes elements of ours, and tables of theirs, all the time. Whenever they rest, what we see is
    what is there."""
    unlocked.load(PLAIN, [])
    resting, enough = threading.Lock(), threading.Event()
    wanted = "6 . 7 : 10.9.9.9 . 9"
    commands = (f"add element inet netrt ports4 {{ {wanted} }}", "add table ip foreign",
                f"delete element inet netrt ports4 {{ {wanted} }}", "delete table ip foreign")  # fmt: skip

    def meddle() -> None:
        other = Nft()
        for command in itertools.cycle(commands):
            with resting:
                other._context.cmd(command)
            if enough.is_set():
                break
        other.close()

    with ThreadPoolExecutor(1) as somebody:
        meddling = somebody.submit(meddle)
        try:
            for number in range(1000, 1100):
                unlocked.change([], [port(number)])
                with resting:
                    assert set(unlocked.seen(None)) == listed()
        finally:
            enough.set()
        meddling.result()


def test_a_lost_announcement_costs_one_look(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netrt.kernel.nftjournal, "_ROOM", 4096)
    nft = Nft()
    nft.load(PLAIN, [port(80)])
    many = ", ".join(f"10.0.{n >> 8}.{n & 255}" for n in range(20_000))
    host.run("nft", "-f", "-", input=f"table ip foreign {{ set s {{ type ipv4_addr; elements = {{ {many} }}\n }}\n }}")
    assert set(nft.seen(None)) == {PLAIN, port(80)}
    assert best(lambda: list(nft.seen(None))) < 0.01
    nft.close()


def best(action: Callable[[], object], times: int = 60) -> float:
    """The shortest of several runs, in seconds."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def test_a_change_costs_the_same_at_10_and_at_10_000(nft: Nft) -> None:
    def add_and_remove() -> None:
        nft.change([], [port(80)])
        nft.change([port(80)], [])

    nft.load(PLAIN, [port(number) for number in range(1000, 1010)])
    few = best(add_and_remove)
    nft.change([], [port(number) for number in range(2000, 12000)])
    # two changes are some 80 us, of which a miss of the processor's cache in a larger table is a part
    assert best(add_and_remove) < 2 * few + 0.0001


def test_ten_thousand_ports_are_one_element(nft: Nft) -> None:
    made = port_elements(parse_port("20000-29999:20000-29999"), "10.1.0.2", "", None)
    assert len(made) == 1
    nft.load(PLAIN, [port(80)])
    single = best(lambda: (nft.change([], [port(81)]), nft.change([port(81)], [])))
    # the kernel copies a set of ranges for each change (nft_pipapo_commit): more than a hash table's, far less than 10,000
    assert best(lambda: (nft.change([], made), nft.change(made, []))) < 5 * single


def test_without_a_file_left_the_rules_cannot_be_read_and_no_more(unlocked: Nft, host: Host) -> None:
    """libnftables would end this process."""
    unlocked.load(PLAIN, [])
    host.run("nft", "add element inet netrt bridges { br7 }")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            unlocked.seen(None)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert bridge("br7") in set(unlocked.seen(None))
