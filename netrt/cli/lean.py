"""What the command line does without: click loads `inspect`, and the compiler's tools with it, to tidy up lines of help, and
`uuid`, which asks what machine this is, for a kind of option that we have none of. That is a third of its start.

Rule: such a module is there, with what click uses at its start; whoever asks for more has all of it loaded then."""

from __future__ import annotations

import sys

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


put_off("inspect", cleandoc=_tidied)
put_off("uuid", UUID=object)
import click  # noqa: E402, F401  it only names the type

if isinstance(sys.modules["uuid"], Later):
    del vars(sys.modules["uuid"])["UUID"]
