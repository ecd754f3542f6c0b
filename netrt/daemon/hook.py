"""The OCI hook where no daemon answers: starts one, and asks it."""

from __future__ import annotations

import os
import sys

from netrt.api.connection import Transport
from netrt.daemon.ondemand import ensure_daemon
from netrt.errors import NetrtError
from netrt.paths import ROOT_VARIABLE, Paths


def main() -> None:
    """The request is on the standard input. Ends the process; with status 1 and a line on stderr where it is refused."""
    import json

    try:
        paths = Paths.under(os.environ.get(ROOT_VARIABLE))
        ensure_daemon(paths)
        Transport(paths.socket, None).request("POST", "/netrt/oci", body=json.load(sys.stdin))
    except NetrtError as error:
        print(f"netrt-hook: {error}", file=sys.stderr)
        sys.exit(1)
