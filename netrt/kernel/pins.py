"""Network namespaces of ours, each kept by a mount at a path, as `ip netns` keeps its own, and held open besides.

Theory: whoever takes the mount away takes the name from under processes that live there and connections that are open. While we
hold the namespace, it is seen with all that is in it, and all that it lacks is its pin. Rule 1: who unpins lets go. Rule 2: at a
path of ours stands what we hold, or nothing. Rule 3: no more are held than leave half of the open files for everything else;
what is not held, and loses its pin, is made anew."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import stat
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from netrt.dataplane.objects import PIN_DIRECTORY, PIN_PREFIX, Pin
from netrt.errors import Invalid
from netrt.kernel.netns import OWN_PINS, away, checked, identify, libc, new_namespace, open_namespace

_MS_BIND, _MS_REC, _MS_SHARED, _MNT_DETACH, _NOFOLLOW = 0x1000, 0x4000, 0x100000, 2, 8
_IN_DELETE = 0x200


class Held(NamedTuple):
    """An open file of a namespace, and what tells it from every other one."""

    file: int
    device: int
    inode: int


class Pins:
    """To be used from one thread."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._paths: dict[int, str] = {}
        """Those by the inode numbers of the namespaces."""
        self._most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
        self._notify: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._notify < 0:  # root has 128 of them, and others may have them all: then there is nothing to hear
            self._notify = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._watched = self._shared = False
        self._visited: tuple[str, int] | None = None
        """The path of the last namespace of somebody else that was opened, and its open file."""

    def fileno(self) -> int:
        """What can be read when `taken` may find something."""
        return self._notify

    def taken(self) -> frozenset[str]:
        """Pins that others took away, file and all as `ip netns delete` does, since this was asked last."""
        found: set[str] = set()
        with contextlib.suppress(BlockingIOError):
            while True:
                found |= {f"{PIN_DIRECTORY}/{name}" for name in _names(os.read(self._notify, 1 << 16))}
        return frozenset(path for path in found if path in self._held and not _stands(self._held[path], path))

    def seen(self, paths: Iterable[str]) -> Iterator[Pin]:
        """Those of these pins whose namespace is there; one that only we hold is `lost`. What is seen is held from now on."""
        for path in paths:
            held = self._held.get(path)
            if held:
                yield Pin(path=path, lost=not _stands(held, path))
                continue
            if os.path.exists(path):
                with contextlib.suppress(Invalid):
                    self._hold(path, open_namespace(path))
                    yield Pin(path=path)

    def open(self, path: str) -> int:
        """The namespace that we hold, or else at this path, as an open file that the caller closes. One of somebody else's stays
        the same until `leave`, wherever its path leads meanwhile. Raises Invalid, OSError."""
        held = self._held.get(path)
        if held:
            return os.dup(held.file)
        if self._visited and self._visited[0] == path:
            return os.dup(self._visited[1])
        found = open_namespace(path)
        if not path.startswith(OWN_PINS):
            self.leave()
            with contextlib.suppress(OSError):  # then it is opened again
                self._visited = path, os.dup(found)
        return found

    def leave(self) -> None:
        """A command is over: the next one looks anew where the paths of others lead."""
        if self._visited:
            os.close(self._visited[1])
            self._visited = None

    def alive(self, paths: Iterable[str]) -> dict[str, int]:
        """Those of these paths that lead to a network namespace now, and its inode number."""
        found = {}
        for path in paths:
            with contextlib.suppress(Invalid), self.opened(path) as namespace:
                found[path] = os.fstat(namespace).st_ino
        return found

    def path_of(self, inode: int) -> str:
        """Where we keep the namespace of this number; empty where it is not one that we hold."""
        return self._paths.get(inode, "")

    @contextlib.contextmanager
    def opened(self, path: str) -> Iterator[int]:
        """As `open`, and closed at the end. Raises Invalid, OSError."""
        namespace = self.open(path)
        try:
            yield namespace
        finally:
            os.close(namespace)

    def there(self, path: str) -> bool:
        """Whether `open` may find something."""
        return path in self._held or os.path.exists(path)

    def regained(self, path: str) -> bool:
        """Keep at this path again what we hold without it; whether we do. Raises OSError."""
        held = self._held.get(path)
        if not held or _stands(held, path):
            return False
        if os.path.lexists(path) and _occupied(path):
            unpin(path)
        pin(path, held.file)
        return True

    def pin(self, path: str, spare: int | None = None) -> None:
        """Keep a namespace with its loopback up at `path`: `spare`, an open file, or a new one. Raises OSError; EEXIST where
        something is there already."""
        if not self._shared:
            _share(os.path.dirname(path))
            self._shared = True
        made = os.dup(spare) if spare is not None else away(new_namespace)
        try:
            pin(path, made)
        except OSError:
            os.close(made)
            raise
        self._hold(path, made)

    def unpin(self, path: str) -> None:
        """Let the namespace go, wherever its pin is. Raises OSError."""
        held = self._held.pop(path, None)
        if held:
            os.close(held.file)
            self._paths.pop(held.inode, None)
        unpin(path)

    def close(self) -> None:
        """Let all go; they stay where they are pinned."""
        self.leave()
        for held in self._held.values():
            os.close(held.file)
        self._held.clear()
        self._paths.clear()
        os.close(self._notify)

    def _hold(self, path: str, file: int) -> None:
        if len(self._held) >= self._most:
            os.close(file)
            return
        self._watch()
        status = os.fstat(file)
        self._held[path] = Held(file, status.st_dev, status.st_ino)
        self._paths[status.st_ino] = path

    def _watch(self) -> None:
        """Hear what goes from the directory; where that cannot be had, whoever compares finds it."""
        if not self._watched:
            libc.inotify_add_watch(self._notify, PIN_DIRECTORY.encode(), _IN_DELETE)
            self._watched = True


