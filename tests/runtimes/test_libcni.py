"""libcni, the reference library that runtimes use, driven by a few lines of Go: it validates, adds, checks and deletes lists of
our plugins, and keeps the results between."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cni import PLUGINS, PORTMAP, Cni, Config, bridge, network, port
from tests.e2e.conftest import HOST4, OUTSIDE4
from tests.host import Host
from tests.runtimes.conftest import needed
from tests.snapshot import differences, snapshot
from tests.traffic import Place, seen

pytestmark = pytest.mark.root

SOURCES = Path("/usr/share/gocode/src/github.com/containernetworking/cni/libcni")
LIST = Path("/run/list.conflist")


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built once."""
    needed("go", *(() if SOURCES.exists() else ("golang-github-appc-cni-dev",)))
    made = tmp_path_factory.mktemp("libcni")
    building = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(made / "cache"), "GOFLAGS": ""}
    source = Path(__file__).with_name("libcni.go")
    done = subprocess.run(
        ["go", "build", "-o", made / "driver", source],
        env={**os.environ, **building}, capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return made / "driver"


class Library:
    """The driver, on a host."""

    def __init__(self, driver: Path, config: Config, capabilities: dict[str, Any]) -> None:
        self.driver = driver
        self.capabilities = capabilities
        LIST.write_text(json.dumps(config))

    def __call__(self, verb: str, name: str = "c1") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "CNI_PATH": PLUGINS, "CAP_ARGS": json.dumps(self.capabilities)}
        words = [str(self.driver), verb, str(LIST), name, f"/run/netns/{name}", "eth0"]
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0"])
def test_a_list_added_checked_and_deleted(driver: Path, runtime_host: Host, version: str) -> None:
    host, cni = runtime_host, Cni(runtime_host)
    plugins = (bridge(), PORTMAP, {"type": "netrt-bandwidth", "capabilities": {"bandwidth": True}},
               {"type": "netrt-firewall", "ingressPolicy": "same-bridge"}, {"type": "netrt-tuning", "mtu": 1400})  # fmt: skip
    library = Library(driver, network(*plugins, version=version), {})
    assert not library("VALIDATE").stderr
    other, one = cni.container("c0"), cni.container("c1")
    assert library("ADD", other.name).returncode == 0
    before = snapshot(host)
    limits = {"ingressRate": 10**8, "ingressBurst": 10**7}
    library.capabilities = {"portMappings": [port(8080, 80)], "bandwidth": limits}
    done = library("ADD")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["ips"][0]["address"] == "10.22.0.3/16"
    with one.tcp(80) as server:
        assert seen(Place(host, "/run/netns/outside"), HOST4, 8080, server) == OUTSIDE4
    if version >= "0.4.0":
        assert not library("CHECK").stderr
        # what is only gone comes back by itself
        host.run("ip", "-n", "c1", "route", "replace", "default", "via", "10.22.0.2")
        assert "route 0.0.0.0/0" in library("CHECK").stderr
    assert "already" in library("ADD").stderr
    for _ in range(2):
        assert library("DEL").returncode == 0
    assert not differences(before, snapshot(host))
