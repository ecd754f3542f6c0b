"""A document as a tree whose every value knows where it stands, so that what is wrong with it is named by file, line and field.

Text stays what it looks like: whether `yes`, `0x50` or `22:22` is a flag, a number or a port is said by who reads the field."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from netrt.errors import Invalid

T = TypeVar("T")

_YES, _NO = ("true", "yes", "on"), ("false", "no", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One value: text, None where nothing is said, values in a row, or values by name. `line` counts from 1; `field` is the way
    to it from the top. Every method that reads it raises Invalid."""

    value: str | tuple[Tree, ...] | Mapping[str, Tree] | None
    file: str
    line: int
    field: str = ""

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.file}:{self.line}: {self.field}" if self.field else f"{self.file}:{self.line}"

    def refused(self, message: str, hint: str = "") -> Invalid:
        """The error that says what is wrong here."""
        return Invalid(f"{self.place}: {message}", hint=hint)

    def read(self, reader: Callable[[str], T]) -> T:
        """What `reader` makes of the text."""
        text = self.text()
        return self.checked(lambda: reader(text))

    def checked(self, work: Callable[[], T]) -> T:
        """The result of `work`; what it refuses is refused here."""
        try:
            return work()
        except Invalid as error:
            raise self.refused(error.message, error.hint) from None

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.refused(f"text is expected, not {self._kind()}")
        return self.value

    def flag(self) -> bool:
        word = self.text().lower()
        if word not in (*_YES, *_NO):
            raise self.refused(f"{word[:40]!r} is neither true nor false")
        return word in _YES

    def number(self) -> int:
        text = self.text()
        try:
            return int(text)
        except ValueError:
            raise self.refused(f"{text[:40]!r} is not a number") from None

    def items(self) -> tuple[Tree, ...]:
        """Values in a row; nothing is none."""
        if self.value is None:
            return ()
        if not isinstance(self.value, tuple):
            raise self.refused(f"a list is expected, not {self._kind()}")
        return self.value

    def entries(self) -> Mapping[str, Tree]:
        """Values by name, whatever the names; nothing is none."""
        if self.value is None:
            return {}
        if not isinstance(self.value, Mapping):
            raise self.refused(f"names and values are expected, not {self._kind()}")
        return self.value

    def fields(self, known: Collection[str]) -> Mapping[str, Tree]:
        """Values by name, all of them known; what begins with `x-` is for others, and passed over."""
        found = {name: tree for name, tree in self.entries().items() if not name.startswith("x-")}
        for name, tree in found.items():
            if name not in known:
                raise tree.refused("unknown key", f"known: {', '.join(known)}")
        return found

    def texts(self) -> tuple[str, ...]:
        """Texts in a row; one alone is one of them."""
        return (self.value,) if isinstance(self.value, str) else tuple(tree.text() for tree in self.items())

    def pairs(self) -> Mapping[str, str]:
        """Texts by name, as names and values or as a list of `NAME=VALUE`; nothing is empty text."""
        if isinstance(self.value, tuple):
            return {name: value for name, _, value in (text.partition("=") for text in self.texts())}
        return {name: "" if tree.value is None else tree.text() for name, tree in self.entries().items()}

    def _kind(self) -> str:
        match self.value:
            case None:
                return "nothing"
            case str():
                return "text"
            case tuple():
                return "a list"
            case _:
                return "names and values"
