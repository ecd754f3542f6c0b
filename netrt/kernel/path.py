"""Paths that callers give, opened without following the links of anybody but root.

Theory: whoever may talk to the daemon need not be root, and the daemon opens what they name. A link that somebody else made, or
could put in the place of root's, may lead anywhere, and elsewhere at the next look. But `/var/run` is a link on every host, and
namespaces of processes are magic links of /proc; these are followed."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections import deque

_PROC_MAGIC = 0x9FA0
_LINKS = 40
"""As many as the kernel follows (MAXSYMLINKS)."""

_WRITABLE = 0o022

_libc = ctypes.CDLL(None, use_errno=True)


def open_path(path: str) -> int:
    """What is at an absolute path, as an O_PATH file. Raises OSError; ELOOP where a link is in the way that is not followed."""
    names, followed = deque(path.split("/")), 0
    if not path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    at = _open("/")
    try:
        while names:
            name = names.popleft()
            if name in ("", "."):
                continue
            new = _open(name, at)
            found = os.fstat(new)
            if stat.S_ISLNK(found.st_mode):
                os.close(new)
                followed += 1
                if _filesystem(at) == _PROC_MAGIC:
                    new = os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=at)
                elif followed > _LINKS or not _of_root(found, os.fstat(at)):
                    raise OSError(errno.ELOOP, _why(found))
                else:
                    target = os.readlink(name, dir_fd=at)
                    names.extendleft(reversed(target.split("/")))
                    new = _open("/") if target.startswith("/") else os.dup(at)
            os.close(at)
            at = new
        return os.dup(at)
    finally:
        os.close(at)


def _open(name: str, at: int | None = None) -> int:
    return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)


def _of_root(link: os.stat_result, directory: os.stat_result) -> bool:
    """Whether nobody but root made the link, or can put another in its place."""
    sticky = bool(directory.st_mode & stat.S_ISVTX)
    return link.st_uid == 0 and directory.st_uid == 0 and (sticky or not directory.st_mode & _WRITABLE)


def _why(link: os.stat_result) -> str:
    return os.strerror(errno.ELOOP) if link.st_uid == 0 else f"a link of user {link.st_uid} is not followed"


def _filesystem(descriptor: int) -> int:
    """The magic number of the file system that an open file is in. Raises OSError."""
    answer = ctypes.create_string_buffer(256)  # struct statfs; f_type, a long, comes first
    if _libc.fstatfs(descriptor, answer):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "fstatfs")
    return ctypes.c_long.from_buffer(answer).value
