"""Each sandbox is answered, on sockets of its own, about its own networks, from the first moment to the last."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import pytest

from netrt.dns.zone import ADDRESS, PORT
from tests.host import Host
from tests.kernel.resolver.lab import APP, BACK, Box, Lab
from tests.traffic import Place
from tests.waiting import wait_until

pytestmark = pytest.mark.root


@pytest.mark.parametrize("tcp", [False, True])
def test_a_sandbox_is_told_of_its_networks_only(lab: Lab, tcp: bool) -> None:
    one, other = lab.box("one", [APP]), lab.box("other", [BACK])
    assert one.looked_up("web", tcp=tcp) == ["10.1.0.2"]
    assert one.looked_up("WEB.app.", "AAAA", tcp=tcp) == ["fd00:1::2"]
    assert one.looked_up("2.0.1.10.in-addr.arpa", "PTR", tcp=tcp) == ["web.app."]
    assert one.looked_up("store", tcp=tcp) == ["REFUSED"]
    assert other.looked_up("store", tcp=tcp) == ["10.2.0.2"]
    assert other.looked_up("web", tcp=tcp) == ["REFUSED"]
    assert one.looked_up("nobody.app", tcp=tcp) == ["NXDOMAIN"]


def test_what_a_datagram_cannot_hold_comes_by_tcp(lab: Lab) -> None:
    box = lab.box("box")
    cut = box.ask("crowd")
    assert cut.flags & dns.flags.TC
    assert set(box.looked_up("crowd", tcp=True)) == set(APP.hosts["crowd"])


def test_addresses_take_turns(lab: Lab) -> None:
    box = lab.box("box")
    firsts = [box.looked_up("crowd")[0] for _ in range(1 + len(APP.hosts["crowd"]))][1:]
    assert set(firsts) == set(APP.hosts["crowd"])


def test_a_sandbox_is_served_whose_loopback_is_down(lab: Lab, host: Host) -> None:
    host.run("ip", "netns", "add", "early")
    assert lab.show("/run/netns/early").errors == {}
    assert Box(host, "/run/netns/early").looked_up("web") == ["10.1.0.2"]


def test_the_port_of_names_is_left_to_the_container(lab: Lab) -> None:
    box = lab.box("box")
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        for address in ("0.0.0.0", "::", ADDRESS):
            box.listener(kind, 53, address).close()


@pytest.mark.parametrize("tcp", [False, True])
def test_an_answer_is_right_as_soon_as_a_change_is_acknowledged(lab: Lab, tcp: bool) -> None:
    box = lab.box("box")
    for number in range(100):
        lab.host_names(APP, web=(f"10.1.0.{number + 1}",), db=("10.1.0.3",) if number % 2 else ())
        assert box.looked_up("web", tcp=tcp) == [f"10.1.0.{number + 1}"]
        assert box.looked_up("db.app", tcp=tcp) == (["10.1.0.3"] if number % 2 else ["NXDOMAIN"])


def test_a_sandbox_sees_a_network_that_it_joins_and_not_one_that_it_leaves(lab: Lab) -> None:
    box, stays = lab.box("box"), lab.box("stays")
    with box.socket(socket.SOCK_STREAM) as connection:  # open all along: nothing is closed for a change
        for _ in range(3):
            lab.show(box.path, [APP, BACK])
            assert box.looked_up("store") == ["10.2.0.2"]
            lab.show(box.path, [BACK])
            assert box.looked_up("web") == ["REFUSED"]
            lab.show(box.path, [APP])
            assert box.looked_up("store") == ["REFUSED"]
            assert stays.looked_up("web") == ["10.1.0.2"]
        dns.query.send_tcp(connection, dns.message.make_query("web", "A"))
        answer, _ = dns.query.receive_tcp(connection)
        assert answer.answer


def wired(host: Host, name: str) -> str:
    """A link of the host that lives as long as the namespace of this name, which has its other end."""
    host.run("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
    return f"/sys/class/net/to-{name}"


def test_a_withdrawn_sandbox_is_let_go(lab: Lab, host: Host) -> None:
    box = lab.box("box")
    link = wired(host, "box")
    with box.socket(socket.SOCK_STREAM) as connection:
        lab.withdraw(box.path)
        assert connection.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        box.ask("web")
    host.run("ip", "netns", "del", "box")
    wait_until(lambda: not Path(link).exists(), what="the end of the namespace")


def test_a_vanished_sandbox_is_let_go_without_being_told(lab: Lab, host: Host) -> None:
    lab.box("box")
    link = wired(host, "box")
    host.run("ip", "netns", "del", "box")
    wait_until(lambda: not Path(link).exists(), 10, "the end of the namespace")


def test_another_namespace_in_the_place_of_one_is_served(lab: Lab, host: Host) -> None:
    box = lab.box("box")
    host.run("ip", "netns", "del", "box")
    host.namespace("box")
    assert lab.tell_all().errors == {}
    assert box.looked_up("web") == ["10.1.0.2"]
    host.run("ip", "netns", "del", "box")
    host.namespace("box")

    def answered() -> bool:
        with contextlib.suppress(OSError):
            return box.looked_up("web") == ["10.1.0.2"]
        return False

    wait_until(answered, 10, "netrt-dns to see it by itself")


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_what_cannot_be_served_is_told_and_tried_again(lab: Lab, host: Host, kind: int) -> None:
    path = host.namespace("box")
    with Place(host, path).listener(kind, PORT, ADDRESS):
        assert lab.show(path).errors == {path: "Address already in use"}
        assert "No such file" in lab.show("/run/netns/nobody").errors["/run/netns/nobody"]
        assert "not a network namespace" in lab.show("/etc/hostname").errors["/etc/hostname"]
        assert lab.tell_all().errors.keys() == {path, "/run/netns/nobody", "/etc/hostname"}
    box = Box(host, path)

    def answered() -> bool:
        with contextlib.suppress(OSError):
            return box.looked_up("web") == ["10.1.0.2"]
        return False

    wait_until(answered, 10, "the sockets that are free now")


def test_many_sandboxes_are_served_with_few_descriptors_allowed(lab: Lab, host: Host) -> None:
    lab.kill()
    lab.start("prlimit", "--nofile=64:4096")
    boxes = [lab.box(f"box{number}") for number in range(60)]
    assert all(box.looked_up("web") == ["10.1.0.2"] for box in boxes)


def test_who_came_to_the_path_of_an_adopted_sandbox_is_told_nothing(lab: Lab, host: Host) -> None:
    box = lab.box("box")
    lab.show(box.path, inode=os.stat(box.path).st_ino)
    assert box.looked_up("web") == ["10.1.0.2"]
    host.run("ip", "netns", "del", "box")
    host.namespace("box")
    assert "another network namespace" in lab.tell_all().errors[box.path]
    with pytest.raises(ConnectionRefusedError):
        box.ask("web")
