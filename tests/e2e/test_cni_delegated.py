"""IPAM plugins of somebody else below ours: what they are asked, with what, and what becomes of their errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cni import Cni, Config, bridge, network
from tests.command import Netrt
from tests.host import Host

pytestmark = pytest.mark.root

DIRECTORY = Path("/run/plugins")

IPAM = """\
#!/bin/sh
cat >$0.$CNI_COMMAND.stdin
env >$0.$CNI_COMMAND.environment
echo $CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME >>$0.asked
test -z "$CNI_ARGS" || echo "my-ipam: $CNI_COMMAND" >&2
if test -e $0.$CNI_COMMAND.fails; then echo '{"code": 123, "msg": "out of order"}'; echo why >&2; exit 1; fi
test $CNI_COMMAND != ADD || echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.66.0.9/16"}],
  "dns": {"nameservers": ["192.0.2.7"]}}'
"""


@pytest.fixture
def cni(host: Host, netrt: Netrt) -> Cni:
    DIRECTORY.mkdir()
    made = DIRECTORY / "my-ipam"
    made.write_text(IPAM)
    made.chmod(0o755)
    cni = Cni(host, netrt=netrt)
    cni.path = f"/run/nothing::relative:{cni.path}:{DIRECTORY}"
    cni.container("c1")
    return cni


LAN = network(bridge(ipam={"type": "my-ipam", "mine": [1, {"x": None}]}))


def request(previous: Config | None = None, **more: Any) -> Config:
    return Cni.request(LAN, LAN["plugins"][0], {}, previous) | more


def asked() -> list[str]:
    file = DIRECTORY / "my-ipam.asked"
    found = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return found


def failing(verb: str) -> None:
    (DIRECTORY / f"my-ipam.{verb}.fails").touch()


def test_they_get_what_we_got(cni: Cni) -> None:
    made = cni.execute("ADD", request(), args="IgnoreUnknown=1;FOO=bar").result
    assert made["ips"] == [{"address": "10.66.0.9/16", "gateway": "10.66.0.1", "interface": 2}]
    assert made["dns"] == {"nameservers": ["192.0.2.7"]}
    assert json.loads((DIRECTORY / "my-ipam.ADD.stdin").read_text()) == request()
    environment = dict(
        line.split("=", 1) for line in (DIRECTORY / "my-ipam.ADD.environment").read_text().splitlines() if "=" in line
    )
    assert {name: value for name, value in environment.items() if name.startswith("CNI_")} == {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "c1",
        "CNI_NETNS": "/run/netns/c1",
        "CNI_IFNAME": "eth0",
        "CNI_ARGS": "IgnoreUnknown=1;FOO=bar",
        "CNI_PATH": cni.path,
    }


def test_what_they_complain_of_is_passed_on(cni: Cni) -> None:
    first = cni.execute("ADD", request(), args="IgnoreUnknown=1;FOO=bar")
    assert first.result["ips"]
    assert first.errors.endswith("my-ipam: ADD\n"), "by the program that starts the daemon"
    assert cni.execute("DEL", request(), args="IgnoreUnknown=1;FOO=bar").errors == "my-ipam: DEL\n"
    failing("ADD")
    refused = cni.execute("ADD", request(), args="IgnoreUnknown=1;FOO=bar")
    assert refused.error["msg"].endswith("out of order")
    assert refused.errors == "my-ipam: ADD\nwhy\nmy-ipam: DEL\n"


def test_status_and_gc_reach_delegated_plugins(cni: Cni, netrt: Netrt) -> None:
    made = cni.execute("ADD", request()).result
    cni.container("c2")
    assert asked() == ["ADD c1 eth0"]
    alone = {"container": "", "netns": "", "ifname": ""}
    assert cni.execute("STATUS", request(), **alone).status == 0
    assert asked() == ["STATUS"]
    failing("STATUS")
    assert cni.execute("STATUS", request(), **alone).error["code"] == 123
    failing("GC")
    asked()
    error = cni.execute("GC", request(**{"cni.dev/valid-attachments": []}), **alone).error
    assert error["code"] == 123, "after everything was done"
    assert asked() == ["DEL c1 eth0", "GC"]
    assert "c1" not in netrt.names()
    failing("ADD")
    error = cni.execute("ADD", request(), container="c2", netns="/run/netns/c2").error
    assert error["code"] == 123
    assert "my-ipam" in error["msg"]
    assert "out of order" in error["msg"]
    assert asked() == ["ADD c2 eth0", "DEL c2 eth0"]
    assert "eth0" not in cni.host.run("ip", "-n", "c2", "link").stdout
    assert made["cniVersion"] == "1.1.0"


def test_errors_of_check_and_del_are_passed_on(cni: Cni, netrt: Netrt) -> None:
    made = cni.execute("ADD", request()).result
    failing("CHECK")
    failing("DEL")
    assert cni.execute("CHECK", request(made)).error["code"] == 123
    assert cni.execute("DEL", request(made)).error["code"] == 123
    assert "c1" not in netrt.names(), "what is ours is gone"
    (DIRECTORY / "my-ipam.DEL.fails").unlink()
    assert cni.execute("DEL", request(made)).status == 0
    assert asked()[-1] == "DEL c1 eth0"


@pytest.mark.parametrize(
    "printed", ["", "{", "[]", '{"ips": []}', '{"ips": [{"address": "x"}]}', '{"cniVersion": "9.9.9"}', '{"ips": 7}']
)
def test_an_answer_that_is_none(cni: Cni, netrt: Netrt, printed: str) -> None:
    (DIRECTORY / "my-ipam").write_text(f"#!/bin/sh\ncat >/dev/null\ntest $CNI_COMMAND != ADD || echo '{printed}'\n")
    error = cni.execute("ADD", request()).error
    assert error["code"] in (1, 6, 7)
    assert "my-ipam" in error["msg"]
    assert "c1" not in netrt.names()
    assert "mynet" not in netrt("network", "ls")
