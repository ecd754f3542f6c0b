"""The constant part of our tables: chains, and the sets that they look things up in.

It depends on nothing that exists on the host but on whether we turned forwarding on. Its seal is the comment of a chain that does
nothing: a hash of the text and the number of its rules, so that a new process knows what is loaded, and notices when a rule of it
was taken out or put in.

The text names the table in each line and never speaks of a table as such: libnftables would then set the table's flags, and does
not know all of those that ours has.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from functools import cache

from netrt.dataplane.objects import Skeleton
from netrt.firewall import antispoof, drops, isolation, nat
from netrt.firewall.sets import declarations

TABLES = ("inet", "bridge", "ip6")
"""The families in which we have a table `netrt`."""

SEAL = "seal"
"""The chain of table `inet` that has the seal as its comment."""


@cache
def skeleton(guarded: frozenset[int]) -> Skeleton:
    """The tables without elements. `guarded`: families (4, 6) whose forwarding was off before we turned it on; in these, packets
    are not forwarded between two interfaces that are both not ours."""
    chains = {
        "inet": isolation.CHAINS + isolation.guard(guarded) + "\n" + nat.CHAINS + drops.INET_CHAINS,
        "bridge": antispoof.CHAINS + drops.BRIDGE_CHAINS,
        "ip6": nat.LOOPBACK6,
    }
    text = "\n".join(_text(family, body) for family, body in chains.items())
    seal = f"{hashlib.sha256(text.encode()).hexdigest()[:16]}-{sum(map(_rules, chains.values()))}"
    return Skeleton(seal=seal, text=f'{text}\nchain inet netrt {SEAL} {{\n\tcomment "{seal}"\n}}\n')


def rules_of(sealed: Skeleton) -> int:
    """How many rules a skeleton of this seal has; -1 where it is no seal of ours."""
    count = sealed.seal.rpartition("-")[2]
    return int(count) if count.isdecimal() else -1


def _text(family: str, chains: str) -> str:
    """The sets of one table, then its chains, those first that others lead to."""
    named = re.sub(r"^chain ", f"chain {family} netrt ", textwrap.dedent(chains), flags=re.MULTILINE)
    led_to = re.findall(r"^(chain .*) \{\n(?:\t#.*\n)*(?!\t(?:#|type ))", named, re.MULTILINE)
    return "\n".join(
        (*declarations(family), *drops.declarations(family), "", *(f"add {chain}" for chain in led_to), "", named)
    )


def _rules(chains: str) -> int:
    """How many rules: the lines that stand two deep, but for comments and what makes a chain a base chain."""
    lines = (line.removeprefix("\t\t") for line in chains.splitlines() if line[:2] == "\t\t")
    return sum(not line.startswith(("#", "type ")) for line in lines)
