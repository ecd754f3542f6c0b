"""What people write after `-p`, read and refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netrt.errors import Invalid
from netrt.model.port import PROTOCOLS, PortMapping, addresses_meet, parse_port

HOST_IPS = ("", "0.0.0.0", "127.0.0.1", "192.0.2.1", "::", "::1", "2001:db8::1")


@st.composite
def mappings(draw: st.DrawFn, *, free: bool = False) -> PortMapping:
    count = draw(st.sampled_from((1, 1, 2, 11, 10_000)))
    place = st.integers(1, 65536 - count)
    return PortMapping(
        protocol=draw(st.sampled_from(PROTOCOLS)),
        container_port=draw(place),
        host_port=0 if free else draw(place),
        host_ip=draw(st.sampled_from(HOST_IPS)),
        count=count,
    )


def written(mapping: PortMapping, protocol: bool) -> str:
    def span(first: int) -> str:
        return str(first) if mapping.count == 1 else f"{first}-{first + mapping.count - 1}"

    ip = f"[{mapping.host_ip}]:" if ":" in mapping.host_ip else mapping.host_ip and f"{mapping.host_ip}:"
    host = "" if not mapping.host_port else span(mapping.host_port)
    middle = f"{host}:" if host or ip else ""
    return f"{ip}{middle}{span(mapping.container_port)}" + (f"/{mapping.protocol}" if protocol else "")


@given(mappings(), st.booleans())
def test_what_is_written_is_read(mapping: PortMapping, protocol: bool) -> None:
    text = written(mapping, protocol or mapping.protocol != "tcp")
    assert parse_port(text) == mapping


@given(mappings(free=True))
def test_a_free_host_port_is_written_by_leaving_it_out(mapping: PortMapping) -> None:
    assert parse_port(written(mapping, True)) == mapping


@given(st.one_of(st.text(max_size=30), st.text("0123456789:-/[].tcpudx", max_size=24)))
def test_any_other_text_is_refused_in_one_line(text: str) -> None:
    try:
        mapping = parse_port(text)
    except Invalid as error:
        refusal = str(error)
        assert "\n" not in refusal
    else:
        assert 1 <= mapping.container_port <= mapping.container_port + mapping.count - 1 <= 65535
        assert mapping.host_port == 0 or mapping.host_last <= 65535


@pytest.mark.parametrize(
    "text",
    ["", ":80", "x", "80/icmp", "80/TCP/", "0", "0:80", "70000", "8080:70000", "80-70", "8080-8081:80", "8080:80-81", "1:2:3:4",
     "127.0.0.1", "127.0.0.1:80:", "300.0.0.1:80:80", "::1:80:80", "[::1]80:80", "[fe80::1%eth0]:80:80", "-80", "80-", " 80",
     "80\n", "8080:80\n", "8080:80/tcp\n", "host:80:80", "٨٠", "80 ; drop"],
)  # fmt: skip
def test_malformed(text: str) -> None:
    with pytest.raises(Invalid):
        parse_port(text)


@given(mappings(), mappings())
def test_overlap_is_what_both_would_bind(one: PortMapping, other: PortMapping) -> None:
    def bound(mapping: PortMapping) -> set[int]:
        return set(range(mapping.host_port, mapping.host_last + 1))

    common = bool(bound(one) & bound(other)) and one.protocol == other.protocol
    assert one.overlaps(other) == (common and addresses_meet(one.host_ip, other.host_ip))
    assert one.overlaps(other) == other.overlaps(one)


@given(st.sampled_from(HOST_IPS), st.sampled_from(HOST_IPS))
def test_host_addresses_meet_as_sockets_would(one: str, other: str) -> None:
    def takes(ip: str) -> set[str]:
        families = {"": ("4", "6"), "0.0.0.0": ("4",), "::": ("6",)}
        concrete = [a for a in HOST_IPS if a not in families]
        return {a for a in concrete if ("6" if ":" in a else "4") in families[ip]} if ip in families else {ip}

    assert addresses_meet(one, other) == bool(takes(one) & takes(other))
