"""One tree of errors. Edges map the class, never the text, to an HTTP or an exit status.

NetrtError
├── Invalid           the request itself is wrong; it would be wrong on any host at any time
├── NotFound          it names something that does not exist
├── Exists            it would make something that is there already
├── InUse             it would take something away that others still need
├── Exhausted         a pool of addresses, ports or names is used up
├── Conflict          something that is not ours stands in the way on this host
├── KernelRefused     the kernel said no; everything done before it was rolled back
├── Unavailable       the store, the daemon or a feature cannot be had now; `retry` tells if later may help
└── Residue           work was done, but something was left behind; it says what
"""


class NetrtError(Exception):
    """An error for a person: one line that says what was wrong, and a hint about what is allowed.

    `message` is one line without a full stop at its end; `hint` is empty or one more line; `retry` is true where the same
    request may succeed later without a change.
    """

    def __init__(self, message: str, *, hint: str = "", retry: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retry = retry

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Invalid(NetrtError):
    """The request itself is wrong."""


class NotFound(NetrtError):
    """The request names something that does not exist."""


class Exists(NetrtError):
    """The request would make something that exists already."""


class InUse(NetrtError):
    """The request would take away something that others still need."""


class Exhausted(NetrtError):
    """A pool is used up."""


class Conflict(NetrtError):
    """Something that is not ours stands in the way on this host."""


class KernelRefused(NetrtError):
    """The kernel refused an operation. `errno` is its number (positive), 0 where there is none (nftables)."""

    def __init__(self, message: str, *, errno: int = 0, hint: str = "", retry: bool = False) -> None:
        super().__init__(message, hint=hint, retry=retry)
        self.errno = errno


class Unavailable(NetrtError):
    """The store, the daemon or a kernel feature cannot be had now."""


class Residue(NetrtError):
    """Something was left behind."""


def one_line(text: str) -> str:
    """`text` with whatever would break a line, or speak to a terminal, escaped: names that others gave may hold anything."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
