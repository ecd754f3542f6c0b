"""Modules that are there, and are loaded once somebody asks for something of theirs that is not there yet."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


class Later(ModuleType):
    """One that is not loaded yet, not to be met first by two threads at once. Its parts, if it is a package, can be imported
    without it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or ("__path__" in vars(self) and find_spec(f"{self.__name__}.{name}")):
            raise AttributeError(name)  # a part is imported as a module then
        self.load()
        return getattr(self, name)

    def load(self) -> None:
        self.__class__ = ModuleType  # type: ignore[assignment]  # it is none of this kind any more
        spec = self.__spec__
        if spec and spec.loader:
            try:
                spec.loader.exec_module(self)
            except BaseException:  # interrupted: it is not all there
                self.__class__ = Later
                raise


def put_off(name: str, **known: Any) -> None:
    """Have a module of which only this is there, unless it is loaded already."""
    spec = find_spec(name)
    if name in sys.modules or spec is None:
        return
    module = module_from_spec(spec)
    module.__class__ = Later
    vars(module).update(known)
    sys.modules[name] = module
