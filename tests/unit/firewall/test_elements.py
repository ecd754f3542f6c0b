"""What exists, as elements: each rule of translation, and laws over random mappings."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netrt.dataplane.objects import PUBLISHING_SETS, Element
from netrt.errors import Invalid
from netrt.firewall.elements import attachment_elements, crossing_elements, network_elements, port_elements
from netrt.firewall.render import render_change, render_whole
from netrt.firewall.sets import SETS, expression, key_expression
from netrt.firewall.skeleton import rules_of, skeleton
from netrt.model.address import link_local
from netrt.model.container import Attachment
from netrt.model.network import Mode, Network, Subnet
from netrt.model.port import PROTOCOLS, PortMapping, parse_port

WEB4, WEB6 = "10.1.0.2", "fd00:1::2"


def network(internal: bool = False, ipv6: bool = True, **options: str) -> Network:
    subnets = [Subnet(cidr="10.1.0.0/24", gateway="10.1.0.1")]
    subnets += [Subnet(cidr="fd00:1::/64", gateway="fd00:1::1")] if ipv6 else []
    names = {"icc": "bridge.enable_icc", "masquerade": "bridge.enable_ip_masquerade"}
    names |= {f"mode{version}": f"bridge.gateway_mode_ipv{version}" for version in (4, 6)}
    return Network(
        id="1" * 64,
        name="lan",
        mode=Mode.BRIDGE,
        created="",
        subnets=tuple(subnets),
        ipv6=ipv6,
        internal=internal,
        options={f"com.docker.network.{names[key]}" if key in names else key: text for key, text in options.items()},
    )


def sets_of(made: Network) -> dict[str, tuple[str, ...]]:
    return {element.set: element.at for element in network_elements(made, "br1")}


def test_a_usual_network() -> None:
    assert sets_of(network()) == {
        "bridges": ("br1",),
        "pairs": ("br1", "br1"),
        "icc": ("br1", "br1"),
        "masquerade4": ("br1",),
        "masquerade6": ("br1",),
        "gateways4": ("10.1.0.1",),
        "gateways6": ("fd00:1::1",),
        "gateway_of4": ("br1",),
        "gateway_of6": ("br1",),
    }


def test_what_options_change() -> None:
    usual = set(sets_of(network()))
    assert usual ^ set(sets_of(network(icc="false"))) == {"icc"}
    assert usual ^ set(sets_of(network(masquerade="false"))) == {"masquerade4", "masquerade6"}
    assert usual ^ set(sets_of(network(host_access="true"))) == {"host_access"}
    assert usual ^ set(sets_of(network(mode4="routed"))) == {"masquerade4", "gateways4", "routed4"}
    assert usual ^ set(sets_of(network(mode6="isolated"))) == {"masquerade6", "gateways6", "gateway_of6", "isolated6"}
    assert usual ^ set(sets_of(network(ipv6=False))) == {"masquerade6", "gateways6", "gateway_of6", "isolated6"}
    assert set(sets_of(network(internal=True))) == {"bridges", "pairs", "icc", "isolated4", "isolated6"}


def test_a_port_bound_to_its_container() -> None:
    mac = "02:42:0a:01:00:02"
    attachment = Attachment(
        container_id="c",
        network_id="1" * 64,
        ifname="eth0",
        link="nrabc",
        mac=mac,
        order=1,
        address4=f"{WEB4}/24",
        address6=f"{WEB6}/64",
    )
    bound = {(e.table, e.set, *e.at) for e in attachment_elements(network(), attachment)}
    assert bound == {
        ("inet", "links", "nrabc"),
        ("bridge", "links", "nrabc"),
        ("bridge", "sources4", "nrabc", mac, WEB4),
        ("bridge", "sources6", "nrabc", mac, WEB6),
        ("bridge", "sources6", "nrabc", mac, link_local(mac)),
        ("bridge", "sources6", "nrabc", mac, "::"),
        ("bridge", "targets6", "nrabc", WEB6),
        ("bridge", "targets6", "nrabc", link_local(mac)),
    }


TO4, TO6 = (WEB4, "80"), (WEB6, "80")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("8080:80", {("ports4", "tcp", "8080"): TO4, ("ports6", "tcp", "8080"): TO6}),
        ("8080:80/udp", {("ports4", "udp", "8080"): TO4, ("ports6", "udp", "8080"): TO6}),
        ("127.0.0.1:8080:80", {("ports4_at", "127.0.0.1", "tcp", "8080"): TO4}),
        ("[::1]:8080:80/sctp", {("ports6_at", "::1", "sctp", "8080"): TO6}),
        ("[2001:DB8:0::1]:8080:80", {("ports6_at", "2001:db8::1", "tcp", "8080"): TO6}),
        ("0.0.0.0:8080:80", {("ports4", "tcp", "8080"): TO4}),
        ("[::]:8080:80", {("ports6", "tcp", "8080"): TO6}),
        (
            "8000-8999:8000-8999",
            {
                ("ranges4", "0.0.0.0/0", "tcp", "8000-8999"): (WEB4,),
                ("ranges6", "::/0", "tcp", "8000-8999"): (WEB6,),
            },
        ),
        ("192.0.2.1:80-81:80-81/udp", {("ranges4", "192.0.2.1", "udp", "80-81"): (WEB4,)}),
        (
            "127.0.0.1:8080-8081:80-81",
            {
                ("ports4_at", "127.0.0.1", "tcp", "8080"): TO4,
                ("ports4_at", "127.0.0.1", "tcp", "8081"): (WEB4, "81"),
            },
        ),
    ],
)
def test_a_mapping(spec: str, expected: dict[tuple[str, ...], tuple[str, ...]]) -> None:
    made = port_elements(parse_port(spec), WEB4, WEB6, None)
    assert {(e.set, *e.at): e.value for e in made} == expected
    assert {e.set for e in made} <= PUBLISHING_SETS


def test_the_networks_binding_address() -> None:
    """Docker's rule: one of IPv4 other than 0.0.0.0 closes IPv6 for mappings that name no address."""

    def at(spec: str, binding: str) -> set[tuple[str, ...]]:
        return {e.at for e in port_elements(parse_port(spec), WEB4, WEB6, binding)}

    assert at("8080:80", "127.0.0.1") == {("127.0.0.1", "tcp", "8080")}
    assert at("8080:80", "0.0.0.0") == {("tcp", "8080")}
    assert len(port_elements(parse_port("8080:80"), WEB4, WEB6, "0.0.0.0")) == 2
    assert at("192.0.2.1:8080:80", "127.0.0.1") == {("192.0.2.1", "tcp", "8080")}
    assert at("[::]:8080:80", "127.0.0.1") == {("tcp", "8080")}