def _names(events: bytes) -> Iterator[str]:
    """The names that inotify_event structures speak of (inotify(7))."""
    at = 0
    while at < len(events):
        (size,) = struct.unpack_from("=12xI", events, at)
        yield os.fsdecode(events[at + 16 : at + 16 + size].rstrip(b"\0"))
        at += 16 + size


def _stands(held: Held, path: str) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == (held.device, held.inode)


def pinned() -> set[str]:
    """The paths of all pins of ours, whether there is a namespace or not."""
    with contextlib.suppress(FileNotFoundError):
        return {f"{PIN_DIRECTORY}/{name}" for name in os.listdir(PIN_DIRECTORY) if name.startswith(PIN_PREFIX)}
    return set()


def husks() -> list[str]:
    """Empty files where pins of ours are kept that lead to no namespace."""
    paths = pinned()
    bare = sorted(path for path in paths if not _leads(path))
    return [path for path in bare if stat.S_ISREG(os.lstat(path).st_mode) and not os.lstat(path).st_size]


def _leads(path: str) -> bool:
    try:
        return bool(identify(path))
    except Invalid:
        return False


def pin(path: str, namespace: int) -> None:
    """Keep a network namespace, an open file, at `path`, as `ip netns add` does. Raises OSError; EEXIST where something is there
    already."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC, 0))
    except FileExistsError:
        if _occupied(path):
            raise
        # a file without a mount is what a crash, or a reboot where /run is kept, leaves: it serves as well as a new one

    try:
        file = f"/proc/self/fd/{namespace}".encode()
        checked(libc.mount(file, path.encode(), b"none", ctypes.c_ulong(_MS_BIND), None), "mount")
    except OSError:
        os.unlink(path)
        raise


def _occupied(path: str) -> bool:
    """Whether something other than an empty file of the directory's own stands here."""
    there, around = os.lstat(path), os.stat(os.path.dirname(path))
    return there.st_dev != around.st_dev or not stat.S_ISREG(there.st_mode) or there.st_size > 0


def _share(directory: str) -> None:
    """Have the directory as a shared mount, as `ip netns` does: a pin then shows, and goes, in every mount namespace."""

    def share(more: int) -> None:
        checked(libc.mount(b"", where, b"none", ctypes.c_ulong(_MS_SHARED | more), None), "mount --make-shared")

    where = directory.encode()
    os.makedirs(directory, mode=0o755, exist_ok=True)
    try:
        share(0)  # what is mounted below a shared mount is shared by itself; walking all pins would take time with each
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: no mount point yet
            raise
        checked(libc.mount(where, where, b"none", ctypes.c_ulong(_MS_BIND | _MS_REC), None), "mount --bind")
        share(_MS_REC)


def unpin(path: str) -> None:
    """Remove the pin; the namespace ends with its last process, its links some tens of ms later. Raises OSError."""
    result = libc.umount2(path.encode(), _MNT_DETACH | _NOFOLLOW)
    if result and ctypes.get_errno() != errno.EINVAL:  # EINVAL: a file without a mount
        checked(result, "umount")
    os.unlink(path)
