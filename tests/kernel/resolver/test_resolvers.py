"""Real resolvers ask: each finds what there is, and all of what a datagram cannot hold as far as it asks by connection, too."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from netrt.dataplane.objects import NamePort
from netrt.dns.zone import ADDRESS, PORT
from netrt.kernel import nameport
from tests.host import Host
from tests.kernel.resolver.lab import APP, Lab
from tests.resolvers import RESOLVERS, resolver

pytestmark = pytest.mark.root

BY_DATAGRAM = 28
"""Addresses at least that fit into the 512 bytes of those who know neither TCP nor EDNS, as musl before 1.2.4."""


@pytest.mark.parametrize("name", RESOLVERS)
def test_they_find_what_there_is(lab: Lab, host: Host, tmp_path: Path, name: str) -> None:
    box = lab.box("box")
    assert box.call(nameport.put, NamePort(netns=box.path, address=ADDRESS, port=PORT)) == 0
    host.run("ip", "-n", "box", "addr", "add", "10.1.0.9/32", "dev", "lo")  # glibc: who has none needs none
    settings = Path("/etc/netns/box")
    settings.mkdir(parents=True)
    (settings / "resolv.conf").write_text(f"nameserver {ADDRESS}\nsearch corp.example\noptions ndots:0\n")
    command = resolver(name, tmp_path)

    def looked_up(what: str) -> subprocess.CompletedProcess[str]:
        return host.run("ip", "netns", "exec", "box", *command, what, check=False)

    assert looked_up("web").stdout.split() == ["10.1.0.2"]
    assert looked_up("WEB.App.").stdout.split() == ["10.1.0.2"]
    assert looked_up("nobody.app.").returncode != 0
    crowd = looked_up("crowd").stdout.split()
    assert set(crowd) <= set(APP.hosts["crowd"])
    assert len(set(crowd)) == len(crowd)
    assert len(crowd) >= (BY_DATAGRAM if name == "musl" else len(APP.hosts["crowd"]))
