"""netrt-dns goes on whatever becomes of netrtd, begins again with the names that it had, and listens to root only."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from netrt.dns.difference import Change, chained
from netrt.dns.zone import Names
from netrt.errors import Conflict, Unavailable
from netrt.resolver.client import Resolver
from netrt.resolver.messages import Some, framed, read_taken
from tests.host import Host
from tests.kernel.resolver.lab import APP, PROGRAM, Lab
from tests.waiting import wait_until

pytestmark = pytest.mark.root


def test_names_stay_when_who_told_them_is_gone(lab: Lab) -> None:
    box = lab.box("box")
    lab.client.close()
    assert box.looked_up("web") == ["10.1.0.2"]
    lab.host_names(APP, web=("10.1.0.77",))
    assert box.looked_up("web") == ["10.1.0.77"], "it is told over another connection"


def test_a_killed_server_begins_with_the_names_that_it_had(lab: Lab) -> None:
    box = lab.box("box")
    lab.client.close()
    names = Path(lab.paths.resolver_names)
    wait_until(lambda: names.exists() and b"/run/netns/box" in names.read_bytes(), what="the file")
    lab.kill()
    lab.start()
    assert box.looked_up("web") == ["10.1.0.2"]
    lab.host_names(APP, web=("10.1.0.77",))
    assert box.looked_up("web") == ["10.1.0.77"], "a change follows upon what it had"


def test_names_are_kept_while_netrtd_is_there_too(lab: Lab) -> None:
    lab.box("box")
    names = Path(lab.paths.resolver_names)
    wait_until(lambda: names.exists() and b"/run/netns/box" in names.read_bytes(), what="the file")


@pytest.mark.parametrize("text", [b"", b"\xc1 not a file of ours"])
def test_a_broken_file_is_no_file(lab: Lab, text: bytes) -> None:
    lab.kill()
    Path(lab.paths.resolver_names).write_bytes(text)
    lab.start()
    assert lab.box("box").looked_up("web") == ["10.1.0.2"]


def test_a_change_that_does_not_follow_is_refused_and_changes_nothing(lab: Lab) -> None:
    box = lab.box("box")
    gone = Change(since="something else", mark="next", gone_zones=("n1",))
    with pytest.raises(Conflict, match="something else"):
        lab.client.change(gone)
    assert box.looked_up("web") == ["10.1.0.2"]
    assert lab.client.change(chained(lab.names, Change())).mark == lab.names.mark


def test_names_may_be_more_than_a_socket_takes_at_once(lab: Lab) -> None:
    box = lab.box("box")
    for round_ in range(3):
        many = {f"h{number}": (f"10.{round_}.{number >> 8}.{number & 255}",) for number in range(30_000)}
        lab.host_names(APP, **many)
        assert box.looked_up("h29999") == [f"10.{round_}.117.47"]
        lab.host_names(APP, web=(f"10.1.0.{round_}",))
        assert box.looked_up("web") == [f"10.1.0.{round_}"]


def test_several_messages_come_by_one_connection(lab: Lab) -> None:
    """Whoever sends them."""
    box = lab.box("box")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(lab.paths.resolver_socket)
        for _ in range(3):
            connection.sendall(framed(Some(chained(lab.names, Change()))))
            assert read_taken(connection.recv(4096)[4:]).mark == lab.names.mark
    assert box.looked_up("web") == ["10.1.0.2"]


def test_all_names_may_be_told_again(lab: Lab) -> None:
    box = lab.box("box")
    with box.socket(socket.SOCK_STREAM) as connection:
        for _ in range(3):
            lab.tell_all()
            assert box.looked_up("web") == ["10.1.0.2"]
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):  # no end of it: the sockets of the sandbox stay open
            connection.recv(1)
    lab.client.take(Names())
    with pytest.raises(ConnectionRefusedError):
        box.ask("web")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_to(lab: Lab, number: int) -> None:
    lab.box("box")
    lab.server.send_signal(number)
    assert lab.server.wait(timeout=10) == 0
    assert not Path(lab.paths.resolver_socket).exists()
    assert b"/run/netns/box" in Path(lab.paths.resolver_names).read_bytes()
    with pytest.raises(Unavailable):
        lab.client.take(lab.names)
    lab.start()


def test_there_is_only_one(lab: Lab, host: Host) -> None:
    box = lab.box("box")
    second = host.run(PROGRAM, check=False)
    assert second.returncode == 1
    assert second.stderr.splitlines() == [
        f"netrt-dns: another netrt-dns (pid {lab.server.pid}) already serves this state (/run/netrt)"
    ]
    assert box.looked_up("web") == ["10.1.0.2"]
    lab.host_names(APP, web=("10.1.0.77",))


def test_only_root_tells_names(lab: Lab, host: Host) -> None:
    assert os.stat(lab.paths.resolver_socket).st_mode & 0o777 == 0o600
    connect = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/python3", "-c", connect]
    assert "PermissionError" in host.run(*nobody, lab.paths.resolver_socket, check=False).stderr
    os.chmod(lab.paths.resolver_socket, 0o666)
    ask = connect.replace("; socket", "; s = socket").replace(".connect", "; s.connect") + "; print(s.recv(1))"
    assert host.run(*nobody[:-1], ask, lab.paths.resolver_socket).stdout == "b''\n"


def test_it_needs_root(lab: Lab, host: Host) -> None:
    done = host.run("setpriv", "--reuid", "65534", "--clear-groups", PROGRAM, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("netrt-dns: netrt-dns needs root")


def test_what_is_not_understood_ends_a_connection_and_nothing_else(lab: Lab) -> None:
    box = lab.box("box")
    for words in (b"\xff\xff\xff\xff", b"\0\0\0\x02{}", framed(Some(Change()))[:9]):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(lab.paths.resolver_socket)
            connection.sendall(words)
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""
    assert box.looked_up("web") == ["10.1.0.2"]
    lab.host_names(APP, web=("10.1.0.77",))


def test_a_client_sees_the_end_of_the_server(lab: Lab) -> None:
    client = Resolver(lab.paths.resolver_socket, patience=0.5)
    assert client.fileno() == -1
    assert client.connect() == lab.server.pid
    assert client.fileno() >= 0
    lab.server.send_signal(signal.SIGSTOP)
    with pytest.raises(Unavailable, match="does not answer"):
        client.take(Names())
    lab.kill()
    with pytest.raises(Unavailable, match="not there"):
        client.take(Names())
    client.close()


def test_memory_for_a_thousand_sandboxes_is_small(lab: Lab, host: Host) -> None:
    """Their namespaces are one: what is counted is the server's own."""
    path = host.namespace("box")
    lab.show(path)
    before = lab.memory()
    crowd = {f"c{number}": (f"10.1.{number // 250}.{number % 250}",) for number in range(3_000)}
    lab.host_names(APP, **crowd)
    assert lab.memory() - before < 10
    assert lab.memory() < 45


def test_the_log_goes_into_a_file(host: Host) -> None:
    with subprocess.Popen([PROGRAM, "--log-file", "/run/dns.log", "--root", "/run/elsewhere"]) as server:
        try:
            log = Path("/run/dns.log")
            wait_until(lambda: log.exists() and "serving 0 sandboxes" in log.read_text(), what="the log")
            assert Path("/run/elsewhere/run/netrt-dns.sock").exists()
        finally:
            server.terminate()
