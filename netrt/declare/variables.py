"""Variables in a compose file: `$NAME`, `${NAME}`, and what stands in place of those that are not set; `$$` is a dollar sign."""

from __future__ import annotations

import re
from collections.abc import Mapping

from netrt.declare.tree import Tree
from netrt.errors import Invalid

LARGEST = 4 << 20
"""Characters that all texts of a document may have together, once variables are put in."""

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_USE = re.compile(
    rf"\$(?:(?P<dollar>\$)|(?P<plain>{_NAME})|\{{(?P<name>{_NAME})(?:(?P<how>:?[-?+])(?P<other>[^{{}}]*))?\}}|(?P<wrong>))"
)
_LINE = re.compile(rf"\s*(?:export\s+)?(?P<name>{_NAME})\s*=\s*(?P<value>.*?)\s*\Z")


def interpolated(text: str, variables: Mapping[str, str], room: int = LARGEST) -> str:
    """Raises Invalid where a variable is needed and not set, a dollar sign leads nowhere, or the result has more characters than
    there is room for."""
    left = room

    def one(use: re.Match[str]) -> str:
        nonlocal left
        value = meant(use)
        left -= len(value)
        if left < 0:
            raise Invalid(f"too long with its variables: {text[:60]!r}", hint=f"at most {LARGEST} characters in all")
        return value

    def meant(use: re.Match[str]) -> str:
        if use["dollar"]:
            return "$"
        if use["wrong"] is not None:
            raise Invalid(f"invalid use of $ in {text[:60]!r}", hint="use ${NAME}, or $$ for a dollar sign")
        name, how = use["plain"] or use["name"], use["how"] or ""
        value = variables.get(name)
        there = bool(value) if how.startswith(":") else value is not None
        match how[-1:]:
            case "-":
                return value or "" if there else use["other"]
            case "+":
                return use["other"] if there else ""
            case "?" if not there:
                raise Invalid(f"variable {name} is not set{': ' if use['other'] else ''}{use['other'][:60]}")
        return value or ""

    return _USE.sub(one, text) if "$" in text else text


def filled(tree: Tree, variables: Mapping[str, str]) -> Tree:
    """The same tree with variables put in, but not in names. Raises Invalid."""
    room = LARGEST

    def fill(tree: Tree) -> Tree:
        nonlocal room
        value = tree.value
        if isinstance(value, str):
            value = tree.read(lambda text: interpolated(text, variables, room))
            room -= len(value)
        elif isinstance(value, tuple):
            value = tuple(fill(each) for each in value)
        elif value is not None:
            value = {name: fill(each) for name, each in value.items()}
        return Tree(value=value, file=tree.file, line=tree.line, field=tree.field)

    return fill(tree)


def read_variables(text: str) -> dict[str, str]:
    """The variables of a `.env` file. Lines that are none are passed over."""
    found = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match and not line.lstrip().startswith("#"):
            value = match["value"]
            quoted = len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]
            found[match["name"]] = value[1:-1] if quoted else value.partition(" #")[0].rstrip()
    return found
