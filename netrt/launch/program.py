"""What a process in a container becomes: which file its command names, and why it cannot be run, in the words and exit
statuses of `docker run`: 126 cannot be invoked, 127 not found, 125 anything else."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence

from netrt.errors import NetrtError

OWN_FAILURE = 125
CANNOT_RUN = 126
NOT_FOUND = 127


class NotStarted(NetrtError):
    """The command did not start. `status` is the exit status to end with."""

    def __init__(self, message: str, status: int = OWN_FAILURE) -> None:
        super().__init__(message)
        self.status = status


class Program:
    """A command with its environment and working directory."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], cwd: str) -> None:
        self.command, self.environment, self.cwd = tuple(command), dict(environment), cwd

    def locate(self) -> str:
        """Go to the working directory and find the file to run. Raises NotStarted."""
        try:
            os.chdir(self.cwd)
        except OSError as error:
            raise NotStarted(f"working directory {self.cwd!r}: {error.strerror}", CANNOT_RUN) from error
        name = self.command[0] if self.command else ""
        reason = ""
        for path in self._candidates(name):
            if os.path.isdir(path):
                reason = "is a directory"
            elif os.access(path, os.X_OK):
                return path
            elif os.path.exists(path):
                reason = "permission denied"
        if reason:
            raise NotStarted(f"{name!r}: {reason}", CANNOT_RUN)
        where = "no such file" if "/" in name else "executable file not found in $PATH"
        raise NotStarted(f"{name!r}: {where}", NOT_FOUND)

    def _candidates(self, name: str) -> list[str]:
        if not name or "/" in name:
            return [name] if name else []
        return [os.path.join(directory, name) for directory in self.environment.get("PATH", "").split(":")]

    def execute(self, path: str) -> None:
        """Become the program at `path`: returns never. Raises NotStarted."""
        try:
            os.execve(path, self.command, self.environment)
        except OSError as error:
            if error.errno == errno.ENOENT:  # the file is there, so it is what its first line names
                raise NotStarted(f"{self.command[0]!r}: its interpreter does not exist", NOT_FOUND) from error
            raise NotStarted(f"{self.command[0]!r}: {error.strerror}", CANNOT_RUN) from error
        except ValueError as error:  # a NUL in a text
            raise NotStarted(f"{self.command[0]!r}: {error}", CANNOT_RUN) from error
