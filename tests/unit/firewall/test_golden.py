"""The whole text that nft reads, to be reviewed by eye. `UPDATE_GOLDEN=1 pytest tests/unit/firewall` writes it anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netrt.dataplane.objects import Element
from netrt.firewall.elements import attachment_elements, network_elements, port_elements
from netrt.firewall.render import render_change, render_whole
from netrt.firewall.skeleton import skeleton
from netrt.model.container import Attachment
from netrt.model.network import Mode, Network, Subnet
from netrt.model.port import parse_port

GOLDEN = Path(__file__).parents[2] / "golden" / "nft"


def everything() -> tuple[Element, ...]:
    """A container with ports on a usual network, and an internal network beside it."""
    lan = Network(
        id="1" * 64,
        name="lan",
        mode=Mode.BRIDGE,
        created="",
        subnets=(Subnet(cidr="10.1.0.0/24", gateway="10.1.0.1"), Subnet(cidr="fd00:1::/64", gateway="fd00:1::1")),
        ipv6=True,
    )
    inner = Network(
        id="2" * 64, name="inner", mode=Mode.BRIDGE, created="", subnets=(Subnet(cidr="10.2.0.0/24"),), internal=True
    )
    web = Attachment(
        container_id="3" * 64,
        network_id=lan.id,
        ifname="eth0",
        link="nrabcdefghij",
        mac="02:42:0a:01:00:02",
        order=1,
        address4="10.1.0.2/24",
        address6="fd00:1::2/64",
    )
    specs = ("8080:80", "127.0.0.1:5353:53/udp", "[::1]:5353:53/udp", "9000-9999:9000-9999", "7000-7001:70-71")
    return (
        *network_elements(lan, "nrklmnopqrst"),
        *network_elements(inner, "br-inner"),
        *attachment_elements(lan, web),
        *(e for spec in specs for e in port_elements(parse_port(spec), "10.1.0.2", "fd00:1::2", None)),
    )


TEXTS = {
    "whole": lambda: render_whole(
        skeleton(frozenset()), everything(), ("chain ip6 netrt over_lo", "map inet netrt ports4")
    ),
    "guarded": lambda: skeleton(frozenset({4, 6})).text,
    "change": lambda: render_change(everything()[-2:], everything()[:2]),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text(name: str) -> None:
    path = GOLDEN / f"{name}.nft"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(TEXTS[name]())
    assert path.read_text() == TEXTS[name]()
