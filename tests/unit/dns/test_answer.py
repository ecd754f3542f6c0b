"""What a container gets when it asks for a name."""

from __future__ import annotations

import ipaddress

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from netrt.dns.answer import Reply, cache_key
from netrt.dns.forward import Forward
from tests.unit.dns.asking import APP_ONLY, BOTH, INSIDE, MANY, UPSTREAMS, ask, outcome, query, reply


def test_names_with_and_without_domain_and_last_dot_in_any_case() -> None:
    for name in ("web", "web.", "WEB", "web.app", "Web.APP.", "wEb.app"):
        assert ask(name) == ["10.1.0.2"], name
        assert ask(name, "AAAA") == ["fd00:1::2"], name
    assert ask("my_app.v2") == ask("my_app.v2.app") == ["10.1.0.5"]


def test_the_question_comes_back_as_it_was_asked() -> None:
    found = outcome(query("wEb.aPP", "A"))
    assert isinstance(found, Reply)
    assert b"\x03wEb\x03aPP\x00" in found.wire
    assert dns.message.from_wire(found.wire).answer[0].name.to_text() == "wEb.aPP."


def test_all_networks_of_the_sandbox_are_searched_and_no_other() -> None:
    assert ask("web", view=BOTH) == ["10.1.0.2", "10.2.0.2"]
    assert ask("web.app", view=BOTH) == ["10.1.0.2"]
    assert ask("web.back.lan", view=BOTH) == ["10.2.0.2"]
    assert ask("store", view=BOTH) == ["10.2.0.3"]
    assert ask("store") == ask("web.back.lan") == ["forwarded"]
    assert ask("store", view=INSIDE) == ask("web.back.lan", view=INSIDE) == ["REFUSED"]


@pytest.mark.parametrize(
    "rdtype", ["AAAA", "MX", "TXT", "SRV", "PTR", "CNAME", "NS", "SOA", "DS", "HTTPS", "TYPE65280"]
)
def test_a_known_name_without_that_type_has_no_data(rdtype: str) -> None:
    message = reply(query("db", rdtype))
    assert message.rcode() == dns.rcode.NOERROR
    assert not message.answer
    assert message.authority[0].ttl == message.authority[0][0].minimum == 5


def test_what_is_not_known_below_the_domain_does_not_exist() -> None:
    message = reply(query("nobody.app"))
    assert message.rcode() == dns.rcode.NXDOMAIN
    assert message.authority[0].to_text() == "app. 5 IN SOA app. app. 1 3600 600 86400 5"
    assert ask("x.web.app") == ["NXDOMAIN"]
    assert ask("nobody.back.lan", view=BOTH) == ["NXDOMAIN"]


def test_the_domain_itself_is_there_and_is_asked_of_nobody() -> None:
    assert ask("app") == []
    assert ask("app", "SOA") == ["app. app. 1 3600 600 86400 5"]
    assert ask("lan", view=BOTH) == ["forwarded"]


def test_a_domain_ends_at_a_dot() -> None:
    assert ask("webapp") == ask("example.myapp") == ask("app.example") == ["forwarded"]


def test_a_dot_inside_of_a_label_is_none_between_labels() -> None:
    assert ask("my_app\\.v2") == ["forwarded"]
    assert ask("web\\.app") == ["forwarded"]


def test_unknown_names_are_forwarded() -> None:
    for name in ("example.com", "nobody", "."):
        found = outcome(query(name))
        assert isinstance(found, Forward)
        assert found.upstreams == UPSTREAMS
        assert outcome(query(name), INSIDE) is not None
        assert reply(query(name), INSIDE).rcode() == dns.rcode.REFUSED


