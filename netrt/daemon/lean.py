"""What netrtd does without: parts of libraries that it never uses, and that would cost each start of it 0.3 s and 8 MB.

Theory: the top of pyroute2 imports all that it has, a database of links among it, and we use single modules. aiohttp reads the
host's certificates for clients of web servers, and we serve at a unix socket. Rule: this is imported before those libraries; for
whoever asks pyroute2 for more, its top is loaded after all."""

from __future__ import annotations

import sys

from netrt.later import put_off


def _without_tls() -> None:
    """Import aiohttp as it is where Python has no TLS, but what it imports of the standard library whole."""
    import asyncio  # noqa: F401
    import urllib.request  # noqa: F401

    tls = sys.modules.get("ssl")
    sys.modules["ssl"] = None  # type: ignore[assignment]
    try:
        import aiohttp.web  # noqa: F401
    finally:
        del sys.modules["ssl"]
        if tls is not None:
            sys.modules["ssl"] = tls


put_off("pyroute2")
_without_tls()
