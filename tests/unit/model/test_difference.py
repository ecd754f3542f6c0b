"""What differs between two tables, however one became the other; and a table is what a dictionary would be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netrt.model.difference import difference
from netrt.model.table import REMEMBERED, Table

Entry = tuple[int, str]
Edits = list[tuple[int, str]]
ENTRIES = {(key, letter): (key, letter) for key in range(10) for letter in "abc"}
"""An entry belongs to one key, as in a State."""
edits = st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["a", "b", "c", ""])), max_size=REMEMBERED + 8)
"""A key and what it gets; nothing: it goes."""


def edited(table: Table[int, Entry], steps: Edits) -> Table[int, Entry]:
    for key, letter in steps:
        if letter:
            table = table.set(key, ENTRIES[key, letter])
        elif key in table:
            table = table.delete(key)
    return table


def dictionary(steps: Edits) -> dict[int, Entry]:
    made: dict[int, Entry] = {}
    for key, letter in steps:
        if letter:
            made[key] = ENTRIES[key, letter]
        else:
            made.pop(key, None)
    return made


@given(edits, edits)
def test_a_table_is_what_a_dictionary_would_be(first: Edits, then: Edits) -> None:
    before: Table[int, Entry] = edited(Table(), first)
    after = edited(before, then)
    for table, expected in ((before, dictionary(first)), (after, dictionary(first + then))):
        assert list(table.items()) == list(expected.items())
        assert len(table) == len(expected)
        assert table == Table(expected.items()) == expected
        assert [table.get(key) for key in range(10)] == [expected.get(key) for key in range(10)]


@given(edits, edits)
def test_applied_to_the_one_it_gives_the_other(first: Edits, then: Edits) -> None:
    before: Table[int, Entry] = edited(Table(), first)
    for after in (edited(before, then), edited(Table(), then)):
        gone, put = difference(before, after)
        rest = {key: value for key, value in before.items() if key not in gone}
        assert set(gone) == before.keys() - after.keys()
        assert rest | dict(put) == dict(after)
        assert [key for key, _ in put] == [key for key in after if key in dict(put)], "in the order of the table"
        assert all(before.get(key) is not value for key, value in put), "nothing that stayed"


def test_what_an_edit_changed_is_known_without_a_look_at_the_rest() -> None:
    before: Table[int, Entry] = Table((key, (key, "a")) for key in range(100_000))
    after = before.set(5, (5, "b")).delete(7)
    assert after.edits(before) == {5, 7}
    assert before.edits(after) is None
    assert difference(before, after) == ((7,), ((5, (5, "b")),))
    for key in range(REMEMBERED):
        after = after.set(key, (key, "c"))
    assert after.edits(before) is None


@given(edits, edits, edits)
def test_one_table_beside_several(first: Edits, then: Edits, last: Edits) -> None:
    """Whatever was asked before."""
    one: Table[int, Entry] = edited(Table(), first)
    two = edited(one, then)
    after = edited(two, last)
    for _ in range(2):
        for before in (one, two):
            gone, put = difference(before, after)
            assert set(gone) == before.keys() - after.keys()
            assert {key: value for key, value in before.items() if key not in gone} | dict(put) == dict(after)
