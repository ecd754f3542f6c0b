"""The ways in which others' container networks were broken, tried at the doors that netrt has beside the main one: files that are
applied, the OCI hook, `capture` and `debug`, namespaces and bridges of others. Numbers S1 to S25 as in `test_cve`."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_RA, IPv6
from scapy.layers.l2 import Ether

from netrt.model.address import link_local
from netrt.paths import Paths
from tests.command import PROGRAM, Netrt
from tests.e2e.test_bad_input import everything
from tests.e2e.test_capture import begun
from tests.host import Host
from tests.oci import HOOK, Bundle
from tests.snapshot import differences, snapshot
from tests.traffic import Place, Wire, seen

pytestmark = pytest.mark.root

NOBODY = 65534


# names of our own, where everybody may ask


def test_cve_2020_8554_no_door_publishes_at_an_address_of_others(host: Host, netrt: Netrt, tmp_path: Path) -> None:
    """S19: a file, the OCI hook, and a container that runs."""
    netrt("network", "create", "app")
    netrt("container", "create", "--name", "web", "--network", "app")
    before = everything(host)
    file, spec = tmp_path / "site.yaml", "8.8.8.8:53:53/udp"
    file.write_text(f'containers: {{db: {{networks: [app], ports: ["{spec}"]}}}}\n')
    assert "8.8.8.8" in netrt.refused("apply", "-f", str(file))
    assert "8.8.8.8" in netrt.refused("publish", "add", "web", spec)
    assert "8.8.8.8" in Bundle(host, tmp_path, "box", {"networks": "app", "ports": f"8080:80\n{spec}"}).refused()
    assert not differences(before, everything(host))


# files that are applied


def doubled(start: str, use: str) -> str:
    """Nine of the one before, nine times over."""
    names = "abcdefghij"
    rows = [f"x-{new}: &{new} " + use.format(", ".join([f"*{old}"] * 9)) for old, new in pairwise(names)]
    return "\n".join([f"x-a: &a {start}", *rows, ""])


def test_cve_s24_a_file_is_no_bomb_and_no_program(host: Host, netrt: Netrt, tmp_path: Path) -> None:
    """S24: aliases of aliases, variables of variables, depth without end, and YAML's tags that call functions."""
    netrt("network", "ls")
    before = everything(host)
    (tmp_path / ".env").write_text("A=" + "x" * 1_000_000 + "\n")
    many = ", ".join(["$A$A$A$A"] * 5000)
    for text, words in (
        (doubled("[x, x]", "[{}]"), "too many values (at most 50000)"),
        (doubled("{k: v, l: w}", "{{<<: [{}]}}") + "y: 1\n", "y: unknown key"),
        ("a: &a {<<: *a}\n", "unknown key"),
        ("a: &a [*a]\n", "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        (f"services: {{web: {{labels: [{many}]}}}}\n", "too long with its variables"),
        ("containers: {a: !!python/object/apply:os.system ['touch /run/owned']}\n", "names and values are expected"),
    ):
        file = tmp_path / "site.yaml"
        file.write_text(text)
        done = host.run("prlimit", "--as=1500000000", "--cpu=20", PROGRAM, "apply", "-f", str(file), check=False)
        assert done.returncode == 1, done.stderr
        assert words in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not Path("/run/owned").exists()
    assert not differences(before, everything(host))


# the OCI hook


def test_cve_s24_a_bundle_is_not_waited_for_and_writes_no_lines(host: Host, netrt: Netrt, tmp_path: Path) -> None:
    """S24: what a bundle says is one line of text wherever it is said; and its configuration is a file (S25)."""
    netrt("network", "create", "app")
    before = snapshot(host)
    box = Bundle(host, tmp_path, "box", {"networks": "app", "name": "a\nb"})
    assert r"'a\nb'" in box.refused()
    evil = "x\n2026-01-01 INFO netrtd: all is well\x1b[2J"
    said = box.refused(box.state(id=evil))
    assert "\x1b" not in said
    log = Path(Paths().daemon_log).read_text()
    assert "x\\n2026-01-01 INFO netrtd: all is well\\x1b[2J" in log
    assert "\x1b" not in log
    config = box.directory / "config.json"
    config.rename(box.directory / "old")
    for kind in ("fifo", "directory", "device"):
        if kind == "fifo":
            os.mkfifo(config)
        elif kind == "directory":
            config.mkdir()
        else:
            config.symlink_to("/dev/zero")
        done = host.run("timeout", "20", HOOK, "createRuntime", input=box.state(), check=False)
        assert (done.returncode, "config.json is no file" in done.stderr) == (1, True), done.stderr
        config.rename(box.directory / kind)
    assert not differences(before, snapshot(host))


# captures, and what is shown of others


def test_cve_s25_a_capture_is_not_led_to_another_file(host: Host, netrt: Netrt, tmp_path: Path) -> None:
    """S25: by links that somebody else put in its place or on the way to it; and what was captured is for nobody else to read."""
    open_to_all = ("sh", "-c", 'umask 0; exec "$0" "$@"', PROGRAM)
    host.run(*open_to_all, "network", "create", "app")
    host.run(*open_to_all, "container", "create", "--name", "box", "--network", "app")
    assert not [path for path in Path(Paths().run).iterdir() if path.stat().st_mode & 0o002]
    shared, victim = Path("/run/shared"), Path("/run/victim")
    shared.mkdir()
    shared.chmod(0o1777)
    victim.write_text("precious")
    (shared / "link").symlink_to(victim)
    (shared / "away").symlink_to("/run")
    for name in ("link", "away"):
        os.chown(shared / name, NOBODY, NOBODY, follow_symlinks=False)
    os.link(victim, shared / "twin")
    for path in ("link", "away/victim", "away/new"):
        assert f"a link of user {NOBODY} is not followed" in netrt.refused(
            "capture", "-w", f"/run/shared/{path}", "box"
        )
    assert "another name" in netrt.refused("capture", "-w", "/run/shared/twin", "box")
    assert victim.read_text() == "precious"
    assert not Path("/run/new").exists()
    for file in (shared / "mine", Path("/dev/null")):
        child = begun(host, "-w", str(file), "box")
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=20) == 0
    assert (shared / "mine").stat().st_mode & 0o777 == 0o600


