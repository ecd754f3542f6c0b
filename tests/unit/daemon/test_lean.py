"""What netrtd loads, and that what it leaves out is there for whoever asks."""

from __future__ import annotations

import subprocess
import sys

REPORT = """
import sys
import netrt.daemon.main
print(*sys.modules)
import aiohttp.connector, pyroute2, ssl
assert ssl.create_default_context()
import asyncio.sslproto, http.client, urllib.request
assert http.client.HTTPSConnection and urllib.request.HTTPSHandler and asyncio.sslproto.ssl is ssl
assert aiohttp.connector.ssl is None
assert pyroute2.IPRoute.__name__ == "IPRoute"
assert pyroute2.netlink is sys.modules["pyroute2.netlink"]
try:
    pyroute2.nothing
except AttributeError:
    print("and no more than that")
"""


def test_only_what_is_used() -> None:
    done = subprocess.run([sys.executable, "-c", REPORT], capture_output=True, text=True, check=True)
    loaded, more = done.stdout.splitlines()
    assert {"pyroute2.netlink", "aiohttp.web"} <= set(loaded.split())
    assert {"pyroute2.ndb", "pyroute2.ipdb", "netrt.cli.main", "scapy", "dns.resolver"}.isdisjoint(loaded.split())
    assert more == "and no more than that"
