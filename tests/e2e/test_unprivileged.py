"""What a process without any capability may do in a sandbox of its own: listen at a low port, and ping, as with Docker."""

from __future__ import annotations

import pytest

from tests.command import Netrt
from tests.host import Host

pytestmark = pytest.mark.root

SCRIPT = """
import socket
socket.create_server(("0.0.0.0", 80)).close()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as ping:
    ping.settimeout(5)
    ping.sendto(bytes([8, 0, 0, 0, 0, 0, 0, 1]), ("127.0.0.1", 0))
    print(ping.recv(64)[0])
"""


def test_low_ports_and_ping_need_no_capability(host: Host, netrt: Netrt) -> None:
    flags = ["run", "--rm", "--network", "none", "--cap-drop", "ALL"]
    assert netrt(*flags, "--", "/usr/bin/python3", "-c", SCRIPT) == "0"
