"""Pins: every tool sees them, they go everywhere at once, and what is held without one gets it again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from netrt.dataplane.objects import Pin
from netrt.kernel import netns
from netrt.kernel.netns import identify
from netrt.kernel.pins import Pins
from tests.host import Host
from tests.waiting import wait_until

pytestmark = pytest.mark.root

PIN = "/run/netns/netrt-one"


@pytest.fixture
def pins(host: Host) -> Iterator[Pins]:
    with closing(Pins()) as made:
        yield made


def test_a_pin_is_seen_by_every_tool(host: Host, pins: Pins) -> None:
    pins.pin(PIN)
    assert host.run("ip", "netns", "list").stdout.split() == ["netrt-one"]
    shown = host.run("ip", "netns", "exec", "netrt-one", "ip", "-br", "link").stdout
    assert shown.split()[0] == "lo"
    assert "UP" in shown
    assert host.run("nsenter", f"--net={PIN}", "ip", "-br", "link").stdout == shown
    assert identify(PIN) == os.stat(PIN).st_ino


def test_a_pin_can_be_removed_by_ip(host: Host, pins: Pins) -> None:
    host.run("ip", "netns", "add", "before")
    pins.pin(PIN)
    host.run("ip", "netns", "delete", "netrt-one")
    host.run("ip", "netns", "delete", "before")
    assert os.listdir("/run/netns") == []
    assert pins.regained(PIN)
    pins.unpin(PIN)
    assert os.listdir("/run/netns") == []


def test_a_pin_goes_in_every_mount_namespace(host: Host, pins: Pins) -> None:
    """A process in a mount namespace that is a copy of ours must not hold the sandbox alive after its end (ip-netns(8))."""
    pins.pin(PIN)
    child = host.spawn(
        "unshare", "--mount", "--propagation", "unchanged", "sh", "-c", "echo there; read line; ls /run/netns"
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "there\n"
    pins.unpin(PIN)
    said, _ = child.communicate("\n", timeout=10)
    assert said == ""


def test_a_second_pin_is_refused_and_a_leftover_file_used(host: Host, pins: Pins) -> None:
    pins.pin(PIN)
    with pytest.raises(FileExistsError):
        pins.pin(PIN)
    leftover = "/run/netns/netrt-two"
    Path(leftover).touch()
    pins.pin(leftover)
    assert identify(leftover)


def test_a_leftover_that_holds_something_is_not_covered(host: Host, pins: Pins) -> None:
    Path("/run/target").write_text("precious")
    os.makedirs("/run/netns", exist_ok=True)
    os.symlink("/run/target", PIN)
    with pytest.raises(FileExistsError):
        pins.pin(PIN)
    assert Path("/run/target").read_text() == "precious"


def test_a_pin_that_cannot_be_made_leaves_no_file(host: Host, pins: Pins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netns, "_OWN", "/proc/nowhere")
    with pytest.raises(FileNotFoundError):
        pins.pin(PIN)
    assert not os.path.exists(PIN)


def test_what_is_held_gets_its_pin_again(host: Host, pins: Pins) -> None:
    pins.pin(PIN)
    inode = identify(PIN)
    for words in ("netns del netrt-one", "netns del netrt-one\nnetns add netrt-one"):
        host.run("ip", "-batch", "-", input=words)
        assert list(pins.seen([PIN])) == [Pin(path=PIN, lost=True)]
        with pins.opened(PIN) as held:
            assert os.fstat(held).st_ino == inode
        assert pins.regained(PIN)
        assert list(pins.seen([PIN])) == [Pin(path=PIN)]
        assert identify(PIN) == inode
    host.run("umount", PIN)
    pins.unpin(PIN)
    assert not list(pins.seen([PIN]))
    assert not pins.regained(PIN)


def test_what_others_take_away_is_heard_and_what_we_do_is_not(host: Host, pins: Pins) -> None:
    pins.pin(PIN)
    pins.pin(f"{PIN}1")
    assert not pins.taken()
    host.run("ip", "netns", "del", "netrt-one")
    assert pins.taken() == {PIN}
    assert not pins.taken()
    assert pins.regained(PIN)
    pins.unpin(f"{PIN}1")
    assert not pins.taken()


def test_a_namespace_ends_with_its_pin(host: Host, pins: Pins) -> None:
    pins.pin(PIN)
    host.run("ip", "link", "add", "outer", "type", "veth", "peer", "name", "inner", "netns", "netrt-one")
    pins.unpin(PIN)
    wait_until(lambda: not os.path.exists("/sys/class/net/outer"), what="the end of the link")


def test_no_more_are_held_than_files_allow(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (2, 2))
    with closing(Pins()) as few:
        few.pin(PIN)
        few.pin(f"{PIN}1")
        assert list(few.seen([PIN, f"{PIN}1"])) == [Pin(path=PIN), Pin(path=f"{PIN}1")]
        host.run("ip", "netns", "del", "netrt-one1")
        assert list(few.seen([f"{PIN}1"])) == []


def test_where_nothing_can_be_heard_pins_are_kept_all_the_same(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netns.libc, "inotify_init1", lambda _: -1)
    with closing(Pins()) as deaf:
        deaf.pin(PIN)
        host.run("ip", "netns", "del", "netrt-one")
        assert not deaf.taken()
        assert list(deaf.seen([PIN])) == [Pin(path=PIN, lost=True)]
        assert deaf.regained(PIN)
