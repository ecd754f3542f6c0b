"""The files of each container, from the State."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from netrt.errors import Invalid
from netrt.launch.extrahosts import parse_extra_host
from netrt.launch.files import HostFiles, affected, container_files, furnish, refresh, write_files
from netrt.model.container import Attachment, Container, ProcessSpec, ProcessState, Sandbox
from netrt.model.network import Mode, Network, Subnet
from netrt.model.state import State, state_of
from netrt.paths import Paths

HOST = HostFiles(
    resolv_conf="nameserver 127.0.0.53\n",
    resolvers="nameserver 192.0.2.53\n",
    hosts="127.0.0.1 localhost\n192.0.2.1 here.example here",
    hostname="here",
)
LAN = Network(
    id="a" * 64,
    name="lan",
    mode=Mode.BRIDGE,
    created="",
    subnets=(Subnet(cidr="10.1.0.0/24", gateway="10.1.0.1"), Subnet(cidr="fd00:1::/64", gateway="fd00:1::1")),
    ipv6=True,
)
BACK = Network(
    id="b" * 64, name="back", mode=Mode.BRIDGE, created="", subnets=(Subnet(cidr="10.2.0.0/24"),), internal=True
)


def container(
    name: str, *, path: str = "/run/netns/x", shares: str = "", hostname: str = "", **process: object
) -> Container:
    return Container(
        id=name * 16,
        name=name,
        created="",
        sandbox=Sandbox(path=path, owned=True),
        network_mode="lan",
        hostname=hostname,
        shares=shares,
        process=ProcessSpec(command=("true",), **process),  # type: ignore[arg-type]
    )


def attachment(owner: Container, network: Network, order: int, **more: object) -> Attachment:
    return Attachment(
        container_id=owner.id,
        network_id=network.id,
        ifname=f"eth{order}",
        link=f"nr{owner.name}{order}",
        mac="02:42:0a:01:00:02",
        order=order,
        **more,  # type: ignore[arg-type]
    )


WEB = container("web1", hostname="shop", extra_hosts=("db:10.9.9.9", "up:host-gateway", "bad name:1.2.3.4", "x:y"))
STATE = state_of(
    (LAN, BACK),
    (WEB,),
    (
        attachment(WEB, LAN, 1, address4="10.1.0.2/24", address6="fd00:1::2/64", aliases=("www", "shop")),
        attachment(WEB, BACK, 2, address4="10.2.0.2/24"),
    ),
)


def hosts(state: State, owner: Container) -> list[list[str]]:
    text = container_files(state, owner.id, HOST)["hosts"]
    return [line.split() for line in text.splitlines()]


def test_hosts_has_each_own_address_with_its_names() -> None:
    found = hosts(STATE, WEB)
    assert ["127.0.0.1", "localhost"] in found
    assert found[6:9] == [
        ["10.1.0.2", "shop", "web1", "www"],
        ["fd00:1::2", "shop", "web1", "www"],
        ["10.2.0.2", "shop", "web1"],
    ]


def test_hosts_has_what_was_added_and_nothing_malformed() -> None:
    assert hosts(STATE, WEB)[9:] == [["10.9.9.9", "db"], ["10.1.0.1", "up"], ["fd00:1::1", "up"]]


def test_hostname_is_chosen_or_the_short_id_or_the_hosts() -> None:
    for owner, expected in (
        (WEB, "shop\n"),
        (container("anon"), "anonanonanon\n"),
        (container("near", path=""), "here\n"),
        (container("near", path="", hostname="own"), "own\n"),
    ):
        assert container_files(state_of(containers=(owner,)), owner.id, HOST)["hostname"] == expected


def test_resolvers_are_the_hosts_or_the_chosen() -> None:
    for owner, expected in (
        (container("cont"), "192.0.2.53"),
        (container("near", path=""), "127.0.0.53"),
        (container("cont", dns=("198.51.100.1", "x")), "198.51.100.1"),
    ):
        text = container_files(state_of(containers=(owner,)), owner.id, HOST)["resolv.conf"]
        assert [line for line in text.splitlines() if line.startswith("nameserver")] == [f"nameserver {expected}"]


def test_in_the_hosts_network_the_hosts_names_are_known() -> None:
    owner = container("near", path="", extra_hosts=("up:host-gateway",))
    found = hosts(state_of(containers=(owner,)), owner)
    assert found == [["127.0.0.1", "localhost"], ["192.0.2.1", "here.example", "here"], ["127.0.0.1", "up"]]


def test_who_shares_a_sandbox_has_the_owners_files() -> None:
    member = container("side", shares=WEB.id, extra_hosts=("mine:10.3.3.3",))
    state = STATE.with_container(member)
    own = container_files(state, member.id, HOST)
    assert own["resolv.conf"] == container_files(state, WEB.id, HOST)["resolv.conf"]
    assert hosts(state, member) == [*hosts(state, WEB), ["10.3.3.3", "mine"]]


def test_only_who_is_concerned_is_written_anew() -> None:
    other, member = container("othr"), container("side", shares=WEB.id)
    before = STATE.with_container(other).with_container(member)
    assert affected(before, before) == set()
    assert affected(State(), before) == {WEB.id, other.id, member.id}
    assert affected(before, before.without_attachment((WEB.id, "eth2"))) == {WEB.id, member.id}
    assert affected(before, before.without_container(other.id)) == set()
    running = replace(other, state=ProcessState(pid=7, start_ticks=1))
    assert affected(before, before.with_container(running)) == set()
    starting = replace(other, state=ProcessState(finished="2026-01-01T00:00:00Z", starting=True))
    assert affected(before, before.with_container(starting)) == {other.id}, "what its process wrote there is gone then"
    assert affected(before, before.with_container(replace(running, hostname="here"))) == {other.id}


def test_refresh_writes_and_removes(tmp_path: Path) -> None:
    paths = Paths.under(str(tmp_path))
    refresh(paths, State(), STATE, lambda: HOST)
    directory = Path(paths.container(WEB.id))
    assert sorted(os.listdir(directory)) == ["hostname", "hosts", "resolv.conf"]
    gone = STATE.without_attachment((WEB.id, "eth1")).without_attachment((WEB.id, "eth2")).without_container(WEB.id)
    refresh(paths, STATE, gone, lambda: HOST)
    assert not directory.exists()


def test_one_without_a_process_has_files_from_when_somebody_enters(tmp_path: Path) -> None:
    paths, hosts = Paths.under(str(tmp_path)), Path(Paths.under(str(tmp_path)).container(WEB.id), "hosts")
    idle = STATE.with_container(replace(WEB, process=None))
    refresh(paths, State(), idle, lambda: HOST)
    assert not hosts.parent.exists()
    furnish(paths, idle, WEB.id, HOST)
    assert "10.2.0.2" in hosts.read_text()
    refresh(paths, idle, idle.without_attachment((WEB.id, "eth2")), lambda: HOST)
    assert "10.2.0.2" not in hosts.read_text()


def test_what_a_killed_daemon_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    paths, gone = Paths.under(str(tmp_path)), "f" * 64
    left = [Path(paths.container(gone), "hosts"), Path(paths.log(gone)), Path(f"{paths.log(gone)}.1")]
    kept = [Path(paths.log(WEB.id)), Path(paths.container(WEB.id), "exit.json")]
    for file in (*left, *kept):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    refresh(paths, State(), STATE, lambda: HOST)
    assert not any(file.exists() for file in left)
    assert all(file.exists() for file in kept)


def test_a_file_that_is_there_is_written_in_place_and_only_if_it_differs(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    write_files(str(tmp_path), {"hosts": "a longer text\n"})
    before = file.stat()
    write_files(str(tmp_path), {"hosts": "a longer text\n"})
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    write_files(str(tmp_path), {"hosts": "short\n"})
    assert file.read_text() == "short\n"
    assert file.stat().st_ino == before.st_ino
    assert os.listdir(tmp_path) == ["hosts"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db:10.1.0.9", ("db", "10.1.0.9")),
        ("db:fd00::9", ("db", "fd00::9")),
        ("db:[fd00::9]", ("db", "fd00::9")),
        ("up:host-gateway", ("up", "host-gateway")),
    ],
)
def test_extra_hosts(text: str, expected: tuple[str, str]) -> None:
    assert parse_extra_host(text) == expected


@pytest.mark.parametrize(
    "text", ["", "db", "db:", ":10.1.0.9", "a b:10.1.0.9", "db\n:10.1.0.9", "db:10.1.0.9\n1.1.1.1 x"]
)
def test_malformed_extra_hosts_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_extra_host(text)


def test_the_host_s_files_are_read_afresh_when_they_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = tmp_path / "hosts"
    monkeypatch.setattr("netrt.launch.files.HOSTS_FILE", str(hosts))
    hosts.write_text("192.0.2.1 one\n")
    assert HostFiles.read().hosts == "192.0.2.1 one\n"
    assert HostFiles.read() is HostFiles.read(), "not read again for nothing"
    hosts.write_text("192.0.2.2 two\n")
    assert HostFiles.read().hosts == "192.0.2.2 two\n"
    (tmp_path / "new").write_text("192.0.2.3 six\n")
    (tmp_path / "new").rename(hosts)
    assert HostFiles.read().hosts == "192.0.2.3 six\n"
    hosts.unlink()
    assert "localhost" in HostFiles.read().hosts
