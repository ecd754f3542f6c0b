"""What the command line does without: click loads the compiler's tools (by `inspect`) to tidy up lines of help, translations that
we have none of, what asks what machine this is (by `uuid`), and more, for one name each. Without it a command takes a third less.

Rule 1: such a module is there, with what click uses of it at its start; whoever asks for more has all of it loaded then.
Rule 2: what only stands in for a name is gone when click is there. So click's own kind of option for dates is of no use here."""

from __future__ import annotations

import sys
from _thread import _local

from netrt.later import Later, put_off


def _tidied(text: str) -> str:
    """`inspect.cleandoc`, which is asked itself where there are several lines."""
    if "\n" not in text:
        return text.expandtabs().lstrip()
    inspect = sys.modules["inspect"]
    if isinstance(inspect, Later):
        inspect.load()
    tidied: str = vars(inspect)["cleandoc"](text)
    return tidied


def _counted(one: str, more: str, number: int) -> str:
    """`gettext.ngettext` where nothing is translated."""
    return one if number == 1 else more


put_off("inspect", cleandoc=_tidied)
put_off("gettext", gettext=str, ngettext=_counted)
put_off("threading", local=_local)  # this is where `threading` has it from

_STAND_INS = {"uuid": ("UUID", object), "datetime": ("datetime", object), "weakref": ("WeakKeyDictionary", dict)}
for _module, (_name, _stand_in) in _STAND_INS.items():
    put_off(_module, **{_name: _stand_in})

import click  # noqa: E402, F401  it only names the types, and keeps a stream or two

for _module, (_name, _) in _STAND_INS.items():
    if isinstance(sys.modules[_module], Later):
        del vars(sys.modules[_module])[_name]
