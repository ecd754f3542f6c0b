"""The map of the house in the README: every module of netrt with the first sentence of its docstring, so that it cannot rot.

`python tests/housemap.py` prints it; `--write` puts it between the two marks in the README; the house tests compare."""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).parent.parent
README = TOP / "README.md"
BEGIN = "<!-- map: made by `make fmt` from the first sentence of each module -->\n"
END = "<!-- end of map -->\n"


def housemap() -> str:
    """The map as Markdown: one line a module, room by room."""
    return "```\n" + "".join(f"{line}\n" for line in _lines(TOP / "netrt", 0)) + "```\n"


def _lines(room: Path, depth: int) -> Iterator[str]:
    yield _line(f"{room.name}/", depth, room / "__init__.py")
    for module in sorted(room.glob("*.py")):
        if module.name not in ("__init__.py", "__main__.py"):
            yield _line(module.name, depth + 1, module)
    for inner in sorted(room.iterdir()):
        if any(inner.glob("*.py")):
            yield from _lines(inner, depth + 1)


def _line(name: str, depth: int, module: Path) -> str:
    return f"{'  ' * depth + name:<20} {_first_sentence(module)}".rstrip()


def _first_sentence(module: Path) -> str:
    """The docstring up to its first full stop or semicolon, on one line of at most 108 characters."""
    text = ast.get_docstring(ast.parse(module.read_text())) if module.exists() else None
    sentence = re.split(r"[.;](?=\s|$)|\n\n", text or "", maxsplit=1)[0]
    return textwrap.shorten(sentence, 108, placeholder=" …")


def written(readme: str) -> str:
    """The README with the present map between its marks. ValueError if it has none."""
    before, _, rest = readme.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"no map between {BEGIN.strip()} and {END.strip()}")
    return before + BEGIN + housemap() + END + after


if __name__ == "__main__":
    if "--write" in sys.argv:
        README.write_text(written(README.read_text()))
    else:
        print(housemap(), end="")
