"""The constant part of our tables: chains, and the sets that they look things up in.

It depends on nothing that exists on the host but on whether we turned forwarding on. Its seal sits in the comment of table
`inet netrt`: a hash of the text and the number of its rules, so that a new process knows what is loaded, and notices when a rule
of it was taken out or put in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache

from netrt.dataplane.objects import Skeleton
from netrt.firewall import antispoof, isolation, nat
from netrt.firewall.sets import declarations

TABLES = ("inet", "bridge", "ip6")
"""The families in which we have a table `netrt`."""


@cache
def skeleton(guarded: frozenset[int]) -> Skeleton:
    """The tables without elements. `guarded`: families (4, 6) whose forwarding was off before we turned it on; in these, packets
    are not forwarded between two interfaces that are both not ours."""
    tables = {
        "inet": "\n".join(
            (declarations("inet"), "", isolation.CHAINS + isolation.guard(guarded), nat.CHAINS.rstrip("\n"))
        ),
        "bridge": "\n".join((declarations("bridge"), "", antispoof.CHAINS.rstrip("\n"))),
        "ip6": nat.LOOPBACK6.rstrip("\n"),
    }
    seal = f"{hashlib.sha256(_text(tables).encode()).hexdigest()[:16]}-{_rules(tables)}"
    sealed = tables | {"inet": f'\tcomment "{seal}"\n\n{tables["inet"]}'}
    return Skeleton(seal=seal, text=_text(sealed))


def rules_of(sealed: Skeleton) -> int:
    """How many rules a skeleton of this seal has; -1 where it is no seal of ours."""
    count = sealed.seal.rpartition("-")[2]
    return int(count) if count.isdecimal() else -1


def _text(tables: Mapping[str, str]) -> str:
    return "\n".join(f"table {family} netrt {{\n{tables[family]}\n}}\n" for family in TABLES)


def _rules(tables: Mapping[str, str]) -> int:
    """How many rules: the lines that stand two deep, but for comments and what makes a chain a base chain."""
    lines = (line.removeprefix("\t\t") for text in tables.values() for line in text.splitlines() if line[:2] == "\t\t")
    return sum(not line.startswith(("#", "type ")) for line in lines)
