"""Values below /proc/sys/net, which shows those of the namespace of the thread that opens a file; and forwarding, the two of them
that concern the whole host.

Rule 1: a kernel without IPv6 (`ipv6.disable=1`) is as one where it is off everywhere, not an error. Rule 2: before a family's
forwarding is turned on it is written down, for this boot and this namespace, that it was off: such a host is no router, and the
firewall sees to it that it does not become one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from netrt.kernel.procfs import Procfs

FORWARDING = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
"""The switch of each family."""

_ROOT = "/proc/sys"
_NET = "net"
_IPV6 = "net/ipv6"


class Tree:
    """The values of the namespace of the thread that makes it; a context manager. `root` is the directory that holds `net`, below
    the open directory `at` if it is relative."""

    def __init__(self, root: str = _ROOT, at: int | None = None) -> None:
        self._net = os.open(f"{root}/{_NET}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=at)

    @classmethod
    def of_sandbox(cls, procfs: Procfs) -> Tree:
        """For a thread that has entered a sandbox: one of many, so by way of a proc file system of our own."""
        return cls("sys", procfs.for_sandbox())

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._net)

    def has_ipv6(self) -> bool:
        """Whether this kernel has IPv6 at all."""
        try:
            os.stat("ipv6", dir_fd=self._net)
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str) -> str | None:
        """The value, its parts with one space between, or None where there is no such thing (any more)."""
        try:
            descriptor = self._open(name, os.O_RDONLY)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
            return _without_ipv6(name) if name.startswith(_IPV6) and not self.has_ipv6() else None
        try:
            return " ".join(os.read(descriptor, 4096).decode().split())
        finally:
            os.close(descriptor)

    def write(self, name: str, value: str) -> None:
        """Set a value. Raises OSError."""
        try:
            descriptor = self._open(name, os.O_WRONLY)
        except FileNotFoundError:
            if name.startswith(_IPV6) and not self.has_ipv6() and value == _without_ipv6(name):
                return
            raise
        try:
            os.write(descriptor, value.encode())
        finally:
            os.close(descriptor)

    def _open(self, name: str, flags: int) -> int:
        return os.open(name.removeprefix(f"{_NET}/"), flags | os.O_CLOEXEC, dir_fd=self._net)


def read(name: str, root: str = _ROOT) -> str | None:
    """One value in the namespace of the calling thread, or None where there is no such thing."""
    with Tree(root) as tree:
        return tree.read(name)


def write(name: str, value: str, root: str = _ROOT) -> None:
    """Set one value in the namespace of the calling thread. Raises OSError."""
    with Tree(root) as tree:
        tree.write(name, value)


def _without_ipv6(name: str) -> str:
    return "1" if name.endswith("/disable_ipv6") else "0"


class Forwarding:
    """Which families forward only because we said so. `path` is a file that remembers it; each line is a boot, a namespace and a
    family, and counts only in that boot and namespace."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def raised(self) -> frozenset[int]:
        """The families (4, 6) whose forwarding is off, or was turned on by us since boot."""
        noted = self._noted()
        return frozenset(f for f, name in FORWARDING.items() if read(name) in ("0", None) or self._line(f) in noted)

    def opened(self) -> frozenset[int]:
        """The families (4, 6) whose forwarding is on because we turned it on since boot."""
        noted = self._noted()
        return frozenset(
            f for f, name in FORWARDING.items() if read(name) not in ("0", None) and self._line(f) in noted
        )

    def about_to_raise(self, family: int) -> None:
        """Note it, if forwarding of this family is off; and keep the host's own IPv6 routes.

        An interface that takes its routes from router advertisements stops doing so when the host forwards, unless its
        `accept_ra` says "also then" (2; networking/ip-sysctl). Raises OSError.
        """
        if read(FORWARDING[family]) != "0":
            return
        if self._line(family) not in self._noted():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(self._line(family) + "\n")
        if family == 6:
            for link in set(os.listdir(f"{_ROOT}/{_IPV6}/conf")) - {"all", "default"}:
                conf = f"{_IPV6}/conf/{link}"
                if read(f"{conf}/accept_ra") == "1" and read(f"{conf}/forwarding") == "0":
                    write(f"{conf}/accept_ra", "2")

    def _noted(self) -> frozenset[str]:
        try:
            return frozenset(self._path.read_text().splitlines())
        except FileNotFoundError:
            return frozenset()

    @staticmethod
    def _line(family: int) -> str:
        boot = Path(f"{_ROOT}/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.stat('/proc/thread-self/ns/net').st_ino} {family}"
