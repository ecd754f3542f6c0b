"""nft text, to be read by libnftables in one transaction.

A change of elements is one line, however long: libnftables marks the element that was refused by a column, and cannot tell lines
apart in what it does not read from a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from netrt.dataplane.objects import Element, Skeleton
from netrt.firewall.sets import expression, key_expression
from netrt.firewall.skeleton import TABLES


def render_whole(skeleton: Skeleton, elements: Iterable[Element], standing: Iterable[str] = ()) -> str:
    """Fill our tables, which are there. `standing` are the chains and sets that are in them and make room ("chain inet netrt
    forward"). Raises Invalid where an element is not of its set's kind."""
    room = [f"delete {name}\n" for name in standing]
    rules = [f"flush table {family} netrt\n" for family in TABLES] if room else []
    return "".join((*rules, *room, skeleton.text, render_change((), elements)))


def render_change(removed: Iterable[Element], added: Iterable[Element]) -> str:
    """Take out elements, then put in others. Raises Invalid where one is not of its set's kind."""
    edits = "; ".join((*_edits("delete", removed, key_expression), *_edits("add", added, expression)))
    return f"{edits}\n" if edits else ""


def _edits(verb: str, elements: Iterable[Element], written: Callable[[Element], str]) -> Iterator[str]:
    by_set: dict[tuple[str, str], list[str]] = {}
    for element in elements:
        by_set.setdefault((element.table, element.set), []).append(written(element))
    for (table, name), texts in by_set.items():
        yield f"{verb} element {table} netrt {name} {{ {', '.join(texts)} }}"
