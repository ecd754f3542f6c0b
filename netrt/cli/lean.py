"""What the command line does without: click loads `inspect`, and the compiler's tools with it, to tidy up lines of help, and
`uuid`, which asks what machine this is, for a kind of option that we have none of. That is a third of its start.

Rule: such a module is there, with what click uses at its start; whoever asks for more has all of it loaded then."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """A module that is loaded once something is asked for that is not there yet."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.load()
        return getattr(self, name)

    def load(self) -> None:
        self.__class__ = ModuleType  # type: ignore[assignment]  # it is none of this kind any more
        spec = self.__spec__
        if spec and spec.loader:
            spec.loader.exec_module(self)


def _put_off(name: str, **known: Any) -> None:
    """Have a module of which only this is there, unless it is loaded already."""
    spec = find_spec(name)
    if name in sys.modules or spec is None:
        return
    module = module_from_spec(spec)
    module.__class__ = _Later
    vars(module).update(known)
    sys.modules[name] = module


def _tidied(text: str) -> str:
    """`inspect.cleandoc`, which is asked itself where there are several lines."""
    if "\n" not in text:
        return text.expandtabs().lstrip()
    inspect = sys.modules["inspect"]
    if isinstance(inspect, _Later):
        inspect.load()
    tidied: str = vars(inspect)["cleandoc"](text)
    return tidied


_put_off("inspect", cleandoc=_tidied)
_put_off("uuid", UUID=object)
import click  # noqa: E402, F401  it only names the type

if isinstance(sys.modules["uuid"], _Later):
    del vars(sys.modules["uuid"])["UUID"]