def test_cve_s24_names_of_others_do_not_speak_to_the_terminal(host: Host, netrt: Netrt) -> None:
    """S24: links that a container made, with what a terminal takes for commands; and marks of ours on them."""
    netrt("network", "create", "app")
    box = netrt.box("box", "--network", "app")
    inside, name = ("ip", "-n", Path(box.path).name), "a\x1b[31m\x07"
    host.run(*inside, "link", "add", name, "type", "bridge")
    host.run(*inside, "link", "set", name, "up", "alias", f"netrt:attachment:{box.id}:eth9\x1b[2J")
    host.run(*inside, "route", "add", "10.9.0.0/24", "dev", name)
    for words in (("debug", "box"), ("diff",), ("gc",)):
        assert "\x1b" not in on_a_terminal(PROGRAM, *words), words
    assert r"a\x1b[31m\x07" in netrt("debug", "box")
    netrt("daemon", "stop")
    assert netrt("diff") == "", "a mark in a sandbox is no reason to stumble"


def on_a_terminal(*argv: str) -> str:
    """What a command prints on one that has no colours."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "NO_COLOR": "1"}
    child = subprocess.Popen(argv, stdout=follower, stderr=subprocess.DEVNULL, env=environment)
    os.close(follower)
    said = b""
    try:
        while chunk := os.read(leader, 65536):
            said += chunk
    except OSError:  # EIO: the other end is closed
        pass
    os.close(leader)
    child.wait(timeout=20)
    return said.decode()


def test_cve_s13_hostile_packets_do_not_end_a_capture(host: Host, netrt: Netrt) -> None:
    """S13, S24: tunnels in tunnels, names that lead to themselves, lengths that lie."""
    netrt("network", "create", "app")
    box = netrt.box("box", "--network", "app")
    child = begun(host, "--count", "6", "box", "ether", "src", box.mac)
    wire, head = Wire(box, "eth0"), Ether(src=box.mac, dst="02:00:00:00:00:01")
    udp = IP(src=box.ip4, dst="10.9.9.9") / UDP(sport=53, dport=53)
    loop = bytes.fromhex("000181800001000100000000c00cc00c00010001c00cc00c")
    nest = bytes(IP(proto=4, len=1480)) * 70
    for frame in (
        head / udp / loop,
        head / nest[:1480],
        head / IP(ihl=15, len=65535, proto=17) / (b"\xff" * 40),
        head / IPv6(nh=0, plen=1400) / (b"\0\0" * 700),
        bytes(head)[:12] + b"\x81\x00\x00\x01" * 300,
        head / udp / b"\x1b[2J\x1b]0;owned\x07",
    ):
        wire.send(frame)
    out, errors = child.communicate(timeout=30)
    assert child.returncode == 0, errors
    assert len(out.splitlines()) == 6
    assert "\x1b" not in out


# namespaces and bridges of others


def test_cve_s25_a_path_that_leads_elsewhere_by_now(host: Host, netrt: Netrt) -> None:
    """S25: nobody is entered, shown, heard or changed in the place of whom was adopted: neither another one, nor the host."""
    bystander = Place(host, host.outside())
    netrt("network", "create", "app")
    netrt("network", "create", "back")
    theirs = host.namespace("theirs")
    netrt("container", "create", "--name", "pod", "--network", "app", "--netns", theirs)
    before = host.run("ip", "-n", "outside", "-br", "addr").stdout
    for other in (bystander.path, "/proc/self/ns/net"):
        host.run("umount", "-l", theirs)
        host.run("mount", "--bind", other, theirs)
        for words in (
            ("debug", "pod"), ("capture", "-c", "1", "pod"), ("exec", "pod", "true"), ("network", "connect", "back", "pod")
        ):  # fmt: skip
            done = host.run("timeout", "20", PROGRAM, *words, check=False)
            assert done.returncode in (1, 125), (words, done)
            assert theirs in done.stderr, (words, done.stderr)
    host.run("umount", "-l", theirs)
    host.run("mount", "--bind", bystander.path, theirs)
    netrt("network", "disconnect", "app", "pod")
    netrt("rm", "pod")
    assert host.run("ip", "-n", "outside", "-br", "addr").stdout == before


def test_cve_2020_13401_guests_tell_the_owner_of_their_bridge_nothing(host: Host, netrt: Netrt) -> None:
    """S7 on a bridge of somebody else's, which believes router advertisements: those of containers do not get there."""
    host.run("ip", "-batch", "-", input="link add br0 type bridge\nlink set br0 up\naddr add 10.7.0.1/24 dev br0\n")
    Path("/proc/sys/net/ipv6/conf/br0/accept_ra").write_text("2")
    netrt("network", "create", "--ipv6", "-o", "com.docker.network.bridge.name=br0", "yard")
    box, peer = netrt.box("box", "--network", "yard"), netrt.box("peer", "--network", "yard")
    before = host.run("ip", "-6", "route").stdout
    wire = Wire(box, "eth0")
    for source in ("fe80::1", link_local(box.mac)):
        told = IPv6(src=source, dst="ff02::1") / ICMPv6ND_RA(routerlifetime=9000)
        wire.send(Ether(src=box.mac, dst="33:33:00:00:00:01") / told)
    assert seen(box, peer.ip4, 80, peer.tcp(80)) == box.ip4, "what came later has arrived"
    assert host.run("ip", "-6", "route").stdout == before