def test_a_family_that_the_container_lacks() -> None:
    assert {e.set for e in port_elements(parse_port("8080:80"), WEB4, "", None)} == {"ports4"}
    assert {e.set for e in port_elements(parse_port("8080:80"), "", WEB6, None)} == {"ports6"}
    assert not port_elements(parse_port("[::1]:8080:80"), WEB4, "", None)
    assert not port_elements(parse_port("8080:80"), "", "", None)


def test_a_container_on_further_networks() -> None:
    found = {(e.set, *e.at) for to in (WEB4, WEB6) for e in crossing_elements(to, ["br2", "br3"])}
    assert found == {(f"also_on{v}", to, br) for v, to in ((4, WEB4), (6, WEB6)) for br in ("br2", "br3")}


ports = st.integers(1, 65535)


@st.composite
def mappings(draw: st.DrawFn) -> PortMapping:
    host_port, container_port = draw(ports), draw(ports)
    most = min(65536 - host_port, 65536 - container_port, 40)
    return PortMapping(
        protocol=draw(st.sampled_from(PROTOCOLS)),
        container_port=container_port,
        host_port=draw(st.sampled_from((host_port, container_port))) if container_port + most <= 65536 else host_port,
        host_ip=draw(st.sampled_from(("", "0.0.0.0", "::", "127.0.0.1", "::1", "192.0.2.1", "2001:db8::1"))),
        count=draw(st.integers(1, most)),
    )


def led(element: Element, version: int) -> set[tuple[str, str, int, str, int]]:
    """The host address, protocol and port that an element catches, and where each is led."""
    anywhere = "0.0.0.0" if version == 4 else "::"
    *ip, protocol, text = element.at
    first, _, last = text.partition("-")
    host_ip = str(ipaddress.ip_network(ip[0]).network_address) if ip else anywhere
    if "-" in text:
        return {(host_ip, protocol, port, element.value[0], port) for port in range(int(first), int(last) + 1)}
    return {(host_ip, protocol, int(text), element.value[0], int(element.value[1]))}


@given(mappings())
def test_each_port_is_led_where_the_mapping_says(mapping: PortMapping) -> None:
    made = port_elements(mapping, WEB4, WEB6, None)
    for version, address, anywhere in ((4, WEB4, "0.0.0.0"), (6, WEB6, "::")):
        here = not mapping.host_ip or (":" in mapping.host_ip) == (version == 6)
        wanted = {
            (mapping.host_ip or anywhere, mapping.protocol, mapping.host_port + n, address, mapping.container_port + n)
            for n in range(mapping.count if here else 0)
        }
        got = [led(e, version) for e in made if e.set.removesuffix("_at").endswith(str(version))]
        assert set().union(*got) == wanted
        assert sum(map(len, got)) == len(wanted)
    if mapping.host_port == mapping.container_port:
        assert len(made) <= 2


hostile = st.text(st.characters(codec="ascii")) | st.sampled_from(
    ('a" }; flush ruleset; #', "a b", "1;2", "::1}", "\n")
)


@given(st.sampled_from(sorted(SETS)), st.data())
def test_nothing_unchecked_becomes_nft_text(name: tuple[str, str], data: st.DataObject) -> None:
    """Whatever stands in an element, its text is a row of words that cannot end the element."""
    kind = SETS[name]
    element = Element(
        table=kind.table,
        set=kind.name,
        at=tuple(data.draw(hostile) for _ in kind.key),
        value=tuple(data.draw(hostile) for _ in kind.value),
    )
    try:
        texts = expression(element), key_expression(element)
    except Invalid:
        return
    for text in texts:
        assert not set(text) & set("{};\n\\#")
        assert text.count('"') % 2 == 0


def test_the_seal_is_a_hash_and_a_count() -> None:
    one, other = skeleton(frozenset()), skeleton(frozenset({4}))
    assert one.seal != other.seal
    assert f'comment "{one.seal}"' in one.text
    assert rules_of(other) > rules_of(one) > 0
    assert skeleton(frozenset()) == one


def test_a_change_takes_out_first() -> None:
    old, new = (port_elements(parse_port(spec), WEB4, "", None) for spec in ("8080:80", "8080:81"))
    assert render_change(old, new) == (
        "delete element inet netrt ports4 { 6 . 8080 }; add element inet netrt ports4 { 6 . 8080 : 10.1.0.2 . 81 }\n"
    )
    assert render_change((), ()) == ""
    assert render_whole(skeleton(frozenset()), new).endswith(render_change((), new))
