"""No name that a person gives passes with a character that could mean something to nft, a path, resolv.conf or hosts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netrt.errors import Invalid
from netrt.model.names import check_hostname, check_ifname, check_label, check_name, is_name, link_name

CHECKS: dict[str, Callable[[str], object]] = {
    "network name": lambda name: check_name("network name", name),
    "container name": lambda name: check_name("container name", name),
    "hostname": check_hostname,
    "interface name": check_ifname,
    "label": lambda key: check_label(key, ""),
}
BAD = [
    "",
    "a/b",
    "../x",
    "a'b",
    'a"b',
    "a\nb",
    "a\n",
    "\n",
    "x" * 300,
    "-a",
    ".a",
    "a b",
    "a;b",
    "a{b",
    "a\0b",
    "ä",
    "a=b",
]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("kind", ["network name", "container name", "hostname", "interface name"])
def test_refused_in_one_short_line(kind: str, bad: str) -> None:
    with pytest.raises(Invalid, match=rf"invalid {kind}") as refusal:
        CHECKS[kind](bad)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("bad", ["a..b", "a.", "a-", "a-.b", "a.-b", "a...", "a.b-"])
@pytest.mark.parametrize("kind", ["network name", "container name", "hostname"])
def test_what_no_label_of_dns_can_be_is_refused(kind: str, bad: str) -> None:
    with pytest.raises(Invalid, match=rf"invalid {kind}"):
        CHECKS[kind](bad)


@pytest.mark.parametrize("good", ["a", "9", "a-b", "a--b.c", "web.example", "0.0", "x" * 63])
@pytest.mark.parametrize("kind", ["network name", "container name", "hostname"])
def test_what_may_be_looked_up_passes(kind: str, good: str) -> None:
    assert CHECKS[kind](good) == good
    assert is_name(good)


def test_docker_s_underscore_passes() -> None:
    for name in ("my_app", "a_", "a._b", "a__b"):
        assert check_name("container name", name) == name


@given(st.text("a-._", max_size=400))
def test_checking_takes_no_time(text: str) -> None:
    """No text makes the pattern go back and forth."""
    start = time.process_time()
    is_name("a" + text)
    is_name("a" + text * 20)
    assert time.process_time() - start < 0.1


@pytest.mark.parametrize("bad", ["", "a\nb", "a\0b", "x" * 300, "a=b"])
def test_labels_are_freer_but_one_line(bad: str) -> None:
    with pytest.raises(Invalid, match="invalid label"):
        check_label(bad, "")


@pytest.mark.parametrize("value", ["x" * 4097, "a\0b"])
def test_values_of_labels(value: str) -> None:
    with pytest.raises(Invalid, match="invalid value of label"):
        check_label("tier", value)


@given(st.sampled_from(sorted(CHECKS.keys() - {"label"})), st.text(max_size=70))
def test_what_passes_is_plain(kind: str, text: str) -> None:
    try:
        CHECKS[kind](text)
    except Invalid:
        return
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}", text)


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=3, unique=True))
def test_link_names_fit_the_kernel_and_keep_keys_apart(key: list[str]) -> None:
    name = link_name(*key)
    assert re.fullmatch(r"nr[a-z2-7]{10}", name)
    assert name == link_name(*key)
    assert name != link_name(*key, "x")