def test_addresses_take_turns() -> None:
    orders = [ask("www", spread=spread) for spread in range(6)]
    assert sorted(order[0] for order in orders[:3]) == ["10.1.0.2", "10.1.0.3", "10.1.0.4"]
    assert orders[:3] == orders[3:]
    assert all(sorted(order) == sorted(orders[0]) for order in orders)
    found = outcome(query("www"))
    assert isinstance(found, Reply)
    assert found.turns == 3
    assert ask("www", spread=10**30)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2.0.1.10.in-addr.arpa", ["web.app."]),
        ("2.0.1.10.IN-ADDR.ARPA.", ["web.app."]),
        ("2." + "0." * 23 + "1.0.0.0.0.0.d.f.ip6.arpa", ["web.app."]),
        ("2." + "0." * 22 + "1.0.0.0.0.0.d.f.ip6.arpa", ["forwarded"]),
        ("5.0.1.10.in-addr.arpa", ["my_app.v2.app."]),
        ("9.0.1.10.in-addr.arpa", ["NXDOMAIN"]),
        ("3.0.2.10.in-addr.arpa", ["forwarded"]),
        ("8.8.8.8.in-addr.arpa", ["forwarded"]),
        ("2.0.1.010.in-addr.arpa", ["forwarded"]),
        ("999.0.1.10.in-addr.arpa", ["forwarded"]),
        ("0.1.10.in-addr.arpa", ["forwarded"]),
        ("1.2.0.1.10.in-addr.arpa", ["forwarded"]),
        ("in-addr.arpa", ["forwarded"]),
        ("g.ip6.arpa", ["forwarded"]),
    ],
)
def test_pointers(name: str, expected: list[str]) -> None:
    assert ask(name, "PTR") == expected


def test_pointers_of_every_address_of_every_visible_network() -> None:
    for address, name in (("10.1.0.2", "web.app."), ("fd00:1::2", "web.app."), ("10.2.0.3", "store.back.lan.")):
        assert ask(ipaddress.ip_address(address).reverse_pointer, "PTR", view=BOTH) == [name]
    assert ask("2.0.1.10.in-addr.arpa", "A") == [], "known, without an address"


def test_services() -> None:
    message = reply(query("_http._tcp.web", "SRV"))
    assert [str(record) for record in message.answer[0]] == ["0 0 80 web.app."]
    assert {rrset.to_text() for rrset in message.additional} == {
        "web.app. 5 IN A 10.1.0.2",
        "web.app. 5 IN AAAA fd00:1::2",
    }
    assert sorted(ask("_http._tcp.www.app", "SRV")) == ["0 0 80 db.app.", "0 0 80 web.app."]
    assert ask("_HTTP._tcp.www", "SRV", spread=0) != ask("_http._tcp.www", "SRV", spread=1)
    assert ask("_ssh._tcp.gone", "SRV") == ["0 0 22 gone.app."], "even where the target has no address"


def test_services_that_a_host_does_not_have_are_asked_of_nobody() -> None:
    assert ask("_ssh._tcp.web", "SRV") == ask("_ssh._tcp.web.app", "SRV") == ["NXDOMAIN"]
    assert ask("_tcp.web", "SRV") == ask("_tcp.web.app", "SRV") == [], "services may be below it"
    assert ask("_http._tcp.web", "A") == []
    assert ask("_http._tcp.example.com", "SRV") == ask("_tcp.com", "SRV") == ["forwarded"]


def test_any_gets_a_little() -> None:
    assert ask("web", "ANY") == ask("crowd", "ANY") == ['"RFC8482" ""']
    assert ask("nobody.app", "ANY") == ["NXDOMAIN"]
    assert ask("example.com", "ANY") == ["forwarded"]


def test_flags() -> None:
    asked = query("web")
    asked.flags |= dns.flags.CD | dns.flags.AD | 0x40
    asked.flags &= ~dns.flags.RD
    assert reply(asked).flags == dns.flags.QR | dns.flags.AA | dns.flags.CD | dns.flags.RA
    assert reply(query("web")).flags == dns.flags.QR | dns.flags.AA | dns.flags.RD | dns.flags.RA
    assert reply(query("web"), INSIDE).flags == dns.flags.QR | dns.flags.AA | dns.flags.RD
    assert reply(query("example.com"), INSIDE).flags & 0xFFF0 == dns.flags.QR | dns.flags.RD


def test_edns_is_answered_by_edns_and_not_else() -> None:
    assert reply(query("web")).edns == -1
    message = reply(query("web", size=4096, want_dnssec=True))
    assert (message.edns, message.payload, message.ednsflags) == (0, 1232, dns.flags.DO)
    assert not message.options
    cookie = query("web", size=1232, options=[dns.edns.GenericOption(10, b"12345678")])
    assert not reply(cookie).options


def test_edns_of_later_versions() -> None:
    asked = query("web", use_edns=1)
    message = reply(asked)
    assert (message.rcode(), message.edns, message.answer) == (dns.rcode.BADVERS, 0, [])


