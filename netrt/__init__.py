"""netrt, a container networking runtime for Linux.

    import netrt
    with netrt.Client() as client:
        client.create_network("app")

`Client` (`netrt.api.client`) is loaded when it is first asked for, and by name: every process of netrt imports this file, and the
lower floors must not reach the upper ones through it. Its type is declared in the stub beside."""

from __future__ import annotations

import importlib

__version__ = "0.1.0"
__all__ = ["Client", "__version__"]


def __getattr__(name: str) -> object:
    if name == "Client":
        return importlib.import_module("netrt.api.client").Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
