"""A store that forgets at the end of the process, for tests and trials."""

from __future__ import annotations

from collections.abc import Callable

from netrt.model.state import State


class MemoryStore:
    """Keeps the State object itself."""

    def __init__(self, state: State | None = None) -> None:
        self._state = state or State()
        self._settings: dict[str, str] = {}

    def load(self) -> State:
        return self._state

    def save(self, before: State, after: State) -> None:
        self._state = after

    def once(self, key: str, make: Callable[[], str]) -> str:
        """The text kept under `key`; made and kept on the first call."""
        if key not in self._settings:
            self._settings[key] = make()
        return self._settings[key]

    def close(self) -> None: ...