@pytest.mark.parametrize("size", [None, 0, 511, 512, 513, 600, 700, 1231, 1232, 1233, 4096, 65535])
def test_datagrams_keep_to_what_the_client_takes(size: int | None) -> None:
    message = reply(query("crowd", size=size))
    room = min(max(512, size or 0), 1232) - 12 - 11 - (11 if size is not None else 0)
    assert message.flags & dns.flags.TC
    assert len(message.answer[0]) == room // 16, "as much as there is room for, for clients that cannot do TCP"
    found = outcome(query("crowd", size=size))
    assert isinstance(found, Reply)
    assert len(found.wire) <= min(max(512, size or 0), 1232)


@pytest.mark.parametrize("size", [None, 512, 4096])
def test_by_tcp_all_of_many_addresses_come(size: int | None) -> None:
    message = reply(query("crowd", size=size), tcp=True)
    assert not message.flags & dns.flags.TC
    assert {str(record) for record in message.answer[0]} == set(MANY)


def test_what_has_room_is_not_truncated() -> None:
    message = reply(query("www"))
    assert not message.flags & dns.flags.TC
    assert reply(query("nobody.app")).flags & dns.flags.TC == 0


def test_longest_names() -> None:
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 57, "app"])
    assert len(dns.name.from_text(longest).to_wire()) == 255
    assert ask(longest) == ["NXDOMAIN"]
    assert ask("x" * 63) == ["forwarded"]


@pytest.mark.parametrize("opcode", [1, 2, 4, 5, 6, 15])
def test_other_opcodes_are_not_implemented(opcode: int) -> None:
    asked = bytearray(query("web", id=0x1234).to_wire())
    asked[2] |= opcode << 3
    found = outcome(bytes(asked))
    assert isinstance(found, Reply)
    assert dns.message.from_wire(found.wire).rcode() == dns.rcode.NOTIMP
    assert found.wire[:2] == b"\x12\x34"
    assert found.wire[2] >> 3 & 15 == opcode


def test_responses_are_answered_by_silence() -> None:
    asked = query("web")
    asked.flags |= dns.flags.QR
    assert outcome(asked) is None


@pytest.mark.parametrize("length", range(12))
def test_what_has_no_header_is_answered_by_silence(length: int) -> None:
    assert outcome(query("web").to_wire()[:length]) is None


@pytest.mark.parametrize("rdclass", ["CH", "HS", "ANY", "NONE", "CLASS77"])
def test_other_classes_are_refused(rdclass: str) -> None:
    assert reply(query("web", rdclass=rdclass)).rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("rdtype", ["AXFR", "IXFR", "TKEY", "TSIG", "OPT"])
@pytest.mark.parametrize("name", ["app", "example.com"])
def test_what_is_no_question_about_a_name_is_refused(name: str, rdtype: str) -> None:
    assert reply(query(name, rdtype)).rcode() == dns.rcode.REFUSED


def test_ready_answers_are_found_by_all_but_the_id() -> None:
    one, other = (query("web", id=number).to_wire() for number in (1, 2))
    assert cache_key(one) == cache_key(other) == one[2:]
    assert cache_key(b"") is None
    assert cache_key(one + bytes(600)) is None
    first, second = outcome(one), outcome(other)
    assert isinstance(first, Reply)
    assert isinstance(second, Reply)
    assert first.reusable
    assert first.wire[2:] == second.wire[2:]


def test_an_answer_says_of_what_it_was_made() -> None:
    def entries(name: str, rdtype: str = "A") -> set[tuple[str, str]]:
        found = outcome(query(name, rdtype), BOTH)
        assert isinstance(found, Reply)
        return set(found.entries)

    assert entries("web") == {("n1", "web"), ("n2", "web")}
    assert entries("web.app") == {("n1", "web"), ("n1", "web.app"), ("n2", "web.app")}
    assert entries("nobody.app") >= {("n1", "nobody")}
    assert entries("2.0.1.10.in-addr.arpa", "PTR") == {("n1", "10.1.0.2"), ("n2", "10.1.0.2")}
    assert entries("_http._tcp.www", "SRV") >= {("n1", "_http._tcp.www"), ("n1", "web"), ("n1", "db")}
    assert entries("_ssh._tcp.web", "SRV") >= {("n1", "_ssh._tcp.web"), ("n1", "web")}
    for asked, expected in (("nobody", {"nobody"}), ("_ssh._tcp.nobody", {"_ssh._tcp.nobody", "nobody"})):
        refused = outcome(query(asked), INSIDE)
        assert isinstance(refused, Reply)
        assert set(refused.entries) == {("n1", name) for name in expected}


def test_a_view_of_networks_that_are_not_there_knows_nothing() -> None:
    assert ask("web", view=type(APP_ONLY)(sandbox="x", networks=("n9",))) == ["REFUSED"]
