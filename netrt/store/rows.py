"""State as rows of text: what a commit takes away and puts in, and back again.

A row's body, JSON, is the truth; its key only tells which one it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from netrt.errors import NetrtError
from netrt.model.container import Attachment, Container, Released
from netrt.model.difference import difference
from netrt.model.network import Network
from netrt.model.state import State, check_rows, state_of

KEYS = {
    "network": ("id",),
    "container": ("id",),
    "attachment": ("container_id", "ifname"),
    "released": ("network_id", "address"),
}
"""The tables, in the order in which they refer to each other, and the columns of their keys."""

ORDER, COMMIT = "order", "commit"
"""Settings: `State.order`, and how many commits there were."""

Key = tuple[str, ...]
Row = tuple[Key, msgspec.Raw]
T = TypeVar("T", Network, Container, Attachment, Released)


class Contradiction(Exception):
    """Rows that cannot be a State; the text says why."""


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one commit does: rows that go (keys) and rows that come or change, by table, and settings. `whole`: to nothing, so
    that these are all rows there are."""

    settings: Mapping[str, str] = {}
    gone: Mapping[str, Sequence[Key]] = {}
    put: Mapping[str, Sequence[Row]] = {}
    whole: bool = False

    @property
    def number(self) -> int:
        """How many commits there were with this one."""
        return int(self.settings.get(COMMIT, 0))


def change(before: State, after: State, number: int) -> Change:
    """What leads from one State to the other, as commit `number`."""
    steps = {
        "network": difference(before.networks, after.networks),
        "container": difference(before.containers, after.containers),
        "attachment": difference(before.attachments, after.attachments),
        "released": difference(before.released, after.released),
    }
    return Change(
        settings={COMMIT: str(number)} | ({ORDER: str(after.order)} if before.order != after.order else {}),
        gone={table: [_key(key) for key in gone] for table, (gone, _) in steps.items() if gone},
        put={table: [_row(key, value) for key, value in put] for table, (_, put) in steps.items() if put},
    )


def whole(state: State, settings: Mapping[str, str]) -> Change:
    """All of a State, and all settings."""
    put = change(State(), state, 0).put
    return Change(settings={COMMIT: "0", **settings, ORDER: str(state.order)}, put=put, whole=True)


def added(changes: Iterable[Change]) -> Change:
    """The sum of changes that follow one another, of which the first is whole."""
    settings: dict[str, str] = {}
    rows: dict[str, dict[Key, msgspec.Raw]] = {table: {} for table in KEYS}
    for step in changes:
        settings.update(step.settings)
        for table, gone in step.gone.items():
            for key in gone:
                rows[table].pop(key, None)
        for table, put in step.put.items():
            rows[table].update(put)
    return Change(settings=settings, put={table: list(held.items()) for table, held in rows.items()}, whole=True)


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """All rows there are, as values by key, and `State.order`."""

    networks: Mapping[Key, Network]
    containers: Mapping[Key, Container]
    attachments: Mapping[Key, Attachment]
    released: Mapping[Key, Released]
    order: int


def rows_of(held: Change) -> Rows:
    """The rows of a change that is whole. Raises Contradiction."""
    return Rows(
        networks=_values(held, "network", Network),
        containers=_values(held, "container", Container),
        attachments=_values(held, "attachment", Attachment),
        released=_values(held, "released", Released),
        order=int(held.settings.get(ORDER, 1)),
    )


def state_from(rows: Rows) -> State:
    """The State that these rows are. Raises Contradiction."""
    networks, containers = tuple(rows.networks.values()), tuple(rows.containers.values())
    attachments, released = tuple(rows.attachments.values()), tuple(rows.released.values())
    try:
        state = state_of(networks, containers, attachments, released, rows.order)
        check_rows(state)
    except AssertionError as error:
        raise Contradiction(f"contradicts itself: {error}") from error
    except (LookupError, StopIteration, ValueError) as error:
        raise Contradiction("contradicts itself: a row refers to what is not there") from error
    return state


def _values(held: Change, table: str, kind: type[T]) -> Mapping[Key, T]:
    decoder, values = msgspec.json.Decoder(kind), {}
    for key, body in held.put.get(table, ()):
        try:
            values[key] = decoder.decode(body)
        except (msgspec.MsgspecError, NetrtError) as error:
            raise Contradiction(f"is damaged: {table} {' '.join(key)}: {error}") from error
    return values


def _key(key: Any) -> Key:
    return (key,) if isinstance(key, str) else key


def _row(key: Any, value: msgspec.Struct) -> Row:
    return _key(key), msgspec.Raw(msgspec.json.encode(value))
