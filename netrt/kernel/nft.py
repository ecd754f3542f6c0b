"""Our nftables tables, by libnftables in this process.

Theory: the kernel numbers its rulesets; each transaction in this namespace, whoever makes it, makes the next one. A transaction
of ours is known as ours if it moved the number by exactly one, else somebody came between. While the journal shows that nobody
else changed a table of ours up to the present number, what we put in is what is there. Else we list. While the tables are locked
and ours, nobody else can change them, and nothing need be asked.

Rule 1: one thread at a time. Rule 2: what is not known for certain is looked up.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import nftables
from pyroute2.netlink import NETLINK_NETFILTER

from netrt.dataplane.objects import Element, Key, Skeleton
from netrt.errors import KernelRefused, Unavailable
from netrt.firewall.drops import Drop, Place
from netrt.firewall.render import render_change, render_whole
from netrt.firewall.sets import expression, key_expression
from netrt.firewall.skeleton import rules_of
from netrt.kernel import nfnetlink, nftelements, nftlist, nfttables
from netrt.kernel.dropping import dropping
from netrt.kernel.netlink import Netlink
from netrt.kernel.nftcounts import counted
from netrt.kernel.nftjournal import Journal
from netrt.kernel.nfttables import DORMANT, LOCKED, OPEN

_LIBRARY = "libnftables.so.1"
_NUMBERS = {os.strerror(number): number for number in errno.errorcode}
_TRIES = 5
"""How often to list anew because somebody made a transaction meanwhile, before what we have must do."""
_FEATURES = "this kernel lacks a part of nftables; needed are inet, bridge and ip6 tables with nat, fib, ct and dup"
_SOMEBODY_ELSES = "another process owns the tables netrt, or netrtd lacks CAP_NET_ADMIN"

Held = dict[Key, Element | Skeleton]


class Nft:
    """A libnftables context and sockets, all of the namespace in which it was made. Used from one thread at a time. `lock`:
    nobody else shall be able to change our tables, where the kernel allows that.

    Raises Unavailable where libnftables is missing."""

    def __init__(self, *, lock: bool = False) -> None:
        try:
            ctypes.CDLL(_LIBRARY)
        except OSError as error:
            raise Unavailable(f"{_LIBRARY} cannot be loaded", hint="on Debian and Ubuntu: libnftables1") from error
        before = nfttables.sockets()
        self._context = nftables.Nftables(_LIBRARY)
        owner = nfttables.shared(nfttables.sockets() - before)
        self._flags = LOCKED if lock and owner else OPEN
        self._netlink = Netlink(NETLINK_NETFILTER)
        self._owner = owner or Netlink(NETLINK_NETFILTER)
        self._journal = Journal(self._netlink)
        self._owning = False
        """Whether the tables are there and we are their owner."""
        self._held: Held | None = None
        """What the tables hold as of what the journal has heard, or None: not known."""
        self._shape: nfnetlink.Shape | None = None
        """Rules and chains as this process loaded or first saw them."""

    @property
    def locked(self) -> bool:
        """Whether nobody else can change our tables."""
        return self._flags == LOCKED

    def close(self) -> None:
        """Close the sockets. The tables stay."""
        self._journal.close()
        self._netlink.close()
        self._owner.close()
        del self._context  # libnftables' socket goes with it

    def load(self, skeleton: Skeleton, elements: Iterable[Element]) -> None:
        """Make our tables or replace what is in them, in one transaction. Raises KernelRefused, and then nothing was changed."""
        row, held = tuple(elements), Held()
        try:
            standing = self._claimed()
            before, after = self._commit(lambda: _run(self._context, render_whole(skeleton, row, standing), row))
        except KernelRefused as error:
            raise KernelRefused(error.message, errno=error.errno, hint=error.hint or _FEATURES) from None
        self._held = self._shape = None
        if self._alone(before, after):
            shape = nfnetlink.shape(self._netlink)
            held[skeleton.key] = skeleton
            held.update((element.key, element) for element in row)
            self._held = held
            self._shape = shape if self._current() else None

    def change(self, removed: Iterable[Element], added: Iterable[Element]) -> None:
        """Take out elements, then put in others, in one transaction. Raises KernelRefused, and then nothing was changed."""
        out, into = tuple(removed), tuple(added)
        if not out and not into:
            return
        known = self._held
        if known is not None and self._owning:
            self._held = None  # as long as it is not known what became of this
            self._edit(out, into)
            self._held = known
        else:
            before, after = self._commit(lambda: self._edit(out, into))
            if known is None or not self._alone(before, after):
                self._held = None
                return
        for element in out:
            known.pop(element.key, None)
        known.update((element.key, element) for element in into)

    def drop(self) -> None:
        """Delete our tables. Raises KernelRefused where there are none."""
        tables = nfnetlink.tables(self._netlink)
        if not tables:
            raise KernelRefused("there is no table netrt", errno=errno.ENOENT)
        before, after = self._commit(lambda: self._granted(nfttables.drop(self._owner, tables)))
        self._owning, self._shape = False, None
        self._held = {} if self._alone(before, after) else None

    def fileno(self) -> int:
        """What can be read when somebody changed any table."""
        return self._journal.fileno()

    def disturbed(self) -> bool:
        """Whether somebody else changed our tables since they were looked at last, or may have. Raises OSError."""
        if self._journal.others_did() and not self._owning:
            self._held = None
        return self._held is None

    def foreign_disturbed(self) -> bool:
        """Whether somebody changed tables of others since this was asked last."""
        return self._journal.others_changed_others()

    def dropping(self) -> tuple[tuple[str, str], ...]:
        """Tables and chains of others that drop what is forwarded and what no rule of theirs accepts. Raises OSError."""
        return dropping(self._netlink)

    def dropped(self, places: Sequence[Place]) -> tuple[Drop, ...]:
        """What our rules dropped and counted at these places. Raises OSError."""
        return tuple(counted(self._netlink, places))

    def seen(self, keys: Collection[Key] | None) -> Iterator[Element | Skeleton]:
        """What our tables hold of these keys; of all for None. Tables whose rules somebody changed show a Skeleton that equals
        none of ours, and no elements. Raises KernelRefused, OSError."""
        held = self._look()
        return iter(held.values()) if keys is None else (held[key] for key in keys if key in held)

    def keys(self) -> frozenset[Key]:
        """The keys of all elements that our tables hold. Raises as `seen`."""
        return frozenset(key for key in self._look() if key[0] == "element")

    # what is known

    def _current(self) -> bool:
        if self._owning and self._held is not None:
            return True
        changed = self._journal.others_changed_ours(nfnetlink.generation(self._netlink))
        return self._held is not None and not changed

    def _alone(self, before: int, after: int) -> bool:
        """Whether our transaction between these generations was the only one; then it is known as ours."""
        if after == before + 1:
            self._journal.made(after)
        return after - before in (0, 1) and not self._journal.others_changed_ours(after)

    def _look(self) -> Held:
        for last in (False,) * (_TRIES - 1) + (True,):
            if self._current():
                break
            self._held = None  # what was heard is heard once
            try:
                self._held = self._list()
            except (KernelRefused, OSError):  # a table went between two looks
                if last:
                    raise
        assert self._held is not None
        return self._held

    def _list(self) -> Held:
        shape = nfnetlink.shape(self._netlink)
        if shape is None:
            return {}
        if self.locked and nfttables.left_behind(shape.tables):
            self._claim(shape.tables)
            shape = nfnetlink.shape(self._netlink) or shape
        if not self._owning and nfttables.owned(shape.tables):
            return {}  # they are those of another netrtd, with a root of its own
        skeleton = Skeleton(seal=shape.seal)
        wrong = any(flags != LOCKED if self.locked else flags & DORMANT for flags in shape.tables.values())
        if wrong or shape.rules != rules_of(skeleton) or self._shape not in (None, shape):
            skeleton = Skeleton(seal="changed by somebody else")
            return {skeleton.key: skeleton}
        self._shape = shape
        held: Held = {skeleton.key: skeleton}
        with Netlink(), Netlink():  # libnftables ends this process where it cannot open its socket
            pass
        context = nftables.Nftables(_LIBRARY)  # of its own, for it keeps all that it lists, and what it said of it
        context.set_numeric_proto_output(True)
        context.set_json_output(True)
        for family in ("inet", "bridge"):
            listing = _run(context, f"list table {family} netrt")
            held.update((element.key, element) for element in nftlist.elements(listing))
        return held

    # what is done

    def _claimed(self) -> tuple[str, ...]:
        """Our tables, made if need be; returns the chains and sets that stand in them. Raises KernelRefused, OSError."""
        shape = nfnetlink.shape(self._netlink)
        try:
            self._claim(shape.tables if shape else {})
        except KernelRefused as error:
            if not self.locked or error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
            self._flags = OPEN  # a kernel before 6.9
            self._claim(shape.tables if shape else {})
        shape = nfnetlink.shape(self._netlink)
        return shape.names if shape else ()

    def _claim(self, tables: Mapping[str, int]) -> None:
        before, after = self._commit(lambda: self._granted(nfttables.claim(self._owner, tables, self._flags)))
        self._owning = self.locked
        if after == before + 1:
            self._journal.made(after)

    def _granted(self, number: int) -> None:
        """Raises KernelRefused unless the number is 0."""
        if number:
            hint = _SOMEBODY_ELSES if number == errno.EPERM else ""
            raise KernelRefused(os.strerror(number), errno=number, hint=hint)

    def _commit(self, transaction: Callable[[], object]) -> tuple[int, int]:
        """Make one transaction. The generations before and after."""
        before = nfnetlink.generation(self._netlink)
        try:
            transaction()
        except (KernelRefused, OSError):
            if nfnetlink.generation(self._netlink) != before:
                self._held = None
            raise
        return before, nfnetlink.generation(self._netlink)

    def _edit(self, out: Sequence[Element], into: Sequence[Element]) -> None:
        """The short way; where the kernel refuses that, libnftables says why."""
        if not nftelements.change(self._owner, out, into):
            _run(self._context, render_change(out, into), (*out, *into))


def _run(context: nftables.Nftables, text: str, elements: Collection[Element] = ()) -> str:
    """What libnftables says. Raises KernelRefused, naming the one of these elements that it is about."""
    status, output, error = context.cmd(text)
    if status:
        raise _refusal(error, elements)
    return str(output)


def _refusal(said: str, elements: Collection[Element]) -> KernelRefused:
    """libnftables' complaint as an error that names the element: it shows the line, and marks below it what is wrong."""
    lines = said.splitlines() or ["no reason was given"]
    reason = lines[0].removeprefix("Error: ").removeprefix("Could not process rule: ")
    number = _NUMBERS.get(reason.partition(";")[0], 0)
    where = ""
    if len(lines) > 2 and "^" in lines[2]:
        start, end = lines[2].index("^"), lines[2].rindex("^") + 1
        where = f" in nftables: {_named(lines[1], start, end, elements)}"
    return KernelRefused(reason + where, errno=number)


def _named(line: str, start: int, end: int, elements: Collection[Element]) -> str:
    """What is marked, in our words if it is an element of ours."""
    marked, command = line[start:end], line[:start].rpartition("{")[0].split()
    for element in elements:
        if [element.table, element.set] == [*command[-3:-2], *command[-1:]] and marked in (
            expression(element),
            key_expression(element),
        ):
            return f"{element.set} {{ {' . '.join(element.at)} }}"
    return marked if len(marked) <= 100 else line[:100].strip()
