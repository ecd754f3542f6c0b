"""What a container's resolv.conf says, from the host's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netrt.errors import Invalid
from netrt.launch.resolver import Wishes, check_search, host_resolv_conf, nameservers, resolv_conf

HOST = """\
# a comment
nameserver 192.0.2.53
nameserver   127.0.0.1
nameserver fe80::1%eth0
nameserver 2001:db8::53
nameserver not-an-address
search old.example
search example.com corp.example
options ndots:2 edns0 bad;option
sortlist 192.0.2.0
"""


def lines(text: str, word: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(word)]


def test_resolvers_that_a_container_can_reach_are_kept() -> None:
    text = resolv_conf(HOST)
    assert nameservers(text) == ["192.0.2.53", "2001:db8::53"]
    assert lines(text, "search") == ["search example.com corp.example"]
    assert lines(text, "options") == ["options ndots:2 edns0"]
    assert "sortlist" not in text


def test_who_shares_the_hosts_network_keeps_its_loopback() -> None:
    assert nameservers(resolv_conf(HOST, shares_host=True))[:2] == ["192.0.2.53", "127.0.0.1"]


def test_chosen_resolvers_stand_in_place_of_the_hosts() -> None:
    text = resolv_conf(HOST, Wishes(servers=["127.0.0.1", "2001:db8::1"]))
    assert nameservers(text) == ["127.0.0.1", "2001:db8::1"]
    assert lines(text, "search") == ["search example.com corp.example"]


def test_our_own_server_alone_is_asked_and_first_for_a_name_as_it_is() -> None:
    text = resolv_conf(HOST, Wishes(servers=["192.0.2.9"]), server="127.0.0.11")
    assert nameservers(text) == ["127.0.0.11"]
    assert lines(text, "search") == ["search example.com corp.example"]
    assert lines(text, "options") == ["options ndots:2 edns0"]
    assert lines(resolv_conf("", server="127.0.0.11"), "options") == ["options ndots:0"]


def test_chosen_domains_and_options_stand_in_place_of_the_hosts() -> None:
    text = resolv_conf(HOST, Wishes(search=["a.example", "b"], options=["timeout:1", "rotate"]))
    assert lines(text, "search") == ["search a.example b"]
    assert lines(text, "options") == ["options timeout:1 rotate"]
    assert lines(resolv_conf(HOST, Wishes(search=["."])), "search") == []


def test_no_resolver_is_said_in_a_comment() -> None:
    text = resolv_conf("nameserver 127.0.0.53\n")
    assert "nameserver" not in text
    assert "--dns" in text


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("nameserver 127.0.0.53\n", "nameserver 192.0.2.7\n"),
        ("nameserver 127.0.0.53\nnameserver 192.0.2.1\n", None),
        ("nameserver 127.0.0.1\n", None),
    ],
)
def test_stub_of_systemd_is_looked_behind(tmp_path: Path, host: str, expected: str | None) -> None:
    own, systemd = tmp_path / "resolv.conf", tmp_path / "systemd.conf"
    own.write_text(host)
    systemd.write_text("nameserver 192.0.2.7\n")
    assert host_resolv_conf(str(own), str(systemd)) == (expected or host)
    systemd.unlink()
    assert host_resolv_conf(str(own), str(systemd)) == host


def test_no_file_is_an_empty_one(tmp_path: Path) -> None:
    assert host_resolv_conf(str(tmp_path / "none"), str(tmp_path / "none")) == ""


@pytest.mark.parametrize("text", [".\nnameserver 192.0.2.66", ".x", "..", "a\n", "-a", "a b", "", "a" * 254])
def test_no_more_than_a_search_domain(text: str) -> None:
    with pytest.raises(Invalid):
        check_search(text)


WORDS = st.sampled_from(
    ["nameserver", "search", "options", "domain", "192.0.2.1", "::1", "fe80::1%x", "a.b", "\n", "\t", " "]
)


@given(st.lists(st.one_of(WORDS, st.text(max_size=5))).map("".join), st.lists(st.text(max_size=8)), st.booleans())
def test_whatever_the_host_has_becomes_a_proper_file(host: str, dns: list[str], shares: bool) -> None:
    for line in resolv_conf(host, Wishes(servers=dns, search=dns, options=dns), shares_host=shares).splitlines():
        assert line.isascii()
        assert line.split(" ")[0] in ("#", "nameserver", "search", "options")
        assert line.isprintable()
