"""The words of requests and answers that need no daemon: flags, moments, ages, names of fields, made-up names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netrt.api.names import generated_name
from netrt.api.schema.ages import age
from netrt.api.schema.body import docker_name
from netrt.api.schema.query import SECOND, filters, flag, matches_labels, moment, nanoseconds, number
from netrt.decide.events import rfc3339
from netrt.errors import Invalid
from netrt.model.names import check_name

NOW = 1_800_000_000 * SECOND


@pytest.mark.parametrize(("attribute", "name"), [
    ("name", "Name"), ("enable_ipv6", "EnableIPv6"), ("ipam", "IPAM"), ("ip_range", "IPRange"), ("cap_add", "CapAdd"),
    ("ipv4_address", "IPv4Address"), ("link_local_ips", "LinkLocalIPs"), ("ipam_config", "IPAMConfig"),
])  # fmt: skip
def test_fields_are_named_as_docker_does(attribute: str, name: str) -> None:
    assert docker_name(attribute) == name


def test_flags() -> None:
    assert [text for text in (None, "", "0", "false", "False", "no", "none", "1", "true", "yes") if flag(text)] == [
        "1",
        "true",
        "yes",
    ]


@given(st.integers(0, 4_000_000_000 * SECOND))
def test_moments_come_back(time: int) -> None:
    assert nanoseconds(rfc3339(time)) == moment("since", rfc3339(time), NOW) == time
    assert moment("since", f"{time // SECOND}.{time % SECOND:09d}", NOW) == time


@pytest.mark.parametrize(("text", "time"), [
    ("90s", NOW - 90 * SECOND), ("1h30m", NOW - 5400 * SECOND), ("0", 0), ("1.5", 3 * SECOND // 2),
    ("1970-01-01T01:00:00+01:00", 0), ("1970-01-01", 0),
])  # fmt: skip
def test_moments(text: str, time: int) -> None:
    assert moment("since", text, NOW) == time


@pytest.mark.parametrize("text", ["", "soon", "1d", "-5", "12:00", "9" * 40, "1h\n"])
def test_no_moments(text: str) -> None:
    with pytest.raises(Invalid, match="is not a time"):
        moment("since", text, NOW)


@pytest.mark.parametrize("text", ["[]", "{", '{"name": "web"}', '{"name": [1]}', '{"name": {"web": "yes"}}', "x" * 100])
def test_no_filters(text: str) -> None:
    with pytest.raises(Invalid, match="parameter filters"):
        filters(text, ("name",))


def test_numbers() -> None:
    assert (number("t", None, 10), number("t", "-1", 10), number("t", "7", 10)) == (10, -1, 7)
    for text in ("x", "1.5", "٣", "9" * 40):
        with pytest.raises(Invalid, match="parameter t="):
            number("t", text, 10)


def test_labels() -> None:
    labels = {"a": "1", "b": "", "c": "x=y"}
    assert matches_labels(["a", "a=1", "b=", "c=x=y"], labels)
    assert not matches_labels(["a=2"], labels)
    assert not matches_labels(["d"], labels)


@pytest.mark.parametrize(("seconds", "words"), [
    (0, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (120, "2 minutes"),
    (3600, "About an hour"), (7200, "2 hours"), (47 * 3600, "47 hours"), (48 * 3600, "2 days"), (14 * 86400, "2 weeks"),
    (60 * 86400, "2 months"), (730 * 86400, "2 years"), (-5, "Less than a second"),
])  # fmt: skip
def test_ages(seconds: int, words: str) -> None:
    assert age(rfc3339(NOW), NOW + seconds * SECOND) == words


def test_made_up_names_are_names() -> None:
    for _ in range(100):
        check_name("container name", generated_name())
